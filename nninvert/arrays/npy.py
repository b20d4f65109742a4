"""The .npy format, read and written without seeking, so that it goes through pipes.

``numpy.load`` and ``numpy.lib.format.read_array`` ask a pipe for its position and fail.
"""

from __future__ import annotations

import math
from typing import BinaryIO, Literal

import numpy as np

from nninvert.arrays.numeric_types import check_type
from nninvert.arrays.place import Place
from nninvert.errors import FormatError, LimitError, MachineError
from nninvert.npy import NpyHeader, read_header

CHUNK = 1 << 24  # bytes moved at once: pipes and interrupts stay responsive
MAP_FROM = 1 << 26  # from here on a file is mapped: nothing is copied without need


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
    header = read_header(stream, file=place.file, field=place.inside())
    shape, dtype = header.shape, header.dtype
    order: Literal["C", "F"] = "F" if header.fortran_order else "C"
    check_type(dtype, place)
    if size is not None and size - header.data_offset != header.nbytes:
        raise _wrong_size(place, header, size - header.data_offset)
    if path is not None and header.nbytes >= MAP_FROM and dtype.isnative:
        return np.memmap(path, dtype, "r", header.data_offset, shape, order)
    flat = _allocate(math.prod(shape), dtype, place)
    got = _fill(stream, flat)
    if got < header.nbytes:
        raise _wrong_size(place, header, got)
    if stream.read(1):
        raise FormatError(
            place.inside(),
            got=f"more data after the array of shape {shape}",
            expected="one array",
            file=place.file,
        )
    return flat.reshape(shape, order=order).astype(dtype.newbyteorder("="), copy=False)


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


def _wrong_size(place: Place, header: NpyHeader, got: int) -> FormatError:
    return FormatError(
        place.inside(),
        got=f"{got:,} bytes of data",
        expected=f"{header.nbytes:,}",
        because=f"the header says shape {header.shape} of {header.dtype}",
        next_step="It was cut off: copy or save it again." if got < header.nbytes else "",
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
