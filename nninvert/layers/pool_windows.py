"""Which cells each window of a pooling layer sees, axis by axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import ShapeError
from nninvert.layers.window_geometry import (
    Axes,
    Padding,
    padding_pairs,
    per_axis,
    same_padding,
    spans,
    windows_over,
)

Places = NDArray[np.int64]


@dataclass(frozen=True)
class PoolAxis:
    """The windows along one axis.

    Attributes
    ----------
    size : int
        Cells of the axis.
    places : int array, shape (windows, taps)
        The cells of each window, ascending; -1 for what lies outside.
    covered : int array, shape (windows,)
        How many cells of each window lie on the axis or in the padding that was asked for.
    """

    size: int
    places: Places
    covered: Places

    @property
    def count(self) -> int:
        """How many windows there are."""
        return len(self.places)

    @property
    def real(self) -> Places:
        """How many cells of each window lie on the axis, shape (windows,)."""
        return np.asarray(np.count_nonzero(self.places >= 0, axis=1))

    @cached_property
    def windows_of_cells(self) -> Places:
        """The windows of each cell, shape (size, most of one cell); -1 for none."""
        window, tap = np.nonzero(self.places >= 0)
        cell = self.places[window, tap]
        order = np.argsort(cell, kind="stable")
        window, cell = window[order], cell[order]
        counts = np.bincount(cell, minlength=self.size)
        begin = np.cumsum(counts) - counts
        found = np.full((self.size, int(counts.max())), -1)
        found[cell, np.arange(cell.size) - begin[cell]] = window
        return found

    @property
    def isolates_cells(self) -> bool:
        """Whether each cell has a window to itself."""
        alone = self.places[self.real == 1].max(axis=1, initial=-1)
        return np.unique(alone[alone >= 0]).size == self.size

    @property
    def has_private_cells(self) -> bool:
        """Whether each window has a cell that no other window sees."""
        seen = np.count_nonzero(self.windows_of_cells >= 0, axis=1)
        return bool(((self.places >= 0) & (seen[self.places] == 1)).any(axis=1).all())


@dataclass(frozen=True)
class PoolOptions:
    """How windows are laid, as frameworks say it.

    Attributes
    ----------
    size : int or sequence of int
        Cells of a window, for all axes or one for each.
    strides : int, sequence of int or None, default None
        None: as large as the windows.
    dilation : int or sequence of int, default 1
    padding : str or sequence, default "valid"
        "valid"; "same", by TensorFlow's rule; or for each axis (before, after), or one
        number for both.
    ceil_mode : bool, default False
        Add a window that begins inside but reaches beyond the end, as torch does.
    """

    size: int | Sequence[int]
    strides: int | Sequence[int] | None = None
    dilation: int | Sequence[int] = 1
    padding: Padding = "valid"
    ceil_mode: bool = False

    def axes(self, sizes: Axes) -> tuple[PoolAxis, ...]:
        """The windows along axes of these sizes.

        Raises
        ------
        ShapeError
            If windows do not fit, or one lies in the padding altogether.
        """
        rank = len(sizes)
        size = per_axis(self.size, rank, "pool_size")
        strides = size if self.strides is None else per_axis(self.strides, rank, "strides")
        dilation = per_axis(self.dilation, rank, "dilation")
        span = spans(size, dilation)
        if self.padding == "same":
            before, after = same_padding(sizes, span, strides)
        elif self.padding == "valid":
            before = after = (0,) * rank
        elif isinstance(self.padding, str):
            raise ShapeError(
                "padding", got=repr(self.padding), expected="'valid', 'same' or widths"
            )
        else:
            before, after = padding_pairs(self.padding, rank)
        more = _more(sizes, span, strides, before, after) if self.ceil_mode else (0,) * rank
        widths = [(b, a + m) for b, a, m in zip(before, after, more, strict=True)]
        windows = windows_over(sizes, size, strides, dilation, widths)
        found = []
        for axis, places in enumerate(windows.places):
            begin = np.arange(len(places)) * strides[axis] - before[axis]
            taps = begin[:, None] + np.arange(size[axis]) * dilation[axis]
            covered = np.count_nonzero(taps < sizes[axis] + after[axis], axis=1)
            found.append(PoolAxis(sizes[axis], places, covered))
        _require_cells(found)
        return tuple(found)

    def config(self) -> dict[str, Any]:
        """The options as JSON holds them, by the names that pooling layers give them."""
        padding = self.padding
        if not isinstance(padding, str):
            padding = [k if isinstance(k, int) else list(k) for k in padding]
        return {
            "pool_size": _plain(self.size),
            "strides": None if self.strides is None else _plain(self.strides),
            "dilation": _plain(self.dilation),
            "padding": padding,
            "ceil_mode": self.ceil_mode,
        }


def _plain(numbers: int | Sequence[int]) -> int | list[int]:
    return numbers if isinstance(numbers, int) else list(numbers)


def adaptive_axes(sizes: Axes, counts: Axes) -> tuple[PoolAxis, ...]:
    """So many windows of about equal size that together see every cell.

    Window i of n over k cells goes from floor(i k / n) to ceil((i + 1) k / n), as torch and
    Keras define it.
    """
    found = []
    for size, count in zip(sizes, counts, strict=True):
        window = np.arange(count)
        begin, end = window * size // count, -(-(window + 1) * size // count)
        places = begin[:, None] + np.arange(int((end - begin).max()))
        places = np.where(places < end[:, None], places, -1)
        found.append(PoolAxis(size, places, end - begin))
    return tuple(found)


def whole_axes(sizes: Axes) -> tuple[PoolAxis, ...]:
    """One window over all cells."""
    return adaptive_axes(sizes, (1,) * len(sizes))


def _more(sizes: Axes, span: Axes, strides: Axes, before: Axes, after: Axes) -> Axes:
    """What must be added at the end for one more window, if it begins on the grid."""
    found = []
    for size, k, stride, b, a in zip(sizes, span, strides, before, after, strict=True):
        rest = (b + size + a - k) % stride
        begin = b + size + a - k - rest + stride
        found.append(stride - rest if rest and begin < b + size else 0)
    return tuple(found)


def _require_cells(axes: Sequence[PoolAxis]) -> None:
    for axis in axes:
        if not axis.real.all():
            raise ShapeError(
                "padding",
                got=f"a window that sees none of the {axis.size} cells",
                expected="padding narrower than the windows",
            )
