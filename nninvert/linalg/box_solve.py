"""Of all x with A x = z, one inside a box, near its centre: for layers that are wide.

The values that a wide layer gets come from an activation, whose range is a box, often an
open one. The solution of minimum norm may lie outside of it where others lie inside.

The problem is solved in its dual form. For a monotone function h(s) of each unit onto its
interval, with h(0) its centre, the x = h(A^T w) that meets A x = z minimises a convex
function of x over the box: with h(s) = clip(centre + s) it is the point nearest to the
centre, with a smooth h it grows without bound towards the ends, so that x keeps off them
(D. P. Bertsekas, Nonlinear Programming, 2nd ed., 1999, section 5.1: duals of separable
problems). The equations A h(A^T w) = z in w have a symmetric semidefinite Jacobian
A D A^T and are the gradient of a concave function; they are solved by Newton's method
(semismooth where h has kinks), its steps by conjugate gradients. One factorisation of A
serves them all: A^+T A^+ is the inverse of A A^T on the range of A, to which A D A^T
is close as long as few units sit at their ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.linalg.box import Box, Units
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.map import LinearMap
from nninvert.linalg.norms import row_norms

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

NEWTON_STEPS = 60
"""Most steps; a dozen suffice where the box is met, and a certificate ends the others."""

PATIENCE = 20
"""A row is given up after so many steps that did not halve its error: nearly all of those
have no solution in the box."""

CG_STEPS = 100
"""Most products for one step, which need not be exact."""

SHORTENINGS = 12
"""Most trials of one step's length."""

PROJECTIONS = 100
"""Most steps towards the nearest point of a box that has no solution."""

APPROACH = 1e-4
"""They end when x moves by less than this part of its distance from the solutions."""

CLEARLY = 1e-12
"""Relative to the terms of w^T z: a separation that is no rounding."""


@dataclass(frozen=True)
class BoxSolution:
    """What was found for each row.

    Attributes
    ----------
    x : float64 array, shape (rows, n)
        In the box, up to the slack at closed ends.
    met : bool array, shape (rows,)
        Whether A x = z to rounding. Else x is the nearest point found, which proves
        nothing.
    multiplier : float64 array, shape (rows, m)
        w; where the box misses the solutions, the direction in which they are told apart:
        see `separated`.
    """

    x: Float64
    met: Mask
    multiplier: Float64


def solve_in_box(
    linear_map: LinearMap,
    factor: Factorisation,
    target: Float64,
    box: Box,
    slack: Float64,
    should_stop: Callable[[], bool],
) -> BoxSolution:
    """Solve A x = z inside a box, each row by itself.

    Where A x = z has no solution at all, z is first replaced by the nearest value that
    has.

    Parameters
    ----------
    linear_map : LinearMap
        A, shape (m, n).
    factor : Factorisation
        Of A.
    target : float64 array, shape (rows, m)
    box : Box
    slack : float64 array, shape (rows, n)
        By how much x may leave closed ends: the rounding of solves.
    should_stop : callable
        Asked at every step; the rows that are not done then count as not met.
    """
    rows, (m, n) = len(target), linear_map.shape
    if not factor.onto:
        target = linear_map.apply(factor.solve(target))
    system = _System(linear_map, factor, target, Units.keeping_off(box, rows), slack)
    solution = BoxSolution(
        np.empty((rows, n)), np.zeros(rows, np.bool_), np.zeros((rows, m))
    )
    # Multipliers of rows without a solution grow without bound, until their squares have no
    # place in float64: such rows count as not met.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        _newton(system, solution, np.arange(rows), should_stop)
    missed = np.flatnonzero(~solution.met)
    if missed.size:
        solution.x[missed] = _nearest(system.take(missed), should_stop)
    return solution


