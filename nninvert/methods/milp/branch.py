"""Few binaries in a large dense program: branch and bound on its linear programs."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from itertools import count

import numpy as np
from numpy.typing import NDArray

from nninvert.methods.milp.encoding import Program
from nninvert.methods.milp.solve import (
    FEASIBILITY,
    GAP,
    PRESOLVED,
    Ending,
    Solved,
    solve,
)

Float64 = NDArray[np.float64]
Places = NDArray[np.int64]

MOST_BINARIES = 24
"""Up to here few linear programs decide."""


def minimised(program: Program, seconds: float, should_stop: Callable[[], bool]) -> Solved:
    """The program by `branch` where that suits, else by `solve`."""
    way = branch if suits(program) else solve
    return way(program, seconds, should_stop)


def suits(program: Program) -> bool:
    """Whether `branch` is the way for a program.

    HiGHS spends its time on heuristics and restarts there: 38 seconds for 784-50-50-10
    with twelve binaries, each of whose linear programs takes a third of a second.
    """
    binary = program.undecided == np.count_nonzero(program.whole)
    few = binary and program.undecided <= MOST_BINARIES
    return few and program.matrix.nnz > PRESOLVED


def branch(program: Program, seconds: float, should_stop: Callable[[], bool]) -> Solved:
    """Minimise, as `solve` does: the node of the least bound first."""
    end = time.monotonic() + seconds
    relaxed, whole = program.relaxed(), np.flatnonzero(program.whole)
    numbers, nodes = count(), 0
    nothing, free = np.zeros(0, dtype=np.int64), np.zeros(0)
    open_nodes: list[tuple[float, int, Places, Float64]] = [
        (-np.inf, next(numbers), nothing, free)
    ]
    best: Float64 | None = None
    value = enough = np.inf
    while open_nodes and open_nodes[0][0] < enough:
        bound, _, columns, values = heapq.heappop(open_nodes)
        found = solve(relaxed.fixed(columns, values), end - time.monotonic(), should_stop)
        nodes += 1
        if found.ending is Ending.INFEASIBLE:
            continue
        if found.ending is not Ending.OPTIMAL or found.columns is None:
            return Solved(found.ending, best, value, min(bound, value), nodes)
        split = np.abs(found.columns[whole] - np.round(found.columns[whole]))
        if split.max(initial=0.0) <= FEASIBILITY:
            if found.value < value:
                best, value = found.columns, found.value
                enough = value - GAP * max(abs(value), 1.0)
            continue
        column = whole[int(np.argmax(split))]
        at = found.columns[column]
        for side in (np.floor(at), np.ceil(at)):
            held = np.append(columns, column), np.append(values, side)
            heapq.heappush(open_nodes, (found.value, next(numbers), *held))
    ending = Ending.INFEASIBLE if best is None else Ending.OPTIMAL
    return Solved(ending, best, value, value, nodes)
