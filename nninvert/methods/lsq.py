"""Least squares on the whole network, with exact Jacobians, inside the domain."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from nninvert.methods import nearest
from nninvert.methods._base import Attempt, Method
from nninvert.methods.branches import branch_starts
from nninvert.methods.problem import Problem
from nninvert.methods.search import SECONDS_PER_ROW, Ends, Found, search, solutions
from nninvert.methods.smoothing import has_kinks

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

VECTORS = 64
"""How many arrays of a row's inputs and outputs exist at a time where the Jacobian is used
by its products only."""

WAYS = 8
"""Ways back on different branches that are searched from where plain starts fail."""

WALK_STEPS = 3000
"""Of a walk along kinks: those that succeed took 500 to 2,500 on deep leaky networks."""


class LeastSquares(Method):
    """All layers at once: any x that meets the target, or of all of them the nearest."""

    name = "lsq"
    summary = "whole-network least squares: bounds, tolerances, the x nearest to --near"
    searches = True

    def obstacle(self, problem: Problem) -> str:
        """Say what makes the search impossible: memory, or the size of `nearest`."""
        if _wants_nearest(problem):
            return nearest.obstacle(problem)
        needed = 8 * VECTORS * (problem.network.n_in + problem.network.n_out)
        if needed > problem.context.memory:
            return f"{needed / 1e9:.1f} GB of memory, which a search of one row needs"
        return ""

    def attempt(self, problem: Problem, start: Float64 | None) -> Attempt:
        """Search from `start` where finite, from `near`, then at random.

        Where a tolerance, `near` or inequalities were given, of all x that do the nearest
        is looked for row by row (`nearest_rows`), once more from a point that the search
        found in rows where no x was good enough; where time is up before, any x that meets
        the target stands. Else rows are searched for together (`search`).
        """
        if not _wants_nearest(problem):
            return _walked(problem, _as_attempt(problem, _searched(problem, start)))
        given = None if start is None else start[None]
        if len(problem.domain.constraints):
            return nearest.nearest_rows(problem, given)
        # Little beside the search for the nearest: it stands where time does not suffice.
        plain = solutions(problem, problem.begin[None])
        found = nearest.nearest_rows(problem, given)
        if problem.context.should_stop():
            return _filled(problem, found, plain)
        left = _left(problem, found)
        return _improved(problem, found, left) if left.size else found


def _wants_nearest(problem: Problem) -> bool:
    asked = problem.within is not None or problem.near_is_given
    return asked or bool(len(problem.domain.constraints))


def _searched(problem: Problem, start: Float64 | None) -> Found:
    if start is None or not np.isfinite(start).all(axis=1).any():
        return search(problem, [problem.begin], _ways_back)
    return search(problem, [start, problem.begin], _ways_back)


def _ways_back(problem: Problem) -> Float64:
    """Starts on several branches of the activations."""
    return branch_starts(problem, WAYS)


def _walked(problem: Problem, found: Attempt) -> Attempt:
    """The same with rows replaced that a walk along kinks brought to their targets.

    Where steps that follow slopes jam at a kink, the network may still come closer along
    it or in another of the cells that meet there: see `nearest_rows`. It takes about a
    second a row, and together no more than the search itself may.
    """
    if not has_kinks(problem.network) or nearest.obstacle(problem):
        return found
    left = _left(problem, found)
    last = time.monotonic() + SECONDS_PER_ROW * left.size
    x, stopped, reason = found.x.copy(), found.stopped.copy(), list(found.reason)
    for row in left[np.isfinite(found.x[left]).all(axis=1)]:
        if problem.context.should_stop() or time.monotonic() > last:
            break
        part = problem.take(np.array([row]))
        begin = found.x[row][None, None]
        again = nearest.nearest_rows(part, begin, most_steps=WALK_STEPS)
        if _meets(part, again.x)[0]:
            x[row], stopped[row], reason[row] = again.x[0], False, ""
    return Attempt(x, stopped, tuple(reason))


def _as_attempt(problem: Problem, found: Found) -> Attempt:
    x = np.where(np.isfinite(found.error)[:, None], found.x, np.nan)
    return Attempt(
        x, found.stopped, tuple(_reason(found, row) for row in range(problem.rows))
    )


def _reason(found: Found, row: int) -> str:
    if found.solved[row]:
        return ""
    tried = f"best of {found.starts[row]:,} starts"
    if not np.isfinite(found.error[row]):
        return f"f(x) is not finite at any of {found.starts[row]:,} starts"
    return (
        f"best local least-squares point; |f(x) - y| = {found.error[row]:.3g}; {tried}; "
        "no proof"
    )


def _left(problem: Problem, found: Attempt) -> NDArray[np.int64]:
    """Rows without an x that is good enough, of which it is not known that none exists.

    A limit of steps may have stopped them; there are none once time is up.
    """
    if problem.context.should_stop():
        return np.zeros(0, dtype=np.int64)
    missed = ~_meets(problem, found.x)
    if problem.unreachable is not None:
        missed &= ~problem.unreachable
    return np.flatnonzero(missed)


def _meets(problem: Problem, x: Float64) -> Mask:
    """Which rows of x meet the tolerances."""
    fitted, terms = problem.evaluated(problem.domain.clip(np.nan_to_num(x)))
    off = np.where(problem.targets.wanted, np.abs(fitted - problem.targets.values), 0.0)
    return np.asarray((off <= problem.tolerance(terms)).all(axis=1))


def _filled(problem: Problem, found: Attempt, plain: Ends) -> Attempt:
    """The same with rows replaced that time ended short of their targets."""
    rows = np.flatnonzero(found.stopped & ~_meets(problem, found.x) & plain.solved[0])
    if not rows.size:
        return found
    x, reason = found.x.copy(), list(found.reason)
    x[rows] = plain.x[0, rows]
    for row in rows:
        reason[row] = "a nearer x may exist: time was up"
    return Attempt(x, found.stopped, tuple(reason))


def _improved(problem: Problem, found: Attempt, left: NDArray[np.int64]) -> Attempt:
    """The same with rows replaced in which the search reached what was asked for."""
    part = problem.take(left)
    start = problem.domain.clip(np.nan_to_num(found.x[left]))
    reached = search(part, [start], _ways_back)
    solved = np.flatnonzero(reached.solved)
    if not solved.size:
        return found
    again = nearest.nearest_rows(part.take(solved), reached.x[solved][None])
    rows = left[solved]
    x, stopped, reason = found.x.copy(), found.stopped.copy(), list(found.reason)
    x[rows], stopped[rows] = again.x, again.stopped
    for place, row in enumerate(rows):
        reason[row] = again.reason[place]
    return Attempt(x, stopped, tuple(reason))
