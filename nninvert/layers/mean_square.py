"""Layers that divide groups of units by the root of their mean square.

``z = v / sqrt(mean(v^2) + epsilon)`` with v the units, or the units less their mean. This
is one-to-one in v: the mean square q of v leaves ``r = q / (q + epsilon)`` as that of z, so
that ``v = z sqrt(epsilon / (1 - r))``. The image is the open ball r < 1. Where q is far
above epsilon, r is close to 1 and tells little about q: values known to a relative error e
give the length of v to about ``e q / epsilon``.

Factors and offsets of single units are not here: a `Rescaling` behind is what applies them,
which joins the linear layer that follows.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context
from nninvert.errors import DataError
from nninvert.layers._ball import ROUNDING, Box, sum_of_squares
from nninvert.layers._base import (
    Facts,
    Float64,
    Layer,
    Linearization,
    Preimage,
    Shape,
)
from nninvert.layers._groups import Groups
from nninvert.layers._outside import Outside, flat_rows
from nninvert.layers.activations import Interval
from nninvert.linalg import box as linalg_box

Bool = NDArray[np.bool_]

NEAR_THE_END = 1.0 - 8.0 * ROUNDING
"""The largest r that is told apart from 1."""


class MeanSquareLayer(Layer):
    """What the layers share: groups of units, each divided by one number.

    Parameters
    ----------
    groups : Groups
    epsilon : float
        Above 0.

    Raises
    ------
    DataError
        If epsilon is not a positive number.
    """

    def __init__(self, groups: Groups, epsilon: float) -> None:
        self.input_shape = groups.shape
        self.groups, self.epsilon = groups, epsilon
        if not 0.0 < epsilon < np.inf:
            raise DataError(
                "epsilon",
                got=f"{epsilon:g}",
                expected="a number above 0",
                because="groups of zeros are divided by its root",
            )

    @property
    def output_shape(self) -> Shape:
        """The input's."""
        return self.input_shape

    @abstractmethod
    def _counted(self, units: Float64) -> Float64:
        """What is divided, v, of groups along the last axis."""

    @abstractmethod
    def _met(self, box: Box) -> tuple[Float64, Bool]:
        """A point of a box that some v has the direction of, and whether there is one."""

    @abstractmethod
    def _smallest(self, box: Box) -> Float64:
        """The one of least norm."""

    @property
    @abstractmethod
    def _range(self) -> Interval:
        """Which values one unit takes."""

    @property
    def _lost_in_a_group(self) -> int:
        """Dimensions of the units that v does not have."""
        return 0 if self.seen is None else 1

    @abstractmethod
    def _why_lossy(self) -> str:
        """A sentence for people; "" where nothing is lost."""

    @property
    def facts(self) -> Facts:
        """One-to-one in v, onto an open ball.

        The image is the range of the single units; together they only take values whose
        mean square is below 1.
        """
        lost = self._lost_in_a_group * self.groups.count
        return Facts(
            one_to_one=not lost,
            onto=False,
            image=(self._range,),
            lost=lost,
            reason=self._why_lossy(),
        )

    def forward(self, x: Float64) -> Float64:
        """Relative to the largest number of each group, so that no square overflows."""
        return self.groups.scatter(self._divided(x)[0])

    def _divided(self, x: Float64) -> tuple[Float64, Float64, Float64]:
        """Return z, the divisor and 1 - r, in groups."""
        counted = self._counted(self.groups.gather(x))
        top = np.maximum(np.max(np.abs(counted), axis=-1, keepdims=True), 1.0)
        scaled = counted / top
        epsilon = self.epsilon / top / top
        total = sum_of_squares(scaled) / self.groups.size + epsilon
        root = np.sqrt(total)
        return scaled / root, top * root, epsilon / total

    def linearize(self, x: Float64) -> Linearization:
        """z, the divisor and r determine the Jacobian."""
        return _MeanSquareLinearization(self, *self._divided(x))

    def preimage(
        self,
        y: Float64,
        radius: Float64,
        context: Context,
        inside: linalg_box.Box | None = None,
    ) -> Preimage:
        """``v = z sqrt(epsilon / (1 - r))`` in each group.

        A group is outside if no point within the radius has a mean square below 1; then
        the nearest point of the ball stands for it. If y itself has none, the smallest
        point within the radius is taken, and the group is free: all longer v would do as
        well.
        """
        box = Box.of(self.groups.gather(y), self.groups.gather(radius))
        found = self._nearest(box)
        length = self._length(found.z)
        x = found.z * length
        reach = self._reach(box, found.z, length) + 4.0 * tolerances.EPS64 * np.abs(x)
        nearest = self.groups.scatter(found.z)
        far = ~found.possible & (np.abs(box.y - found.z) > box.radius)
        judged = Outside.of(y, nearest, self.groups.scatter(far))
        loose = np.broadcast_to(found.free, box.y.shape)
        return replace(
            judged.preimage(
                self.groups.scatter(x),
                self.groups.scatter(reach),
                free=flat_rows(self.groups.scatter(loose)),
                origins=np.zeros(len(y)),
            ),
            free_dimensions=self.facts.lost
            + np.count_nonzero(flat_rows(found.free), axis=1),
        )

    def _nearest(self, box: Box) -> _Nearest:
        """The point of the image that each group of a box is inverted at."""
        z, possible = self._met(box)
        end = self.groups.size * NEAR_THE_END
        inside = sum_of_squares(z) < end
        edge = possible & ~inside
        if edge.any():
            rows = edge[..., 0]
            least = self._smallest(Box(box.y[rows], box.radius[rows]))
            met = sum_of_squares(least) <= self.groups.size * (1.0 + ROUNDING)
            z[rows] = np.where(met, least, z[rows])
            possible[rows] = met
        size = sum_of_squares(z)
        beyond = size > end
        z = z * np.sqrt(np.where(beyond, end / np.where(beyond, size, 1.0), 1.0))
        return _Nearest(z, possible, edge & possible)

    def _length(self, z: Float64) -> Float64:
        """By which number z is multiplied in its origin: ``sqrt(epsilon / (1 - r))``."""
        rest = 1.0 - sum_of_squares(z) / self.groups.size
        return np.sqrt(self.epsilon / np.maximum(rest, tolerances.EPS64))

    def _reach(self, box: Box, z: Float64, length: Float64) -> Float64:
        """How far the origins of all points of a box are from that of z."""
        least, most = box.least * (1.0 - ROUNDING), box.most * (1.0 + ROUNDING)
        n = self.groups.size
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            longest = np.sqrt(self.epsilon / np.maximum(1.0 - most / n, 0.0))
            shortest = np.sqrt(self.epsilon / np.maximum(1.0 - least / n, 0.0))
            stretch = np.maximum(longest - length, length - shortest)
            moved = box.radius + np.abs(box.y - z)
            reach = moved * longest + np.abs(z) * np.maximum(stretch, 0.0)
        return np.where(np.isnan(reach), np.inf, reach)


