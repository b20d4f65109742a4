"""Iterative refinement: from rough solves to float64, all right-hand sides together.

Residuals are computed in float64 from the weights as they are stored. Plain refinement
(LU-IR) ends when the backward error of a row is at the level of rounding; where the
corrections shrink too slowly, flexible GMRES computes them (GMRES-IR: Carson & Higham,
SIAM J. Sci. Comput. 39(6), 2017; the order of the two as in Oktay & Carson, Numer. Linear
Algebra Appl. 29, 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.errors import Stopped
from nninvert.linalg.flexible_gmres import flexible_gmres
from nninvert.linalg.norms import row_maxima

Float64 = NDArray[np.float64]
Rows = NDArray[np.int64]
Product = Callable[[Float64], Float64]

UNIT = 0.5 * tolerances.EPS64
"""Unit roundoff of float64."""

_COMPONENTWISE_GOAL = 4.0 * UNIT
_ACCEPTED = 16.0 * UNIT
"""A row whose backward error no longer falls is accurate from here on. What float64
residuals can show is 0.3 to 2 units, whatever the size (measured from n = 500 on)."""

_SLOW = 0.5
"""Steps that gain less than this factor do not converge in reasonable time: RTHRESH of
LAPACK's xGERFSX."""

_STEPS = 30
_FEW_ROWS = 8
"""Up to so many rows the product with |A| comes nearly for free, as reading the weights
takes longer than multiplying by them."""

_INNER, _OUTER = 50, 5
_REDUCTION = 1e-6
_WORTHWHILE = 0.1
"""Fifty steps of GMRES that gain less than this factor will not end well."""

_FLOAT32_DIGITS = 7.0


@dataclass(frozen=True)
class System:
    """A x = b, for rows: what refinement needs to know of A.

    Attributes
    ----------
    product : callable
        Rows x to rows A x, in float64.
    product_with_magnitude : callable
        Rows x to A x and |A| |x|.
    rough : callable
        Rows r to rows of about A^-1 r.
    norm : float
        ||A|| in the maximum norm.
    """

    product: Product
    product_with_magnitude: Callable[[Float64], tuple[Float64, Float64]]
    rough: Product
    norm: float


@dataclass(frozen=True)
class Refined:
    """Solutions and how good they are.

    Attributes
    ----------
    x : float64 array, shape (k, n)
    backward_error : float64 array, shape (k,)
        ``||b - A x|| / (||A|| ||x|| + ||b||)`` in the maximum norm (Rigal & Gaches, J. ACM
        14, 1967); inf where x is not finite, NaN where it was not measured.
    componentwise : float64 array, shape (k,)
        ``max_i |b - A x|_i / (|A| |x| + |b|)_i`` (Oettli & Prager, Numer. Math. 6, 1964);
        NaN where it was not measured, as there were many rows.
    passes : int
        Products with A that were made, each for all rows that still needed it.
    contraction : float
        The largest ratio of a correction to the one before it, the first solve counting
        as a correction of 0; 0.0 where none was needed.
    """

    x: Float64
    backward_error: Float64
    componentwise: Float64
    passes: int
    contraction: float

    @property
    def accurate(self) -> NDArray[np.bool_]:
        """Which rows have a backward error at the level of rounding, for all we know."""
        return ~(self.backward_error > _ACCEPTED)

    @property
    def assumed_errors(self) -> Float64:
        """Backward errors; where none was measured, `ESTIMATE_MARGIN` times the worst."""
        errors = self.backward_error
        worst = np.nanmax(errors, initial=0.0)
        return np.where(np.isnan(errors), tolerances.ESTIMATE_MARGIN * worst, errors)

    def rows(self, chosen: NDArray[np.int64]) -> Refined:
        """The same for some of the rows."""
        return replace(
            self,
            x=self.x[chosen],
            backward_error=self.backward_error[chosen],
            componentwise=self.componentwise[chosen],
        )


@dataclass
class _Measured:
    """Residuals of some rows and the errors that they show."""

    residual: Float64
    backward_error: Float64
    componentwise: Float64

    @property
    def done(self) -> NDArray[np.bool_]:
        """Rows that another step would not make better, or not worth its passes.

        Where there are many rows their componentwise errors are not measured (NaN), and a
        step for the last digit of the other one costs as much as any.
        """
        measured = ~np.isnan(self.componentwise)
        componentwise = ~(self.componentwise > _COMPONENTWISE_GOAL)
        goal = np.where(measured, UNIT, _ACCEPTED)
        return (self.backward_error <= goal) & componentwise


