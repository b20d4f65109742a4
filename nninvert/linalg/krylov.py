"""Solutions by iteration, all right-hand sides together, judged by their true residuals.

An inner method, LSMR or GMRES, corrects a solution; then the residual is computed anew in
float64 from the stored weights, and the next correction begins there. So the backward error
ends where rounding leaves it and not where the recurrences of a method believe to be, and
what is reported is what was looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.linalg.flexible_gmres import flexible_gmres
from nninvert.linalg.fused import PassInterrupted, Products, Scaling
from nninvert.linalg.lsmr import Correction, Demand, lsmr_correction

Float64 = NDArray[np.float64]
Inner = Callable[[Float64, Demand], Correction]
"""Residuals (batch, m) and how far to reduce them, to a correction."""

GOAL = 4.0 * tolerances.EPS64
"""Backward error at which a row is done. Float64 sums of a few thousand products leave
2e-16 to 6e-16 (measured from n = 900 to 6,000): less could not be asked for."""

_ACCEPTED = 8.0 * tolerances.EPS64
"""A row whose backward error falls no further counts as solved from here on."""

_STALLED, _LEVELLED = 0.9, 0.5
"""A correction must reduce the backward error by the first of these, and by the second
once the row is accepted: more of them would not be worth their passes."""

_LEAST_REDUCTION, _SPARE = 1e-14, 0.1
"""A correction is asked for the reduction that is missing and a little more, but for no
more than the recurrences of a method hold."""

_RESTARTS = 50
_CYCLE = 60
"""Most steps of GMRES between two looks at the true residual."""

_SAFE_EXPONENT = 1000


@dataclass(frozen=True)
class Solved:
    """Solutions and how good they are.

    Attributes
    ----------
    x : float64 array, shape (batch, n)
        The best found.
    backward_error : float64 array, shape (batch,)
        ||r|| / (||A|| ||x|| + ||b||) in the 2-norm, ||A|| estimated from below; for m > n
        ||A^T r|| / (||A|| (||A|| ||x|| + ||b||)). NaN where the work was interrupted before
        the residual of x could be looked at.
    converged : bool array, shape (batch,)
    steps : int
        Inner steps of all corrections.
    corrections : int
    interrupted : bool
    """

    x: Float64
    backward_error: Float64
    converged: NDArray[np.bool_]
    steps: int
    corrections: int
    interrupted: bool


def lsmr_inner(scaled: Products, scaling: Scaling) -> Inner:
    """LSMR as the inner method, on R A C in place of A.

    Rows may be scaled only where A x = b can be met, columns only where its solution is
    the only one: least squares and minimum norm would mean something else.

    Parameters
    ----------
    scaled : Products
        With R A C.
    scaling : Scaling
        R and C.
    """

    def correct(residual: Float64, demand: Demand) -> Correction:
        if not scaling.trivial:
            demand = replace(demand, norm=0.0)
        found = lsmr_correction(scaled, _times(residual, scaling.rows), demand)
        return replace(found, x=_times(found.x, scaling.columns))

    return correct


def gmres_inner(
    products: Products,
    scaling: Scaling,
    memory: int,
    precondition: Callable[[Float64], Float64] | None = None,
) -> Inner:
    """GMRES as the inner method, on R A C in place of A, square.

    Parameters
    ----------
    products : Products
        With A itself.
    scaling : Scaling
        R and C.
    memory : int
        Bytes for the vectors that are kept: they limit the steps of one correction.
    precondition : callable or None, default None
        Rows v to rows of about A^-1 v, in place of C.
    """
    inverse = precondition or (lambda vectors: _times(vectors, scaling.columns))

    def correct(residual: Float64, demand: Demand) -> Correction:
        def product(vectors: Float64) -> Float64:
            try:
                return _times(products.apply(vectors), scaling.rows)
            except PassInterrupted:
                # An image of zero ends the space; what it held so far is made use of.
                return np.zeros_like(vectors)

        room = max(1, memory // (12 * residual.size))
        steps = min(demand.max_steps, _CYCLE, room)
        x, made = flexible_gmres(
            product,
            inverse,
            _times(residual, scaling.rows),
            float(demand.reduction.min()),
            steps,
            products.pace.should_stop,
        )
        return Correction(x, made, products.pace.should_stop(), ())

    return correct


def refine(
    products: Products,
    inner: Inner,
    b: Float64,
    x0: Float64 | None,
    max_steps: int,
    norm: float = 0.0,
    goal: float = GOAL,
) -> Solved:
    """Correct x by an inner method until its true residual is as small as rounding.

    Parameters
    ----------
    products : Products
        With A itself, from which residuals are computed.
    inner : callable
        `lsmr_inner` or `gmres_inner`.
    b : float64 array, shape (batch, m)
    x0 : float64 array, shape (batch, n), or None
        Where to begin; None for zero.
    max_steps : int
        Of all corrections together.
    norm : float, default 0
        A lower bound of ||A|| in the 2-norm, where one is known.
    goal : float, default `GOAL`
        Backward error at which a row is done.
    """
    # By powers of two, exactly, so that squares neither overflow nor vanish.
    _, exponents = np.frexp(np.abs(b).max(axis=1, initial=0.0))
    unit = np.ldexp(1.0, np.clip(exponents, -_SAFE_EXPONENT, _SAFE_EXPONENT))[:, None]
    start = None if x0 is None else x0 / unit
    work = _Refinement(products, b / unit, start, norm, goal)
    steps = corrections = 0
    interrupted = False
    try:
        work.look()
        while work.active.size and steps < max_steps and corrections < _RESTARTS:
            found = inner(work.residual, work.demand(max_steps - steps))
            steps, corrections = steps + found.steps, corrections + 1
            work.correct(found.x)
            interrupted = found.interrupted
            if interrupted:
                break
            work.look()
    except PassInterrupted:
        interrupted = True
    if interrupted:
        work.settle_unseen()
    return Solved(
        x=work.x * unit,
        backward_error=work.error,
        converged=work.error <= max(goal, _ACCEPTED),
        steps=steps,
        corrections=corrections,
        interrupted=interrupted,
    )


class _Refinement:
    """The solutions so far, the rows that are still worked on, and their residuals."""

    def __init__(
        self,
        products: Products,
        b: Float64,
        x0: Float64 | None,
        norm: float,
        goal: float,
    ) -> None:
        self._products, self._b, self._norm, self._goal = products, b, norm, goal
        self._at_zero = x0 is None
        self.x = np.zeros((len(b), products.shape[1])) if x0 is None else x0.copy()
        self.error = np.full(len(b), np.inf)
        self.active = np.arange(len(b))
        self._tried = self.x
        self.residual = b

    def look(self) -> None:
        """Judge the tried solutions by their residuals; keep what became better."""
        b, x = self._b[self.active], self._tried
        residual, gradient = (b, None) if self._at_zero else self._residual(x, b)
        size = np.linalg.norm(x, axis=1)
        image = np.linalg.norm(b - residual, axis=1)
        self._norm = max(
            self._norm, float((image / np.where(size > 0, size, np.inf)).max(initial=0.0))
        )
        scale = self._norm * size + np.linalg.norm(b, axis=1)
        error = _ratio(np.linalg.norm(residual, axis=1), scale)
        if gradient is not None:
            error = _ratio(np.linalg.norm(gradient, axis=1), self._norm * scale)
        before = self.error[self.active]
        better = error < before
        chosen = self.active[better]
        self.x[chosen], self.error[chosen] = x[better], error[better]
        enough = np.where(error <= _ACCEPTED, _LEVELLED, _STALLED)
        go_on = (error > self._goal) & (error <= enough * before)
        self.active, self.residual = self.active[go_on], residual[go_on]
        self._at_zero = False

    def _residual(self, x: Float64, b: Float64) -> tuple[Float64, Float64 | None]:
        """Compute b - A x, and A^T times it where least squares are sought."""
        if self._products.shape[0] <= self._products.shape[1]:
            return b - self._products.apply(x), None
        if self._products.by_columns:
            residual = b - self._products.apply(x)
            return residual, self._products.adjoint(residual)
        negative, back = self._products.there_and_back(x, b)
        return -negative, back

    def demand(self, max_steps: int) -> Demand:
        """How far the residual of each active row should fall now."""
        wanted = _SPARE * self._goal / self.error[self.active]
        return Demand(np.clip(wanted, _LEAST_REDUCTION, _SPARE), self._norm, max_steps)

    def correct(self, correction: Float64) -> None:
        """Try the active rows with their corrections."""
        self._tried = self.x[self.active] + correction

    def settle_unseen(self) -> None:
        """Take tried solutions over whose residuals there is no time to look at."""
        if len(self._tried) == self.active.size and np.all(np.isfinite(self._tried)):
            changed = np.any(self._tried != self.x[self.active], axis=1)
            self.x[self.active] = self._tried
            self.error[self.active[changed]] = np.nan


def _times(values: Float64, scale: Float64 | None) -> Float64:
    return values if scale is None else values * scale


def _ratio(a: Float64, b: Float64) -> Float64:
    """Divide; 0 where both are 0."""
    return np.divide(a, b, out=np.where(a == 0.0, 0.0, np.inf), where=b > 0.0)
