"""From a solver's x, right to six digits, to one whose outputs are right to rounding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.methods.milp.row import Row

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

STEPS = 10
"""Most corrections. On one piece the first is exact up to rounding, the second removes
that; the others are for kinks on the way."""

AT_EDGE = 1e-5
"""Outputs this close to the end of their tolerance, relative to it, and inequalities this
close to theirs, are held there while others are corrected."""


@dataclass(frozen=True)
class _Violation:
    """What an x leaves to be done, one entry a row of the linear system.

    Attributes
    ----------
    rows : float64 array, shape (k, n)
        Slopes of what is violated or held.
    excess : float64 array, shape (k,)
        By how much; 0 for what is only held.
    size : float
        Largest excess, in units of its tolerance.
    """

    rows: Float64
    excess: Float64
    size: float


def polish(row: Row, x: Float64) -> Float64:
    """Correct x on its linear piece: least change that meets the outputs again.

    Whole numbers are rounded and stay, bounds hold to the last bit. Newton steps of
    minimum norm, in units of the inputs; where a step leaves the bounds, the inputs that
    do are held there and the others take over. The best x that was seen is returned;
    whether it is good enough is the caller's to judge (`Row.accepts`).

    Parameters
    ----------
    row : Row
    x : float64 array, shape (n_in,)
    """
    x = x.copy()
    x[row.domain.integer] = np.round(x[row.domain.integer])
    x = row.domain.clip(x)
    movable = ~row.domain.integer & (row.domain.lower < row.domain.upper)
    best, left = x, np.inf
    for _ in range(STEPS):
        found = _violation(row, x)
        if not found.size < left:
            break
        best, left = x, found.size
        if left == 0.0:
            break
        x = _corrected(row, x, found, movable)
    return best


def _violation(row: Row, x: Float64) -> _Violation:
    band = row.band
    value = row.value(x)
    excess = band.excess(value)
    inner = np.abs(value - band.target) >= (1.0 - AT_EDGE) * band.room
    chosen = (excess != 0.0) | inner
    over = row.domain.constraints.excess(x[None])[0]
    slack = row.domain.constraints.slack(x[None])[0]
    matrix = row.domain.constraints.matrix
    room = AT_EDGE * (np.abs(matrix) @ row.ball.scale)
    held = over >= -room
    rest = np.where(over > slack, over, 0.0)
    outputs = float((np.abs(excess) * band.weights).max(initial=0.0))
    unit = np.maximum(room, np.finfo(np.float64).tiny)
    return _Violation(
        np.concatenate([row.jacobian(x)[chosen], matrix[held]]),
        np.concatenate([excess[chosen], rest[held]]),
        max(outputs, float((rest / unit).max(initial=0.0))),
    )


def _corrected(row: Row, x: Float64, found: _Violation, movable: Mask) -> Float64:
    """One step, the inputs that it would push out of the bounds held one after another."""
    from scipy import linalg

    scale, domain = row.ball.scale, row.domain
    norms = np.abs(found.rows).max(axis=1, initial=0.0, keepdims=True)
    unit = np.where(norms > 0.0, norms, 1.0)
    rows, right = found.rows / unit, -found.excess / unit[:, 0]
    step, free = np.zeros_like(x), movable.copy()
    while free.any() and right.size:
        part = linalg.lstsq(
            rows[:, free] * scale[free],
            right - rows[:, ~free] @ step[~free],
            cond=tolerances.EPS64 * max(rows.shape),
            check_finite=False,
        )[0]
        step[free] = scale[free] * part
        moved = x + step
        out = free & ((moved < domain.lower) | (moved > domain.upper))
        if not out.any():
            break
        step[out] = domain.clip(moved)[out] - x[out]
        free &= ~out
    return domain.clip(x + step)
