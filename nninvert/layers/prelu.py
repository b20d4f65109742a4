"""The leaky rectified linear unit with a slope of its own for every unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context
from nninvert.errors import DataError, ShapeError
from nninvert.layers._base import (
    Facts,
    Float64,
    Layer,
    Linearization,
    Preimage,
    Shape,
    Weights,
)
from nninvert.layers._outside import Outside, flat_rows
from nninvert.layers.activations import EVERYTHING, Interval
from nninvert.layers.elementwise import DiagonalLinearization
from nninvert.linalg.box import Box


class PReLU(Layer):
    """``y = x`` for x >= 0, else ``alpha x``, unit by unit.

    Parameters
    ----------
    input_shape : tuple of int
    alpha : array
        Broadcasts to `input_shape`: 1 along the axes that share a slope. A unit with
        alpha > 0 is one-to-one, with 0 a relu, with alpha < 0 a V.

    Raises
    ------
    ShapeError, DataError
        If alpha does not broadcast or is not finite.
    """

    kind = "prelu"

    def __init__(self, input_shape: Shape, alpha: NDArray[np.generic]) -> None:
        if not _broadcasts(alpha.shape, input_shape):
            raise ShapeError(
                "alpha",
                got=f"shape {alpha.shape}",
                expected=f"one that broadcasts to {input_shape}",
            )
        self.input_shape = input_shape
        self.alpha = alpha
        self._slope: Float64 = np.asarray(alpha, dtype=np.float64)
        bad = np.argwhere(~np.isfinite(self._slope))
        if bad.size:
            place = tuple(int(i) for i in bad[0])
            raise DataError(
                "alpha",
                got=f"{self._slope[place]} at {place}, {len(bad)} such in all",
                expected="finite slopes",
            )

    @property
    def output_shape(self) -> Shape:
        """The input's."""
        return self.input_shape

    @np.errstate(over="ignore")
    def forward(self, x: Float64) -> Float64:
        """Scale what is negative."""
        return np.where(x < 0.0, self._slope * x, x)

    def linearize(self, x: Float64) -> Linearization:
        """Value and slopes at x; at 0 the slope on the right."""
        return DiagonalLinearization(self.forward(x), np.where(x < 0.0, self._slope, 1.0))

    @property
    def facts(self) -> Facts:
        """One-to-one where every slope is positive.

        Where some are and some are not, the units have different ranges.
        """
        positive = self._slope > 0.0
        image: tuple[Interval, ...] | None = None
        if positive.all():
            image = (EVERYTHING,)
        elif not positive.any():
            image = (Interval(0.0, np.inf),)
        return Facts(
            one_to_one=bool(positive.all()),
            onto=bool(positive.all()),
            image=image,
            lost=0,
            reason=self._reason(),
        )

    def _reason(self) -> str:
        full = np.broadcast_to(self._slope, self.input_shape)
        flat, bent = np.count_nonzero(full == 0.0), np.count_nonzero(full < 0.0)
        parts = []
        if flat:
            parts.append(f"loses what is negative in {flat} units (slope 0)")
        if bent:
            parts.append(f"takes values twice in {bent} units (negative slope)")
        return "prelu " + " and ".join(parts) if parts else ""

    @np.errstate(over="ignore", divide="ignore", invalid="ignore")
    def preimage(
        self, y: Float64, radius: Float64, context: Context, inside: Box | None = None
    ) -> Preimage:
        """Invert every unit; of two origins the positive one."""
        slope = np.broadcast_to(self._slope, y.shape)
        bounded = radius < tolerances.UNBOUNDED_RADIUS
        radius = np.where(bounded, radius + tolerances.EPS64 * np.abs(y), np.inf)
        nearest = np.where(slope > 0.0, y, np.maximum(y, 0.0))
        x = self._origin(nearest)
        flat = (slope == 0.0) & (nearest == 0.0)
        double = (slope < 0.0) & (nearest > 0.0)
        low, high = nearest - radius, nearest + radius
        reach = np.maximum(self._origin(high) - x, x - self._origin(low))
        # The other branch counts as well: all of it, or as far as the value is known.
        reach = np.where((slope == 0.0) & (low <= 0.0), np.inf, reach)
        reach = np.where(slope < 0.0, np.maximum(reach, x - high / slope), reach)
        own = 4.0 * tolerances.EPS64 * np.abs(x)
        judged = Outside.of(y, nearest, np.abs(y - nearest) > radius)
        return judged.preimage(
            x,
            reach + own,
            free=flat_rows(flat),
            origins=np.count_nonzero(flat_rows(double), axis=1).astype(np.float64),
        )

    def _origin(self, y: Float64) -> Float64:
        """The rightmost origin; 0 where a unit that is never negative has none."""
        largest = np.finfo(np.float64).max
        left = np.clip(y / self._slope, -largest, largest)
        return np.where(y >= 0.0, y, np.where(self._slope > 0.0, left, 0.0))

    def config(self) -> dict[str, Any]:
        """Nothing beside the slopes."""
        return {}

    def weights(self) -> Weights:
        """The slopes as stored."""
        return {"alpha": self.alpha}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Take the slopes from `weights`."""
        return cls(input_shape, np.asarray(weights["alpha"]))


def _broadcasts(shape: Shape, wanted: Shape) -> bool:
    try:
        return np.broadcast_shapes(shape, wanted) == wanted
    except ValueError:
        return False
