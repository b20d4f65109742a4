"""Box: guaranteed bounds of the values at one place of a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances

Float64 = NDArray[np.float64]

TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class Box:
    """An interval for each of n numbers, ends included.

    Every value that the network takes there lies inside: the exact one, and the one that
    the plain forward pass computes in float64.

    Attributes
    ----------
    lower, upper : float64 arrays, shape (n,)
        -inf and inf where nothing is known.
    """

    lower: Float64
    upper: Float64

    @classmethod
    def everything(cls, n: int) -> Box:
        """No bound at all."""
        return cls(np.full(n, -np.inf), np.full(n, np.inf))

    @property
    def size(self) -> Float64:
        """The largest |v| inside."""
        return np.maximum(np.abs(self.lower), np.abs(self.upper))

    @property
    def is_finite(self) -> bool:
        """Whether every end is a number."""
        return bool(np.isfinite(self.size).all())

    @property
    def width(self) -> Float64:
        """Upper less lower end."""
        return np.asarray(self.upper - self.lower)

    def meet(self, other: Box) -> Box:
        """What lies in both.

        Both hold the same values, so that the intersection is never empty.
        """
        return Box(np.maximum(self.lower, other.lower), np.minimum(self.upper, other.upper))


def widened(lower: Float64, upper: Float64, margin: Float64) -> Box:
    """An interval with `margin` added on both sides, rounded outward.

    What has become NaN by infinite terms is not known, and stands as infinite.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        low = np.nextafter(lower - margin - TINY, -np.inf)
        high = np.nextafter(upper + margin + TINY, np.inf)
    return Box(
        np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)
    )


def rounding_of_sums(count: int, size: Float64) -> Float64:
    """Bound the error of sums of `count` products, computed in any order.

    ``2 (count + 8) eps size``, `size` being the sum of the sizes of the terms as computed:
    four times gamma_n (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
    section 3.1), which pays for the rounding of `size` and of a few additions as well.
    """
    return np.asarray(2.0 * (count + 8) * tolerances.EPS64 * size)
