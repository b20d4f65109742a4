"""Division of groups of units by their length: only the direction is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

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
    Weights,
)
from nninvert.layers._groups import Groups
from nninvert.layers._outside import Outside, flat_rows
from nninvert.layers.activations import Interval
from nninvert.linalg import box as linalg_box


class UnitNormalization(Layer):
    """``y = x / max(||x||, floor)`` along axes, in the 2-norm.

    Beyond the floor all multiples of x give the same: the length is lost. Below it, where
    nobody is meant to be, ``y = x / floor``.

    Parameters
    ----------
    input_shape : tuple of int
    axes : tuple of int
        Axes of `input_shape`, not counting the batch; negative ones count from the end.
    floor : float
        Above 0: 1e-12 in Keras 3 and in torch's normalize, 1e-6 in TensorFlow's layer,
        which bounds the square of the length by 1e-12.

    Raises
    ------
    DataError
        If the floor is not a positive number.
    """

    kind = "unit_normalization"

    def __init__(self, input_shape: Shape, axes: tuple[int, ...], floor: float) -> None:
        self.input_shape = input_shape
        self.groups, self.floor = Groups.along(input_shape, axes), floor
        if not 0.0 < floor < np.inf:
            raise DataError(
                "floor",
                got=f"{floor:g}",
                expected="a number above 0",
                because="a group of zeros has the length 0",
            )

    @property
    def output_shape(self) -> Shape:
        """The input's."""
        return self.input_shape

    @property
    def facts(self) -> Facts:
        """Not one-to-one; no dimension is lost everywhere, as below the floor none is."""
        count = self.groups.count
        what = "its inputs" if count == 1 else f"each of {count} groups of inputs"
        return Facts(
            one_to_one=False,
            onto=False,
            image=(Interval(-1.0, 1.0),),
            lost=0,
            reason=f"keeps the direction of {what} and loses the length",
        )

    def beyond_floor(self, x: Float64) -> NDArray[np.bool_]:
        """Which groups have a length that is lost, shape (..., groups)."""
        length = self._divided(x)[1]
        return np.asarray(length[..., 0] > self.floor)

    def forward(self, x: Float64) -> Float64:
        """Relative to the largest number of each group, so that no square overflows."""
        return self.groups.scatter(self._divided(x)[0])

    def _divided(self, x: Float64) -> tuple[Float64, Float64]:
        """Return y and the divisor, in groups."""
        units = self.groups.gather(x)
        top = np.max(np.abs(units), axis=-1, keepdims=True)
        top = np.where(top > 0.0, top, 1.0)
        length = top * np.sqrt(sum_of_squares(units / top))
        divisor = np.maximum(length, self.floor)
        return units / divisor, divisor

    def linearize(self, x: Float64) -> Linearization:
        """The value and the divisor determine the Jacobian."""
        return _UnitLinearization(self, *self._divided(x))

    def preimage(
        self,
        y: Float64,
        radius: Float64,
        context: Context,
        inside: linalg_box.Box | None = None,
    ) -> Preimage:
        """Its direction where y may have the length 1; ``floor y`` where y is shorter.

        Of the directions' multiples the one of length 1 is taken, if it is above the
        floor. A group is outside if all points within the radius are longer than 1.
        """
        box = Box.of(self.groups.gather(y), self.groups.gather(radius))
        possible = box.least <= 1.0 + ROUNDING
        free = possible & (box.most >= 1.0 - ROUNDING)
        length = np.sqrt(sum_of_squares(box.y))
        nearest = box.y / np.maximum(length, 1.0)
        free_or_outside = free | ~possible
        unit = box.y / np.where(length > 0.0, length, 1.0)
        taken = max(1.0, self.floor)
        x = np.where(free_or_outside, taken * unit, self.floor * box.y)
        reach = np.where(free_or_outside, np.inf, self.floor * box.radius)
        far = ~possible & (np.abs(box.y - nearest) > box.radius)
        scatter = self.groups.scatter
        judged = Outside.of(y, scatter(nearest), scatter(far))
        loose = np.broadcast_to(free, x.shape)
        found = judged.preimage(
            scatter(x),
            scatter(reach) + 4.0 * tolerances.EPS64 * np.abs(scatter(x)),
            free=flat_rows(scatter(loose)),
            origins=np.zeros(len(y)),
        )
        return replace(found, free_dimensions=np.count_nonzero(flat_rows(free), axis=1))

    def config(self) -> dict[str, Any]:
        """Axes and floor."""
        return {"axes": list(self.groups.axes), "floor": self.floor}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """There are no weights."""
        return cls(input_shape, tuple(config["axes"]), float(config["floor"]))


class _UnitLinearization(Linearization):
    """``J = (I - y y^T) / ||x||``, symmetric; below the floor ``I / floor``."""

    def __init__(self, layer: UnitNormalization, y: Float64, divisor: Float64) -> None:
        self._groups = layer.groups
        self._divisor = divisor
        self._across = np.where(divisor > layer.floor, y, 0.0)
        self.y = layer.groups.scatter(y)

    def jvp(self, dx: Float64) -> Float64:
        """Subtract what lies along y, then divide."""
        return self._groups.scatter(self._rest(self._groups.gather(dx)) / self._divisor)

    def _rest(self, values: Float64) -> Float64:
        along: Float64 = np.sum(self._across * values, axis=-1, keepdims=True)
        return values - self._across * along

    def vjp(self, dy: Float64) -> Float64:
        """The same."""
        return self.jvp(dy)

    def magnitude(self, dx: Float64) -> Float64:
        """The sizes of the entries, diagonal and others apart."""
        size, y = np.abs(self._groups.gather(dx)), np.abs(self._across)
        total = np.sum(y * size, axis=-1, keepdims=True)
        others = y * np.maximum(total - y * size, 0.0)
        return self._groups.scatter(((1.0 - y * y) * size + others) / self._divisor)

    def solve(self, dy: Float64, context: Context) -> Float64:
        """What of dy is orthogonal to y, times the divisor: J^+ dy."""
        return self._groups.scatter(self._rest(self._groups.gather(dy)) * self._divisor)
