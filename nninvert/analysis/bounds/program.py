"""A linear program that every input meeting a target would solve.

Its variables are the values of all layers, its constraints the boxes and lines of a
relaxation, the inequalities between the inputs and the goal of the target, loosened by
one number t >= 0 that is to be small. An input that meets the target solves it with t = 0:
once a lower bound of t above 0 is certified, in exact arithmetic, there is no such input.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nninvert.analysis.bounds.box import Box
from nninvert.analysis.bounds.goal import Goal
from nninvert.analysis.bounds.inputs import Inequalities
from nninvert.analysis.bounds.interval import units_of
from nninvert.analysis.bounds.lines import Lines, lines
from nninvert.analysis.bounds.relaxation import AffineStep, Relaxation
from nninvert.analysis.bounds.solving import multipliers_of
from nninvert.layers import Elementwise, Layer, PReLU
from nninvert.linalg.certificates import LinearSystem, least_value
from nninvert.network import Network

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Float64 = NDArray[np.float64]

PROGRAM_SIZE = 200_000
"""Most entries of the matrices of a program: larger ones take seconds for each target."""

_PLACES = (0.15, 0.5, 0.85)
"""Where lines are to be close to an activation, as shares of its interval."""

_MOST_T = 1e6
"""The loosening is at most so many widths of the goal's box."""


@dataclass(frozen=True)
class Program:
    """The constraints that are the same for all targets.

    Attributes
    ----------
    system : LinearSystem
        Over the values of layers 0 to `place`, one block after the other.
    first : int
        Index of the first variable of the block that the goal is about.
    box : Box
        Of that block.
    """

    system: LinearSystem
    first: int
    box: Box


def program(
    network: Network, relaxation: Relaxation, place: int, allowed: Inequalities
) -> Program | None:
    """Put the constraints together.

    Parameters
    ----------
    network : Network
    relaxation : Relaxation
        With steps.
    place : int
        The goal is about what enters this segment; the number of segments: the outputs.
    allowed : Inequalities

    Returns
    -------
    Program or None
        None where it would be larger than `PROGRAM_SIZE`.
    """
    boxes = relaxation.boxes[: place + 1]
    starts = np.cumsum([0, *(box.lower.size for box in boxes)])
    entries = sum(
        step.matrix.size if isinstance(step, AffineStep) else 6 * step.lower_slope.size
        for step in relaxation.steps[:place]
    )
    if entries + allowed.matrix.size > PROGRAM_SIZE:
        return None
    rows = _Rows(int(starts[-1]))
    held = np.isfinite(allowed.limit)
    none = np.full(np.count_nonzero(held), -np.inf)
    rows.add({0: allowed.matrix[held]}, none, allowed.limit[held])
    for k in range(place):
        step, here, after = relaxation.steps[k], int(starts[k]), int(starts[k + 1])
        if isinstance(step, AffineStep):
            known = np.isfinite(step.error)
            rows.add(
                {here: -step.matrix[known], after: np.eye(known.size)[known]},
                (step.bias - step.error)[known],
                (step.bias + step.error)[known],
            )
        else:
            _add_lines(rows, network.segments[k].layer, boxes[k], here, after)
    lower = np.concatenate([box.lower for box in boxes])
    upper = np.concatenate([box.upper for box in boxes])
    return Program(rows.system(lower, upper), int(starts[-2]), boxes[-1])