@dataclass(frozen=True)
class _Nearest:
    """Groups moved into the image; `possible` and `free` have one entry for each."""

    z: Float64
    possible: Bool
    free: Bool


class _MeanSquareLinearization(Linearization):
    """``J = (P - z z^T / n) / divisor``, symmetric, with P v the counted part of dx."""

    def __init__(
        self, layer: MeanSquareLayer, z: Float64, divisor: Float64, rest: Float64
    ) -> None:
        self._layer, self._groups = layer, layer.groups
        self._z, self._divisor, self._rest = z, divisor, rest
        self.y = layer.groups.scatter(z)

    def _along(self, values: Float64) -> Float64:
        """``z^T v / n`` in each group."""
        total: Float64 = np.sum(self._z * values, axis=-1, keepdims=True)
        return total / self._groups.size

    def jvp(self, dx: Float64) -> Float64:
        """``(P dx - z (z^T dx) / n) / divisor``."""
        moved = self._layer._counted(self._groups.gather(dx))
        found = (moved - self._z * self._along(moved)) / self._divisor
        return self._groups.scatter(found)

    def vjp(self, dy: Float64) -> Float64:
        """The same."""
        return self.jvp(dy)

    def magnitude(self, dx: Float64) -> Float64:
        """The sizes of the entries, diagonal and others apart; of the latter a bound."""
        size = np.abs(self._groups.gather(dx))
        n = self._groups.size
        z = np.abs(self._z)
        mean = self._layer._lost_in_a_group / n
        own = np.abs(1.0 - mean - z * z / n) * size
        crossed = n * self._along_sizes(z, size) - z * size
        others = np.sum(size, axis=-1, keepdims=True) - size
        moved = own + z * np.maximum(crossed, 0.0) / n + mean * np.maximum(others, 0.0)
        return self._groups.scatter(moved / self._divisor)

    def _along_sizes(self, z: Float64, size: Float64) -> Float64:
        total: Float64 = np.sum(z * size, axis=-1, keepdims=True)
        return total / self._groups.size

    def solve(self, dy: Float64, context: Context) -> Float64:
        """``divisor (P dy + z (z^T dy) / (n (1 - r)))``: J^+ dy."""
        wanted = self._layer._counted(self._groups.gather(dy))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            along = self._along(wanted) / self._rest
            step = self._divisor * (wanted + self._z * along)
        return self._groups.scatter(np.where(np.isfinite(step), step, 0.0))


def epsilon_and_axes(config: Mapping[str, Any]) -> tuple[tuple[int, ...], float]:
    """Read back what layers along axes say in their `config`."""
    return tuple(config["axes"]), float(config["epsilon"])