def separated(
    linear_map: LinearMap,
    multiplier: Float64,
    target: Float64,
    radius: Float64,
    box: Box,
) -> Mask:
    """Rows in which w proves that no x of the box has A x within the radius of z.

    The proof is ``w^T z - |w|^T radius > max over the box of w^T A x`` (Farkas, J. reine
    angew. Math. 124, 1902): the right side is a sum over units. Rounding is covered: both
    sums and the products with A are off by at most (m + n) eps times the sizes of their
    terms (Higham, Accuracy and Stability, 2nd ed., section 3.1), here taken four times.

    Parameters
    ----------
    linear_map : LinearMap
    multiplier : float64 array, shape (rows, m)
        Any numbers: those of `BoxSolution` are good ones.
    target, radius : float64 arrays, shape (rows, m)
        The radius has the rounding of A x for all x of the box in it.
    box : Box
        Its units without an end in the direction of A^T w allow no proof.
    """
    largest = np.abs(multiplier).max(axis=1, keepdims=True, initial=0.0)
    usable = np.isfinite(largest) & (largest > 0.0)
    w = np.where(usable, multiplier / np.where(usable, largest, 1.0), 0.0)
    size, along = box.size, linear_map.adjoint(w)
    unit = 4.0 * sum(linear_map.shape) * tolerances.EPS64
    with np.errstate(over="ignore", invalid="ignore"):
        ends = np.where(along > 0.0, box.upper, box.lower)
        most = np.where(along == 0.0, 0.0, along * ends).sum(axis=1)
        terms = np.abs(w) * (linear_map.magnitude(size) + np.abs(target) + radius)
        rounding = unit * terms.sum(axis=1) + 16.0 * tolerances.EPS64 * np.abs(along) @ size
        gap = (w * target).sum(axis=1) - (np.abs(w) * radius).sum(axis=1) - most
    # Of a unit with one end at most, the sign of (A^T w)_i counts, whatever x_i is. It is
    # certain if it exceeds the rounding of |A^T| |w|, for which row sums of |A| stand.
    bounded = np.isfinite(box.lower) & np.isfinite(box.upper)
    row_sums = linear_map.magnitude(np.ones(linear_map.shape[1]))
    doubt = unit * (np.abs(w) @ row_sums)
    certain = (bounded | (np.abs(along) > doubt[:, None])).all(axis=1)
    return np.asarray((gap > rounding) & certain & usable[:, 0])


@dataclass(frozen=True)
class _System:
    """A h(A^T w) = z for some rows."""

    linear_map: LinearMap
    factor: Factorisation
    target: Float64
    units: Units
    slack: Float64

    def take(self, rows: NDArray[np.generic]) -> _System:
        """Some of the rows."""
        return _System(
            self.linear_map,
            self.factor,
            self.target[rows],
            self.units.take(rows),
            self.slack[rows],
        )

    def corrected(self, x: Float64, residual: Float64) -> Float64:
        """The nearest solution of A x = z; `residual` is z - A x."""
        return x + self.factor.solve(residual)

    def step(
        self, slope: Float64, right: Float64, precision: Float64
    ) -> tuple[Float64, Float64]:
        """Solve A D A^T d = r by conjugate gradients; give d and A^T d.

        Preconditioned with A^+T A^+, so that what falls is the size of the correction of x
        that a residual stands for, whatever the units of z are.
        """
        solve, back = self.factor.solve, self.factor.solve_transposed
        step, along = np.zeros_like(right), np.zeros_like(slope)
        change = solve(right)
        better = back(change)
        left = (change**2).sum(axis=1)
        goal = precision**2 * left
        direction, residual = better, right
        for _ in range(min(CG_STEPS, right.shape[1] + 10)):
            image = self.linear_map.adjoint(direction)
            product = self.linear_map.apply(slope * image)
            curvature = (direction * product).sum(axis=1)
            usable = (left > goal) & (curvature > 0.0)
            if not usable.any():
                break
            length = _quotient(left, curvature, usable)[:, None]
            step, along = step + length * direction, along + length * image
            residual = residual - length * product
            change = solve(residual)
            better, before = back(change), left
            left = np.where(usable, (change**2).sum(axis=1), 0.0)
            direction = better + _quotient(left, before, usable)[:, None] * direction
        return step, along


def _newton(
    system: _System,
    solution: BoxSolution,
    rows: NDArray[np.int64],
    should_stop: Callable[[], bool],
) -> None:
    """Write what is found for `rows`, which are those of the system, into `solution`."""
    state = _State.start(system)
    # Of each row: the correction that it began with, the last one that was half as large
    # as one before, and the steps since.
    first = least = np.full(len(rows), np.inf)
    since = np.zeros(len(rows), dtype=np.int64)
    for _ in range(NEWTON_STEPS):
        moved = system.corrected(state.x, state.residual)
        met = system.units.holds(state.x, moved, system.slack)
        inside = system.units.settled(state.x, moved)
        solution.x[rows] = np.where(met[:, None], inside, state.x)
        solution.met[rows] = met
        solution.multiplier[rows] = state.w
        size = row_norms(moved - state.x)
        since = np.where(size <= 0.5 * least, 0, since + 1)
        least = np.where(since == 0, size, least)
        first = np.where(np.isinf(first), size, first)
        going = np.flatnonzero(~met & ~_told_apart(system, state) & (since < PATIENCE))
        if not going.size or should_stop():
            return
        rows, first, least, since = rows[going], first[going], least[going], since[going]
        system, state = system.take(going), state.take(going)
        precision = np.minimum(0.1, _quotient(least, first, first > 0.0))
        state = _advanced(system, state, precision)


