"""Row by row, of all x that meet the target, the nearest to `near`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, count
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nninvert.context import Progress
from nninvert.methods._base import Attempt
from nninvert.methods.pieces import Pattern, Pieces
from nninvert.methods.problem import Problem
from nninvert.rootfind.least_change import (
    Around,
    Band,
    Inequalities,
    LeastChange,
    Region,
    SmoothMap,
    Walls,
    least_change,
    least_misfit,
)

Float64 = NDArray[np.float64]

MOST_ORDER = 2000
"""Largest order of the systems that are factored at every step, which is seconds there."""

JACOBIANS = 8
"""How many arrays of the Jacobian's size exist at a time."""

SPARE_STARTS = 4
"""Random starts where neither `near` nor earlier methods led to the target."""

DIFFERENCE = 1e-5
"""Step of the central differences of gradients, relative to an input's size: truncation
then leaves ten digits, rounding eleven."""

NEAREST_STEPS = 60
"""Steps for a target that is out of reach: more lower the last digits of a residual that
stays, and drive x away to do so."""

KINK = 0.01
"""Differences to both sides that differ by more than this part of themselves come from a
kink, where there is no curvature."""

ON_A_KNOT = 1e-11
"""What enters a unit lies on a knot if it is no farther from it than this part of the
largest of its layer."""

MOST_KNOTS = 6
"""Units on knots up to which all the cells that meet are told, 64 at most; with more,
those that differ in one unit."""


def obstacle(problem: Problem) -> str:
    """Say why `nearest_rows` cannot be used on this problem; "" where it can."""
    n_in, n_out = problem.network.n_in, problem.network.n_out
    rows = n_out + len(problem.domain.constraints)
    order = min(n_in, rows)
    if order > MOST_ORDER:
        return (
            f"{n_in:,} inputs and {rows:,} outputs and constraints: systems of order "
            f"{order:,} at every step, above the {MOST_ORDER:,} that are supported so far"
        )
    needed = JACOBIANS * 8 * rows * (n_in + rows)
    if needed > problem.context.memory:
        return (
            f"a Jacobian of {rows:,} by {n_in:,} numbers, for which {needed / 1e9:.1f} GB "
            "are needed"
        )
    return ""


def nearest_rows(
    problem: Problem, starts: Float64 | None = None, *, most_steps: float = np.inf
) -> Attempt:
    """Search row by row, from `near`, from each start, then at random.

    Where a tolerance was asked for, it is used up to its edge to stay near; else the
    targets themselves are aimed at. Either way, of the x that were within reach the one
    nearest to `near` is given, distances being measured in the units of `Problem.unit`.

    Parameters
    ----------
    problem : Problem
        Bounds and inequalities are kept; whole numbers are not looked for.
    starts : float64 array, shape (k, rows, n_in), default None
        Where to begin beside `near`. Rows that are not finite are left out. In a row of
        the result that was not begun when time was up, the first finite one stands.
    most_steps : float, default inf
        Of each row; one that takes more is stopped.

    Returns
    -------
    Attempt
        `reason` says of a row that is good enough whether it is the nearest around, and
        of others how far they are off.
    """
    context, rows = problem.context, problem.rows
    given = np.zeros((0, *problem.near.shape)) if starts is None else starts
    x = problem.begin.copy()
    for start in given[::-1]:
        usable = np.isfinite(start).all(axis=1, keepdims=True)
        x = np.where(usable, problem.domain.clip(start), x)
    stopped = np.zeros(rows, dtype=np.bool_)
    reason = [""] * rows
    asked = _Question(problem)
    for row in range(rows):
        if context.should_stop():
            stopped[row:] = True
            break
        usable = np.isfinite(given[:, row]).all(axis=1)
        found = _RowSearch(asked, row, most_steps).run(list(given[usable, row]))
        x[row] = found.x if np.isfinite(found.value).all() else np.nan
        stopped[row] = found.stopped
        reason[row] = _reason(problem, row, found)
        context.emit(Progress("least change", row + 1, rows))
    return Attempt(x, stopped, tuple(reason))


def _reason(problem: Problem, row: int, found: LeastChange) -> str:
    if found.feasible:
        return "" if found.stationary else "a nearer x may exist: no step was found"
    wanted = problem.targets.wanted[row]
    error = np.abs(found.value - problem.targets.values[row, wanted]).max()
    if not np.isfinite(error):
        return "f(x) is not finite at any start"
    return f"best local least-squares point; |f(x) - y| = {error:.3g}; no proof"


