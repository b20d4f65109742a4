"""Linear inequalities between the variables, kept as walls of a band."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.rootfind._band import Band, Float64, Region, SmoothMap, Walls

MARGIN = 1e-10
"""Part of an inequality's size that is not used, so that sums which meet it to the
accuracy of a quadratic program meet it."""

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Inequalities:
    """``low <= matrix @ x <= high``.

    Attributes
    ----------
    matrix : float64 array, shape (c, n)
    low, high : float64 arrays, shape (c,)
        Infinite where open, equal for an equation. Two rows that make an equation must be
        one: apart, they would depend on each other wherever both hold, that is everywhere.
    """

    matrix: Float64
    low: Float64
    high: Float64

    def values(self, x: Float64) -> Float64:
        """``matrix @ x``, a side that is met up to the rounding of the sum counting as met.

        The rounding is at most n eps |A| |x|, n the number of terms: Higham, Accuracy and
        Stability of Numerical Algorithms, 2nd ed., section 3.1; half of it is used.
        """
        sums = self.matrix @ x
        terms = np.count_nonzero(self.matrix, axis=1)
        rounding = 0.5 * terms * EPS * (np.abs(self.matrix) @ np.abs(x))
        over = (sums > self.high) & (sums <= self.high + rounding)
        under = (sums < self.low) & (sums >= self.low - rounding)
        return np.where(over, self.high, np.where(under, self.low, sums))

    def walls(self, x: Float64) -> Walls:
        """The intervals of the sums; their sizes are those at x, and of the sides."""
        sides = np.stack([self.low, self.high])
        size = np.abs(np.where(np.isfinite(sides), sides, 0.0)).max(axis=0)
        size = np.maximum(size, np.abs(self.matrix) @ np.abs(x))
        size = np.where(size > 0.0, size, np.abs(self.matrix).max(axis=1))
        size = np.where(size > 0.0, size, 1.0)
        # An interval that is narrower than the margins keeps its middle half.
        margin = np.minimum(MARGIN * size, 0.25 * (self.high - self.low))
        return Walls(self.low + margin, self.high - margin, self.low, self.high, size)


def bordered(smooth: SmoothMap, band: Band, region: Region) -> tuple[SmoothMap, Band]:
    """The map and the band with the region's inequalities as further values and walls."""
    given = region.inequalities
    if given is None:
        return smooth, band
    m, bend = band.equation.size, smooth.bend

    def value(x: Float64) -> Float64:
        return np.concatenate([smooth.value(x), given.values(x)])

    def jacobian(x: Float64) -> Float64:
        return np.concatenate([smooth.jacobian(x), given.matrix])

    def bend_without(x: Float64, weights: Float64, directions: Float64) -> Float64:
        assert bend is not None
        return bend(x, weights[:m], directions)

    more = SmoothMap(value, jacobian, None if bend is None else bend_without, smooth.cells)
    return more, band.beside(given.walls(region.inside(region.near)))
