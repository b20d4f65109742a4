"""What is said of the x that the methods left: proofs, status, uniqueness, digits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis import sensitivity
from nninvert.analysis.outputs import on_unattained_end
from nninvert.analysis.uniqueness import Room, near_answers
from nninvert.errors import Stopped
from nninvert.linalg.norms import row_norms
from nninvert.linalg.row_blocks import row_blocks
from nninvert.methods.advice import measured_advice
from nninvert.methods.ledger import Ledger
from nninvert.methods.problem import Problem
from nninvert.methods.proofs import NOTHING, Finding, findings, missing_bounds, nearness
from nninvert.outcome import Proof, RowStatus, Uniqueness
from nninvert.result import InversionResult, Plan

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
Found = TypeVar("Found")

PROVED_NEAREST = 1.0 - 1e-6
"""A proved lower bound of the misfit that is this share of it shows that x is nearest, as
far as the digits go that are looked at."""


def conclude(
    problem: Problem, ledger: Ledger, plan: Plan, started: float
) -> InversionResult:
    """Prove, classify and describe what the methods left."""
    fitted, tol = ledger.fitted, ledger.tolerance
    finite = np.isfinite(ledger.x).all(axis=1) & np.isfinite(fitted).all(axis=1)
    if not finite.all():
        ledger.unshare()
        ledger.x[~finite] = np.nan
        fitted = np.where(finite[:, None], fitted, np.nan)
    known = _proved(problem, ledger, finite)
    proof = [found.proof for found in known]
    status = tuple(_status(ledger, finite, proof, row) for row in range(problem.rows))
    _complete_reasons(ledger, known, status)
    _say_what_is_nearest(problem, ledger, status)
    unique, free = _if_time(
        lambda: _uniqueness(problem, ledger, status),
        ((Uniqueness.UNKNOWN,) * problem.rows, np.zeros(problem.rows, dtype=np.int64)),
    )
    unknown = np.full(problem.rows, np.nan)
    wanted_ends, ends = _values_on_ends(problem)
    # Of a value on an unattained end only an inequality is known: no digits of x.
    rows = np.flatnonzero(ledger.solved & finite & (ends == 0))
    moved, digits = _if_time(lambda: _movement(problem, ledger, rows), (unknown, unknown))
    residual, relative = _residuals(problem, fitted)
    result = InversionResult(
        x=ledger.x,
        fitted=fitted,
        status=status,
        unique=unique,
        free_dimensions=free,
        residual=residual,
        relative_residual=relative,
        tolerance=tol,
        movement=moved,
        digits=digits,
        method=tuple(ledger.method),
        reason=tuple(ledger.reason),
        proof=tuple(proof),
        edge_values=wanted_ends,
        plan=plan,
        precision=problem.targets.precision.label,
        relative_tolerance=_relative_tolerance(problem),
        tolerance_origin=_tolerance_origin(problem),
        seconds=time.monotonic() - started,
    )
    return replace(result, notes=notes_about(problem, result))


def notes_about(problem: Problem, result: InversionResult) -> tuple[str, ...]:
    """What is to be said of a result as a whole."""
    advice = measured_advice(problem, result)
    return (*problem.notes, *advice, *_unproved(problem, result.status))


def _proved(problem: Problem, ledger: Ledger, finite: Mask) -> list[Finding]:
    """What is proved about each row that is not solved."""
    known = [NOTHING] * problem.rows
    missed = np.flatnonzero(~ledger.solved & finite)
    left = problem.take(missed)
    found = _if_time(
        lambda: findings(left, ledger.tolerance[missed]), (NOTHING,) * missed.size
    )
    for row, finding in zip(missed, found, strict=True):
        known[row] = finding
    return known


def _say_what_is_nearest(
    problem: Problem, ledger: Ledger, status: tuple[RowStatus, ...]
) -> None:
    """Add to the reasons of rows that miss where no input is proved to come nearer."""
    missed = np.array([s in (RowStatus.UNREACHABLE, RowStatus.NEAREST) for s in status])
    rows = np.flatnonzero(missed)
    if not rows.size:
        return
    share = _if_time(
        lambda: nearness(problem.take(rows), ledger.fitted[rows], ledger.tolerance[rows]),
        np.zeros(rows.size),
    )
    for row in rows[share >= PROVED_NEAREST]:
        ledger.reason[row] += "; no input comes nearer (proved)"


def _unproved(problem: Problem, status: tuple[RowStatus, ...]) -> tuple[str, ...]:
    """What would let more be proved about rows that are not decided.

    Of targets that are to be met exactly, by any input, another advice is of more use.
    """
    exact = problem.within is None and problem.domain.is_open
    if exact or RowStatus.NEAREST not in status:
        return ()
    said = _if_time(lambda: missing_bounds(problem), "")
    return (said,) if said else ()


def _if_time(describe: Callable[[], Found], otherwise: Found) -> Found:
    """What only describes x is left out where time is up in the midst of it."""
    try:
        return describe()
    except Stopped:
        return otherwise


def _status(ledger: Ledger, finite: Mask, proof: list[Proof], row: int) -> RowStatus:
    if not finite[row]:
        return RowStatus.FAILED
    if ledger.solved[row]:
        return RowStatus.SOLVED
    if proof[row] is not Proof.NONE:
        return RowStatus.UNREACHABLE
    return RowStatus.NEAREST if ledger.searched[row] else RowStatus.STOPPED


def _complete_reasons(
    ledger: Ledger, known: list[Finding], status: tuple[RowStatus, ...]
) -> None:
    """A reason for every row that is not SOLVED."""
    for row, outcome in enumerate(status):
        if outcome is RowStatus.SOLVED:
            continue
        proof = known[row].proof
        if known[row].reason:
            ledger.reason[row] = f"{proof.meaning}: {known[row].reason}"
        elif proof is not Proof.NONE:
            where = ledger.departure[row]
            ledger.reason[row] = proof.meaning + (f": {where}" if where else "")
        elif not ledger.reason[row]:
            ledger.reason[row] = outcome.meaning


def _uniqueness(
    problem: Problem, ledger: Ledger, status: tuple[RowStatus, ...]
) -> tuple[tuple[Uniqueness, ...], NDArray[np.int64]]:
    """Whether other inputs give the same output, and how many dimensions of them."""
    domain = problem.domain
    movable = int(np.count_nonzero((domain.lower < domain.upper) & ~domain.integer))
    free = np.zeros(problem.rows, dtype=np.int64)
    found = [Uniqueness.UNKNOWN] * problem.rows
    undecided = []
    invertible = sensitivity.is_layerwise_invertible(problem.network, problem.context)
    for row, outcome in enumerate(status):
        if outcome is not RowStatus.SOLVED:
            continue
        if problem.within is not None and movable:
            # A tolerance is met by all x near this one, too.
            found[row], free[row] = Uniqueness.NO, movable
        elif ledger.unique[row] or (invertible and not ledger.free_dimensions[row]):
            found[row] = Uniqueness.YES
        elif invertible:
            found[row], free[row] = Uniqueness.NO, ledger.free_dimensions[row]
        else:
            undecided.append(row)
    if undecided:
        x = ledger.x[undecided].astype(np.float64)
        room = _room(problem.take(np.array(undecided)), x)
        near = near_answers(problem.network, x, problem.context, room)
        for row, (uniqueness, dimension) in zip(undecided, near, strict=True):
            found[row], free[row] = uniqueness, dimension
    return tuple(found), free


def _room(problem: Problem, x: Float64) -> Room:
    """Which inputs may move near x, and which of them both ways."""
    domain = problem.domain
    free = (domain.lower < domain.upper) & ~domain.integer
    inside = (x > domain.lower) & (x < domain.upper)
    # Beside an inequality that x meets at its edge nothing moves both ways by itself.
    given = domain.constraints
    edge = (given.excess(x) >= -given.slack(x)).any(axis=1, keepdims=True)
    movable = np.broadcast_to(free, x.shape)
    return Room(movable, movable & inside & ~edge, problem.targets.wanted, problem.unit)


def _values_on_ends(problem: Problem) -> tuple[Rows, Rows]:
    """How many values of each row lie on an unattained end: wanted ones, and all."""
    targets = problem.targets
    wanted, every = (np.zeros(problem.rows, dtype=np.int64) for _ in range(2))
    for part in row_blocks(targets.values.shape):
        found = on_unattained_end(problem.network, targets.values[part])
        every[part] = np.count_nonzero(found, axis=1)
        wanted[part] = np.count_nonzero(found & targets.wanted[part], axis=1)
    return wanted, every


def _residuals(problem: Problem, fitted: Float64) -> tuple[Float64, Float64]:
    """The largest |f(x) - y| of each row, and its 2-norm relative to that of y."""
    targets = problem.targets
    largest, relative = np.empty(problem.rows), np.empty(problem.rows)
    for part in row_blocks(fitted.shape):
        error = targets.missed_by(fitted[part], part)
        largest[part] = error.max(axis=1)
        size = row_norms(np.where(targets.wanted[part], targets.values[part], 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            relative[part] = row_norms(error) / size
    return largest, relative


def _movement(problem: Problem, ledger: Ledger, rows: Rows) -> tuple[Float64, Float64]:
    """Relative movement of x by what y leaves open, and the digits that leaves.

    NaN but in the rows that are asked for.
    """
    moved = np.full(problem.rows, np.nan)
    digits = np.full(problem.rows, np.nan)
    if rows.size:
        # Of all rows there are views.
        chosen = slice(None) if rows.size == problem.rows else rows
        x = ledger.x[chosen].astype(np.float64, copy=False)
        part = problem.take(rows)
        errors = _errors(part, ledger.fitted[chosen], ledger.terms[chosen])
        near = part.linearized(x) if problem.is_large else None
        distance = sensitivity.movement(problem.network, x, errors, problem.context, near)
        moved[rows], digits[rows] = sensitivity.digits_from_movement(distance, x)
    return moved, digits


def _errors(problem: Problem, fitted: Float64, terms: Float64) -> Float64:
    """How far each value of y may be off; 0 where it does not matter."""
    targets, found = problem.targets, np.empty(fitted.shape)
    for part in row_blocks(fitted.shape):
        error = targets.precision.rows(part).uncertainty(terms[part])
        if problem.is_large:
            # What solves with many rows leave is more than the rounding of y.
            left = targets.missed_by(fitted[part], part)
            unexplained = left > tolerances.SUM_ROUNDING * terms[part]
            error = np.where(unexplained, np.maximum(error, left), error)
        found[part] = np.where(targets.wanted[part], error, 0.0)
    return found


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
