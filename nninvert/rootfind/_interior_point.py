"""Mehrotra's predictor-corrector steps for a reduced quadratic program."""

from __future__ import annotations

from enum import Enum

import numpy as np

from nninvert.rootfind._program import Float64, Program, Sides
from nninvert.rootfind._saddle import Dependent, SaddleSystem

MAX_STEPS = 100
"""Ten to thirty are usual, whatever the size."""

ACCURACY = 1e-10
"""Residuals and complementarity, relative to the sizes in the program, at which the steps
end."""

TO_THE_EDGE = 0.995
"""Part of the way to the nearest edge that a step may go."""

SHORT = 1e-10
"""A step shorter than this part of the Newton step gets nowhere any more."""

CERTIFIED = 1e-8
"""Relative margin of a certificate of infeasibility: well above its rounding, and well
below any gap that matters."""

FAR = 1e9
"""What stands for an open side in a certificate, in units of the largest number."""


class Outcome(Enum):
    """How a quadratic program ended."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    STALLED = "stalled"


class InteriorPoint:
    """The state of one search.

    Attributes
    ----------
    x, y : float64 arrays, shapes (k,) and (r,)
        Variables and multipliers of the rows.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        k = program.variables
        self.size = program.low.size
        both = np.concatenate([np.zeros(k, dtype=np.bool_), program.equation])
        lower = np.flatnonzero(np.isfinite(program.low) & ~both)
        upper = np.flatnonzero(np.isfinite(program.high) & ~both)
        self.place = np.concatenate([lower, upper])
        self.sign = np.concatenate([np.ones(lower.size), -np.ones(upper.size)])
        self.edge = np.concatenate([program.low[lower], program.high[upper]])
        self._begin()

    def _begin(self) -> None:
        """Start well centred: every slack times its multiplier is the same number."""
        program, k = self.program, self.program.variables
        wish = self._unconstrained()
        self.x = np.clip(wish, program.low[:k], program.high[:k])
        value = program.values(self.x)
        near = np.clip(value, program.low, program.high)
        self.value = np.where(
            np.concatenate([np.zeros(k, dtype=np.bool_), program.equation]),
            program.low,
            near,
        )
        self.y = np.zeros(self.size - k)
        misfit = np.abs(value - near).max(initial=0.0)
        unit = max(float(misfit), float(np.abs(wish - self.x).max(initial=0.0)))
        # In a small box x moves no farther than its width, whatever is wished for.
        unit = min(unit, float((program.high - program.low)[:k].max(initial=0.0)))
        # Without a conflict the start is the solution, and any unit will do.
        self.unit = unit if unit > 0.0 else 1.0
        # Multipliers are of the size of the slope that they have to hold.
        self.pull = max(self._stiffness() * self.unit, _largest(program.slope(self.x)))
        self.slack = np.maximum(self.sign * (self.value[self.place] - self.edge), self.unit)
        self.force = self.pull * self.unit / self.slack

    def _unconstrained(self) -> Float64:
        program = self.program
        if program.hessian is None:
            return -program.gradient
        system = SaddleSystem(
            program.hessian,
            np.zeros(program.variables),
            program.rows[:0],
            np.zeros(0),
        )
        return system.solve(-program.gradient, np.zeros(0))[0]

    def _stiffness(self) -> float:
        """Size of the Hessian: turns lengths into multipliers."""
        if self.program.hessian is None:
            return 1.0
        return self.program.hessian.mean

    def iterate(self) -> tuple[Outcome, int]:
        """Take steps until the stop rule holds, a certificate is found or none helps."""
        for step in range(MAX_STEPS):
            self._residuals()
            if self._is_solved():
                return Outcome.OPTIMAL, step
            if self._is_impossible():
                return Outcome.INFEASIBLE, step
            try:
                length = self._advance()
            except Dependent:
                return Outcome.STALLED, step
            if length < SHORT:
                return Outcome.STALLED, step + 1
        return Outcome.STALLED, MAX_STEPS

    def sides(self) -> Sides:
        """The active set that the point suggests."""
        # In a narrow row both sides push; the one that holds pushes far more.
        score = self.force / self.slack
        below, above = np.zeros(self.size), np.zeros(self.size)
        lower = self.sign > 0.0
        below[self.place[lower]] = score[lower]
        above[self.place[~lower]] = score[~lower]
        side = np.where(below > above, -1, 1)
        active = np.maximum(below, above) > self.pull / self.unit
        found = np.where(active, side, 0).astype(np.int8)
        k = self.program.variables
        equation = self.program.equation
        found[k:][equation] = np.where(self.y[equation] < 0.0, 1, -1)
        return found

    def _scatter(self, weights: Float64) -> Float64:
        return np.bincount(self.place, weights, self.size).astype(np.float64, copy=False)

    def _residuals(self) -> None:
        program, k = self.program, self.program.variables
        push = self._scatter(self.sign * self.force)
        row_force = np.where(program.equation, 0.0, self.y - push[k:])
        self.rest_x = program.slope(self.x) - program.rows.T @ self.y - push[:k]
        self.rest_z = row_force
        self.value[:k] = self.x
        self.rest_row = program.rows @ self.x - self.value[k:]
        self.rest_slack = self.sign * (self.value[self.place] - self.edge) - self.slack

    def _is_solved(self) -> bool:
        program = self.program
        length = max(self.unit, float(np.abs(self.x).max(initial=0.0)))
        pull = max(self.pull, _largest(program.slope(self.x)))
        primal = max(_largest(self.rest_row), _largest(self.rest_slack))
        dual = max(_largest(self.rest_x), _largest(self.rest_z))
        gap = _largest(self.slack * self.force)
        return (
            primal <= ACCURACY * length
            and dual <= ACCURACY * pull
            and gap <= ACCURACY * length * pull
        )

    def _is_impossible(self) -> bool:
        """Farkas' lemma for y: y^T (z - A x) > 0 wherever the bounds hold."""
        program = self.program
        size = _largest(self.y)
        if size <= 1e3 * self.pull:
            return False
        direction = np.concatenate([program.rows.T @ (-self.y / size), self.y / size])
        finite = np.concatenate([program.low, program.high])
        far = FAR * max(_largest(finite[np.isfinite(finite)]), self.unit)
        low = np.maximum(program.low, -far)
        high = np.minimum(program.high, far)
        terms = np.where(direction > 0.0, direction * low, direction * high)
        return float(terms.sum()) > CERTIFIED * float(np.abs(terms).sum())

    def _advance(self) -> float:
        """One predictor and corrector; the length of the step, 1 for all of it."""
        k = self.program.variables
        ratio = self.force / self.slack
        weight = self._scatter(ratio)
        equation = self.program.equation
        stiff = np.where(equation, 1.0, weight[k:])
        self._compliance = np.where(equation, 0.0, 1.0 / stiff)
        system = SaddleSystem(
            self.program.hessian, weight[:k], self.program.rows, self._compliance
        )
        product = self.slack * self.force
        if self.place.size == 0:
            self._move(self._direction(system, ratio, -product), 1.0)
            return 1.0
        affine = self._direction(system, ratio, -product)
        length = self._reach(affine)
        mean = float(product.mean())
        ahead = (self.slack + length * affine[3]) @ (self.force + length * affine[4])
        centring = (float(ahead) / product.size / mean) ** 3
        aim = centring * mean - product - affine[3] * affine[4]
        step = self._direction(system, ratio, aim)
        length = min(1.0, self._reach(step) * TO_THE_EDGE)
        self._move(step, length)
        return length

    def _direction(
        self, system: SaddleSystem, ratio: Float64, aim: Float64
    ) -> tuple[Float64, Float64, Float64, Float64, Float64]:
        """Newton's step towards slack times force = product + aim."""
        program, k = self.program, self.program.variables
        pull = self._scatter(self.sign * (aim / self.slack - ratio * self.rest_slack))
        right_z = np.where(program.equation, 0.0, pull[k:] - self.rest_z)
        dx, dy = system.solve(
            pull[:k] - self.rest_x, self._compliance * right_z - self.rest_row
        )
        dz = self._compliance * (right_z - dy)
        moved = np.concatenate([dx, dz])[self.place]
        dslack = self.sign * moved + self.rest_slack
        dforce = aim / self.slack - ratio * dslack
        return dx, dy, dz, dslack, dforce

    def _reach(
        self,
        step: tuple[Float64, Float64, Float64, Float64, Float64],
    ) -> float:
        """How much of the step, 1 for all, keeps slacks and forces from being negative."""
        shrink = max(
            float((-step[3] / self.slack).max(initial=0.0)),
            float((-step[4] / self.force).max(initial=0.0)),
        )
        return 1.0 if shrink <= 1.0 else 1.0 / shrink

    def _move(
        self,
        step: tuple[Float64, Float64, Float64, Float64, Float64],
        length: float,
    ) -> None:
        k = self.program.variables
        self.x = self.x + length * step[0]
        self.y = self.y + length * step[1]
        self.value[k:] += length * step[2]
        self.slack = self.slack + length * step[3]
        self.force = self.force + length * step[4]


def _largest(values: Float64) -> float:
    return float(np.abs(values).max(initial=0.0))
