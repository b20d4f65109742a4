"""The largest value of each window."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context
from nninvert.layers._axiswise import share, times
from nninvert.layers._base import (
    Facts,
    Float64,
    Layer,
    Linearization,
    Preimage,
    Shape,
    Weights,
    size_of,
)
from nninvert.layers._outside import Outside, flat_rows
from nninvert.layers._selected import SelectedLinearization, first_largest, largest, seen
from nninvert.layers.pool_kinds import AdaptiveWindows, WholeGrid
from nninvert.layers.pool_windows import PoolAxis, PoolOptions
from nninvert.layers.window_geometry import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    Padding,
    split_shape,
    with_channels,
)
from nninvert.linalg.box import Box

Bool = NDArray[np.bool_]
Places = NDArray[np.int64]


class MaximumLayer(Layer):
    """The largest values of windows, which are the product of windows along each axis.

    A value says of every cell of its window that it is no larger, and of one of them that
    it is as large. The largest x with given values is the smallest value of all windows
    that a cell belongs to; some x has those values if and only if that one does.
    """

    input_shape: Shape
    data_format: str

    @property
    @abstractmethod
    def windows(self) -> tuple[PoolAxis, ...]:
        """The windows along each spatial axis."""

    @cached_property
    def _along(self) -> tuple[tuple[int, PoolAxis], ...]:
        """The windows and the axis of (batch, *shape) that they lie on."""
        first = 2 if self.data_format == CHANNELS_FIRST else 1
        return tuple(enumerate(self.windows, start=first))

    @property
    def _pooled_shape(self) -> Shape:
        """Of the largest values, before axes of size 1 are left out."""
        _, channels = split_shape(self.input_shape, self.data_format)
        counts = tuple(axis.count for axis in self.windows)
        return with_channels(counts, channels, self.data_format)

    @property
    def output_shape(self) -> Shape:
        """One place for each window, channels where the input has them."""
        return self._pooled_shape

    def forward(self, x: Float64) -> Float64:
        """Largest along one axis after the other."""
        return self._pooled(x).reshape(len(x), *self.output_shape)

    def linearize(self, x: Float64) -> Linearization:
        """Value and, for each window, the first of its largest cells in row-major order."""
        numbers = np.arange(size_of(self.input_shape)).reshape(1, *self.input_shape)
        y, chosen = x, np.broadcast_to(numbers, x.shape)
        for axis, pool in reversed(self._along):
            y, chosen = first_largest(y, chosen, pool.places, axis)
        y = y.reshape(len(y), *self.output_shape)
        return SelectedLinearization(y, flat_rows(chosen), self.input_shape)

    @cached_property
    def facts(self) -> Facts:
        """One-to-one only if each cell has a window to itself."""
        n = size_of(self.input_shape)
        lost = max(n - size_of(self._pooled_shape), 0)
        cells = tuple(axis.places.shape[1] for axis in self.windows)
        reason = f"keeps the largest of {times(cells)} cells: "
        reason += f"{share(lost, n)} of the numbers are" if lost else "smaller ones are"
        one_to_one = all(axis.isolates_cells for axis in self.windows)
        return Facts(
            one_to_one=one_to_one,
            onto=all(axis.has_private_cells for axis in self.windows),
            image=None,
            lost=lost,
            reason="" if one_to_one else f"{reason} lost",
        )

    @property
    def chooses(self) -> bool:
        """Unless each cell has a window to itself."""
        return not self.facts.one_to_one

    def preimage(
        self, y: Float64, radius: Float64, context: Context, inside: Box | None = None
    ) -> Preimage:
        """The x nearest to the centre of `inside`, or else the largest x.

        A cell that alone can have given the value of a window is known; of all others only
        that they are no larger than some value. Values are outside the image exactly if
        the largest x within the radius, and within the box, misses one.
        """
        bounded = radius < tolerances.UNBOUNDED_RADIUS
        radius = np.where(bounded, radius + tolerances.EPS64 * np.abs(y), np.inf)
        shape = (len(y), *self._pooled_shape)
        value, low, high = (k.reshape(shape) for k in (y, y - radius, y + radius))
        most, reach = self._smallest(value), self._smallest(high)
        floor: Float64 | None = None
        if inside is not None:
            floor, ceiling = self._grid(inside.lower, y), self._grid(inside.upper, y)
            most, reach = np.minimum(most, ceiling), np.minimum(reach, ceiling)
        nearest, possible = self._pooled(most), self._pooled(reach) >= low
        if inside is None or floor is None:
            x = np.where(np.isfinite(most), most, 0.0)
        else:
            near = np.minimum(self._grid(inside.centre, y), most)
            x = self._raised(np.maximum(near, floor), most)
            least = self._pooled(floor)
            nearest, possible = np.maximum(nearest, least), possible & (least <= high)
        known, spread, single = self._determined(x, reach, low)
        judged = Outside.of(value, np.where(possible, value, nearest), ~possible)
        found = judged.preimage(
            x, spread.reshape(x.shape), free=~known, origins=np.zeros(len(y))
        )
        # Of the cells of a window one at least is as large as it says.
        held = size_of(self._pooled_shape) - single
        free = np.maximum(found.free_dimensions - held, np.any(~known, axis=1))
        return replace(found, free_dimensions=free)

    def _grid(self, units: Float64, y: Float64) -> Float64:
        """Flat values for every row or for each, as inputs."""
        size = size_of(self.input_shape)
        rows = np.broadcast_to(units, (len(y), size))
        return rows.reshape(len(y), *self.input_shape)

    def _pooled(self, x: Float64) -> Float64:
        """The largest of each window, before axes of size 1 are dropped."""
        for axis, pool in self._along:
            x = largest(x, pool.places, axis)
        return x

    def _smallest(self, y: Float64) -> Float64:
        """For each cell the smallest value of its windows; inf where it has none."""
        for axis, pool in self._along:
            y = -largest(-y, pool.windows_of_cells, axis)
        return y

    @property
    def _cells(self) -> Places:
        """The number of each cell, shape (1, *input_shape)."""
        return np.arange(size_of(self.input_shape)).reshape(1, *self.input_shape)

    def _raised(self, near: Float64, most: Float64) -> Float64:
        """Raise in each window the cell that needs it least among those that may be it."""
        wanted = self._pooled(most)
        best = np.full(wanted.shape, -np.inf)
        which = np.zeros(wanted.shape, dtype=np.int64)
        for size, value, cell in zip(
            seen(most, self._along, -np.inf),
            seen(near, self._along, -np.inf),
            seen(self._cells, self._along, -1),
            strict=True,
        ):
            better = (cell >= 0) & (size >= wanted) & (value > best)
            best = np.where(better, value, best)
            which = np.where(better, cell, which)
        x = flat_rows(near).copy()
        chosen = flat_rows(which)
        np.put_along_axis(x, chosen, np.take_along_axis(flat_rows(most), chosen, 1), 1)
        return x.reshape(near.shape)

    def _determined(
        self, x: Float64, reach: Float64, low: Float64
    ) -> tuple[Bool, Float64, Places]:
        """Cells that alone can have given a value, their radii, how many windows say so.

        Returns
        -------
        known : bool array, shape (batch, n_in)
        radius : float64 array, shape (batch, n_in)
            Infinite where not known.
        single : int array, shape (batch,)
        """
        count = np.zeros(low.shape, dtype=np.int64)
        which = np.zeros(low.shape, dtype=np.int64)
        for most, cell in zip(
            seen(reach, self._along, -np.inf),
            seen(self._cells, self._along, -1),
            strict=True,
        ):
            fits = (cell >= 0) & (most >= low)
            count += fits
            which = np.where(fits, cell, which)
        row, window = np.nonzero(flat_rows(count) == 1)
        cell = flat_rows(which)[row, window]
        at, highest = flat_rows(x)[row, cell], flat_rows(reach)[row, cell]
        radius = np.full((len(x), size_of(self.input_shape)), np.inf)
        off = np.maximum(at - flat_rows(low)[row, window], highest - at)
        np.minimum.at(radius, (row, cell), np.maximum(off, 0.0))
        known = np.zeros(radius.shape, dtype=np.bool_)
        known[row, cell] = True
        return known, radius, np.bincount(row, minlength=len(x))


class MaxPooling(MaximumLayer):
    """The largest of the cells of windows along one to three spatial axes.

    Parameters
    ----------
    input_shape : tuple of int
        One to three spatial axes, and the channels before or after them.
    pool_size : int or sequence of int
    strides : int, sequence of int or None, default None
        None: as large as the windows.
    padding : str or sequence, default "valid"
        "valid"; "same", by TensorFlow's rule; or for each axis (before, after), or one
        number for both. What lies outside never counts.
    dilation : int or sequence of int, default 1
    ceil_mode : bool, default False
        Add a window that begins inside but reaches beyond the end, as torch does.
    data_format : str, default "channels_last"
        Or "channels_first".

    Raises
    ------
    ShapeError
        If the windows do not fit.
    """

    kind = "max_pooling"

    def __init__(
        self,
        input_shape: Shape,
        pool_size: int | Sequence[int],
        *,
        strides: int | Sequence[int] | None = None,
        padding: Padding = "valid",
        dilation: int | Sequence[int] = 1,
        ceil_mode: bool = False,
        data_format: str = CHANNELS_LAST,
    ) -> None:
        sizes, _ = split_shape(input_shape, data_format)
        self.input_shape, self.data_format = input_shape, data_format
        self.options = PoolOptions(pool_size, strides, dilation, padding, ceil_mode)
        self._windows = self.options.axes(sizes)

    @property
    def windows(self) -> tuple[PoolAxis, ...]:
        """As the options say."""
        return self._windows

    def config(self) -> dict[str, Any]:
        """The windows and the data format."""
        return {**self.options.config(), "data_format": self.data_format}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Everything is in `config`."""
        return cls(input_shape, **config)


class AdaptiveMaxPooling(AdaptiveWindows, MaximumLayer):
    """The largest of the cells of a given number of windows of about equal size."""

    kind = "adaptive_max_pooling"


class GlobalMaxPooling(WholeGrid, MaximumLayer):
    """The largest value of each channel."""

    kind = "global_max_pooling"
