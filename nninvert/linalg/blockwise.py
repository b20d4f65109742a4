"""Many right-hand sides, solved for in blocks that the memory allows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Solve = Callable[[Float64], tuple[Float64, Float64]]
"""Finite rows to their solutions and to one error for each."""


def solved_in_blocks(
    rows: Float64, step: int, solve: Solve, begin: Callable[[int, int], None]
) -> tuple[Float64, Float64]:
    """Solve for blocks of rows, one after another; what is not finite stays NaN.

    Parameters
    ----------
    rows : float64 array, shape (k, n)
    step : int
        Most rows in a block.
    solve : callable
        Told only of rows that are finite, at least one of them.
    begin : callable
        Told of each block: its first row, and how many there are in it.

    Returns
    -------
    x : float64 array, shape (k, n)
    errors : float64 array, shape (k,)
    """
    if len(rows) <= step:
        begin(0, len(rows))
        return _solved_block(rows, solve)
    x, errors = np.empty(rows.shape), np.empty(len(rows))
    for start in range(0, len(rows), step):
        part = slice(start, min(start + step, len(rows)))
        begin(start, part.stop - start)
        x[part], errors[part] = _solved_block(rows[part], solve)
    return x, errors


def _solved_block(rows: Float64, solve: Solve) -> tuple[Float64, Float64]:
    finite = np.isfinite(rows).all(axis=1)
    if finite.all() and len(rows):
        return solve(rows)
    x, errors = np.full(rows.shape, np.nan), np.full(len(rows), np.nan)
    if finite.any():
        x[finite], errors[finite] = solve(rows[finite])
    return x, errors
