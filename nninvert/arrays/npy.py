"""The .npy format, read without seeking and without pickles, and written to pipes.

``numpy.load`` and ``numpy.lib.format.read_array`` ask a pipe for its position and fail;
the header functions of ``numpy.lib.format`` are public and need only ``read``.
"""

from __future__ import annotations

import math
import warnings
from tokenize import TokenError
from typing import BinaryIO

import numpy as np

from nninvert.arrays.numeric_types import check_type
from nninvert.arrays.place import Place
from nninvert.errors import FormatError, LimitError, MachineError

MAGIC = b"\x93NUMPY"
CHUNK = 1 << 24  # bytes moved at once: pipes and interrupts stay responsive
MAP_FROM = 1 << 26  # from here on a file is mapped: nothing is copied without need

# What literal parsing of a hostile header raises, besides numpy's own ValueError.
_HEADER_ERRORS = (
    ValueError,
    TypeError,
    SyntaxError,
    KeyError,
    RecursionError,
    MemoryError,
    TokenError,
)


def read_npy(
    stream: BinaryIO, place: Place, size: int | None, path: str | None = None
) -> np.ndarray:
    """Read one array, and nothing after it, from the start of a stream.

    Parameters
    ----------
    stream : BinaryIO
        Only ``read`` and ``readinto`` are used.
    place : Place
        For messages.
    size : int or None
        All bytes of the file, where that is known.
    path : str or None, default None
        An ordinary file of which `stream` is the open start: large ones are mapped.

    Raises
    ------
    FormatError, DataError, LimitError, MachineError
    """
    shape, fortran_order, dtype, header_bytes = _read_header(stream, place)
    check_type(dtype, place)
    claimed = math.prod(shape) * dtype.itemsize
    if size is not None and size - header_bytes != claimed:
        raise _wrong_size(place, shape, dtype, claimed, size - header_bytes)
    if path is not None and claimed >= MAP_FROM and dtype.isnative:
        return np.memmap(
            path, dtype, "r", header_bytes, shape, "F" if fortran_order else "C"
        )
    flat = _allocate(math.prod(shape), dtype, place)
    got = _fill(stream, flat)
    if got < claimed:
        raise _wrong_size(place, shape, dtype, claimed, got)
    if stream.read(1):
        raise FormatError(
            place.inside(),
            got=f"more data after the array of shape {shape}",
            expected="one array",
            file=place.file,
        )
    values = flat.reshape(shape, order="F" if fortran_order else "C")
    return values.astype(dtype.newbyteorder("="), copy=False)


def write_npy(stream: BinaryIO, values: np.ndarray) -> None:
    """Write one array in version 1 of the format.

    Parameters
    ----------
    stream : BinaryIO
        Only ``write`` is used, with at most 16 MiB at a time.
    values : ndarray
        Of numbers; Fortran order is kept.
    """
    header = np.lib.format.header_data_from_array_1_0(values)
    np.lib.format.write_array_header_1_0(stream, header)
    ordered = values.T if header["fortran_order"] else np.ascontiguousarray(values)
    write_bytes(stream, ordered.reshape(-1).view(np.uint8).data)


def write_bytes(stream: BinaryIO, content: memoryview) -> None:
    """Write all of `content` in chunks, also where a raw stream takes only a part."""
    while content:
        content = content[stream.write(content[:CHUNK]) :]


def _read_header(
    stream: BinaryIO, place: Place
) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, order, type, and the number of bytes before the data."""
    counted = _Counted(stream)
    try:
        major, minor = np.lib.format.read_magic(counted)  # type: ignore[arg-type]
        if (major, minor) not in ((1, 0), (2, 0), (3, 0)):
            raise FormatError(
                place.inside(),
                got=f"version {major}.{minor} of the npy format",
                expected="1.0, 2.0 or 3.0",
                file=place.file,
            )
        # Version 3 differs from 2 only in the encoding of the names of record fields,
        # and records are refused.
        read = np.lib.format.read_array_header_2_0
        if major == 1:
            read = np.lib.format.read_array_header_1_0
        with warnings.catch_warnings():
            # Python 2 wrote 3L for 3; numpy reads that, and warns about the time.
            warnings.simplefilter("ignore", UserWarning)
            shape, fortran_order, dtype = read(counted)  # type: ignore[arg-type]
    except _HEADER_ERRORS as error:
        raise FormatError(
            place.inside("npy header"),
            got=f"a damaged header ({error})",
            expected="descr, fortran_order and shape",
            next_step="Copy or save the file again.",
            file=place.file,
        ) from error
    if any(n < 0 for n in shape):
        raise FormatError(
            place.inside("npy header"),
            got=f"shape {shape}",
            expected="sizes of at least 0",
            file=place.file,
        )
    return tuple(int(n) for n in shape), bool(fortran_order), dtype, counted.count


class _Counted:
    """A stream that counts what numpy's header functions read."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.count = 0

    def read(self, size: int) -> bytes:
        got = self.stream.read(size)
        self.count += len(got)
        return got


def _wrong_size(
    place: Place, shape: tuple[int, ...], dtype: np.dtype, claimed: int, got: int
) -> FormatError:
    return FormatError(
        place.inside(),
        got=f"{got:,} bytes of data",
        expected=f"{claimed:,}",
        because=f"the header says shape {shape} of {dtype}",
        next_step="It was cut off: copy or save it again." if got < claimed else "",
        file=place.file,
    )


def _allocate(count: int, dtype: np.dtype, place: Place) -> np.ndarray:
    try:
        return np.empty(count, dtype)
    except MemoryError as error:
        raise MachineError(
            place.inside(),
            got=f"{count * dtype.itemsize:,} bytes to read",
            expected="enough free memory for them",
            file=place.file,
        ) from error
    except (ValueError, OverflowError) as error:
        raise LimitError(
            place.inside("npy header"),
            got=f"{count:,} values",
            expected="no more than a machine can address",
            file=place.file,
        ) from error


def _fill(stream: BinaryIO, flat: np.ndarray) -> int:
    """Read into `flat`; the number of bytes that came."""
    view = flat.view(np.uint8).data
    done = 0
    while done < len(view):
        got = stream.readinto(view[done : done + CHUNK])  # type: ignore[attr-defined]
        if not got:
            break
        done += got
    return done
