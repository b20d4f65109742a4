"""What windows see of a grid, tap by tap, and Jacobians that select entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nninvert.context import Context
from nninvert.layers._base import Float64, Linearization, Shape, size_of
from nninvert.layers.pool_windows import Places, PoolAxis

T = TypeVar("T", np.float64, np.int64)


def seen(
    values: NDArray[T], along: Sequence[tuple[int, PoolAxis]], outside: float
) -> Iterator[NDArray[T]]:
    """For each tap, in row-major order, what all windows see there.

    Parameters
    ----------
    values : array, shape (batch, *shape)
    along : sequence of (axis of `values`, windows along it)
    outside : float
        What stands for cells that are not there.
    """
    if not along:
        yield values
        return
    (axis, pool), *rest = along
    for tap in pool.places.T:
        yield from seen(_at(values, tap, axis, outside), rest, outside)


def largest(values: Float64, places: Places, axis: int) -> Float64:
    """The largest of each window along one axis; -inf where it sees nothing."""
    found = _at(values, places[:, 0], axis, -np.inf)
    for tap in places.T[1:]:
        found = np.maximum(found, _at(values, tap, axis, -np.inf))
    return found


def first_largest(
    values: Float64, labels: Places, places: Places, axis: int
) -> tuple[Float64, Places]:
    """The same, with the label of the first of the largest."""
    found = _at(values, places[:, 0], axis, -np.inf)
    label = _at(labels, places[:, 0], axis, 0)
    for tap in places.T[1:]:
        other = _at(values, tap, axis, -np.inf)
        label = np.where(other > found, _at(labels, tap, axis, 0), label)
        found = np.maximum(found, other)
    return found, label


def _at(values: NDArray[T], tap: Places, axis: int, outside: float) -> NDArray[T]:
    """One cell for each window along an axis."""
    taken = np.take(values, np.maximum(tap, 0), axis=axis)
    if (tap >= 0).all():
        return taken
    away = np.moveaxis(taken, axis, 0)
    away[tap < 0] = outside
    return taken


class SelectedLinearization(Linearization):
    """A Jacobian that takes for each value one entry of dx.

    Parameters
    ----------
    y : float64 array, shape (batch, *output_shape)
    chosen : int array, shape (batch, n_out)
        Which entry of the flat input.
    input_shape : tuple of int
    """

    def __init__(self, y: Float64, chosen: Places, input_shape: Shape) -> None:
        self.y, self._chosen, self._shape = y, chosen, input_shape

    def jvp(self, dx: Float64) -> Float64:
        """Select."""
        lead = dx.shape[: dx.ndim - len(self._shape) - 1]
        rows = dx.reshape(*lead, len(self.y), size_of(self._shape))
        chosen = np.broadcast_to(self._chosen, (*lead, *self._chosen.shape))
        return np.take_along_axis(rows, chosen, axis=-1).reshape(*lead, *self.y.shape)

    def vjp(self, dy: Float64) -> Float64:
        """Add each entry to the one that was selected."""
        lead = dy.shape[: dy.ndim - self.y.ndim]
        rows, size = size_of(lead) * len(self.y), size_of(self._shape)
        chosen = np.broadcast_to(self._chosen, (*lead, *self._chosen.shape))
        place = chosen.reshape(rows, -1) + size * np.arange(rows)[:, None]
        found = np.bincount(place.ravel(), dy.ravel(), minlength=rows * size)
        return found.astype(np.float64).reshape(*lead, len(self.y), *self._shape)

    def magnitude(self, dx: Float64) -> Float64:
        """Select from |dx|."""
        return self.jvp(np.abs(dx))

    def solve(self, dy: Float64, context: Context) -> Float64:
        """The mean of what is asked of an entry; no step for those not selected."""
        count = self.vjp(np.ones(self.y.shape))
        return self.vjp(dy) / np.maximum(count, 1.0)
