"""Rows of large arrays a few at a time, so that what is made of them stays in the cache.

A chain of elementwise operations on an array that is larger than the cache waits for memory
at each of them, and asks the system for new pages for each result.
"""

from __future__ import annotations

from collections.abc import Iterator

_NUMBERS = 2**16
"""In a block: some arrays of half a MiB each fit into a second-level cache."""


def row_blocks(shape: tuple[int, int]) -> Iterator[slice]:
    """Slices of consecutive rows that cover an array of this shape, one row at least each.

    Parameters
    ----------
    shape : (int, int)
        Rows, and numbers in each.
    """
    rows, width = shape
    step = max(1, _NUMBERS // max(1, width))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))
