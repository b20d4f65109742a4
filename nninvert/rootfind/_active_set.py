"""Solve a quadratic program exactly from a guess of its active set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.rootfind._program import Float64, Program, Sides
from nninvert.rootfind._saddle import Dependent, SaddleSystem

MAX_EXCHANGES = 12
"""Active sets that are tried. From a good guess one to five are needed; the exchange of
all wrong signs at once need not end at all, so that more are not worth their cost."""

ROUNDING = 1e-11
"""Signs and sides are judged with this tolerance, relative to the sizes in the program:
what the solves leave, with room for condition numbers up to 1e5."""


@dataclass(frozen=True)
class Settled:
    """The solution of a reduced program: x, the multipliers of its rows, its sides."""

    x: Float64
    y: Float64
    sides: Sides


def settle(program: Program, sides: Sides) -> Settled | None:
    """Find the active set near a guess whose solution has every sign right.

    Parameters
    ----------
    program : Program
    sides : int8 array, shape (k + r,)
        The guess, in the order of `Program.low`.

    Returns
    -------
    Settled or None
        None where the exchanges do not end or active rows depend on each other. What is
        returned satisfies the optimality conditions to `ROUNDING`, and so is the
        solution, as the program is convex.

    Notes
    -----
    The primal-dual active set method, which is a semismooth Newton method (Hintermüller,
    Ito, Kunisch, SIAM J. Optim. 13, 2003, 865-888): solve with the active sides as
    equations; let go of those with the wrong sign, take up those that are violated.
    """
    seen = set()
    sides = sides.copy()
    for _ in range(MAX_EXCHANGES):
        key = sides.tobytes()
        if key in seen:
            return None
        seen.add(key)
        try:
            x, multipliers = _solve(program, sides)
        except Dependent:
            return None
        following = _exchanged(program, sides, x, multipliers)
        if following is None:
            return None
        if (following == sides).all():
            return Settled(x, multipliers[program.variables :], sides)
        sides = following
    return None


def _solve(program: Program, sides: Sides) -> tuple[Float64, Float64]:
    """x, and the multipliers of variables and rows, with the active sides as equations."""
    k = program.variables
    held = np.where(sides < 0, program.low, program.high)
    free = sides[:k] == 0
    tight = (sides[k:] != 0) | program.equation
    x = np.where(free, 0.0, held[:k])
    force = -program.slope(x)[free]
    target = held[k:][tight] - program.rows[tight] @ x
    hessian = program.hessian
    if hessian is not None:
        hessian = hessian.of_variables(np.flatnonzero(free))
    inner = program.rows[np.ix_(tight, free)]
    if inner.shape[0] > inner.shape[1]:
        raise Dependent
    system = SaddleSystem(
        hessian, np.zeros(inner.shape[1]), inner, np.zeros(inner.shape[0])
    )
    x[free], tight_y = system.solve(force, target)
    y = np.zeros(tight.size)
    y[tight] = tight_y
    bound = program.slope(x) - program.rows.T @ y
    bound[free] = 0.0
    return x, np.concatenate([bound, y])


def _exchanged(
    program: Program, sides: Sides, x: Float64, multipliers: Float64
) -> Sides | None:
    """The sides after one exchange; None where the active ones are not met."""
    k = program.variables
    value = program.values(x)
    small = ROUNDING * max(float(np.abs(value).max(initial=0.0)), 1e-300)
    weak = ROUNDING * max(
        float(np.abs(program.slope(x)).max(initial=0.0)),
        float(np.abs(program.gradient).max(initial=0.0)),
        1e-300,
    )
    held = np.where(sides < 0, program.low, program.high)
    active = sides != 0
    if (np.abs(value - held)[active] > small).any():
        return None
    following = sides.copy()
    following[active & (sides * multipliers > weak)] = 0
    following[~active & (value < program.low - small)] = -1
    following[~active & (value > program.high + small)] = 1
    rows = following[k:]
    equation = program.equation
    rows[equation] = np.where(multipliers[k:][equation] < 0.0, 1, -1)
    return following
