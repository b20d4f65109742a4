"""Where the windows of a convolution lie: sizes, strides, dilation, padding."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Numbers = tuple[int, ...]


@dataclass(frozen=True)
class Windows:
    """Windows over a grid, axis by axis.

    Window p begins at ``p * stride - before`` and has a tap at every multiple of the
    dilation from there. What lies outside the grid is zero, or the grid again from its
    other end.

    Attributes
    ----------
    sizes : tuple of int
        Of the grid.
    counts : tuple of int
        How many windows there are; what they do not reach is not read.
    kernel : tuple of int
        Taps of a window.
    strides, dilation : tuple of int
    before, after : tuple of int
        Width of the padding; not wider than the grid where it is circular.
    circular : bool
    """

    sizes: Numbers
    counts: Numbers
    kernel: Numbers
    strides: Numbers
    dilation: Numbers
    before: Numbers
    after: Numbers
    circular: bool

    @property
    def rank(self) -> int:
        """How many axes there are."""
        return len(self.sizes)

    def offsets(self) -> Iterator[Numbers]:
        """Where each tap of a window lies from the window's begin, in order of the taps."""
        return itertools.product(
            *(range(0, k * d, d) for k, d in zip(self.kernel, self.dilation, strict=True))
        )

    @cached_property
    def slices(self) -> tuple[tuple[slice, ...], ...]:
        """For each tap, what all windows see there, as slices of the padded grid."""
        return tuple(
            tuple(
                slice(start, start + (count - 1) * stride + 1, stride)
                for start, count, stride in zip(
                    offset, self.counts, self.strides, strict=True
                )
            )
            for offset in self.offsets()
        )

    @cached_property
    def places(self) -> tuple[NDArray[np.int64], ...]:
        """For each axis, where on the grid a window's tap lies; -1 in a padding of zeros.

        Shapes (count, taps).
        """
        found = []
        for axis, size in enumerate(self.sizes):
            begin = np.arange(self.counts[axis]) * self.strides[axis] - self.before[axis]
            tap = np.arange(self.kernel[axis]) * self.dilation[axis]
            place = begin[:, None] + tap
            if self.circular:
                found.append(place % size)
            else:
                found.append(np.where((place >= 0) & (place < size), place, -1))
        return tuple(found)

    def seen(self) -> int:
        """How many places of the grid some window reads."""
        found = 1
        for place in self.places:
            found *= np.unique(place[place >= 0]).size
        return found

    def padded(self, grid: Float64) -> Float64:
        """(batch, *sizes, ...) with its padding."""
        if not any(self.before) and not any(self.after):
            return np.ascontiguousarray(grid)
        rest = grid.shape[1 + self.rank :]
        if not self.circular:
            found = np.zeros((len(grid), *self.padded_sizes, *rest))
            ends = zip(self.before, self.sizes, strict=True)
            inner = tuple(slice(first, first + size) for first, size in ends)
            found[(slice(None), *inner)] = grid
            return found
        padding = list(zip(self.before, self.after, strict=True))
        width = [(0, 0), *padding, *[(0, 0)] * len(rest)]
        return np.pad(grid, width, mode="wrap")

    def folded(self, padded: Float64) -> Float64:
        """The transpose of `padded`."""
        for axis in range(self.rank):
            first, size = self.before[axis], self.sizes[axis]
            along = np.moveaxis(padded, axis + 1, 0)
            inner = along[first : first + size]
            if self.circular:
                inner = inner.copy()
                inner[size - first :] += along[:first]
                rest = along[first + size :]
                inner[: len(rest)] += rest
            padded = np.moveaxis(inner, 0, axis + 1)
        return padded

    @cached_property
    def padded_sizes(self) -> Numbers:
        """Sizes of the grid with its padding."""
        sides = zip(self.before, self.sizes, self.after, strict=True)
        return tuple(sum(side) for side in sides)
