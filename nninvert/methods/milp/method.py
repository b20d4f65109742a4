"""milp: networks of straight pieces, to the optimum, by mixed-integer programming."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.context import Context, Progress
from nninvert.methods._base import Attempt, Method
from nninvert.methods.ledger import judge
from nninvert.methods.lsq import LeastSquares
from nninvert.methods.milp.ball import Norm
from nninvert.methods.milp.chain import chain_of, obstacle
from nninvert.methods.milp.nearest import Clock, nearest, reason
from nninvert.methods.milp.row import Row
from nninvert.methods.problem import Problem

Float64 = NDArray[np.float64]

UNSETTLED = (
    "an x was found that meets the tolerance or misses it, depending on the order in "
    "which the sums of the network are rounded; a wider --within would settle it"
)


@dataclass(frozen=True)
class MixedInteger(Method):
    """The nearest input of all, not of one valley, for networks of straight pieces.

    Attributes
    ----------
    norm : "1" or "max", default "1"
        In which "nearest" is measured, in units of the inputs (`Problem.unit`).
    seconds : float, default inf
        For all rows together, whatever the time limit is.
    """

    name = "milp"
    summary = (
        "networks of straight pieces (relu, ...): the x nearest to --near in the 1-norm "
        "among all, whole numbers and inequalities included; or that there is none"
    )
    searches = True

    norm: Norm = "1"
    seconds: float = np.inf

    def obstacle(self, problem: Problem) -> str:
        """Name the layer that is not made of straight pieces, or is too wide."""
        return obstacle(problem.network)

    def attempt(self, problem: Problem, start: Float64 | None) -> Attempt:
        """Row by row, from `start`, or without one from what least squares finds.

        Where no answer is found, x is where it began. Rows that are proved to be out of
        reach are left as they are.
        """
        context, rows = problem.context, problem.rows
        chain = chain_of(problem.network)
        scale = problem.unit
        x = _first(problem, start)
        known = problem.unreachable
        end = context.elapsed + self.seconds
        stopped = np.zeros(rows, dtype=np.bool_)
        answered = np.zeros(rows, dtype=np.bool_)
        told = [""] * rows
        for k in range(rows):
            if known is not None and known[k]:
                continue
            row = Row.of_problem(problem, k, chain, scale, self.norm)
            given = [] if start is None else [start[k]]
            found = nearest(row, [*given, x[k]], _clock(context, end, rows - k))
            if found.x is not None:
                x[k], answered[k] = found.x, True
            stopped[k] = bool(found.cut_short)
            told[k] = reason(found, row.ball)
            context.emit(Progress("mixed-integer program", k + 1, rows))
        # Sums of all rows at once are rounded in another order than those of one.
        for unsettled in np.flatnonzero(answered & ~judge(problem, x).solved):
            told[unsettled] = UNSETTLED
        return Attempt(x, stopped, tuple(told))


def _first(problem: Problem, start: Float64 | None) -> Float64:
    """Where each row begins: what was found before, or what least squares finds."""
    if start is None and not LeastSquares().obstacle(problem):
        return LeastSquares().attempt(problem, None).x
    near = problem.domain.clip(problem.near)
    if start is None:
        return near
    return np.where(np.isfinite(start).all(axis=1, keepdims=True), start, near)


def _clock(context: Context, end: float, rows_left: int) -> Clock:
    """An equal share of the time that is left."""
    last = end if context.time_limit is None else min(end, context.time_limit)
    if not np.isfinite(last):
        return Clock(lambda: np.inf, context.should_stop)
    end = context.elapsed + (last - context.elapsed) / rows_left

    def left() -> float:
        return end - context.elapsed

    return Clock(left, lambda: context.should_stop() or left() <= 0.0)
