"""A look at an HDF5 file's global heaps, in which texts of varying length are kept.

The HDF5 library (1.14 and 2.0) reads a damaged heap for ever: an object of length 0 makes
no step forward, one of nearly 2^64 a step back, and a loop inside the library hears no
Ctrl-C. So the heaps are walked here before. HDF5 File Format Specification 3.0, III.E.
"""

from __future__ import annotations

import mmap
import struct

from nninvert.errors import FormatError
from nninvert.files import unreadable

WINDOW = 1 << 24
"""Bytes at each end of a file in which heaps are looked for: Keras writes the architecture
first, and more than this is read for weights only."""

_SIGNATURE = b"GCOL\x01\x00\x00\x00"
_OBJECT = struct.Struct("<HHLQ")  # index, reference count, reserved, length
_FREE_SPACE = 0


def check_heaps(path: str) -> None:
    """Walk through the heaps as the library would.

    Raises
    ------
    FormatError
        If the library would not come to an end.
    """
    try:
        with (
            open(path, "rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            check_heaps_of(data, path)
    except OSError as error:
        raise unreadable(path, error) from error


def check_heaps_of(data: mmap.mmap | bytes, path: str) -> None:
    """The same for bytes that are in memory; `path` is what messages name."""
    for start, stop in _windows(len(data)):
        place = data.find(_SIGNATURE, start, stop)
        while place >= 0:
            if not _ends(data, place):
                raise FormatError(
                    "",
                    got=f"damaged HDF5: the heap of texts at byte {place:,}",
                    expected="one that comes to an end",
                    next_step="Copy or download the file again.",
                    file=path,
                )
            place = data.find(_SIGNATURE, place + 1, stop)


def _windows(size: int) -> list[tuple[int, int]]:
    if size <= 2 * WINDOW:
        return [(0, size)]
    return [(0, WINDOW), (size - WINDOW, size)]


def _ends(data: mmap.mmap | bytes, start: int) -> bool:
    """Whether each object leads on to the next; lengths are 8 bytes in all that is seen."""
    head = len(_SIGNATURE) + 8
    if start + head > len(data):
        return True  # the library notices that
    size = int.from_bytes(data[start + 8 : start + head], "little")
    stop = start + size
    if stop > len(data):
        return True
    place = start + head
    while place + _OBJECT.size <= stop:
        index, _, _, length = _OBJECT.unpack_from(data, place)
        step = length if index == _FREE_SPACE else _OBJECT.size + (length + 7) // 8 * 8
        if not _OBJECT.size <= step <= stop - place:
            return False
        place += step
    return True
