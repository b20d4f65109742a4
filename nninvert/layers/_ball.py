"""Boxes and balls in groups of units: where values within a radius meet an image.

All arrays are (..., size), a group along the last axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances

Float64 = NDArray[np.float64]

ROUNDING = 16.0 * tolerances.EPS64
"""Relative to the largest value of its group, a bound of what a forward pass rounds: the
pairwise sums of its mean and its square, a root, a quotient. Far beyond the 4 spacings
that are seen in groups of up to 100,000 units."""

_HALVINGS = 80
"""More than the bits of a number, so that halving ends where it rounds."""


@dataclass(frozen=True)
class Box:
    """Values and how far each may be off, the rounding of a forward pass included.

    Attributes
    ----------
    y, radius : float64 arrays, shape (..., size)
        y cut so that its squares are finite; radii that mean "anything" are infinite.
    """

    y: Float64
    radius: Float64

    @classmethod
    def of(cls, y: Float64, radius: Float64) -> Box:
        """Cut y and widen the radius by the rounding of a forward pass."""
        cap = np.sqrt(tolerances.RADIUS_CAP)
        cut = np.clip(y, -cap, cap)
        size = np.abs(cut)
        own = ROUNDING * (size + np.max(size, axis=-1, keepdims=True))
        bounded = radius < tolerances.UNBOUNDED_RADIUS
        return cls(cut, np.where(bounded, radius + own, np.inf))

    @property
    def least(self) -> Float64:
        """The sum of squares of the smallest values, shape (..., 1)."""
        return sum_of_squares(np.maximum(np.abs(self.y) - self.radius, 0.0))

    @property
    def most(self) -> Float64:
        """The sum of squares of the largest values, shape (..., 1)."""
        return sum_of_squares(np.abs(self.y) + self.radius)

    def smallest(self) -> Float64:
        """The point of least norm."""
        size = np.maximum(np.abs(self.y) - self.radius, 0.0)
        found: Float64 = np.copysign(size, self.y)
        return found

    def smallest_centred(self) -> Float64:
        """The point of least norm among those whose values add up to zero.

        It is ``clip(c, low, high)`` with the one number c that makes the sum zero (the
        conditions of Karush, Kuhn and Tucker), found by halving. Where no point of the
        box adds up to zero, it is the one that comes nearest to that.
        """
        low, high = self.y - self.radius, self.y + self.radius
        ends = np.where(np.isfinite(self.radius), np.abs(self.y) + self.radius, 0.0)
        reach = np.sum(ends, axis=-1, keepdims=True)
        left, right = -reach, reach
        for _ in range(_HALVINGS):
            middle = 0.5 * (left + right)
            total = np.sum(np.clip(middle, low, high), axis=-1, keepdims=True)
            left = np.where(total < 0.0, middle, left)
            right = np.where(total < 0.0, right, middle)
        found: Float64 = np.clip(0.5 * (left + right), low, high)
        return found

    def centred(self) -> tuple[Float64, NDArray[np.bool_]]:
        """A point whose values add up to zero, moved from y in proportion to the radius.

        Returns
        -------
        point : float64 array, shape (..., size)
            Where no point of the box adds up to zero, y less its mean.
        possible : bool array, shape (..., 1)
            Whether there is one.
        """
        radius = np.minimum(self.radius, tolerances.RADIUS_CAP)
        total = np.sum(self.y, axis=-1, keepdims=True)
        room = np.sum(radius, axis=-1, keepdims=True)
        share = np.divide(total, room, out=np.zeros_like(total), where=room > 0.0)
        possible = np.abs(total) <= room
        mean = total / self.y.shape[-1]
        return np.where(possible, self.y - share * radius, self.y - mean), possible


def sum_of_squares(values: Float64) -> Float64:
    """Along the last axis, which stays with length 1; infinite where it overflows."""
    with np.errstate(over="ignore"):
        total: Float64 = np.sum(values * values, axis=-1, keepdims=True)
    return total