class _Question:
    """What all rows have in common: units, inequalities, the pieces of the network."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.scale = problem.unit
        self.pieces = Pieces(problem.network)
        self.straight = self.pieces.straight
        constraints = problem.domain.constraints
        self.inequalities: Inequalities | None = None
        if len(constraints):
            self.inequalities = Inequalities(*constraints.between_sides())


class _RowSearch:
    """One row: its wanted outputs as a function of x, its tolerances, its starts."""

    def __init__(self, asked: _Question, row: int, most_steps: float = np.inf) -> None:
        problem = asked.problem
        self.steps, self.most_steps = count(), most_steps
        self.problem, self.row, self.scale = problem, row, asked.scale
        self.network, self.straight = problem.network, asked.straight
        self.wanted = problem.targets.wanted[row]
        self.target = problem.targets.values[row, self.wanted]
        self.part = problem.take(np.array([row]))
        domain = problem.domain
        self.region = Region(
            problem.near[row], domain.lower, domain.upper, asked.scale, asked.inequalities
        )
        cells = _Cells(self, asked.pieces) if asked.pieces.units else None
        bend = None if asked.straight else self.bend
        self.smooth = SmoothMap(self.value, self.jacobian, bend, cells)

    def should_stop(self) -> bool:
        """Asked before each step."""
        return next(self.steps) >= self.most_steps or self.problem.context.should_stop()

    def run(self, starts: list[Float64]) -> LeastChange:
        """The search, once more where the tolerance at its end admits what it found."""
        near = self.region.inside(self.region.near)
        unreachable = self.problem.unreachable
        with np.errstate(all="ignore"):
            if unreachable is not None and unreachable[self.row]:
                return self._nearest_output(near)
            if self.problem.within is not None:
                return self._search(near, starts)
            for x in starts:
                settled = self._settled(x)
                if settled is not None:
                    return settled
            found = self._search(near, starts)
            if found.feasible or found.stopped or not np.isfinite(found.x).all():
                return found
            return self._settled(found.x) or found

    def _settled(self, x: Float64) -> LeastChange | None:
        """The search from a point that meets the default tolerances at itself, if it does.

        They grow with the terms that are added at x, so that those at `near` may refuse
        what is as good as can be had.
        """
        inside = self.problem.domain.continuous().contain(x[None])[0]
        if not inside or not self._band(x).contains(self.value(x)):
            return None
        return self._search(x, [x])

    def _nearest_output(self, near: Float64) -> LeastChange:
        """For a target that is proved to be out of reach: a short search from `near`."""
        steps = count()

        def enough() -> bool:
            return next(steps) > NEAREST_STEPS or self.should_stop()

        return least_misfit(
            self.smooth, self._band(near), self.region, near, should_stop=enough
        )

    def _search(self, x: Float64, starts: list[Float64]) -> LeastChange:
        return least_change(
            self.smooth,
            self._band(x),
            self.region,
            starts=starts,
            spare=self._spare(),
            should_stop=self.should_stop,
        )

    def _band(self, x: Float64) -> Band:
        """The tolerances, the default ones from the terms at x."""
        terms = self.network.forward_with_terms(x[None])[1]
        tolerance = self.part.tolerance(terms)[0, self.wanted]
        if self.problem.within is None:
            return Band.exact(self.target, tolerance)
        return Band.wide(self.target, tolerance, terms[0, self.wanted])

    def _spare(self) -> list[Float64]:
        """Random points inside the bounds, or around `near` where they are open."""
        random = np.random.default_rng([self.problem.context.seed, self.row])
        low, high = self.region.lower, self.region.upper
        shape = (SPARE_STARTS, low.size)
        around = self.region.near + self.scale * random.standard_normal(shape)
        closed = np.isfinite(low) & np.isfinite(high)
        width = np.where(closed, high - low, 0.0)
        inside = np.where(closed, low, 0.0) + width * random.random(shape)
        return list(np.where(closed, inside, around))

    def value(self, x: Float64) -> Float64:
        """The wanted outputs, shape (m,)."""
        return np.asarray(self.network.forward(x[None])[0, self.wanted])

    def jacobian(self, x: Float64) -> Float64:
        """Of the wanted outputs, shape (m, n); a slope that is not finite leads nowhere."""
        matrix = self.network.linearize(x[None]).dense()[0, self.wanted]
        return np.asarray(np.nan_to_num(matrix, nan=0.0, posinf=0.0, neginf=0.0))

    def bend(self, x: Float64, weights: Float64, directions: Float64) -> Float64:
        """Hessian of the weighted sum of outputs times directions."""
        every = np.zeros(self.wanted.size)
        every[self.wanted] = weights
        return _bent(self.network.linearize, x, every, directions, self.scale)


class _Products(Protocol):
    def vjp(self, dy: Float64) -> Float64: ...


def _bent(
    linearize: Callable[[Float64], _Products],
    x: Float64,
    weights: Float64,
    directions: Float64,
    scale: Float64,
) -> Float64:
    """Hessian of weights^T f times directions (k, n), by central differences of gradients.

    NaN for directions in which the two sides differ, because a kink lies between.
    """
    k = directions.shape[0]
    length = np.maximum(np.linalg.norm(directions / scale, axis=1), np.finfo(float).tiny)
    unit = directions / length[:, None]
    # As far as an input is large, or a unit of it.
    size = np.maximum(np.linalg.norm(unit * x / scale**2, axis=1), 1.0)
    step = (DIFFERENCE * size)[:, None]
    points = np.concatenate([x[None], x + step * unit, x - step * unit])
    slopes = linearize(points).vjp(np.tile(weights, (2 * k + 1, 1)))
    ahead = (slopes[1 : k + 1] - slopes[0]) / step
    behind = (slopes[0] - slopes[k + 1 :]) / step
    strongest = np.maximum(np.abs(ahead), np.abs(behind)).max(axis=1)
    smooth = np.abs(ahead - behind).max(axis=1) <= KINK * strongest
    found = 0.5 * (ahead + behind) * length[:, None]
    return np.asarray(np.where(smooth[:, None], found, np.nan))


class _Cells:
    """The pieces of the network, with the outputs that this row wants."""

    def __init__(self, search: _RowSearch, pieces: Pieces) -> None:
        self.search, self.pieces = search, pieces
        self.shown = np.concatenate([search.wanted, np.ones(pieces.units, dtype=np.bool_)])

    def around(self, x: Float64) -> Around:
        """The cells that meet at x: all combinations of the units that lie on a knot."""
        pieces = self.pieces
        entering = pieces.entering(x)
        reach = ON_A_KNOT * pieces.sizes(entering)
        first = pieces.pattern(entering)
        left, right = pieces.pattern(entering - reach), pieces.pattern(entering + reach)
        units = np.flatnonzero(left != right)
        other = np.where(first == left, right, left)
        complete = units.size <= MOST_KNOTS
        most = units.size if complete else 1
        flips = [list(c) for r in range(most + 1) for c in combinations(units, r)]
        patterns = []
        for flipped in flips:
            pattern = first.copy()
            pattern[flipped] = other[flipped]
            patterns.append(pattern)
        return Around(tuple(patterns), complete)

    def piece(self, pattern: Pattern, x: Float64) -> tuple[SmoothMap, Walls]:
        """The wanted outputs on a cell and what enters the units, with their knots."""
        search, pieces = self.search, self.pieces
        entering = pieces.entering(x)
        size = pieces.sizes(entering)
        low, high = pieces.edges(pattern)
        slack = 2.0 * ON_A_KNOT * size

        def linearize(points: Float64) -> _Products:
            return pieces.linearize(points, pattern)

        def value(x: Float64) -> Float64:
            return np.asarray(pieces.linearize(x[None], pattern).y[0, self.shown])

        def jacobian(x: Float64) -> Float64:
            matrix = pieces.linearize(x[None], pattern).dense()[self.shown]
            return np.asarray(np.nan_to_num(matrix, nan=0.0, posinf=0.0, neginf=0.0))

        def bend(x: Float64, weights: Float64, directions: Float64) -> Float64:
            every = np.zeros(self.shown.size)
            every[self.shown] = weights
            return _bent(linearize, x, every, directions, search.scale)

        walls = Walls(low, high, low - slack, high + slack, size)
        return SmoothMap(value, jacobian, None if search.straight else bend), walls
