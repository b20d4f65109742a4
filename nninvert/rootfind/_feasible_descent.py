"""Move a feasible point nearer, never leaving the feasible set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nninvert.rootfind._band import Band, Float64, Region, SmoothMap
from nninvert.rootfind._feasible_start import INWARDS, project
from nninvert.rootfind._hessian import sketched
from nninvert.rootfind._linearised import Linearised
from nninvert.rootfind.quadratic import (
    ActiveSet,
    Hessian,
    Outcome,
    QuadraticSolution,
    solve_quadratic,
)

MAX_STEPS = 200
"""With curvature ten are usual; without, convergence is linear."""

MAX_CORRECTIONS = 6
"""Corrections of one step for the curvature of f. Each leaves a part of the violation
that is proportional to the length of the step."""

STATIONARY = 1e-10
"""Predicted decrease, relative to the squared distance, at which the descent ends with one
more step: half of it is the relative error of the distance without that."""

NEGLIGIBLE = 1e-8
"""The same, at which a point from which no step was taken still counts as the nearest:
where tolerances are tiny, rounding hides smaller gains."""

SUFFICIENT = 1e-4
GOOD = 0.75
"""Actual over predicted decrease from which a step is taken, and from which the next may
be longer: the usual constants of trust-region methods."""

FINEST = 1e-9
"""Length of a step, relative to the distance, at which nothing more is to be gained."""

AFRESH = 1e-4
"""The same for steps that are corrected with Jacobians of their own: smaller ones gain
less than these cost."""

SHORTER = 4.0
"""Factor of the weight of the step's length after a step that was not taken; back again
after a good one. It shortens steps in about this proportion."""

MOST_WEIGHT = 1e15
"""Weight at which steps are shorter than any that counts, whatever else moves them."""


@dataclass(frozen=True)
class Descended:
    """A feasible point and what is known of it.

    Attributes
    ----------
    x, value : float64 arrays
        The point and f there.
    decrease : float
        Decrease of the squared distance that the last quadratic program predicted,
        without a weight of the step, relative to the squared distance; 0 where no
        direction was left, NaN where the descent was stopped.
    stationary : bool
        Whether that is at most `NEGLIGIBLE`.
    stopped : bool
        Whether `should_stop` or the limit of steps ended the descent.
    steps : int
    """

    x: Float64
    value: Float64
    decrease: float
    stationary: bool
    stopped: bool
    steps: int


def descend(
    smooth: SmoothMap,
    band: Band,
    region: Region,
    x: Float64,
    should_stop: Callable[[], bool],
    finest: float = FINEST,
) -> Descended:
    """Take steps of sequential quadratic programming while they bring x nearer.

    `x` must be inside the region and f(x) inside the band; so is every point after it.
    Steps below `finest`, relative to the distance, are not tried.

    Notes
    -----
    Each step minimises the squared distance, with the curvature of the constraints
    (the Hessian of the Lagrangian function, made positive definite) where it is known,
    over the linearised constraints and the bounds. After a failure the squared length of
    the step is added with a growing weight: unlike a trust box, that makes no side of a
    variable active, and the programs keep the size of the rows. A step that leaves the
    band is corrected with the same Jacobian: the measured curvature is put into the
    constraints and the program is solved again (second-order correction, Nocedal &
    Wright, 2nd ed., section 18.3). A step is taken only if f lies in the band
    and the distance has fallen by a part of what was predicted.
    """
    state = _State(smooth, band, region, x, should_stop, finest)
    for step in range(MAX_STEPS):
        if should_stop():
            return state.summary(stopped=True, steps=step)
        state.linearise()
        if not state.improve():
            return state.summary(stopped=False, steps=step)
    return state.summary(stopped=True, steps=MAX_STEPS)


class _State:
    def __init__(
        self,
        smooth: SmoothMap,
        band: Band,
        region: Region,
        x: Float64,
        should_stop: Callable[[], bool],
        finest: float,
    ) -> None:
        self.smooth, self.band, self.region = smooth, band, region
        self.should_stop, self.finest = should_stop, finest
        self.x = x
        self.value = smooth.value(x)
        self.weight = 1.0
        self.hessian: Hessian | None = None
        self.guess: ActiveSet | None = None
        self.multipliers = np.zeros_like(self.value)
        self.decrease = np.nan

    def summary(self, *, stopped: bool, steps: int) -> Descended:
        return Descended(
            self.x,
            self.value,
            self.decrease,
            abs(self.decrease) <= NEGLIGIBLE,
            stopped,
            steps,
        )

    def linearise(self) -> None:
        """Constraints, gradient and Hessian of the quadratic program at x."""
        region = self.region
        jacobian = self.smooth.jacobian(self.x) * region.scale * region.free
        linear = Linearised(jacobian, self.band)
        if self.guess is not None and linear.rows.shape[0] != self.guess.rows.size:
            self.guess = None
        self.jacobian, self.linear = jacobian, linear
        self.offset = region.offset(self.x)
        self.isolated = linear.rank == int(np.count_nonzero(region.free))
        self.hessian = self._hessian()

    def _hessian(self) -> Hessian | None:
        bend, multipliers = self.smooth.bend, self.multipliers
        if bend is None or not multipliers.any():
            return None
        scale = self.region.scale

        def product(directions: Float64) -> Float64:
            return bend(self.x, multipliers, directions * scale) * scale

        return sketched(product, scale.size, self.hessian)

    def improve(self) -> bool:
        """Take a step; False where the point is stationary or none is accepted."""
        self.square = float(self.offset @ self.offset)
        if self.square == 0.0 or self.isolated:
            self.decrease = 0.0
            return False
        while True:
            solution = self._program(np.zeros_like(self.value))
            if solution.outcome is Outcome.INFEASIBLE:
                return self._give_up()
            predicted = self._predicted(solution.x)
            gain = 2.0 * abs(predicted) / self.square
            if self.weight == 1.0 and gain <= STATIONARY:
                self.decrease = gain
                self._try(solution, predicted)
                return False
            if self._try(solution, predicted):
                return True
            size = float(np.linalg.norm(solution.x)) / np.sqrt(self.square)
            if size > AFRESH and self._try_afresh(solution, predicted):
                return True
            if size <= self.finest or self.weight > MOST_WEIGHT:
                return self._give_up()
            self.weight *= SHORTER

    def _give_up(self) -> bool:
        """Find out what the program without a weight of the step still promises."""
        self.weight = 1.0
        solution = self._program(np.zeros_like(self.value))
        if solution.outcome is Outcome.OPTIMAL:
            self.decrease = 2.0 * abs(self._predicted(solution.x)) / self.square
        return False

    def _predicted(self, step: Float64) -> float:
        bent = step if self.hessian is None else self.hessian.apply(step)
        return -float(self.offset @ step + 0.5 * step @ bent)

    def _program(self, bend: Float64) -> QuadraticSolution:
        """Solve the program whose constraints are f + J d + bend."""
        low, high = self.linear.sides(self.value + bend)
        if not bend.any():
            # At d = 0 nothing is violated even if x lies in the margin.
            rest = slice(self.linear.rank, None)
            low[rest] = np.minimum(low[rest], 0.0)
            high[rest] = np.maximum(high[rest], 0.0)
        # The weight divides instead of multiplying, so that the identity stays.
        return solve_quadratic(
            self.offset / self.weight,
            self.linear.rows,
            low,
            high,
            *self.region.steps(self.x),
            hessian=None if self.hessian is None else self.hessian.over(self.weight),
            guess=self.guess,
        )

    def _try(self, solution: QuadraticSolution, predicted: float) -> bool:
        """Correct the step until f lies in the band; whether it was worth taking."""
        before = np.inf
        for _ in range(MAX_CORRECTIONS + 1):
            step = solution.x
            x = self.region.moved(self.x, step)
            value = self.smooth.value(x)
            violation = self.band.violation(value)
            if self.band.holds(value):
                return self._accept(x, value, solution, predicted)
            if not violation < 0.5 * before:
                return False
            before = violation
            moved = self.jacobian @ self._taken(x)
            self.guess = solution.active
            solution = self._program(value - self.value - moved)
            if solution.outcome is Outcome.INFEASIBLE:
                return False
        return False

    def _try_afresh(self, solution: QuadraticSolution, predicted: float) -> bool:
        """Correct the step with Jacobians taken on the way: across kinks of f."""
        x = self.region.moved(self.x, solution.x)
        inner = self.band.narrowed(INWARDS)
        found = project(self.smooth, inner, self.region, x, self.should_stop)
        if not self.band.holds(found.value):
            return False
        return self._accept(found.x, found.value, solution, predicted)

    def _taken(self, x: Float64) -> Float64:
        return (x - self.x) / self.region.scale

    def _accept(
        self, x: Float64, value: Float64, solution: QuadraticSolution, predicted: float
    ) -> bool:
        gained = 0.5 * (
            self.region.squared_distance(self.x) - self.region.squared_distance(x)
        )
        if not gained > SUFFICIENT * predicted:
            return False
        multipliers = self.linear.multipliers(solution.multipliers)
        self.multipliers = self.weight * multipliers
        if gained > GOOD * predicted:
            self.weight = max(1.0, self.weight / SHORTER)
        self.guess = solution.active
        self.x, self.value = x, value
        return True
