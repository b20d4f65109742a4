"""All inputs are fixed: one x to judge, and nothing to search."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.methods._base import Attempt, Method
from nninvert.methods.problem import Problem

Float64 = NDArray[np.float64]


class FixedInputs(Method):
    """The only x that the bounds allow."""

    name = "fixed"
    summary = "all inputs are fixed: f(x) is compared with y"
    searches = True

    def obstacle(self, problem: Problem) -> str:
        """Inputs that are free."""
        free = int(np.count_nonzero(problem.domain.lower < problem.domain.upper))
        return f"{free:,} inputs that are not fixed" if free else ""

    def attempt(self, problem: Problem, start: Float64 | None) -> Attempt:
        """Give the x; there is no other."""
        x = np.tile(problem.domain.lower, (problem.rows, 1))
        reason = "all inputs are fixed, and no other x is allowed"
        return Attempt(x, np.zeros(problem.rows, dtype=np.bool_), (reason,) * problem.rows)
