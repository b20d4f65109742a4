"""Other x in some rows of a result, and all that is said of them anew."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nninvert.methods._base import Attempt
from nninvert.methods.conclusion import conclude, notes_about
from nninvert.methods.ledger import Ledger
from nninvert.methods.lsq import LeastSquares
from nninvert.methods.problem import Problem
from nninvert.result import InversionResult

_ARRAYS = (
    *("x", "fitted", "free_dimensions", "residual", "relative_residual"),
    *("tolerance", "movement", "digits", "edge_values"),
)
_TUPLES = ("status", "unique", "method", "reason", "proof")


def restated(
    problem: Problem,
    result: InversionResult,
    rows: NDArray[np.int64],
    x: NDArray[np.floating],
) -> InversionResult:
    """Put `x`, which a whole-network search found, into these rows of a result.

    Everything that a result says row by row is made as the driver makes it.

    Parameters
    ----------
    problem : Problem
    result : InversionResult
        Of all its rows.
    rows : int array, shape (k,)
    x : array, shape (k, n_in)
        Of the type of ``result.x``.
    """
    part = problem.take(rows)
    ledger = Ledger.empty(part, result.x.dtype)
    attempt = Attempt(
        x.astype(np.float64), np.zeros(rows.size, dtype=np.bool_), ("",) * rows.size
    )
    ledger.enter(part, np.arange(rows.size), attempt, LeastSquares())
    made = conclude(part, ledger, result.plan, time.monotonic())
    changes: dict[str, object] = {}
    for name in _ARRAYS:
        whole = getattr(result, name).copy()
        whole[rows] = getattr(made, name)
        changes[name] = whole
    for name in _TUPLES:
        entries = list(getattr(result, name))
        for place, row in enumerate(rows):
            entries[row] = getattr(made, name)[place]
        changes[name] = tuple(entries)
    new = replace(result, **changes)  # type: ignore[arg-type]
    return replace(new, notes=notes_about(problem, new))
