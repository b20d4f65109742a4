"""The one driver: runs methods on rows, judges every x by the plain forward pass.

A row is SOLVED iff ``|f(x)_i - y_i| <= tol_i`` for every wanted output, with x the very
array that is handed out, inside the bounds, and f in float64. No method's own opinion of
its success is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nninvert import tolerances
from nninvert.analysis import sensitivity
from nninvert.analysis.outputs import on_unattained_end
from nninvert.analysis.uniqueness import near_answers
from nninvert.context import Notice
from nninvert.errors import Stopped
from nninvert.linalg.norms import row_norms
from nninvert.methods._base import Attempt, Method
from nninvert.methods.advice import measured_advice
from nninvert.methods.problem import Problem
from nninvert.methods.proofs import proofs
from nninvert.methods.selection import select_method
from nninvert.outcome import Proof, RowStatus, Uniqueness
from nninvert.result import InversionResult, Plan, PlanStep

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Found = TypeVar("Found")


@dataclass
class _Ledger:
    """The best x of each row so far and what is known about it.

    `fitted`, `terms` and `tolerance` are those of the judgement of that very x.
    """

    x: NDArray[np.floating]
    misfit: Float64
    solved: Mask
    fitted: Float64
    terms: Float64
    tolerance: Float64
    stopped: Mask
    searched: Mask
    method: NDArray[np.object_]
    reason: NDArray[np.object_]
    departure: NDArray[np.object_]
    unique: Mask
    free_dimensions: NDArray[np.int64]

    @classmethod
    def empty(cls, problem: Problem, dtype: DTypeLike) -> _Ledger:
        rows, n_in, n_out = problem.rows, problem.network.n_in, problem.network.n_out
        unknown = np.full((rows, n_out), np.nan)
        return cls(
            x=np.full((rows, n_in), np.nan, dtype=dtype),
            misfit=np.full(rows, np.inf),
            solved=np.zeros(rows, dtype=np.bool_),
            fitted=unknown,
            terms=unknown.copy(),
            tolerance=problem.tolerance(unknown).copy(),
            stopped=np.zeros(rows, dtype=np.bool_),
            searched=np.zeros(rows, dtype=np.bool_),
            method=np.full(rows, "", dtype=object),
            reason=np.full(rows, "", dtype=object),
            departure=np.full(rows, "", dtype=object),
            unique=np.zeros(rows, dtype=np.bool_),
            free_dimensions=np.zeros(rows, dtype=np.int64),
        )


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
    ledger = _Ledger.empty(problem, dtype)
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
            attempt = _inside_after_cast(choice.method, part, attempt, ledger.x.dtype)
        _enter(ledger, part, open_rows, attempt, choice.method)
    return _conclude(problem, ledger, Plan(method, tuple(steps)), started)


def _out_of_reach(problem: Problem, x: NDArray[np.floating]) -> Mask:
    """Rows that are proved to be out of reach, by the tolerances at the x so far."""
    tol = _judge(problem, x).tolerance
    known = proofs(problem, np.where(np.isfinite(tol), tol, np.inf))
    return np.array([proof is not Proof.NONE for proof in known], dtype=np.bool_)


def _inside_after_cast(
    method: Method, problem: Problem, attempt: Attempt, dtype: np.dtype[np.floating]
) -> Attempt:
    """Search once more, further inside the tolerance, where the cast left it.

    The nearest x lies on the edge of the tolerance; rounding it moves f(x) by an amount
    that is seen here, and four times the largest is kept free.
    """
    assert problem.within is not None
    written = _judge(problem, _cast(problem, attempt.x, dtype))
    exact = _judge(problem, attempt.x)
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


def _enter(
    ledger: _Ledger,
    part: Problem,
    rows: NDArray[np.int64],
    attempt: Attempt,
    method: Method,
) -> None:
    """Judge an attempt and keep, row by row, what is better than before."""
    written = _cast(part, attempt.x, ledger.x.dtype)
    judged = _judge(part, written)
    first = ledger.method[rows] == ""
    better = judged.solved | (judged.misfit < ledger.misfit[rows]) | first
    chosen = rows[better]
    ledger.x[chosen] = written[better]
    ledger.misfit[chosen] = judged.misfit[better]
    ledger.solved[chosen] = judged.solved[better]
    ledger.fitted[chosen] = judged.fitted[better]
    ledger.terms[chosen] = judged.terms[better]
    ledger.tolerance[chosen] = judged.tolerance[better]
    ledger.method[chosen] = method.name
    ledger.stopped[rows] = attempt.stopped
    # A search that ended by itself and found nothing better confirms what was there.
    ledger.searched[rows] |= method.searches & ~attempt.stopped
    texts = np.array(attempt.reason, dtype=object)
    ledger.reason[rows] = np.where(texts == "", ledger.reason[rows], texts)
    # What is left to say of a row that is solved is what the solving method says.
    ledger.reason[chosen] = np.where(
        judged.solved[better],
        "" if attempt.preimage else texts[better],
        ledger.reason[chosen],
    )
    if attempt.preimage is not None:
        ledger.departure[rows] = texts
        # Values within the precision of y may have far origins: then it is not known.
        radius = attempt.preimage.radius.reshape(rows.size, -1)
        known = (radius < tolerances.UNBOUNDED_RADIUS).all(axis=1)
        ledger.unique[chosen] = (attempt.preimage.unique & known)[better]
        ledger.free_dimensions[chosen] = attempt.preimage.free_dimensions[better]
    else:
        ledger.unique[chosen] = False
        ledger.free_dimensions[chosen] = 0


def _cast(
    problem: Problem, x: Float64, dtype: np.dtype[np.floating]
) -> NDArray[np.floating]:
    """Round x to the type that is written without leaving the bounds by that."""
    with np.errstate(over="ignore", invalid="ignore"):
        written = x.astype(dtype)
    inside = problem.domain.contain(x)[:, None]
    clipped = problem.domain.in_type(dtype).clip(written).astype(dtype)
    return np.where(inside, clipped, written)


@dataclass(frozen=True)
class _Judgement:
    """What the plain forward pass says of each row.

    `misfit` is the norm of (f(x)_i - y_i) / tol_i over the wanted outputs; inf where it is
    not finite or x lies outside the bounds.
    """

    solved: Mask
    misfit: Float64
    fitted: Float64
    terms: Float64
    tolerance: Float64


def _judge(problem: Problem, x: NDArray[np.floating]) -> _Judgement:
    exact = x.astype(np.float64)
    allowed = problem.domain.in_type(x.dtype).contain(exact)
    fitted, terms = problem.evaluated(exact)
    with np.errstate(over="ignore", invalid="ignore"):
        tol = problem.tolerance(terms)
        error = np.abs(fitted - problem.targets.values)
        error = np.where(problem.targets.wanted, error, 0.0)
        # A tolerance of zero is met by zero.
        ratio = error / np.maximum(tol, np.finfo(np.float64).tiny)
        misfit = row_norms(ratio)
    return _Judgement(
        solved=(error <= tol).all(axis=1) & allowed,
        misfit=np.where(np.isfinite(misfit) & allowed, misfit, np.inf),
        fitted=fitted,
        terms=terms,
        tolerance=tol,
    )


def _conclude(
    problem: Problem, ledger: _Ledger, plan: Plan, started: float
) -> InversionResult:
    """Prove, classify and describe what the methods left."""
    fitted, tol = ledger.fitted, ledger.tolerance
    finite = np.isfinite(ledger.x).all(axis=1) & np.isfinite(fitted).all(axis=1)
    ledger.x[~finite] = np.nan
    fitted = np.where(finite[:, None], fitted, np.nan)
    proof = [Proof.NONE] * problem.rows
    missed = np.flatnonzero(~ledger.solved & finite)
    left = problem.take(missed)
    known = _if_time(lambda: proofs(left, tol[missed]), (Proof.NONE,) * missed.size)
    for row, found in zip(missed, known, strict=True):
        proof[row] = found
    status = tuple(_status(ledger, finite, proof, row) for row in range(problem.rows))
    _complete_reasons(ledger, proof, status)
    unique, free = _if_time(
        lambda: _uniqueness(problem, ledger, status),
        ((Uniqueness.UNKNOWN,) * problem.rows, np.zeros(problem.rows, dtype=np.int64)),
    )
    unknown = np.full(problem.rows, np.nan)
    moved, digits = _if_time(lambda: _movement(problem, ledger, finite), (unknown, unknown))
    wanted = problem.targets.wanted
    error = np.where(wanted, np.abs(fitted - problem.targets.values), 0.0)
    size = row_norms(np.where(wanted, problem.targets.values, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        relative = row_norms(error) / size
    result = InversionResult(
        x=ledger.x,
        fitted=fitted,
        status=status,
        unique=unique,
        free_dimensions=free,
        residual=error.max(axis=1),
        relative_residual=relative,
        tolerance=tol,
        movement=moved,
        digits=digits,
        method=tuple(ledger.method),
        reason=tuple(ledger.reason),
        proof=tuple(proof),
        edge_values=np.count_nonzero(
            on_unattained_end(problem.network, problem.targets.values) & wanted, axis=1
        ),
        plan=plan,
        precision=problem.targets.precision.label,
        relative_tolerance=_relative_tolerance(problem),
        tolerance_origin=_tolerance_origin(problem),
        seconds=time.monotonic() - started,
    )
    return replace(result, notes=(*problem.notes, *measured_advice(problem, result)))


def _if_time(describe: Callable[[], Found], otherwise: Found) -> Found:
    """What only describes x is left out where time is up in the midst of it."""
    try:
        return describe()
    except Stopped:
        return otherwise


def _status(ledger: _Ledger, finite: Mask, proof: list[Proof], row: int) -> RowStatus:
    if not finite[row]:
        return RowStatus.FAILED
    if ledger.solved[row]:
        return RowStatus.SOLVED
    if proof[row] is not Proof.NONE:
        return RowStatus.UNREACHABLE
    return RowStatus.NEAREST if ledger.searched[row] else RowStatus.STOPPED


def _complete_reasons(
    ledger: _Ledger, proof: list[Proof], status: tuple[RowStatus, ...]
) -> None:
    """A reason for every row that is not SOLVED."""
    for row, outcome in enumerate(status):
        if outcome is RowStatus.SOLVED:
            continue
        if proof[row] is not Proof.NONE:
            where = ledger.departure[row]
            ledger.reason[row] = proof[row].meaning + (f": {where}" if where else "")
        elif not ledger.reason[row]:
            ledger.reason[row] = outcome.meaning


def _uniqueness(
    problem: Problem, ledger: _Ledger, status: tuple[RowStatus, ...]
) -> tuple[tuple[Uniqueness, ...], NDArray[np.int64]]:
    """Whether other inputs give the same output, and how many dimensions of them."""
    n_in = problem.network.n_in
    free = np.zeros(problem.rows, dtype=np.int64)
    found = [Uniqueness.UNKNOWN] * problem.rows
    undecided = []
    invertible = sensitivity.is_layerwise_invertible(problem.network, problem.context)
    for row, outcome in enumerate(status):
        if outcome is not RowStatus.SOLVED:
            continue
        if problem.within is not None:
            # A tolerance is met by all x near this one, too.
            found[row], free[row] = Uniqueness.NO, n_in
        elif ledger.unique[row] or (invertible and not ledger.free_dimensions[row]):
            found[row] = Uniqueness.YES
        elif invertible:
            found[row], free[row] = Uniqueness.NO, ledger.free_dimensions[row]
        else:
            undecided.append(row)
    if undecided:
        x = ledger.x[undecided].astype(np.float64)
        near = near_answers(problem.network, x, problem.context)
        for row, (uniqueness, dimension) in zip(undecided, near, strict=True):
            found[row], free[row] = uniqueness, dimension
    return tuple(found), free


def _movement(problem: Problem, ledger: _Ledger, finite: Mask) -> tuple[Float64, Float64]:
    """Relative movement of x by what y leaves open, and the digits that leaves."""
    on_edge = on_unattained_end(problem.network, problem.targets.values).any(axis=1)
    moved = np.full(problem.rows, np.nan)
    digits = np.full(problem.rows, np.nan)
    # Of a value on an unattained end only an inequality is known: no digits of x.
    rows = np.flatnonzero(ledger.solved & finite & ~on_edge)
    if rows.size:
        x = ledger.x[rows].astype(np.float64)
        part = problem.take(rows).targets
        errors = np.where(part.wanted, part.precision.uncertainty(ledger.terms[rows]), 0.0)
        distance = sensitivity.movement(problem.network, x, errors, problem.context)
        moved[rows], digits[rows] = sensitivity.digits_from_movement(distance, x)
    return moved, digits


def _relative_tolerance(problem: Problem) -> float | None:
    return None if problem.within is not None else problem.targets.precision.relative


def _tolerance_origin(problem: Problem) -> str:
    if problem.within is not None:
        return "--within"
    precision = problem.targets.precision
    text = (
        f"T max(|y_i|, c_i), T = {precision.relative:.1e} for y in {precision.label}, "
        "c_i the size of the terms added to make output i"
    )
    return text + ", at least half the last written decimal" if precision.decimal else text
