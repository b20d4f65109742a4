"""Steps of the batched search: damped or shortest, kept inside bounds by an active set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.rootfind._lm_models import Model

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
Solve = Callable[[Rows, Float64, Mask | None], Float64]

BOUND_PASSES = 4
"""How often a step is found anew with the variables fixed that left the bounds. What then
still leaves them is cut; the next step finds out."""


@dataclass(frozen=True)
class Box:
    """How far each variable may move from where it is, in its own unit.

    Attributes
    ----------
    down, up : float64 arrays, shape (k, n)
        down <= 0 <= up; infinite where open.
    """

    down: Float64
    up: Float64

    @property
    def is_open(self) -> bool:
        """Whether nothing is bounded."""
        return not bool(np.isfinite(self.down).any() or np.isfinite(self.up).any())

    def held(self, slope: Float64) -> Mask:
        """Variables that are fixed, or that their bound keeps from descending."""
        low = (self.down >= 0.0) & (slope >= 0.0)
        high = (self.up <= 0.0) & (slope <= 0.0)
        return np.asarray(low | high)


def step_inside(
    model: Model, residual: Float64, slope: Float64, box: Box, solve: Solve
) -> Float64:
    """Minimise the model over the box, approximately.

    Variables that leave the box are put on its edge and the others found anew, a few
    times; those that their bound holds back do not take part.

    Parameters
    ----------
    model : Model
    residual : float64 array, shape (k, m)
    slope : float64 array, shape (k, n)
        J^T r.
    box : Box
    solve : callable
        ``solve(rows, rest, free)``: the free variables' step for some rows, ``rest`` being
        the residual that the fixed ones leave.

    Returns
    -------
    float64 array, shape (k, n)
        Inside the box.
    """
    rows = np.arange(residual.shape[0])
    if box.is_open:
        return solve(rows, residual, None)
    free = ~box.held(slope)
    step = np.zeros_like(slope)
    for _ in range(BOUND_PASSES):
        part, fixed = free[rows], np.where(free[rows], 0.0, step[rows])
        rest = residual[rows]
        if fixed.any():
            rest = rest + model.product(rows, fixed)
        found = np.where(part, solve(rows, rest, part), fixed)
        step[rows] = np.clip(found, box.down[rows], box.up[rows])
        outside = part & (step[rows] != found)
        free[rows] &= ~outside
        rows = rows[outside.any(axis=1)]
        if not rows.size:
            break
    return step
