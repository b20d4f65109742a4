"""Several answers to each target: searched for from many starts, told apart, spread out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis.distinct import spread_out
from nninvert.analysis.sensitivity import dense_is_cheap, is_layerwise_invertible
from nninvert.context import Notice, Progress
from nninvert.errors import UsageError
from nninvert.methods._base import Method
from nninvert.methods.branches import branch_starts
from nninvert.methods.ledger import cast_within, judge
from nninvert.methods.lsq import LeastSquares
from nninvert.methods.problem import Problem
from nninvert.methods.restating import restated
from nninvert.methods.search import solutions
from nninvert.methods.starts import random_starts
from nninvert.methods.whole_numbers import WholeNumbers
from nninvert.outcome import Proof, RowStatus, Uniqueness
from nninvert.result import Answers, InversionResult, PlanStep
from nninvert.rootfind.levenberg_marquardt import levenberg_marquardt

Float64 = NDArray[np.float64]
Rows = NDArray[np.int64]

Search = Callable[[Problem, Float64], Float64]
"""From a problem and starts (s, rows, n_in) to where the search ended, (s, rows, n_in)."""

MOST_ANSWERS = 1000
"""For more, the comparison of each with each takes longer than the search."""

STARTS_PER_ANSWER = 4
LEAST_STARTS = 24

BRANCHES = 8
"""Most ways back on other branches of silu, gelu, mish, ... that are starts, too."""

MOST_STEPS = 100
LEAST_GAIN = 0.1
"""A start is given up after so many steps, or where ten gain less than this part of the
squares: there are others."""

MEMORY_SHARE = 0.25
"""Of the memory that the ends of all searches may take."""

_ROUNDING = 1e-3 * tolerances.TARGET_FLOOR
"""Residuals up to this part of the terms are rounding: see `tolerances.TARGET_FLOOR`."""


def follow(problem: Problem, starts: Float64) -> Float64:
    """Where searches from these starts end: a `Search`.

    Inside bounds all starts are followed together. The first half goes straight to the
    outputs; the rest goes through the views of `solutions`, which succeed where that does
    not, but may lead all starts to the same branch of an activation. With inequalities
    or whole numbers the x nearest to each start is looked for, start by start.
    """
    ends = np.full_like(starts, np.nan)
    if problem.domain.is_box:
        half = (len(starts) + 1) // 2
        ends[:half] = _straight(problem, starts[:half])
        ends[half:] = solutions(problem, starts[half:]).x
        return ends
    method: Method = LeastSquares()
    if problem.domain.integer.any():
        method = WholeNumbers(method)
    for end, start in zip(ends, starts, strict=True):
        if problem.context.should_stop():
            break
        asked = replace(problem, near=start, near_is_given=True)
        end[:] = method.attempt(asked, None).x
    return ends


def _straight(problem: Problem, starts: Float64) -> Float64:
    """Least squares of the outputs, measured in the tolerances at `near`."""
    many, n_in = len(starts), problem.network.n_in
    targets = problem.targets
    terms = problem.evaluated(problem.begin)[1]
    tol = problem.tolerance(np.where(np.isfinite(terms), terms, 0.0))
    tiny = float(np.finfo(np.float64).tiny)
    weights = np.where(targets.wanted, 1.0 / np.maximum(tol, tiny), 0.0)
    found = levenberg_marquardt(
        problem.network,
        np.tile(targets.values, (many, 1)),
        np.tile(weights, (many, 1)),
        starts.reshape(-1, n_in),
        problem.domain.lower,
        problem.domain.upper,
        scale=problem.unit,
        should_stop=problem.context.should_stop,
        most_steps=MOST_STEPS,
        least_gain=LEAST_GAIN,
    )
    return found.x.reshape(starts.shape)


def require_answers(problem: Problem, most: int) -> None:
    """Refuse at once what cannot be searched for.

    Raises
    ------
    UsageError
        If `most` is no sensible number, or the ends of so many searches do not fit into
        the memory, or Jacobians are too large to tell answers apart.
    """
    if not 1 <= most <= MOST_ANSWERS:
        raise UsageError(
            "--answers",
            got=f"{most:,}",
            expected=f"1 to {MOST_ANSWERS:,}",
            because="every answer is compared with every other",
        )
    network = problem.network
    each = 8 * problem.rows * network.n_in
    room = MEMORY_SHARE * problem.context.memory
    if starts_for(most) * each > room:
        fitting = int(room / each) // STARTS_PER_ANSWER
        raise UsageError(
            "--answers",
            got=f"{most:,} for each of {problem.rows:,} rows",
            expected=f"at most {max(fitting, 1):,}",
            because=f"the ends of {starts_for(most):,} searches for each take "
            f"{starts_for(most) * each / 1e9:.1f} GB",
            next_step="Invert fewer rows at a time",
        )
    if not dense_is_cheap(network) and not is_layerwise_invertible(
        network, problem.context
    ):
        raise UsageError(
            "--answers",
            got=f"a Jacobian of {network.n_out:,} by {network.n_in:,} numbers",
            expected=f"one with n_out n_in min(n_out, n_in) <= {tolerances.SVD_WORK:.0e}",
            because="it tells answers apart",
        )


def starts_for(most: int) -> int:
    """From how many starts that many answers are searched for."""
    return max(LEAST_STARTS, STARTS_PER_ANSWER * most)


def several(
    problem: Problem,
    result: InversionResult,
    most: int,
    search: Search = follow,
) -> InversionResult:
    """Find up to `most` answers to each row, spread out; the best becomes the row's x.

    Searches begin at random points inside the bounds, or around `near` where inputs are
    open. What they end at is judged as the driver judges; different answers are those
    that the tolerance does not join (`spread_out`), of which the farthest from each other
    are taken. They are sorted by residual, then by distance from `near`: residuals that
    rounding explains count as equal, and so do all that meet a tolerance asked for.

    Parameters
    ----------
    problem : Problem
    result : InversionResult
        Of the same problem; rows that are proved to have no answer, or only one, are
        left as they are.
    most : int
    search : callable, default `follow`

    Returns
    -------
    InversionResult
        With `answers`.
    """
    started = time.monotonic()
    rows = _open_rows(result)
    found = _as_given(problem, result, most)
    if rows.size:
        part = problem.take(rows)
        ends = _ends(part, result.x[rows], most, search)
        _fill(found, rows, part, ends)
        result = _restated(problem, result, rows, found)
    seconds = result.seconds + time.monotonic() - started
    return replace(result, answers=found, seconds=seconds)


def _open_rows(result: InversionResult) -> Rows:
    """Rows that may have another answer."""
    return np.array(
        [
            row
            for row, status in enumerate(result.status)
            if result.unique[row] is not Uniqueness.YES
            and result.proof[row] is Proof.NONE
            and status is not RowStatus.FAILED
        ],
        dtype=np.int64,
    )


def _as_given(problem: Problem, result: InversionResult, most: int) -> Answers:
    """What is known before anything is searched for: one x in each row."""
    rows = problem.rows
    solved = result.solved.astype(np.int64)
    x = np.full((rows, most, problem.network.n_in), np.nan, dtype=result.x.dtype)
    residual, distance = np.full((rows, most), np.nan), np.full((rows, most), np.nan)
    x[:, 0], residual[:, 0] = result.x, result.residual
    distance[:, 0] = _lengths(problem, result.x - problem.near)
    return Answers(
        x=x,
        residual=residual,
        distance=distance,
        count=solved,
        found=solved.copy(),
        starts=np.zeros(rows, dtype=np.int64),
        apart=np.full(rows, np.nan),
    )


def _lengths(problem: Problem, steps: NDArray[np.floating]) -> Float64:
    """Lengths of steps (..., n_in) in the units of the inputs."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.linalg.norm(steps / problem.unit, axis=-1))