def _measure(system: System, b: Float64, x: Float64) -> _Measured:
    with np.errstate(all="ignore"):
        if len(x) <= _FEW_ROWS:
            product, terms = system.product_with_magnitude(x)
        else:
            product, terms = system.product(x), None
        residual = b - product
        largest = row_maxima(residual)
        size = system.norm * row_maxima(x)
        error = _quotient(largest, size + row_maxima(b))
        if terms is None:
            return _Measured(residual, error, np.full(len(x), np.nan))
        quotients = _quotient(np.abs(residual), terms + np.abs(b))
        return _Measured(residual, error, quotients.max(axis=1, initial=0.0))


def _quotient(error: Float64, size: Float64) -> Float64:
    """The quotient; 0 for 0 / 0, and inf where it is not a number or size overflows."""
    found = np.divide(error, size, out=np.zeros_like(error), where=error != 0.0)
    return np.where(np.isfinite(found) & np.isfinite(size), found, np.inf)


def refine(
    system: System,
    b: Float64,
    should_stop: Callable[[], bool],
    tell: Callable[[int], None] = lambda passes: None,
) -> Refined:
    """Solve A x = b and refine each row until its backward error no longer falls.

    Of many rows, only those that are predicted to be the worst are looked at after what
    should be the last correction: a product for all takes as long as one more solve.

    Parameters
    ----------
    system : System
    b : float64 array, shape (k, n)
        Finite.
    should_stop : callable
        Asked before each step.
    tell : callable
        Told of the passes that were made.

    Returns
    -------
    Refined
        Rows that are not accurate need `refine_by_gmres` or better factors.
    """
    x = system.rough(b)
    found = _measure(system, b, x)
    errors, componentwise = found.backward_error, found.componentwise
    passes, worst = 1, 0.0
    active = np.flatnonzero(~found.done & np.isfinite(errors))
    residual, last = found.residual[active], row_maxima(x[active])
    while active.size and passes < _STEPS and not should_stop():
        tell(passes)
        try:
            correction = system.rough(residual)
        except Stopped:
            break
        size = row_maxima(correction)
        with np.errstate(over="ignore", invalid="ignore"):
            ratio, trial = size / last, x[active] + correction
            predicted = errors[active] * ratio
        # Ratios of rows that had arrived before show rounding, not convergence.
        telling = ratio[errors[active] > _ACCEPTED]
        worst = max(worst, float(telling.max(initial=0.0)))
        if active.size > _FEW_ROWS and (predicted <= _ACCEPTED).all():
            shown = _sampled(system, b[active], trial, np.argsort(-predicted))
            passes += 1
            if shown.accurate.all():
                x[active], errors[active] = trial, shown.backward_error
                componentwise[active] = shown.componentwise
                break
        found = _measure(system, b[active], trial)
        passes += 1
        better = _improves(found, errors[active], componentwise[active])
        taken = active[better]
        x[taken] = trial[better]
        falling = found.backward_error <= _SLOW * errors[active]
        errors[taken] = found.backward_error[better]
        componentwise[taken] = found.componentwise[better]
        go_on = better & falling & ~found.done
        active, residual, last = active[go_on], found.residual[go_on], size[go_on]
    return Refined(x, errors, componentwise, passes, worst)


def solve_once(system: System, b: Float64) -> Refined:
    """Solve A x = b without refinement and measure the errors of the first few rows.

    Enough for many rows with float64 factors: their backward error is that of the
    factorisation, which is nearly the same for all.

    Returns
    -------
    Refined
        With NaN as the errors of the rows that were not measured.
    """
    return _sampled(system, b, system.rough(b), np.arange(len(b)))


def _sampled(system: System, b: Float64, x: Float64, order: Rows) -> Refined:
    """Solutions of which the first few in this order are measured."""
    errors, componentwise = (np.full(len(b), np.nan) for _ in range(2))
    few = order[:_FEW_ROWS]
    found = _measure(system, b[few], x[few])
    errors[few], componentwise[few] = found.backward_error, found.componentwise
    return Refined(x, errors, componentwise, 1, 0.0)


