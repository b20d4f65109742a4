"""Ranges of functions of one variable over intervals, unit by unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis.bounds.curvature import curvature, kinks, scale
from nninvert.layers.activations import Activation, Branch, Trend

Float64 = NDArray[np.float64]

_FORWARD_SPACINGS = 9.0
"""How far a computed activation may be off, in spacings of y and of z.

`Activation.forward` promises 4 of each. Both the values that are enclosed and the ends
that enclose them are computed, and the last addition rounds as well."""


_LARGEST = float(np.finfo(np.float64).max)


class UnitFunction(Protocol):
    """A function that a layer applies to every unit by itself."""

    def enclose(self, lower: Float64, upper: Float64) -> tuple[Float64, Float64]:
        """Bounds of the values over [lower, upper], rounding of both sides included.

        Parameters
        ----------
        lower, upper : float64 arrays, shape (..., n)
        """
        ...

    def take(self, chosen: NDArray[np.int64]) -> UnitFunction:
        """The functions of some of the units."""
        ...

    @property
    def kinks(self) -> tuple[float, ...]:
        """Where the slope jumps, or the value."""
        ...

    @property
    def scale(self) -> float:
        """Over which length it bends."""
        ...

    def curvature(self, lower: Float64, upper: Float64) -> Float64:
        """Largest |f''| over intervals that hold no kink inside; inf: not known."""
        ...


@dataclass(frozen=True)
class ActivationUnits:
    """One activation, the same for all units."""

    activation: Activation

    @np.errstate(over="ignore", under="ignore")
    def enclose(self, lower: Float64, upper: Float64) -> tuple[Float64, Float64]:
        """The extremes over all branches that the interval meets."""
        first, last = _outward(lower, -1.0), _outward(upper, 1.0)
        low, high = np.full(lower.shape, np.inf), np.full(lower.shape, -np.inf)
        for branch in self.activation.branches:
            met = (last >= branch.domain.lower) & (first <= branch.domain.upper)
            least, most = self._on_branch(branch, first, last)
            low = np.where(met, np.minimum(low, least), low)
            high = np.where(met, np.maximum(high, most), high)
        # What overflows as it is computed is still a number.
        return self._rounded(np.minimum(low, _LARGEST), np.maximum(high, -_LARGEST))

    def _on_branch(
        self, branch: Branch, first: Float64, last: Float64
    ) -> tuple[Float64, Float64]:
        """Values at the ends, or those of the branch where an end lies beyond it."""
        image = branch.image
        if branch.trend is Trend.CONSTANT:
            value = np.full(first.shape, image.lower)
            return value, value
        ends = image.lower, image.upper
        if branch.trend is Trend.DECREASING:
            ends = image.upper, image.lower
        begins = first > branch.domain.lower
        stops = last < branch.domain.upper
        at_first = np.where(begins, self._value(first, begins), ends[0])
        at_last = np.where(stops, self._value(last, stops), ends[1])
        at_first = np.clip(at_first, image.lower, image.upper)
        at_last = np.clip(at_last, image.lower, image.upper)
        if branch.trend is Trend.DECREASING:
            return at_last, at_first
        return at_first, at_last

    def _value(self, z: Float64, chosen: NDArray[np.bool_]) -> Float64:
        """The activation where it is asked for, as the others may be infinite."""
        return self.activation.forward(np.where(chosen, z, 0.0))

    def _rounded(self, low: Float64, high: Float64) -> tuple[Float64, Float64]:
        """Widened by the rounding of y; ends that rounding does not pass are kept."""
        below, above = _outward(low, -1.0), _outward(high, 1.0)
        image = self.activation.image
        flat = {b.image.lower for b in self.activation.branches if _is_flat(b)}
        if image[0].lower_open or image[0].lower in flat:
            below = np.maximum(below, image[0].lower)
        if image[-1].upper_open or image[-1].upper in flat:
            above = np.minimum(above, image[-1].upper)
        return below, above

    def take(self, chosen: NDArray[np.int64]) -> ActivationUnits:
        """The same for any units."""
        return self

    @property
    def kinks(self) -> tuple[float, ...]:
        """Those of the activation, and where its branches end."""
        return kinks(self.activation)

    @property
    def scale(self) -> float:
        """That of the activation."""
        return scale(self.activation)

    def curvature(self, lower: Float64, upper: Float64) -> Float64:
        """That of the activation."""
        return curvature(self.activation, lower, upper)


@dataclass(frozen=True)
class SlopeUnits:
    """``y = x`` for x >= 0, else ``slope x``, with a slope for each unit.

    Attributes
    ----------
    slope : float64 array, shape (n,)
    """

    slope: Float64

    @np.errstate(over="ignore", invalid="ignore")
    def enclose(self, lower: Float64, upper: Float64) -> tuple[Float64, Float64]:
        """Values at both ends, and zero between."""
        ends = [np.where(z < 0.0, self._left(z), z) for z in (lower, upper)]
        low, high = np.minimum(*ends), np.maximum(*ends)
        across = (lower < 0.0) & (upper > 0.0)
        low = np.where(across, np.minimum(low, 0.0), low)
        high = np.where(across, np.maximum(high, 0.0), high)
        return _outward(low, -1.0), _outward(high, 1.0)

    def _left(self, z: Float64) -> Float64:
        # A slope of zero makes nothing of infinity.
        return np.where(self.slope == 0.0, 0.0, self.slope * z)

    def take(self, chosen: NDArray[np.int64]) -> SlopeUnits:
        """The slopes of some of the units."""
        return SlopeUnits(self.slope[chosen])

    @property
    def kinks(self) -> tuple[float, ...]:
        """Zero."""
        return (0.0,)

    @property
    def scale(self) -> float:
        """It does not bend."""
        return 1.0

    def curvature(self, lower: Float64, upper: Float64) -> Float64:
        """None."""
        return np.zeros(lower.shape)


def _is_flat(branch: Branch) -> bool:
    return branch.trend is Trend.CONSTANT


def _outward(values: Float64, side: float) -> Float64:
    """Moved up (1) or down (-1) by the rounding of an activation."""
    with np.errstate(over="ignore", invalid="ignore"):
        step = _FORWARD_SPACINGS * tolerances.EPS64 * np.abs(values)
        moved = np.nextafter(values + side * step, side * np.inf)
    return np.where(np.isfinite(values), moved, values)
