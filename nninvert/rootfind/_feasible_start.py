"""Find a point whose values lie in a band, or come as close to it as they can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from nninvert.rootfind._band import Band, Float64, Region, SmoothMap
from nninvert.rootfind._linearised import Linearised
from nninvert.rootfind.quadratic import (
    ActiveSet,
    Outcome,
    QuadraticSolution,
    solve_quadratic,
)

ShouldStop = Callable[[], bool]

MAX_PROJECTIONS = 25
"""Newton steps towards the band. They converge quadratically, or are given up early."""

SHORTEST = 1.0 / 32.0
"""Part of a Newton step below which least squares takes over."""

INWARDS = 0.999
"""Part of the band that is aimed at, so that the limit of the steps lies inside."""

MAX_APPROACH = 150
"""Steps of least squares. Ten to fifty are usual; where residuals stay large they converge
linearly, and so many gain all that is worth having."""

DAMPING = 1e-3
"""First weight of the step's length, relative to the largest row of the Jacobian."""

LEAST_DAMPING = 1e-10
"""Least weight: below it the linear systems lose more than it gains."""

MOST_DAMPING = 1e8
"""Weight from which steps are too short to matter."""

SETTLED = 1e-13
"""Predicted decrease of the squares, relative to them, at which least squares ends."""

SUFFICIENT = 1e-4
GOOD = 0.75
EXCELLENT = 0.95
"""Actual over predicted decrease from which a step is taken, and from which the next may
be longer, or much longer."""