def _nearest(system: _System, should_stop: Callable[[], bool]) -> Float64:
    """The points of the box that are nearest to the solutions.

    Half the squared distance from the solutions has the gradient ``x - p(x)``, p being
    the projection on them, whose slopes are at most 1: accelerated projected gradients
    with steps of 1 (A. Beck, M. Teboulle, SIAM J. Imaging Sci. 2, 2009), begun anew where
    they turn back (B. O'Donoghue, E. Candes, Found. Comput. Math. 15, 2015).
    """
    units, apply = system.units, system.linear_map.apply
    x = ahead = units.centre
    pace = np.ones((len(x), 1))
    for _ in range(PROJECTIONS):
        change = system.factor.solve(system.target - apply(ahead))
        new = units.clip(ahead + change)
        moved = new - x
        if (row_norms(new - ahead) <= APPROACH * row_norms(change)).all() or should_stop():
            return new
        back = ((ahead - new) * moved).sum(axis=1, keepdims=True) > 0.0
        faster = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * pace**2))
        ahead = new + np.where(back, 0.0, (pace - 1.0) / faster) * moved
        pace = np.where(back, 1.0, faster)
        x = new
    return x


@dataclass(frozen=True)
class _State:
    """An iterate: w, s = A^T w, x = h(s), h'(s) and z - A x, for the rows of a system."""

    w: Float64
    s: Float64
    x: Float64
    slope: Float64
    residual: Float64

    @classmethod
    def start(cls, system: _System) -> _State:
        """All units at their centres."""
        w, s = np.zeros_like(system.target), np.zeros_like(system.units.centre)
        return cls.at(system, w, s)

    @classmethod
    def at(cls, system: _System, w: Float64, s: Float64) -> _State:
        """What follows from w and s."""
        x, slope = system.units.at(s)
        return cls(w, s, x, slope, system.target - system.linear_map.apply(x))

    def take(self, rows: NDArray[np.generic]) -> _State:
        """Some of the rows."""
        fields = self.w, self.s, self.x, self.slope, self.residual
        return _State(*(field[rows] for field in fields))


def _advanced(system: _System, state: _State, precision: Float64) -> _State:
    """One step, shortened until the slope along it is not yet falling much.

    The dual function is concave: where its slope along the step has not turned far into
    the negative, the step has gained.
    """
    step, along = system.step(state.slope, state.residual, precision)
    gain = (state.residual * step).sum(axis=1)
    length = np.ones(len(step))
    w, s = state.w + step, state.s + along
    x, slope, residual = (a.copy() for a in _parts(_State.at(system, w, s)))
    for _ in range(SHORTENINGS):
        turned = (residual * step).sum(axis=1)
        far = np.flatnonzero(turned < -0.1 * gain)
        if not far.size:
            break
        shorter = _quotient(gain[far], gain[far] - turned[far], gain[far] > 0.0)
        length[far] *= np.clip(shorter, 0.1, 0.5)
        w[far] = state.w[far] + length[far, None] * step[far]
        s[far] = state.s[far] + length[far, None] * along[far]
        trial = _State.at(system.take(far), w[far], s[far])
        x[far], slope[far], residual[far] = _parts(trial)
    return _State(w, s, x, slope, residual)


def _parts(state: _State) -> tuple[Float64, Float64, Float64]:
    return state.x, state.slope, state.residual


def _told_apart(system: _System, state: _State) -> Mask:
    """Rows in which w^T z exceeds w^T A x for every x of the box, but for rounding."""
    box = system.units.box
    with np.errstate(invalid="ignore"):
        ends = np.where(state.s > 0.0, box.upper, box.lower)
        most = np.where(state.s == 0.0, 0.0, state.s * ends).sum(axis=1)
        value = (state.w * system.target).sum(axis=1)
        size = (np.abs(state.w) * np.abs(system.target)).sum(axis=1)
        return np.asarray(value - most > CLEARLY * size)


def _quotient(a: Float64, b: Float64, usable: Mask) -> Float64:
    """Divide; 0 where that is not usable."""
    return np.divide(a, b, out=np.zeros_like(a), where=usable)
