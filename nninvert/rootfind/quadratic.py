"""Dense convex quadratic programs with rows and bounds, each side optional."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.rootfind._active_set import settle
from nninvert.rootfind._hessian import Hessian
from nninvert.rootfind._interior_point import InteriorPoint, Outcome
from nninvert.rootfind._program import ActiveSet, Float64, Program, Sides

__all__ = ["ActiveSet", "Hessian", "Outcome", "QuadraticSolution", "solve_quadratic"]


@dataclass(frozen=True)
class QuadraticSolution:
    """The point that was found and what is true of it.

    Attributes
    ----------
    x : float64 array, shape (n,)
        Inside its bounds to the last bit.
    multipliers : float64 array, shape (m,)
        y of the rows: positive where the lower side holds x back, negative where the
        upper one does, 0 elsewhere.
    active : ActiveSet
        Which sides hold x back; a good guess for a similar program.
    outcome : Outcome
        INFEASIBLE only with a certificate (see `solve_quadratic`).
    steps : int
        Interior point steps; 0 where the guess led to the solution.
    """

    x: Float64
    multipliers: Float64
    active: ActiveSet
    outcome: Outcome
    steps: int


def solve_quadratic(
    gradient: Float64,
    rows: Float64,
    row_lower: Float64,
    row_upper: Float64,
    lower: Float64,
    upper: Float64,
    *,
    hessian: Hessian | None = None,
    guess: ActiveSet | None = None,
) -> QuadraticSolution:
    """Minimise g^T x + x^T H x / 2 subject to l <= A x <= u and lower <= x <= upper.

    With H = I and g = -p it is the point of a polyhedron that is nearest to p.

    Parameters
    ----------
    gradient : float64 array, shape (n,)
        g.
    rows : float64 array, shape (m, n)
        A; m may be 0. Rows of any size: they are scaled to length one.
    row_lower, row_upper : float64 arrays, shape (m,)
        l <= u; infinite where a side is open, equal for an equation.
    lower, upper : float64 arrays, shape (n,)
        lower <= upper; infinite where open, equal where a variable is fixed.
    hessian : Hessian, default None
        H, the identity and what a few directions add to it; None: the identity.
    guess : ActiveSet or None, default None
        Tried first (None: nothing active): where it, or one a few exchanges away, is
        right, the solution is found without interior point steps.

    Returns
    -------
    QuadraticSolution
        STALLED holds the last point: its residuals did not become small enough.

    Notes
    -----
    Mehrotra's predictor-corrector method from an infeasible start with one step length
    for the primal and the dual variables ([1]_, algorithm 16.4), with slacks for every
    finite side. Equations have no slack. Each step costs one Cholesky factorisation of
    order min(m, n), and the product that forms the matrix: with few rows no matrix of the
    variables is made, however many they are, and whatever the Hessian.

    It ends when the residuals of all equations of the optimality system and the largest
    complementarity product are below 1e-10 of the program's own sizes. The active
    set at that point is then solved for exactly and exchanged until every sign is right
    (`settle`); where that fails (dependent rows) the interior point stays.

    INFEASIBLE is told where multipliers y give
    min { y^T (z - A x) : lower <= x <= upper, l <= z <= u } > 0 with a margin of 1e-8
    times the sizes of the terms (Farkas' lemma), or where a row without variables cannot
    hold. An open side stands for 1e9 times the largest number in the program.

    References
    ----------
    .. [1] J. Nocedal, S. J. Wright, Numerical Optimization, 2nd ed., 2006, section 16.6.
    """
    program = Program.of_arrays(gradient, rows, row_lower, row_upper, lower, upper, hessian)
    nothing = np.zeros(program.low.size, dtype=np.int8)
    no_forces = np.zeros(program.low.size - program.variables)
    if program.has_impossible_row:
        x = np.zeros(program.variables)
        return _finish(program, x, no_forces, nothing, Outcome.INFEASIBLE)
    start = nothing if guess is None else program.reduced_sides(guess)
    settled = settle(program, start)
    if settled is not None:
        return _finish(program, settled.x, settled.y, settled.sides, Outcome.OPTIMAL)
    search = InteriorPoint(program)
    outcome, steps = search.iterate()
    sides = search.sides()
    if outcome is not Outcome.INFEASIBLE:
        settled = settle(program, sides)
        if settled is not None:
            return _finish(
                program, settled.x, settled.y, settled.sides, Outcome.OPTIMAL, steps
            )
    return _finish(program, search.x, search.y, sides, outcome, steps)


def _finish(
    program: Program,
    x: Float64,
    y: Float64,
    sides: Sides,
    outcome: Outcome,
    steps: int = 0,
) -> QuadraticSolution:
    return QuadraticSolution(
        x=program.full_x(x),
        multipliers=program.full_multipliers(y),
        active=program.full_sides(sides),
        outcome=outcome,
        steps=steps,
    )
