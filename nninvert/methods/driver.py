"""The one driver: runs methods on rows, judges every x by the plain forward pass.

A row is SOLVED iff ``|f(x)_i - y_i| <= tol_i`` for every wanted output, with x the very
array that is handed out, inside the bounds, and f in float64. No method's own opinion of
its success is asked for.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nninvert.context import Notice
from nninvert.methods._base import Attempt, Method
from nninvert.methods.conclusion import conclude
from nninvert.methods.ledger import Ledger, cast_within, judge
from nninvert.methods.problem import Problem
from nninvert.methods.proofs import quick_findings
from nninvert.methods.selection import select_method
from nninvert.outcome import Proof
from nninvert.result import InversionResult, Plan, PlanStep

Mask = NDArray[np.bool_]


def invert(
    problem: Problem, *, method: str = "auto", dtype: DTypeLike = np.float64
) -> InversionResult:
    """Invert every row of a problem and say what each x is.

    Parameters
    ----------
    problem : Problem
    method : str, default "auto"
        A name in `METHODS`, or "auto": see `select_method`.
    dtype : numpy type, default float64
        Type of x. What is judged is x after the cast.

    Returns
    -------
    InversionResult
        All rows but FAILED hold the best x found.

    Raises
    ------
    UsageError
        If the method is unknown or cannot be used on this network.
    DataError
        If weights are NaN or infinite.
    """
    started = time.monotonic()
    problem.network.require_finite()
    ledger = Ledger.empty(problem, dtype)
    steps: list[PlanStep] = []
    for choice in select_method(problem, method):
        open_rows = np.flatnonzero(choice.rows & ~ledger.solved)
        if not open_rows.size:
            continue
        if steps and problem.context.should_stop():
            ledger.stopped[open_rows] = True
            break
        name = choice.method.name
        steps.append(PlanStep(name, int(open_rows.size), choice.why))
        problem.context.emit(Notice(f"{name}: {open_rows.size} rows, {choice.why}"))
        part = problem.take(open_rows)
        start = None
        if len(steps) > 1:
            start = ledger.x[open_rows].astype(np.float64)
            part = replace(part, unreachable=_out_of_reach(part, ledger.x[open_rows]))
        attempt = choice.method.attempt(part, start)
        if part.within is not None and ledger.x.dtype != np.float64:
            attempt = _inside_aftercast_within(choice.method, part, attempt, ledger.x.dtype)
        ledger.enter(part, open_rows, attempt, choice.method)
    return conclude(problem, ledger, Plan(method, tuple(steps)), started)


def _out_of_reach(problem: Problem, x: NDArray[np.floating]) -> Mask:
    """Rows that are proved to be out of reach, by the tolerances at the x so far."""
    tol = judge(problem, x).tolerance
    known = quick_findings(problem, np.where(np.isfinite(tol), tol, np.inf))
    return np.array([found.proof is not Proof.NONE for found in known], dtype=np.bool_)


def _inside_aftercast_within(
    method: Method, problem: Problem, attempt: Attempt, dtype: np.dtype[np.floating]
) -> Attempt:
    """Search once more, further inside the tolerance, where the cast left it.

    The nearest x lies on the edge of the tolerance; rounding it moves f(x) by an amount
    that is seen here, and four times the largest is kept free.
    """
    assert problem.within is not None
    written = judge(problem, cast_within(problem, attempt.x, dtype))
    exact = judge(problem, attempt.x)
    rows = np.flatnonzero(exact.solved & ~written.solved)
    if not rows.size:
        return attempt
    moved = np.abs(written.fitted - exact.fitted)[rows]
    room = 4.0 * moved.max(axis=1, keepdims=True)
    part = problem.take(rows)
    aimed = np.maximum(problem.within[rows] - room, 0.5 * problem.within[rows])
    again = method.attempt(replace(part, within=aimed), attempt.x[rows])
    x = attempt.x.copy()
    x[rows] = again.x
    return replace(attempt, x=x)