class _Rows:
    """Rows of a sparse matrix, made of blocks, with their limits."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._blocks: list[Any] = []
        self._lower: list[Float64] = []
        self._upper: list[Float64] = []

    def add(self, blocks: dict[int, Float64], lower: Float64, upper: Float64) -> None:
        """Add rows; `blocks` are dense, each behind the index of its first column."""
        from scipy.sparse import coo_array

        count = lower.size
        values, places, columns = [], [], []
        for first, block in blocks.items():
            row, column = np.nonzero(block)
            values.append(block[row, column])
            places.append(row)
            columns.append(column + first)
        held = (np.concatenate(places), np.concatenate(columns))
        shape = (count, self._columns)
        self._blocks.append(coo_array((np.concatenate(values), held), shape=shape))
        self._lower.append(lower)
        self._upper.append(upper)

    def system(self, lower: Float64, upper: Float64) -> LinearSystem:
        """All rows, over variables in a box."""
        from scipy.sparse import vstack

        matrix = vstack(self._blocks, format="csr")
        limits = np.concatenate(self._lower), np.concatenate(self._upper)
        return LinearSystem(matrix, *limits, lower, upper)


def _add_lines(rows: _Rows, layer: Layer, box: Box, here: int, after: int) -> None:
    """Lines below and above an activation, at several places."""
    if not isinstance(layer, Elementwise | PReLU):
        return
    seen: list[Lines] = []
    for at in _PLACES:
        found = lines(units_of(layer), box.lower, box.upper, at)
        _add_side(rows, found.upper_slope, found.upper_offset, seen, here, after, 1.0)
        _add_side(rows, found.lower_slope, found.lower_offset, seen, here, after, -1.0)
        seen.append(found)


def _add_side(
    rows: _Rows,
    slope: Float64,
    offset: Float64,
    seen: list[Lines],
    here: int,
    after: int,
    side: float,
) -> None:
    """``v' - slope v <= offset`` (side 1) or >= (side -1), where that is news."""
    new = np.isfinite(offset) & (slope != 0.0)
    for other in seen:
        known = other.upper_slope if side > 0.0 else other.lower_slope
        new &= np.abs(slope - known) > 1e-6 * np.abs(slope)
    chosen = np.flatnonzero(new)
    open_end = np.full(chosen.size, np.inf)
    blocks = {
        here: -np.diag(slope)[chosen],
        after: np.eye(slope.size)[chosen],
    }
    limits = (-open_end, offset[chosen]) if side > 0.0 else (offset[chosen], open_end)
    rows.add(blocks, *limits)


def loosening(program: Program, goal: Goal, seconds: float) -> Fraction:
    """How far, at least, a goal must be loosened so that the program has a solution.

    In units of the widths of the box that the goal is about; 0 where nothing is certified.

    Parameters
    ----------
    program : Program
    goal : Goal
    seconds : float
        After which the solver is to end.
    """
    full, objective = _with_goal(program, goal)
    multipliers = multipliers_of(full, objective, seconds)
    if multipliers is None:
        return Fraction(0)
    found = least_value(objective, full, multipliers)
    return max(found, Fraction(0)) if found is not None else Fraction(0)


def _with_goal(program: Program, goal: Goal) -> tuple[LinearSystem, Float64]:
    """The program with the goal's rows, its constants and t, which is the last variable."""
    from scipy.sparse import block_array, coo_array

    n = goal.lower.size
    wide = np.isfinite(program.box.width) & (program.box.width > 0.0)
    weight = np.where(wide, program.box.width, 1.0)
    shift, constants = _constants(program.box, goal)
    columns = program.system.matrix.shape[1]
    places = np.arange(n)
    values = coo_array((np.ones(n), (places, program.first + places)), shape=(n, columns))
    loose = coo_array((weight, (places, np.zeros(n, dtype=np.int64))), shape=(n, 1))
    sides = [
        [program.system.matrix, None, None],
        [values, -shift, -loose],
        [values, -shift, loose],
    ]
    open_end = np.full(n, np.inf)
    matrix: csr_array = block_array(sides, format="csr")
    system = LinearSystem(
        matrix,
        np.concatenate([program.system.row_lower, -open_end, goal.lower]),
        np.concatenate([program.system.row_upper, goal.upper, open_end]),
        np.concatenate([program.system.lower, constants.lower, [0.0]]),
        np.concatenate([program.system.upper, constants.upper, [_MOST_T]]),
    )
    objective = np.zeros(matrix.shape[1])
    objective[-1] = 1.0
    return system, objective


def _constants(box: Box, goal: Goal) -> tuple[Any, Box]:
    """A column for each constant of the goal, and what it can be.

    It is the logarithm of a sum of exponentials of the values of its group.
    """
    from scipy.sparse import coo_array

    n = goal.lower.size
    group = np.zeros(0, dtype=np.int64) if goal.group is None else goal.group
    names, place = np.unique(group, return_inverse=True)
    count = max(names.size, 1)
    shift = coo_array((np.ones(group.size), (np.arange(group.size), place)), (n, count))
    lower, upper = np.zeros(count), np.zeros(count)
    for k in range(names.size):
        own = place == k
        lower[k] = box.lower[own].max() - 1.0
        upper[k] = box.upper[own].max() + np.log(np.count_nonzero(own)) + 1.0
    return shift, Box(lower, upper)
