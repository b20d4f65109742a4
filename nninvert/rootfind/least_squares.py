"""Bounded nonlinear least squares with exact Jacobians, from one start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
VectorFunction = Callable[[Float64], Float64]
ShouldStop = Callable[[], bool]

MAX_EVALUATIONS = 300
"""Of the trust-region search. Gauss-Newton steps need ten to fifty; where residuals stay
large they converge linearly, and three hundred gain all that is worth having."""

MAX_POLISH = 12
"""Gauss-Newton steps at the end. Each squares the residual of a reachable target."""

REACHED = 1e-16
"""Cost, relative to that of the start, at which Gauss-Newton steps count as successful:
the residual has fallen by eight digits and goes on falling."""

RELATIVE_DECREASE = 1e-12
RELATIVE_STEP = 1e-14
"""The trust-region search ends when its steps gain less than this: reachable targets are
then close enough for the steps at the end, and others are as low as they become."""


@dataclass(frozen=True)
class LeastSquaresPoint:
    """The best point that was seen.

    Attributes
    ----------
    x : float64 array, shape (n,)
        Inside the bounds to the last bit.
    residual : float64 array, shape (m,)
        r(x).
    stopped : bool
        Whether `should_stop` ended the search, or its limit of evaluations.
    steps : int
        Evaluations of r.
    """

    x: Float64
    residual: Float64
    stopped: bool
    steps: int

    @property
    def cost(self) -> float:
        """||r(x)||^2."""
        return float(self.residual @ self.residual)


def never() -> bool:
    """Never stop."""
    return False


def least_squares(
    residual: VectorFunction,
    jacobian: VectorFunction,
    start: Float64,
    lower: Float64,
    upper: Float64,
    *,
    scale: Float64 | None = None,
    should_stop: ShouldStop = never,
) -> LeastSquaresPoint:
    """Minimise ||r(x)||^2 subject to lower <= x <= upper, locally, from a start.

    No success is claimed: whether the point is good enough is the caller's to judge.

    Parameters
    ----------
    residual : callable
        r, from (n,) to (m,). Where it is not finite, the point is not taken.
    jacobian : callable
        J, from (n,) to (m, n), finite; asked only at points where r is finite.
    start : float64 array, shape (n,)
        Finite; moved into the bounds.
    lower, upper : float64 arrays, shape (n,)
        lower <= upper; infinite where open, equal where a variable is fixed.
    scale : float64 array, shape (n,), default None
        Typical size of a change of each variable; None: 1.
    should_stop : callable, default never
        Asked at each evaluation; the best point so far is returned.

    Returns
    -------
    LeastSquaresPoint

    Notes
    -----
    Projected Gauss-Newton steps are tried first: variables whose bound holds them back
    are fixed, the others take the least-squares step of minimum norm, cut at the bounds
    and halved until the residual falls. Where these do not reach zero, the trust-region
    reflective method of ``scipy.optimize.least_squares`` [1]_ begins at the start again;
    it keeps strictly inside the bounds and so nears them slowly, and with fewer residuals
    than variables its steps are as long as the trust region is wide, so that it is not
    the first choice. Gauss-Newton steps follow it. Of all evaluated points the best is
    returned. A step costs a complete orthogonal factorisation of J, in the trust region
    a singular value decomposition.

    References
    ----------
    .. [1] M. A. Branch, T. F. Coleman, Y. Li, A subspace, interior, and conjugate
       gradient method for large-scale bound-constrained minimization problems, SIAM J.
       Sci. Comput. 21, 1999, 1-23.
    """
    unit = np.ones(start.size) if scale is None else scale
    search = _Search(residual, jacobian, lower, upper, unit, should_stop)
    free = lower < upper
    try:
        begin = np.clip(start, lower, upper)
        search.evaluate(begin)
        enough = REACHED * search.best_cost
        limited = False
        if free.any() and search.best_cost < np.inf:
            search.polish(free)
            if search.best_cost > enough:
                limited = search.trust_region(begin, free)
                limited = search.polish(free) and limited
    except _Stopped:
        limited = True
    return LeastSquaresPoint(search.best, search.best_residual, limited, search.evaluations)


def gauss_newton(
    residual: VectorFunction,
    jacobian: VectorFunction,
    start: Float64,
    lower: Float64,
    upper: Float64,
    *,
    scale: Float64 | None = None,
) -> LeastSquaresPoint:
    """Take the last digits: projected Gauss-Newton steps from a point near a solution.

    The parameters and the result are those of `least_squares`; the start is kept where
    no step lowers the residual, and `stopped` tells that the steps were still gaining.
    """
    unit = np.ones(start.size) if scale is None else scale
    search = _Search(residual, jacobian, lower, upper, unit, never)
    search.evaluate(start)
    limited = search.polish(lower < upper)
    return LeastSquaresPoint(search.best, search.best_residual, limited, search.evaluations)


class _Stopped(Exception):
    """`should_stop` said so."""


class _Search:
    """The best point so far, and the ways to a better one."""

    def __init__(
        self,
        residual: VectorFunction,
        jacobian: VectorFunction,
        lower: Float64,
        upper: Float64,
        scale: Float64,
        should_stop: ShouldStop,
    ) -> None:
        self.residual, self.jacobian = residual, jacobian
        self.lower, self.upper, self.scale = lower, upper, scale
        self.should_stop = should_stop
        self.evaluations = 0
        self.best_cost = np.inf
        self.best = np.full(lower.shape, np.nan)
        self.best_residual = np.full(1, np.nan)

    def evaluate(self, x: Float64) -> Float64:
        """r(x), remembering the best point; the first one is always evaluated."""
        if self.evaluations and self.should_stop():
            raise _Stopped
        self.evaluations += 1
        value = self.residual(x)
        if self.evaluations == 1:
            self.best, self.best_residual = x, value
        with np.errstate(over="ignore", invalid="ignore"):
            cost = float(value @ value)
        if cost < self.best_cost:
            self.best, self.best_residual, self.best_cost = x, value, cost
        return value

    def trust_region(self, base: Float64, free: NDArray[np.bool_]) -> bool:
        """Search with scipy from a point; whether its limit ended it."""
        from scipy import optimize

        lower, upper = self.lower[free], self.upper[free]
        start = _strictly_inside(base[free], lower, upper)

        def whole(part: Float64) -> Float64:
            x = base.copy()
            x[free] = np.clip(part, lower, upper)
            return x

        def value(part: Float64) -> Float64:
            found = self.evaluate(whole(part))
            # scipy refuses what is not finite at the start and shrinks its step at any
            # other point.
            return np.where(np.isfinite(found), found, np.inf)

        if not np.isfinite(self.evaluate(whole(start))).all():
            return False
        with np.errstate(all="ignore"):
            found = optimize.least_squares(
                value,
                start,
                jac=lambda part: self.jacobian(whole(part))[:, free],
                bounds=(lower, upper),
                method="trf",
                x_scale=self.scale[free],
                ftol=RELATIVE_DECREASE,
                xtol=RELATIVE_STEP,
                gtol=np.finfo(np.float64).eps,
                max_nfev=MAX_EVALUATIONS,
            )
        return bool(found.status == 0)

    def polish(self, free: NDArray[np.bool_]) -> bool:
        """Projected Gauss-Newton steps while they help; False where none is left."""
        for _ in range(MAX_POLISH):
            before = self.best_cost
            if before == 0.0 or not self._gauss_newton(free):
                return False
            # Far from reachable: the steps converge linearly, as the search before did.
            if self.best_cost > 0.25 * before:
                return False
        return True

    def _gauss_newton(self, free: NDArray[np.bool_]) -> bool:
        """One step from the best point; whether the residual fell."""
        from scipy import linalg

        x, value, cost = self.best, self.best_residual, self.best_cost
        jacobian = self.jacobian(x)
        slope = jacobian.T @ value
        held = (x <= self.lower) & (slope > 0.0) | (x >= self.upper) & (slope < 0.0)
        step = np.zeros_like(x)
        moving = free & ~held
        scaled = jacobian[:, moving] * self.scale[moving]
        # A complete orthogonal factorisation: a third of the work of singular values.
        shortest = linalg.lstsq(
            scaled,
            -value,
            cond=np.finfo(np.float64).eps * max(scaled.shape),
            lapack_driver="gelsy",
            check_finite=False,
        )[0]
        step[moving] = self.scale[moving] * shortest
        for length in (1.0, 0.5, 0.25, 0.125):
            trial = np.clip(x + length * step, self.lower, self.upper)
            if (trial == x).all():
                return False
            self.evaluate(trial)
            if self.best_cost < cost:
                return True
        return False


def _strictly_inside(x: Float64, lower: Float64, upper: Float64) -> Float64:
    """Move x from the edges by a thousandth of the width, at most of its size."""
    room = 1e-3 * np.minimum(upper - lower, np.maximum(np.abs(x), 1.0))
    inside = np.clip(x, lower + room, upper - room)
    strict = (lower < inside) & (inside < upper)
    if strict.all():
        return inside
    # In an interval of a few spacings only the middle may be strictly inside.
    inside[~strict] = (lower + 0.5 * (upper - lower))[~strict]
    return inside
