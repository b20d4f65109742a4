"""HiGHS on a program: what it found, what it proved to its tolerance, and when it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import Stopped
from nninvert.methods.milp.encoding import Program
from nninvert.patience import patiently

Float64 = NDArray[np.float64]

FEASIBILITY = 1e-6
"""To which HiGHS meets rows and whole numbers; scipy hands no other value over."""

GAP = 1e-6
"""Relative difference of the best value and its bound at which a search ends."""

PRESOLVED = 20_000
"""Nonzeros up to which a program is presolved. In larger ones dense weights prevail:
presolving them took two thirds of the time and removed nothing (784-50-50-10)."""

GRACE = 1.0
"""Seconds that HiGHS is given past its time limit: it looks at the clock now and then."""


class Ending(Enum):
    """How a solve ended."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    LIMIT = "limit"
    FAILED = "failed"


@dataclass(frozen=True)
class Solved:
    """What HiGHS says of a program.

    Attributes
    ----------
    ending : Ending
    columns : float64 array or None
        The best v, feasible to `FEASIBILITY`.
    value, bound : float
        Its cost, and a lower bound of all; inf and -inf where there is none.
    nodes : int
        Of the search tree.
    """

    ending: Ending
    columns: Float64 | None
    value: float
    bound: float
    nodes: int


NOTHING = Solved(Ending.LIMIT, None, np.inf, -np.inf, 0)


def solve(program: Program, seconds: float, should_stop: Callable[[], bool]) -> Solved:
    """Minimise; at most for `seconds`, and no longer than `should_stop` allows.

    scipy cannot be told to end a solve: one that is to end early is left behind.

    Parameters
    ----------
    program : Program
    seconds : float
        inf for no limit.
    should_stop : callable
    """
    if seconds <= 0.0 or should_stop():
        return NOTHING
    last = time.monotonic() + seconds + GRACE

    def look() -> None:
        if should_stop() or time.monotonic() > last:
            raise Stopped("HiGHS", got="no more time")

    try:
        return patiently(lambda: _minimise(program, seconds), look)
    except Stopped:
        return NOTHING


def _minimise(program: Program, seconds: float) -> Solved:
    from scipy import optimize

    options: dict[str, float | bool] = {"mip_rel_gap": GAP}
    options["presolve"] = program.matrix.nnz <= PRESOLVED
    if np.isfinite(seconds):
        options["time_limit"] = seconds
    rows = optimize.LinearConstraint(program.matrix, program.row_lower, program.row_upper)
    told = optimize.milp(
        program.cost,
        integrality=program.whole.astype(np.int64),
        bounds=optimize.Bounds(program.lower, program.upper),
        constraints=rows,
        options=options,
    )
    ending = _ENDINGS.get(int(told.status), Ending.FAILED)
    # A linear program has no tree: its optimum is its bound.
    bound, nodes = told.get("mip_dual_bound"), told.get("mip_node_count")
    value = np.inf if told.x is None else float(told.fun)
    if bound is None:
        bound = value if ending is Ending.OPTIMAL else -np.inf
    return Solved(
        ending, None if told.x is None else told.x, value, float(bound), int(nodes or 0)
    )


_ENDINGS = {0: Ending.OPTIMAL, 1: Ending.LIMIT, 2: Ending.INFEASIBLE}