def observed_contraction(system: System, b: Float64) -> float:
    """How much a correction will be smaller than the one before it, from a random b.

    A tenth or less: a few steps of refinement suffice, and A is far from singular as seen
    by its factors. About one or more: they do not see the smallest singular values.

    Parameters
    ----------
    system : System
    b : float64 array, shape (k, n)
        One or two random rows.
    """
    x = system.rough(b)
    with np.errstate(over="ignore", invalid="ignore"):
        correction = system.rough(b - system.product(x))
        size = row_maxima(x)
        ratio = float((row_maxima(correction) / size).max())
    return ratio if np.isfinite(ratio) else math.inf


def _improves(
    found: _Measured, errors: Float64, componentwise: Float64
) -> NDArray[np.bool_]:
    """Rows whose new x is the better one: by the normwise error until that is small."""
    settled = (errors <= UNIT) & (found.backward_error <= UNIT)
    return np.where(
        settled,
        found.componentwise < componentwise,
        found.backward_error < errors,
    )


def refine_by_gmres(
    system: System,
    b: Float64,
    begun: Refined,
    should_stop: Callable[[], bool],
    most: int | None = None,
) -> Refined:
    """Go on from where `refine` ended, with corrections computed by flexible GMRES.

    Parameters
    ----------
    system : System
    b : float64 array, shape (k, n)
    begun : Refined
        Its solutions are where to begin; those that are not finite begin at zero.
    should_stop : callable
        Asked before each step.
    most : int or None
        How many rows the memory holds the vectors of; default: all.
    """
    if most is None or len(b) <= most:
        return _refined_by_gmres(system, b, begun, should_stop)
    starts = range(0, len(b), most)
    parts = [np.arange(start, min(start + most, len(b))) for start in starts]
    return _stacked(
        [
            _refined_by_gmres(system, b[rows], begun.rows(rows), should_stop)
            for rows in parts
        ]
    )


def _refined_by_gmres(
    system: System, b: Float64, begun: Refined, should_stop: Callable[[], bool]
) -> Refined:
    x = np.where(np.isfinite(begun.backward_error)[:, None], begun.x, 0.0)
    found = _measure(system, b, x)
    errors, componentwise = found.backward_error, found.componentwise
    passes = begun.passes + 1
    active, residual = np.arange(len(x)), found.residual
    for _ in range(_OUTER):
        if active.size == 0 or should_stop():
            break
        try:
            correction, inner = flexible_gmres(
                system.product, system.rough, residual, _REDUCTION, _INNER, should_stop
            )
        except Stopped:
            break
        with np.errstate(over="ignore", invalid="ignore"):
            trial = x[active] + correction
        found = _measure(system, b[active], trial)
        passes += inner + 1
        better = _improves(found, errors[active], componentwise[active])
        taken = active[better]
        x[taken] = trial[better]
        gain = _WORTHWHILE if inner == _INNER else _SLOW
        worthwhile = found.backward_error <= gain * errors[active]
        errors[taken] = found.backward_error[better]
        componentwise[taken] = found.componentwise[better]
        go_on = better & worthwhile & ~found.done
        active, residual = active[go_on], found.residual[go_on]
    return Refined(x, errors, componentwise, passes, begun.contraction)


def _stacked(parts: list[Refined]) -> Refined:
    """The rows of several, in order; the largest of what they have in common."""
    return Refined(
        x=np.concatenate([part.x for part in parts]),
        backward_error=np.concatenate([part.backward_error for part in parts]),
        componentwise=np.concatenate([part.componentwise for part in parts]),
        passes=max(part.passes for part in parts),
        contraction=max(part.contraction for part in parts),
    )


def predicted_passes(contraction: float, digits: float = 16.0) -> float:
    """Products with A that plain refinement of a float32 solve takes.

    The first solve leaves a backward error of about 1e-7, whatever the condition, and
    each correction multiplies it by the contraction; one more product shows the end.

    Parameters
    ----------
    contraction : float
        As observed, or 0.5 to 5 times the 2-norm condition number times 6e-8.
    digits : float, default 16
        Of the backward error.

    Returns
    -------
    float; inf where refinement does not converge.
    """
    if contraction > _SLOW:
        return math.inf
    gained = -math.log10(max(contraction, UNIT))
    return 1.0 + math.ceil(max(digits - _FLOAT32_DIGITS, 0.0) / gained)
