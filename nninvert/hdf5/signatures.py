"""Where parts of an HDF5 file's structure begin, found by their signatures."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

WINDOW = 1 << 24
"""Bytes at each end of a file that are searched: Keras writes the architecture first, and
more than this is read for weights only."""

Data = mmap.mmap | bytes


def places(data: Data, signature: bytes) -> Iterator[int]:
    """Every byte at which `signature` stands, near the beginning or the end."""
    for start, stop in _windows(len(data)):
        place = data.find(signature, start, stop)
        while place >= 0:
            yield place
            place = data.find(signature, place + 1, stop)


def _windows(size: int) -> list[tuple[int, int]]:
    if size <= 2 * WINDOW:
        return [(0, size)]
    return [(0, WINDOW), (size - WINDOW, size)]
