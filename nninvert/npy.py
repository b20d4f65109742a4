"""A .npy array: read as data, never as Python objects, and without seeking.

Layout: NumPy Enhancement Proposal 1 and ``numpy/lib/format.py`` (format versions 1.0 to
3.0): magic, version, header length, a Python literal with ``descr``, ``fortran_order``
and ``shape``, then the values. NumPy's own reader asks a pipe for its position and fails.
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import DataError, FormatError, LimitError, MachineError

MAGIC = b"\x93NUMPY"
MAX_HEADER = 10_000
"""Bytes of a header that are looked at; NumPy's own limit."""

CHUNK = 1 << 24
"""Bytes moved at once: pipes and interrupts stay responsive."""

MAX_WORD = 1 << 10
"""Bytes of one word."""

MAX_AXES = 64
"""NumPy's own limit; with it no product of lengths has more digits than Python prints."""

_ADDRESSABLE = "no more than a machine can address"
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}

# What NumPy writes, and its names of numbers; it would take, and warn of, much more.
_DESCR = re.compile(
    r"[<>|=]?[biufcSUVOmM?]\d{0,9}(\[\w+\])?|(bool|u?int|float|complex)\d{0,3}"
)


@dataclass(frozen=True)
class NpyHeader:
    """What stands before the values.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
        Booleans, integers, floats or complex numbers, in their stored byte order.
    fortran_order : bool
        Whether the first index runs fastest.
    data_offset : int
        Bytes from the magic to the first value.
    file, field : str
        For messages: the file, and the array's name in it.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    fortran_order: bool
    data_offset: int
    file: str
    field: str

    @property
    def nbytes(self) -> int:
        """Bytes of all values."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def _order(self) -> Literal["C", "F"]:
        return "F" if self.fortran_order else "C"

    def check_size(self, nbytes: int) -> None:
        """Refuse another number of bytes of data than the header claims.

        Raises
        ------
        FormatError
        """
        if nbytes == self.nbytes:
            return
        cut_off = nbytes < self.nbytes
        raise FormatError(
            self.field,
            got=f"{nbytes:,} bytes of data",
            expected=f"{self.nbytes:,}",
            because=f"the header says shape {self.shape} of {self.dtype}",
            next_step="It was cut off: copy or save it again." if cut_off else "",
            file=self.file,
        )

    def read(self, stream: BinaryIO) -> NDArray[np.generic]:
        """Read the values, after which nothing may follow; native byte order.

        Parameters
        ----------
        stream : binary file object
            At the first value; only ``read`` and ``readinto`` are used.

        Raises
        ------
        FormatError
            If there are fewer or more.
        LimitError, MachineError
            If they fit into no memory, or not into this one.
        """
        flat = self._allocate()
        self.check_size(_fill(stream, flat))
        if stream.read(1):
            raise FormatError(
                self.field,
                got=f"more data after the array of shape {self.shape}",
                expected="one array",
                file=self.file,
            )
        values = flat.reshape(self.shape, order=self._order)
        return values.astype(self.dtype.newbyteorder("="), copy=False)

    def mapped(self, path: str, offset: int) -> NDArray[np.generic] | None:
        """The values at `offset` as a read-only map; None where they must be converted."""
        if not self.dtype.isnative or self.nbytes == 0:
            return None
        return np.memmap(path, self.dtype, "r", offset, self.shape, self._order)

    def _allocate(self) -> NDArray[np.generic]:
        count = math.prod(self.shape)
        try:
            return np.empty(count, self.dtype)
        except MemoryError as error:
            raise MachineError(
                self.field,
                got=f"{self.nbytes:,} bytes to read",
                expected="enough free memory for them",
                file=self.file,
            ) from error
        except (ValueError, OverflowError) as error:
            raise LimitError(
                self.field,
                got=f"{count:,} values",
                expected=_ADDRESSABLE,
                file=self.file,
            ) from error


def read_header(stream: BinaryIO, *, file: str, field: str = "") -> NpyHeader:
    """Read and check a header; the stream is left at the first value.

    Parameters
    ----------
    stream : binary file object
        At the first byte of the magic.
    file, field : str
        For messages: the file, and the array's name in it.

    Raises
    ------
    FormatError
        If it is no header, or a damaged one.
    DataError
        If the values are pickled objects, text, dates or records.
    LimitError
        If no machine can address them.
    """
    entries, data_offset = _entries(stream, file, field)
    shape = entries["shape"]
    if not _is_shape(shape):
        raise _damaged(f"shape {shape!r}", file, field)
    if any(n >= 1 << 63 for n in shape):
        raise LimitError(field, got=f"shape {shape}", expected=_ADDRESSABLE, file=file)
    return NpyHeader(
        shape=shape,
        dtype=_plain_dtype(entries["descr"], file, field),
        fortran_order=bool(entries["fortran_order"]),
        data_offset=data_offset,
        file=file,
        field=field,
    )


