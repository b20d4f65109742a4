"""Local search over patterns: which pieces the units are on, a few of them at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nninvert.methods.milp.branch import minimised
from nninvert.methods.milp.chain import Chain
from nninvert.methods.milp.encoding import Program
from nninvert.methods.milp.polish import polish
from nninvert.methods.milp.relaxation import Range
from nninvert.methods.milp.row import Row

Float64 = NDArray[np.float64]

FREE = 8
"""Units that may change sides in a step, those closest to it: programs of this size are
solved at once."""

STEPS = 20
"""Most steps. Each ends where none of its free units can help any more."""

GAIN = 1e-6
"""Relative improvement that is worth another step."""

SECONDS = 2.0
"""For one step: the search is a short cut, not the way."""


def improved(
    row: Row,
    program: Program,
    ranges: list[Range],
    x: Float64,
    should_stop: Callable[[], bool],
) -> Float64:
    """A nearer answer with much the same pattern as the answer x; x if none was found.

    Parameters
    ----------
    row : Row
    program : Program
        It must allow x.
    ranges : list of Range
        Those that the program was made with.
    x : float64 array, shape (n_in,)
    should_stop : callable
    """
    distance = row.ball.distance(x)
    for step in range(STEPS):
        # On the piece of x itself it is a linear program, and most is gained there.
        near_by = _near_by(program, row.chain, ranges, x, FREE if step else 0)
        found = minimised(near_by, SECONDS, should_stop)
        if found.columns is None:
            break
        trial = polish(row, program.x_of(found.columns))
        reached = row.ball.distance(trial)
        if not (reached < (1.0 - GAIN) * distance and row.accepts(trial)):
            break
        x, distance = trial, reached
    return x


def approached(
    row: Row,
    program: Program,
    ranges: list[Range],
    x: Float64,
    should_stop: Callable[[], bool],
) -> Float64 | None:
    """An answer, found by lowering what the outputs of x miss; None if that ended early."""
    soft = program.softened()
    missed = np.inf
    for _ in range(STEPS):
        near_by = _near_by(soft, row.chain, ranges, x, FREE)
        found = minimised(near_by, SECONDS, should_stop)
        if found.columns is None:
            return None
        x = soft.x_of(found.columns)
        trial = polish(row, x)
        if row.accepts(trial):
            return trial
        if not found.value < (1.0 - GAIN) * missed:
            return None
        missed = found.value
    return None


def _near_by(
    program: Program, chain: Chain, ranges: list[Range], x: Float64, free: int
) -> Program:
    """The program with all units held on the piece of x, but those nearest to a break."""
    entering = chain.pre_activations(x)
    columns, sides, room = [], [], []
    for block in program.switches:
        z = entering[block.layer][block.units]
        known = ranges[block.layer]
        width = (known.upper - known.lower)[block.units]
        columns.append(block.columns)
        sides.append(z > block.breaks)
        room.append(np.abs(z - block.breaks) / width)
    if not columns:
        return program
    order = np.argsort(np.concatenate(room), kind="stable")[free:]
    held = np.concatenate(columns)[order]
    return program.fixed(held, np.concatenate(sides)[order].astype(np.float64))
