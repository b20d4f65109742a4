"""Find a point whose outputs lie in a band."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nninvert.rootfind._band import Band, Float64, Region, SmoothMap
from nninvert.rootfind.least_squares import least_squares
from nninvert.rootfind.quadratic import ActiveSet, Outcome, solve_quadratic

ShouldStop = Callable[[], bool]

MAX_PROJECTIONS = 25
"""Newton steps towards the band. They converge quadratically, or are given up early."""

SHORTEST = 1.0 / 32.0
"""Part of a Newton step below which least squares takes over."""

INWARDS = 0.999
"""Part of the band that is aimed at, so that the limit of the steps lies inside."""


@dataclass(frozen=True)
class Candidate:
    """A point, its outputs, what it lacks, and whether the search was cut short."""

    x: Float64
    value: Float64
    violation: float
    stopped: bool


def candidate(
    smooth: SmoothMap, band: Band, x: Float64, *, stopped: bool = False
) -> Candidate:
    """Evaluate a point."""
    value = smooth.value(x)
    return Candidate(x, value, band.violation(value), stopped)


def project(
    smooth: SmoothMap, band: Band, region: Region, x: Float64, should_stop: ShouldStop
) -> Candidate:
    """Newton's method for the band as a system of inequalities, from x.

    Each step is the shortest one into the linearised band and the bounds, halved until
    the violation falls. It ends inside the band, or where the linearised band is empty
    or a step of reasonable length does not help.
    """
    aim = Band(band.target, band.tolerance, INWARDS * band.room)
    here = candidate(smooth, aim, x)
    guess: ActiveSet | None = None
    for _ in range(MAX_PROJECTIONS):
        if here.violation == 0.0 or not np.isfinite(here.violation):
            return here
        if should_stop():
            return Candidate(here.x, here.value, here.violation, stopped=True)
        off = here.value - aim.target
        solution = solve_quadratic(
            np.zeros_like(x),
            smooth.jacobian(here.x) * region.scale,
            -aim.room - off,
            aim.room - off,
            (region.lower - here.x) / region.scale,
            (region.upper - here.x) / region.scale,
            guess=guess,
        )
        if solution.outcome is Outcome.INFEASIBLE:
            return here
        guess = solution.active
        following = _shortened(smooth, aim, region, here, solution.x)
        if following is None:
            return here
        here = following
    return here


def _shortened(
    smooth: SmoothMap, aim: Band, region: Region, here: Candidate, step: Float64
) -> Candidate | None:
    length = 1.0
    while length >= SHORTEST:
        there = candidate(smooth, aim, region.moved(here.x, length * step))
        if there.violation < (1.0 - 0.5 * length) * here.violation:
            return there
        length *= 0.5
    return None


def nearest_output(
    smooth: SmoothMap, band: Band, region: Region, x: Float64, should_stop: ShouldStop
) -> Candidate:
    """Minimise the weighted squares of f - target, from x."""
    weights = band.weights
    found = least_squares(
        lambda x: (smooth.value(x) - band.target) * weights,
        lambda x: smooth.jacobian(x) * weights[:, None],
        x,
        region.lower,
        region.upper,
        scale=region.scale,
        should_stop=should_stop,
    )
    return candidate(smooth, band, found.x, stopped=found.stopped)


def least_violation(
    smooth: SmoothMap, band: Band, region: Region, x: Float64, should_stop: ShouldStop
) -> Candidate:
    """Minimise the squares of what lies outside the band, from x."""
    weights = band.weights
    aim = Band(band.target, band.tolerance, INWARDS * band.room)

    def jacobian(x: Float64) -> Float64:
        outside = aim.excess(smooth.value(x)) != 0.0
        return smooth.jacobian(x) * np.where(outside, weights, 0.0)[:, None]

    found = least_squares(
        lambda x: aim.excess(smooth.value(x)) * weights,
        jacobian,
        x,
        region.lower,
        region.upper,
        scale=region.scale,
        should_stop=should_stop,
    )
    return candidate(smooth, band, found.x, stopped=found.stopped)
