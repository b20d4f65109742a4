"""A look at an HDF5 file's heaps: of texts of varying length, and of names in groups.

The HDF5 library (1.14 and 2.0) reads a damaged heap for ever: in a global heap an object of
length 0 makes no step forward, one of nearly 2^64 a step back; in a local heap the list of
free blocks may lead round, and takes all memory. HDF5 File Format Specification 3.0, III.D
and III.E.
"""

from __future__ import annotations

import struct

from nninvert.hdf5.signatures import Data, places

# Signature and version; of the three bytes after them the library takes no notice.
_GLOBAL, _LOCAL = b"GCOL\x01", b"HEAP\x00"
_HEAD = 8

_LEAST = 4096  # bytes of a global heap: what the library asks for
_OBJECT = struct.Struct("<HHLQ")  # index, reference count, reserved, length
_FREE_SPACE = 0

_SEGMENT = struct.Struct("<QQQ")  # size, first free block, address
_FREE_BLOCK = struct.Struct("<QQ")  # next free block, size
_NO_MORE = 1


def endless_text_heap(data: Data) -> int | None:
    """The byte of a global heap in which an object does not lead on to the next."""
    return next((at for at in places(data, _GLOBAL) if not _ends(data, at)), None)


def endless_name_heap(data: Data, base: int) -> int | None:
    """The byte of a local heap whose free blocks lead round; addresses are from `base`."""
    found = (at for at in places(data, _LOCAL) if not _free_blocks_end(data, at, base))
    return next(found, None)


def _ends(data: Data, start: int) -> bool:
    """Whether each object leads on to the next; lengths are 8 bytes in all that is seen."""
    place = start + _HEAD + 8
    size = int.from_bytes(data[start + _HEAD : place], "little")
    stop = start + size
    if size < _LEAST or stop > len(data):
        return True  # the library notices that
    while place + _OBJECT.size <= stop:
        index, _, _, length = _OBJECT.unpack_from(data, place)
        step = length if index == _FREE_SPACE else _OBJECT.size + (length + 7) // 8 * 8
        if not _OBJECT.size <= step <= stop - place:
            return False
        place += step
    return True


def _free_blocks_end(data: Data, start: int, base: int) -> bool:
    """Whether the list of free blocks never comes back to one of them."""
    head = start + _HEAD
    if head + _SEGMENT.size > len(data):
        return True  # the library notices that, and what leads out of the heap
    size, free, address = _SEGMENT.unpack_from(data, head)
    seen: set[int] = set()
    while free not in seen:
        seen.add(free)
        place = base + address + free
        if free == _NO_MORE or free + _FREE_BLOCK.size > size:
            return True
        if place + _FREE_BLOCK.size > len(data):
            return True
        free, _ = _FREE_BLOCK.unpack_from(data, place)
    return False