@dataclass(frozen=True)
class Candidate:
    """A point, its values, what it lacks, and whether the search was cut short."""

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
    or a step of reasonable length does not help; at equations, at their rounding. From
    outside it nears the edges: for a point inside, aim at a little less (`INWARDS`).
    """
    here = candidate(smooth, band, x)
    guess: ActiveSet | None = None
    to_the_end = bool(band.equation.any())
    for _ in range(MAX_PROJECTIONS):
        if here.violation == 0.0 or not np.isfinite(here.violation):
            return here
        if not to_the_end and band.holds(here.value):
            return here
        if should_stop():
            return replace(here, stopped=True)
        linear = Linearised(smooth.jacobian(here.x) * region.scale * region.free, band)
        if guess is not None and linear.rows.shape[0] != guess.rows.size:
            guess = None  # The equations' rank has changed, and with it the rows.
        solution = solve_quadratic(
            np.zeros_like(x),
            linear.rows,
            *linear.sides(here.value),
            *region.steps(here.x),
            guess=guess,
        )
        if solution.outcome is Outcome.INFEASIBLE:
            return here
        guess = solution.active
        following = _shortened(smooth, band, region, here, solution.x)
        if following is None:
            return here
        here = following
    return here


def _shortened(
    smooth: SmoothMap, band: Band, region: Region, here: Candidate, step: Float64
) -> Candidate | None:
    length = 1.0
    while length >= SHORTEST:
        there = candidate(smooth, band, region.moved(here.x, length * step))
        if there.violation < (1.0 - 0.5 * length) * here.violation:
            return there
        length *= 0.5
    return None


def nearest_output(
    smooth: SmoothMap, band: Band, region: Region, x: Float64, should_stop: ShouldStop
) -> Candidate:
    """Minimise the weighted squares of f - target, from x, inside the walls."""
    return approach(smooth, band.narrowed(0.0), region, x, should_stop)


def least_violation(
    smooth: SmoothMap, band: Band, region: Region, x: Float64, should_stop: ShouldStop
) -> Candidate:
    """Minimise the squares of what lies outside the band, from x, inside the walls."""
    return approach(smooth, band.narrowed(INWARDS), region, x, should_stop)


def approach(
    smooth: SmoothMap, band: Band, region: Region, x: Float64, should_stop: ShouldStop
) -> Candidate:
    """Minimise the weighted squares of the outputs' excess, from x, inside the walls.

    The Levenberg-Marquardt method with bounds and inequalities: each step minimises
    ``||s||^2 + damping ||d||^2`` with value + J d inside the walls, and no farther than
    s from the band: a quadratic program whose systems have the order of the outputs and
    walls, however many variables there are.

    Parameters
    ----------
    x : float64 array, shape (n,)
        Inside the bounds and the walls; else it is given back as it is.
    """
    state = _Approach(smooth, band, region, x)
    if not state.can_start:
        return state.summary(stopped=False)
    for _ in range(MAX_APPROACH):
        if should_stop():
            return state.summary(stopped=True)
        if not state.improve(should_stop):
            return state.summary(stopped=False)
    return state.summary(stopped=True)


class _Approach:
    def __init__(self, smooth: SmoothMap, band: Band, region: Region, x: Float64) -> None:
        self.smooth, self.band, self.region = smooth, band, region
        self.weights = band.weights[: band.outputs]
        self.x, self.value = x, smooth.value(x)
        self.cost = self._cost(self.value)
        self.damping = DAMPING
        self.guess: ActiveSet | None = None

    @property
    def can_start(self) -> bool:
        """Whether there is anything to gain, and the walls hold."""
        return 0.0 < self.cost < np.inf and bool(self.region.free.any())

    def summary(self, *, stopped: bool) -> Candidate:
        return Candidate(self.x, self.value, self.band.violation(self.value), stopped)

    def _cost(self, value: Float64) -> float:
        """Squares of the outputs' excess; infinite beyond a wall."""
        if not self.band.walls_hold(value):
            return np.inf
        with np.errstate(over="ignore", invalid="ignore"):
            rest = self.band.excess(value)[: self.band.outputs] * self.weights
            total = float(rest @ rest)
        return total if np.isfinite(total) else np.inf

    def improve(self, should_stop: ShouldStop) -> bool:
        """Take a step; False where none lowers the cost by anything that matters."""
        jacobian = self.smooth.jacobian(self.x) * self.region.scale * self.region.free
        m = self.band.outputs
        steep = jacobian[:m] * self.weights[:, None]
        unit = float(np.square(steep).sum(axis=1).max(initial=0.0))
        if not 0.0 < unit < np.inf:
            return False
        while self.damping <= MOST_DAMPING and not should_stop():
            weight = np.sqrt(self.damping * unit)
            solution = self._program(steep, jacobian[m:], weight)
            if solution.outcome is Outcome.INFEASIBLE:
                return False
            n = self.x.size
            left = float(solution.x[n:] @ solution.x[n:])
            predicted = self.cost - left
            if predicted <= SETTLED * self.cost:
                return False
            x = self.region.moved(self.x, solution.x[:n] / weight)
            value = self.smooth.value(x)
            ratio = (self.cost - self._cost(value)) / predicted
            self.guess = solution.active
            self._adapt(ratio)
            if ratio > SUFFICIENT:
                self.x, self.value, self.cost = x, value, self._cost(value)
                return self.cost > 0.0
        return False

    def _adapt(self, ratio: float) -> None:
        if ratio > EXCELLENT:
            self.damping = max(0.01 * self.damping, LEAST_DAMPING)
        elif ratio > GOOD:
            self.damping = max(0.2 * self.damping, LEAST_DAMPING)
        elif ratio <= 0.25:
            self.damping *= 8.0

    def _program(self, steep: Float64, walls: Float64, weight: float) -> QuadraticSolution:
        """Variables: the step times its weight, then how far each output stays off."""
        band, m, n = self.band, self.band.outputs, self.x.size
        rows = np.zeros((band.equation.size, n + m))
        rows[:m, :n] = steep / weight
        rows[:m, n:] = -np.eye(m)
        rows[m:, :n] = walls / weight
        low, high = band.low - self.value, band.high - self.value
        low[:m] *= self.weights
        high[:m] *= self.weights
        # At d = 0 no wall is crossed even if x lies in its margin.
        low[m:], high[m:] = np.minimum(low[m:], 0.0), np.maximum(high[m:], 0.0)
        lower, upper = self.region.steps(self.x)
        far = np.full(m, np.inf)
        return solve_quadratic(
            np.zeros(n + m),
            rows,
            low,
            high,
            np.concatenate([weight * lower, -far]),
            np.concatenate([weight * upper, far]),
            guess=self.guess,
        )
