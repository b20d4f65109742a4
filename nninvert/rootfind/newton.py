"""Batched, safeguarded Newton iteration for one monotone equation per entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64 = NDArray[np.float64]
Bool = NDArray[np.bool_]
Index = NDArray[np.int64]
ScalarFunction = Callable[[Float64], Float64]

LARGEST = float(np.finfo(np.float64).max)

MAX_EXPANSIONS = 2200
"""Doublings of a bracket: enough to go from the least float64 to the largest."""

NEWTON_RUN = 8
"""Newton steps in a row before a halving is put in. Where they converge quadratically,
fewer are needed; where they do not (a multiple root), halving is as fast or faster."""

MAX_STEPS = 64 * (NEWTON_RUN + 1)
"""Evaluations after bracketing: 64 halvings, one for each bit, and the runs between."""


@dataclass(frozen=True)
class ScalarRoots:
    """Solutions of g(z) = y, entry by entry.

    Attributes
    ----------
    z : float64 array, shape (k,)
        The evaluated point with the smallest residual; an end of the bracket where the
        equation has no solution between the limits; NaN where nothing was finite.
    residual : float64 array, shape (k,)
        g(z) - y.
    converged : bool array, shape (k,)
        Whether the stop rule held: see `solve_monotone`.
    steps : int
        Evaluations of g after the bracketing, the largest of all entries.
    """

    z: Float64
    residual: Float64
    converged: Bool
    steps: int


def solve_monotone(
    function: ScalarFunction,
    derivative: ScalarFunction,
    target: Float64,
    lower: ArrayLike,
    upper: ArrayLike,
    start: ArrayLike,
    *,
    limits: tuple[float, float] = (-LARGEST, LARGEST),
) -> ScalarRoots:
    """Solve g(z) = y for every entry of an array, g strictly monotone and continuous.

    Neither raises nor warns because of the data.

    Parameters
    ----------
    function, derivative : callable
        g and g', elementwise from float64 (j,) to (j,); they see a part of the entries.
    target : float64 array, shape (k,)
        y.
    lower, upper : float64, shape (k,) or scalar
        Where the root is expected. The bracket is moved outward, doubling its width,
        until g - y takes both signs on it or it meets the limits.
    start : float64, shape (k,) or scalar
        First guess; moved into the bracket.
    limits : (float, float), default all of float64
        No point outside is ever evaluated: ends of the interval where g is monotone.

    Returns
    -------
    ScalarRoots

    Notes
    -----
    Newton's step is taken from the last point if it stays strictly inside the bracket
    and is at most half as long as the last step but one; else, and after every eighth
    Newton step in a row, the bracket is halved. This is the safeguard of Dekker and
    Brent [1]_ with Newton's step for the secant's. Halving counts floating-point
    numbers, not distance, so that a root of 1e-300 is found between -1 and 1 as well,
    and 64 halvings always suffice.

    An entry stops when g(z) = y exactly, when the Newton step is shorter than half the
    spacing of z, or when no floating-point number is left inside the bracket. So z is
    the root to rounding where g is computed to rounding; where g is flat, it is as good
    as the rounding of g allows.

    References
    ----------
    .. [1] R. P. Brent, Algorithms for Minimization without Derivatives, 1973,
       chapter 4.
    """
    y = np.asarray(target, dtype=np.float64)
    with np.errstate(all="ignore"):
        search = _Search(function, derivative, y, limits)
        search.bracket(_spread(lower, y), _spread(upper, y))
        steps = search.iterate(_spread(start, y))
    return ScalarRoots(search.best, search.best_residual, search.converged, steps)


def _spread(values: ArrayLike, like: Float64) -> Float64:
    return np.array(np.broadcast_to(np.asarray(values, np.float64), like.shape))


class _Search:
    """The state of one batched search.

    Arrays of the object have shape (k,); those in its loops hold only the entries
    `index` that are still searched, as most stop after a few steps.
    """

    def __init__(
        self,
        function: ScalarFunction,
        derivative: ScalarFunction,
        y: Float64,
        limits: tuple[float, float],
    ) -> None:
        self.function, self.derivative = function, derivative
        self.y, self.limits = y, limits
        self.best = np.full(y.shape, np.nan)
        self.best_residual = np.full(y.shape, np.nan)
        self.converged = np.zeros(y.shape, dtype=np.bool_)

    def residual(self, z: Float64, index: Index) -> Float64:
        """g(z) - y of the entries `index`, remembering the best point of each."""
        if not index.size:
            return np.zeros(0)
        value = self.function(z) - self.y[index]
        better = ~(np.abs(value) >= np.abs(self.best_residual[index])) & ~np.isnan(value)
        self.best[index[better]] = z[better]
        self.best_residual[index[better]] = value[better]
        self.converged[index[value == 0.0]] = True
        return value

    def bracket(self, lower: Float64, upper: Float64) -> None:
        """Set `below` and `above`, points where g - y is negative and positive.

        They stay NaN for entries without such points.
        """
        lower, upper = np.clip([lower, upper], *self.limits)
        at_lower, at_upper = np.full((2, *self.y.shape), np.nan)
        index = np.flatnonzero(np.isfinite(self.y))
        at_lower[index] = self.residual(lower[index], index)
        at_upper[index] = self.residual(upper[index], index)
        for _ in range(MAX_EXPANSIONS):
            index = index[np.sign(at_lower[index]) * np.sign(at_upper[index]) > 0.0]
            index = index[~self.converged[index]]
            moved = self._widen(
                index, lower[index], upper[index], at_lower[index], at_upper[index]
            )
            if moved is None:
                break
            lower[index], upper[index], at_lower[index], at_upper[index] = moved
        crossed = (np.sign(at_lower) * np.sign(at_upper) < 0.0) & ~self.converged
        rising = at_lower < at_upper
        self.below = np.where(crossed, np.where(rising, lower, upper), np.nan)
        self.above = np.where(crossed, np.where(rising, upper, lower), np.nan)

    def _widen(
        self,
        index: Index,
        low: Float64,
        high: Float64,
        at_low: Float64,
        at_high: Float64,
    ) -> tuple[Float64, Float64, Float64, Float64] | None:
        """Move ends outward where both residuals have one sign; None: nothing moves."""
        down, up = _outward(low, high, self.limits)
        # The root lies beyond the end where |g - y| is smaller; where rounding makes
        # both equal, both ends are moved.
        left = (np.abs(at_low) <= np.abs(at_high)) & (down < low)
        right = (np.abs(at_high) <= np.abs(at_low)) & (up > high)
        if not (left.any() or right.any()):
            return None
        # An end left behind becomes the other end: the root is not between them.
        new_low = np.where(left, down, np.where(right, high, low))
        new_high = np.where(right, up, np.where(left, low, high))
        at_new_low = np.where(right & ~left, at_high, at_low)
        at_new_high = np.where(left & ~right, at_low, at_high)
        at_new_low[left] = self.residual(down[left], index[left])
        at_new_high[right] = self.residual(up[right], index[right])
        return new_low, new_high, at_new_low, at_new_high

    def iterate(self, start: Float64) -> int:
        """Newton steps within the bracket, or halvings of it, until all stop."""
        index = np.flatnonzero(~np.isnan(self.below))
        below, above, z = self.below[index], self.above[index], start[index]
        low, high = np.minimum(below, above), np.maximum(below, above)
        z = np.where((low < z) & (z < high), z, _midpoint(low, high))
        before = last = high - low
        run = np.zeros(z.shape, dtype=np.int64)
        for step in range(MAX_STEPS):
            if not index.size:
                return step
            value = self.residual(z, index)
            below, above = np.where(value < 0.0, z, below), np.where(value > 0.0, z, above)
            low, high = np.minimum(below, above), np.maximum(below, above)
            move, following = self._newton(z, value)
            keep = (low < following) & (following < high) & (run < NEWTON_RUN)
            keep &= np.abs(move) <= 0.5 * np.abs(before)
            run = np.where(keep, run + 1, 0)
            middle = _midpoint(low, high)
            settled = np.abs(move) <= 0.5 * np.spacing(np.abs(z))
            settled |= (middle <= low) | (middle >= high)
            self.converged[index[settled & ~np.isnan(value)]] = True
            following = np.where(keep, following, middle)
            before, last, z = last, following - z, following
            on = ~self.converged[index] & ~np.isnan(value)
            index, below, above, z = index[on], below[on], above[on], z[on]
            before, last, run = before[on], last[on], run[on]
        return MAX_STEPS

    def _newton(self, z: Float64, value: Float64) -> tuple[Float64, Float64]:
        """Newton's step, and the point that it leads to."""
        slope = self.derivative(z)
        usable = np.isfinite(slope) & (slope != 0.0)
        move = np.where(usable, -value / slope, np.inf)
        return move, z + move


def _outward(
    lower: Float64, upper: Float64, limits: tuple[float, float]
) -> tuple[Float64, Float64]:
    """The ends of a bracket twice as wide, to the left and to the right."""
    size = np.maximum(np.abs(lower), np.abs(upper))
    width = 2.0 * np.maximum(upper - lower, np.spacing(size))
    return (
        np.clip(lower - width, *limits),
        np.clip(upper + width, *limits),
    )


def _midpoint(low: Float64, high: Float64) -> Float64:
    """The number with as many float64 numbers between it and either end."""
    first, second = _ordinal(low), _ordinal(high)
    return _from_ordinal((first >> 1) + (second >> 1) + (first & second & 1))


def _ordinal(z: Float64) -> NDArray[np.int64]:
    """Consecutive integers for consecutive float64 numbers; 0 for 0.0."""
    bits = (z + 0.0).view(np.int64)
    return np.where(bits >= 0, bits, np.int64(np.iinfo(np.int64).min) - bits)


def _from_ordinal(index: NDArray[np.int64]) -> Float64:
    lowest = np.int64(np.iinfo(np.int64).min)
    return np.where(index >= 0, index, lowest - index).view(np.float64)
