"""How inputs and outputs of a convolution fall into vectors that one matrix maps.

Each end of a convolution is seen as (batch, *windows, groups, k): for every window and
group a vector of k numbers. Then the convolution is the same small matrices everywhere.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.convolution import ConvolutionMap

Float64 = NDArray[np.float64]


class End(ABC):
    """Inputs, or outputs, of a convolution as vectors of windows.

    Parameters
    ----------
    convolution : ConvolutionMap
    """

    def __init__(self, convolution: ConvolutionMap) -> None:
        self._map = convolution

    @abstractmethod
    def split(self, rows: Float64) -> Float64:
        """(batch, numbers) to (batch, *windows, groups, k)."""

    @abstractmethod
    def joined(self, vectors: Float64) -> Float64:
        """Undo `split`; numbers that no vector holds become zero."""


class OutputEnd(End):
    """The channels of each window's output."""

    def split(self, rows: Float64) -> Float64:
        """As the map lays them out."""
        return self._map.outputs(rows)

    def joined(self, vectors: Float64) -> Float64:
        """As the map lays them out."""
        return self._map.joined(vectors)


class WindowEnd(End):
    """What each window sees, tap by tap: for windows that share nothing."""

    def split(self, rows: Float64) -> Float64:
        """Taps and channels of each window as one vector."""
        grid = self._map.windows.padded(self._map.inputs(rows))
        seen = [grid[(slice(None), *place)] for place in self._map.windows.slices]
        return np.stack(seen, axis=-2).reshape(*seen[0].shape[:-1], -1)

    def joined(self, vectors: Float64) -> Float64:
        """Put each tap back where it was seen."""
        windows = self._map.windows
        taps = vectors.reshape(*vectors.shape[:-1], len(windows.slices), -1)
        size = (len(vectors), *windows.padded_sizes, *vectors.shape[-2:-1], taps.shape[-1])
        grid = np.zeros(size)
        for tap, place in enumerate(windows.slices):
            grid[(slice(None), *place)] = taps[..., tap, :]
        return self._map.joined(windows.folded(grid))


class CellEnd(End):
    """The inputs from one window's begin to the next one's, cell by cell.

    For inputs that are stride times as many as windows along each axis.
    """

    def split(self, rows: Float64) -> Float64:
        """Places and channels of each cell as one vector."""
        grid = self._map.inputs(rows)
        windows = self._map.windows
        pairs = zip(windows.counts, windows.strides, strict=True)
        cells = grid.reshape(
            len(grid), *(k for pair in pairs for k in pair), *grid.shape[-2:]
        )
        cells = cells.transpose(self._order)
        lead = cells.shape[: windows.rank + 2]
        return cells.reshape(*lead, -1)

    def joined(self, vectors: Float64) -> Float64:
        """Lay the cells side by side."""
        windows = self._map.windows
        lead = vectors.shape[: windows.rank + 2]
        cells = vectors.reshape(*lead, *windows.strides, -1)
        grid = cells.transpose(np.argsort(self._order))
        return self._map.joined(
            grid.reshape(len(vectors), *windows.sizes, *grid.shape[-2:])
        )

    @cached_property
    def _order(self) -> tuple[int, ...]:
        """Places and channels of a cell last, after batch, cells and group."""
        rank = self._map.windows.rank
        cells = range(1, 2 * rank + 1, 2)
        places = range(2, 2 * rank + 2, 2)
        return (0, *cells, 2 * rank + 1, *places, 2 * rank + 2)


def are_separate(convolution: ConvolutionMap) -> bool:
    """Whether no two windows share an input and none sees padding."""
    return all(
        place.min() >= 0 and np.unique(place).size == place.size
        for place in convolution.windows.places
    )


def fills_cells(convolution: ConvolutionMap) -> bool:
    """Whether the inputs are stride times as many as the windows along each axis."""
    windows = convolution.windows
    sides = zip(windows.sizes, windows.counts, windows.strides, strict=True)
    return all(size == count * stride for size, count, stride in sides)


def is_cyclic(convolution: ConvolutionMap) -> bool:
    """Whether shifting all cells round the grid shifts all outputs, exactly."""
    inside = all(place.min() >= 0 for place in convolution.windows.places)
    return fills_cells(convolution) and inside


def window_matrices(convolution: ConvolutionMap) -> NDArray[np.generic]:
    """The matrix of each group for `WindowEnd`, (groups, k_out, taps k_in), as stored."""
    taps = math.prod(convolution.windows.kernel)
    split = convolution.kernel.reshape(
        taps * convolution.fan_in, convolution.groups, convolution.group_channels
    )
    return split.transpose(1, 2, 0)