def read_word(stream: BinaryIO, *, file: str, field: str = "") -> str | None:
    """Read an array that is one short text; None if it is something else.

    Parameters
    ----------
    stream : binary file object
        At the first byte of the magic.
    file, field : str
        For messages: the file, and the array's name in it.

    Raises
    ------
    FormatError
        If the header is damaged, or the text is cut off.
    """
    entries, _ = _entries(stream, file, field)
    found = re.fullmatch(r"([<>|=]?)([SU])(\d{1,4})", str(entries["descr"]))
    if found is None or entries["shape"] not in ((), (1,)):
        return None
    width = int(found[3]) * (4 if found[2] == "U" else 1)
    if width > MAX_WORD:
        return None
    raw = _exactly(stream, width, file, field)
    wide = "utf-32-be" if found[1] == ">" else "utf-32-le"
    return raw.decode(wide if found[2] == "U" else "latin1", "replace").rstrip("\0")


def _entries(stream: BinaryIO, file: str, field: str) -> tuple[dict[str, Any], int]:
    """The three entries of a header, unchecked, and its length."""
    start = stream.read(len(MAGIC) + 2)
    if len(start) < len(MAGIC) + 2 or not start.startswith(MAGIC):
        raise _damaged("no .npy magic number", file, field)
    version = start[len(MAGIC)]
    if version not in _LENGTH_BYTES:
        raise _damaged(f".npy format version {version}", file, field)
    width = _LENGTH_BYTES[version]
    size = int.from_bytes(_exactly(stream, width, file, field), "little")
    if size > MAX_HEADER:
        raise _damaged(f"a header of {size:,} bytes", file, field)
    raw = _exactly(stream, size, file, field)
    try:
        text = raw.decode("utf-8" if version == 3 else "latin1")
        entries = ast.literal_eval(text.strip())
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise _damaged("a header that is no Python literal", file, field) from error
    wanted = {"descr", "fortran_order", "shape"}
    if not isinstance(entries, dict) or set(entries) != wanted:
        raise _damaged("a header without descr, fortran_order, shape", file, field)
    return entries, len(start) + width + size


def _is_shape(shape: object) -> bool:
    return (
        isinstance(shape, tuple)
        and len(shape) <= MAX_AXES
        and all(type(n) is int and n >= 0 for n in shape)
    )


def _plain_dtype(descr: object, file: str, field: str) -> np.dtype[np.generic]:
    """The type of the values, if they are plain numbers."""
    if isinstance(descr, list):
        raise _no_numbers(str(descr), file, field)
    if not isinstance(descr, str) or not _DESCR.fullmatch(descr):
        raise _damaged(f"type {descr!r}", file, field)
    try:
        dtype: np.dtype[np.generic] = np.dtype(descr)
    except (TypeError, ValueError) as error:
        raise _damaged(f"type {descr!r}", file, field) from error
    if dtype.kind in "biufc":
        return dtype
    if dtype.hasobject:
        raise DataError(
            field,
            got="pickled Python objects",
            expected="an array of numbers",
            because="unpickling runs code from the file, so nninvert never does it",
            next_step="Save each array of numbers by itself, with dtype=float.",
            file=file,
        )
    raise _no_numbers(str(dtype), file, field)


def _no_numbers(kind: str, file: str, field: str) -> DataError:
    return DataError(
        field,
        got=f"values of type {kind}",
        expected="numbers",
        next_step="Save array.astype(float).",
        file=file,
    )


def _fill(stream: BinaryIO, flat: NDArray[np.generic]) -> int:
    """Read into `flat`; the number of bytes that came."""
    view = flat.view(np.uint8).data
    done = 0
    while done < len(view):
        got = stream.readinto(view[done : done + CHUNK])  # type: ignore[attr-defined]
        if not got:
            break
        done += got
    return done


def _exactly(stream: BinaryIO, count: int, file: str, field: str) -> bytes:
    data = stream.read(count)
    if len(data) < count:
        raise _damaged("a header that is cut off", file, field)
    return data


def _damaged(got: str, file: str, field: str) -> FormatError:
    return FormatError(
        field,
        got=got,
        expected="a .npy array (format version 1 to 3)",
        next_step="Copy or download the file again.",
        file=file,
    )
