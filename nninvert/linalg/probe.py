"""Is a matrix worth iterating on? A few passes over the weights tell.

Krylov methods gain the same factor with every pass; it depends on how far the singular
values of A (LSMR), or A itself from the identity (GMRES), spread around one number. With
random v, ``|A^T A v|^2 |v|^2 / |A v|^4 - 1`` estimates the relative variance of the squared
singular values, and ``|A v|^2 |v|^2 / (v^T A v)^2 - 1`` the relative size of what A adds to
a multiple of the identity. For random deviations (a Marchenko-Pastur or a circular law) the
square root of that is the very factor that a pass gains; a Gaussian square matrix has 1,
which means never.

Matrices that pass are tried: a few steps with random right-hand sides show the factor at
work, and a solution of them is evidence that the matrix is nonsingular.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context
from nninvert.linalg.fused import (
    Pace,
    PassInterrupted,
    Products,
    Scaling,
    StripedProducts,
    products_of,
    products_of_transpose,
)
from nninvert.linalg.krylov import GOAL, Inner, gmres_inner, lsmr_inner
from nninvert.linalg.lsmr import Demand
from nninvert.linalg.map import DenseMap, LinearMap
from nninvert.linalg.survey import Survey, survey_of

Float64 = NDArray[np.float64]

DEFAULT_MOST_PASSES = 200

_TRIALS = 2
_STREAM = 0x7E57
"""Sets these random numbers apart from others of the same seed."""

_FIRST_STEPS = 8
_MARGIN = 1.25
_OVERHEAD = 4
"""Passes that starts and residuals cost beside the steps."""

_LEAST_COMPONENT = 0.01
"""A Gaussian number is smaller than this with probability 0.008, two are with 6e-5."""


class KrylovMethod(Enum):
    """An inner method."""

    LSMR = "LSMR"
    GMRES = "GMRES"


@dataclass(frozen=True)
class Outlook:
    """What iterating on a matrix promises.

    Attributes
    ----------
    method : KrylovMethod
        The better one; LSMR unless the matrix is known to be nonsingular.
    scaling : Scaling
        R and C with which R A C is better than A; none where that is not known.
    rate : float
        Factor by which a pass reduces the residual; 1 or more: never.
    norm : float
        A lower bound of ||A|| in the 2-norm.
    nonsingular : bool
        Whether random right-hand sides were solved so far that a singular value of zero
        would have shown, with a probability of 0.9999: the rank is then full.
    passes_spent : int
        Over the weights, by the probe.
    worthwhile : bool
        Whether it is nonsingular and `passes` stays within what was asked for.
    reason : str
        For the user.
    """

    method: KrylovMethod
    scaling: Scaling
    rate: float
    norm: float
    nonsingular: bool
    passes_spent: int
    worthwhile: bool
    reason: str

    def passes(self, tolerance: float = GOAL) -> float:
        """Predicted passes over the weights until the backward error is `tolerance`.

        Cautious: a quarter more than the observed rate needs; inf if it never gets there.
        """
        return predicted_passes(self.rate, tolerance)


def predicted_passes(rate: float, tolerance: float = GOAL) -> float:
    """Passes that a solve needs when each gains the factor `rate`."""
    if not rate < 1.0:
        return math.inf
    steps = math.log(tolerance) / math.log(max(rate, tolerance))
    return math.ceil(_MARGIN * steps) + _OVERHEAD


def probe(
    linear_map: LinearMap, context: Context, most_passes: int = DEFAULT_MOST_PASSES
) -> Outlook:
    """Look whether a map can be solved with by iteration, and how.

    A hopeless matrix costs one pass, and a second one where its rows or columns differ in
    size. A hopeful one costs about half as many as a solve.

    Parameters
    ----------
    linear_map : LinearMap
    context : Context
        Its seed makes the random vectors; where it asks to stop, the outlook is bad.
    most_passes : int, default 200
        A solve predicted to take more is not worthwhile.
    """
    pace = Pace(context.should_stop)
    try:
        survey = survey_of(linear_map, pace, context.seed)
        outlook = _candidate(survey, pace, most_passes)
        if not outlook.passes() <= most_passes:
            plain = replace(outlook, method=KrylovMethod.LSMR, scaling=Scaling())
            return replace(plain, passes_spent=pace.passes)
        return _Trial(linear_map, context, pace, outlook).run(most_passes)
    except PassInterrupted:
        stopped = "stopped before it was known whether iteration pays"
        return replace(_HOPELESS, passes_spent=pace.passes, reason=stopped)


def inner_method(
    linear_map: LinearMap,
    products: Products,
    outlook: Outlook,
    memory: int,
    *,
    transposed: bool = False,
) -> Inner:
    """The inner method of an outlook, for a map or for its transpose.

    Parameters
    ----------
    linear_map : LinearMap
    products : Products
        With the map, or with its transpose.
    outlook : Outlook
    memory : int
        Bytes for the vectors of GMRES.
    transposed : bool, default False
        Which of the two it is.
    """
    scaling = outlook.scaling.transposed if transposed else outlook.scaling
    if outlook.method is KrylovMethod.GMRES:
        return gmres_inner(products, scaling, memory)
    if not isinstance(linear_map, DenseMap) or scaling.trivial:
        return lsmr_inner(products, scaling)
    matrix = linear_map.matrix.transposed if transposed else linear_map.matrix
    return lsmr_inner(StripedProducts(matrix, products.pace, scaling), scaling)


_HOPELESS = Outlook(
    KrylovMethod.LSMR, Scaling(), math.inf, 0.0, False, 0, False, "not looked at"
)


def _candidate(survey: Survey, pace: Pace, most_passes: int) -> Outlook:
    """The method and scaling of least deviation, from one or two passes."""
    options = [(survey.deviation, KrylovMethod.LSMR, Scaling())]
    options += [(d, KrylovMethod.GMRES, s) for d, s in survey.gmres_options()]
    best = min(option[0] for option in options)
    scalings, hope = survey.lsmr_scalings(), survey.least_scaled_deviation
    promising = predicted_passes(hope) < min(predicted_passes(best), most_passes)
    if scalings and promising:
        found = survey.deviations(scalings, pace)
        options += [
            (deviation, KrylovMethod.LSMR, scaling)
            for deviation, scaling in zip(found, scalings, strict=True)
        ]
    rate, method, scaling = min(options, key=lambda option: option[0])
    needed = predicted_passes(rate)
    found_out = (
        f"what A adds to its diagonal, or to a multiple of I, is {rate:.2g} of that"
        if method is KrylovMethod.GMRES
        else f"the squared singular values vary by {rate:.2g} of their mean"
    )
    expected = f"about {needed:.0f} passes" if math.isfinite(needed) else "no end"
    return replace(
        _HOPELESS,
        method=method,
        scaling=scaling,
        rate=rate,
        norm=survey.norm,
        reason=f"{method.value}: {expected} expected: {found_out}",
    )


class _Trial:
    """Random right-hand sides, solved far enough to see a zero singular value.

    For a Gaussian b and the left singular vector u of the smallest singular value, u^T b is
    a Gaussian number. Where A is singular nothing reduces that part of the residual; once
    the whole residual is smaller, all that b reaches was solved for (the argument of
    J. D. Dixon, SIAM J. Numer. Anal. 20, 1983). The taller of A and A^T always has such
    right-hand sides, so the wider one is tried.
    """

    def __init__(
        self, linear_map: LinearMap, context: Context, pace: Pace, outlook: Outlook
    ) -> None:
        m, n = linear_map.shape
        self._transposed = m > n
        make = products_of_transpose if self._transposed else products_of
        self._products, self._outlook = make(linear_map, pace), outlook
        self._inner = inner_method(
            linear_map,
            self._products,
            outlook,
            context.memory // 4,
            transposed=self._transposed,
        )
        generator = np.random.default_rng([context.seed, _STREAM])
        self._b = generator.standard_normal((_TRIALS, self._products.shape[0]))

    def run(self, most_passes: int) -> Outlook:
        """Solve in two stages; the first one may show that it does not pay."""
        wanted = 0.3 * _LEAST_COMPONENT
        b, x = self._b, np.zeros((_TRIALS, self._products.shape[1]))
        residual, rate = b, self._outlook.rate
        for limit in (_FIRST_STEPS, most_passes):
            left = np.linalg.norm(residual, axis=1)
            if np.all(left <= _LEAST_COMPONENT):
                break
            reduction = np.clip(wanted / left, 1e-12, 0.5)
            found = self._inner(residual, Demand(reduction, self._outlook.norm, limit))
            x = x + found.x
            residual = b - self._products.apply(x)
            if found.interrupted:
                raise PassInterrupted
            gained = float((np.linalg.norm(residual, axis=1) / left).max())
            rate = _rate(found.history, gained, found.steps)
            if not predicted_passes(rate) <= most_passes:
                break
        met = np.all(np.linalg.norm(residual, axis=1) <= _LEAST_COMPONENT)
        seen = bool(met) and self._large_enough(x)
        return self._outlook_after(x, b - residual, rate, seen, most_passes)

    def _large_enough(self, x: Float64) -> bool:
        """Whether no singular value counts as zero.

        ||x|| is at least |u^T b| over the smallest one.
        """
        zero = tolerances.singular_threshold(self._products.shape, self._outlook.norm)
        return bool(zero * np.linalg.norm(x, axis=1).max() < _LEAST_COMPONENT)

    def _outlook_after(
        self,
        x: Float64,
        image: Float64,
        rate: float,
        seen: bool,
        most_passes: int,
    ) -> Outlook:
        needed, method = predicted_passes(rate), self._outlook.method.value
        growth = np.linalg.norm(image, axis=1) / np.linalg.norm(x, axis=1)
        gain = f"each pass gains a factor {1.0 / max(rate, GOAL):.3g}"
        reason = f"{method}: {gain}"
        if not seen:
            reason = f"{method}: {gain}; the matrix may be singular"
        # Least squares and minimum norm are what LSMR finds, without any scaling.
        kept = self._outlook if seen else replace(_HOPELESS, norm=self._outlook.norm)
        return replace(
            kept,
            rate=rate,
            norm=max(kept.norm, float(np.nan_to_num(growth).max())),
            nonsingular=seen,
            passes_spent=self._products.pace.passes,
            worthwhile=seen and needed <= most_passes,
            reason=reason,
        )


def _rate(history: tuple[float, ...], gained: float, steps: int) -> float:
    """The factor of a step: over all of them, and over the later half if that is worse."""
    overall = float(gained ** (1.0 / max(steps, 1)))
    half = len(history) // 2
    if half < 1 or history[half - 1] <= 0.0:
        return overall
    later = history[-1] / history[half - 1]
    return max(overall, float(later ** (1.0 / (len(history) - half))))