@dataclass(frozen=True)
class _Ends:
    """What the searches for some rows ended at, judged.

    The first is what was known, the second where a search from there ended.

    Attributes
    ----------
    x : array, shape (s, rows, n_in)
        As it would be written.
    solved : bool array, shape (s, rows)
    ratio : float64 array, shape (s, rows)
        Largest error in tolerances; 0 where it counts as none.
    residual : float64 array, shape (s, rows)
    tolerance : float64 array, shape (s, rows, n_out)
    starts : int
        From how many starts.
    """

    x: NDArray[np.floating]
    solved: NDArray[np.bool_]
    ratio: Float64
    residual: Float64
    tolerance: Float64
    starts: int


def _ends(part: Problem, known: NDArray[np.floating], most: int, search: Search) -> _Ends:
    """Search in batches, until there are starts enough or the time is up."""
    total, batch = starts_for(most), max(LEAST_STARTS // 2, most)
    random = np.random.default_rng([part.context.seed, total])
    part.context.emit(Notice(f"answers: {total} starts for each row that may have more"))
    # What meets the tolerance only just is brought to the last digit, as the others are.
    first = np.concatenate([known[None], branch_starts(part, BRANCHES)])
    first = _filled(part, first)
    total += len(first) - 1
    parts, done = [known[None]], 0
    while done < total and not part.context.should_stop():
        starts = _drawn(part, max(min(batch, total - done), len(first)), random)
        starts = np.concatenate([first, starts])
        parts.append(_written(part, search(part, starts), known.dtype))
        done += len(starts)
        first = first[:0]
        part.context.emit(Progress("answers", min(done, total), total))
    return _judged(part, np.concatenate(parts), done)


def _drawn(part: Problem, count: int, random: np.random.Generator) -> Float64:
    """Random points of the domain, shape (count, rows, n_in)."""
    unit = part.unit
    drawn = random_starts(part.domain, part.begin, unit, count, random)
    return part.domain.project(drawn.reshape(-1, part.network.n_in)).reshape(drawn.shape)


def _filled(part: Problem, x: NDArray[np.floating]) -> Float64:
    """These x, (s, rows, n_in), with `near` in place of those that are not finite."""
    finite = np.isfinite(x).all(axis=-1, keepdims=True)
    return np.where(finite, x, part.begin).astype(np.float64)


def _written(
    part: Problem, ends: Float64, dtype: np.dtype[np.floating]
) -> NDArray[np.floating]:
    return np.stack([cast_within(part, x, dtype) for x in ends])


def _judged(part: Problem, x: NDArray[np.floating], starts: int) -> _Ends:
    judged = [judge(part, points) for points in x]
    tolerance = np.stack([one.tolerance for one in judged])
    fitted = np.stack([one.fitted for one in judged])
    terms = np.stack([one.terms for one in judged])
    targets = part.targets
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.where(targets.wanted, np.abs(fitted - targets.values), 0.0)
        level = max(_ROUNDING, 8.0 * float(np.finfo(x.dtype).eps))
        met = error <= level * np.maximum(np.abs(targets.values), terms)
        if part.within is not None:
            met = error <= tolerance
        ratio = np.where(met, 0.0, error / np.maximum(tolerance, 1e-300))
    return _Ends(
        x=x,
        solved=np.stack([one.solved for one in judged]),
        ratio=ratio.max(axis=2),
        residual=error.max(axis=2),
        tolerance=tolerance,
        starts=starts,
    )


def _fill(found: Answers, rows: Rows, part: Problem, ends: _Ends) -> None:
    """Choose among the ends of each row, and write the chosen into `found`."""
    scale = part.unit
    distance = _lengths(part, ends.x - part.near)
    for place, row in enumerate(rows):
        found.starts[row] = ends.starts
        usable = np.flatnonzero(ends.solved[:, place])
        if not usable.size:
            continue
        first = _best(ends, distance[:, place], place, usable)
        order = _told_apart(part, ends, place, usable, first, scale)
        chosen = order[: found.most]
        chosen = chosen[np.lexsort((distance[chosen, place], ends.ratio[chosen, place]))]
        count = len(chosen)
        found.x[row], found.residual[row], found.distance[row] = np.nan, np.nan, np.nan
        found.x[row, :count] = ends.x[chosen, place]
        found.residual[row, :count] = ends.residual[chosen, place]
        found.distance[row, :count] = distance[chosen, place]
        found.count[row], found.found[row] = count, len(order)
        found.apart[row] = _closest(found.x[row, :count] / scale)


def _best(ends: _Ends, distance: Float64, place: int, usable: Rows) -> int:
    """The best end of one row; what was known, unless another is really better."""
    first = int(usable[np.lexsort((distance[usable], ends.ratio[usable, place]))][0])
    exact = ends.solved[0, place] and ends.ratio[0, place] <= ends.ratio[first, place]
    nearer = distance[first] < (1.0 - tolerances.TARGET_FLOOR) * distance[0]
    return 0 if exact and not nearer else first


def _told_apart(
    part: Problem, ends: _Ends, place: int, usable: Rows, first: int, scale: Float64
) -> Rows:
    """Places in `ends` of the distinct answers of one row, the farthest first."""
    wanted = part.targets.wanted[place]
    x = ends.x[usable, place].astype(np.float64)
    tol = ends.tolerance[usable, place][:, wanted, None]
    with np.errstate(all="ignore"):
        slopes = part.network.linearize(x).dense()[:, wanted] * scale / tol
    rounding = np.linalg.norm(x / scale, axis=1) * float(np.finfo(ends.x.dtype).eps)
    begin = int(np.flatnonzero(usable == first)[0])
    # Steps that run away still meet tolerances which grow with the terms at x: last.
    met = ends.ratio[usable, place] == 0.0
    return usable[spread_out(x / scale, slopes, rounding, met, begin)]


def _closest(x: Float64) -> float:
    """Smallest distance between two of the rows; NaN for fewer than two."""
    if len(x) < 2:
        return float("nan")
    return min(
        float(np.linalg.norm(x[k + 1 :] - x[k], axis=1).min()) for k in range(len(x) - 1)
    )


def _restated(
    problem: Problem, result: InversionResult, rows: Rows, found: Answers
) -> InversionResult:
    """The result with the best answer of each row as its x, everything said of it anew."""
    better = rows[(found.count[rows] > 0) & _differs(found.x[rows, 0], result.x[rows])]
    why = f"up to {found.most} answers, from {int(found.starts[rows].max())} starts each"
    steps = (*result.plan.steps, PlanStep("lsq", int(rows.size), why))
    result = replace(result, plan=replace(result.plan, steps=steps))
    if better.size:
        result = restated(problem, result, better, found.x[better, 0])
    # Two answers show that neither is the only one.
    unique = tuple(
        Uniqueness.NO if found.found[row] > 1 else known
        for row, known in enumerate(result.unique)
    )
    return replace(result, unique=unique)


def _differs(x: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.bool_]:
    return np.asarray((x != other).any(axis=1))
