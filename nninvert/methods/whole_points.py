"""Where whole numbers have few values: all their combinations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nninvert.context import Progress
from nninvert.methods._base import Attempt
from nninvert.methods.domain import Domain
from nninvert.methods.problem import Problem
from nninvert.methods.whole_best import Best, judge

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Solve = Callable[[Problem, Float64 | None], Attempt]

MOST_POINTS = 2**16
"""Combinations up to which all are evaluated where every input is fixed or whole."""

BLOCK = 4096
"""Combinations that are evaluated at a time."""


def combinations(domain: Domain) -> float:
    """How many combinations of whole numbers the bounds allow; may be inf."""
    width = domain.upper[domain.integer] - domain.lower[domain.integer] + 1.0
    return float(width.prod())


def is_listed(domain: Domain) -> bool:
    """Whether the allowed inputs are so few that f can be evaluated at all of them."""
    others = (domain.lower < domain.upper) & ~domain.integer
    return not others.any() and combinations(domain) <= MOST_POINTS


def combination_blocks(domain: Domain, near: Float64) -> Iterator[Float64]:
    """Every combination of the whole numbers, shape (k, n_integer), in blocks.

    Each input's values come in the order of their distance from `near`, shape (n_in,).
    """
    low, high = domain.lower[domain.integer], domain.upper[domain.integer]
    values = [np.arange(a, b + 1.0) for a, b in zip(low, high, strict=True)]
    for k, centre in enumerate(near[domain.integer]):
        values[k] = values[k][np.argsort(np.abs(values[k] - centre), kind="stable")]
    counts = tuple(v.size for v in values)
    total = math.prod(counts)
    for first in range(0, total, BLOCK):
        places = np.unravel_index(np.arange(first, min(first + BLOCK, total)), counts)
        yield np.column_stack([v[place] for v, place in zip(values, places, strict=True)])


def evaluate_all(best: Best) -> Mask:
    """Offer every allowed x of a domain in which all inputs are fixed or whole.

    Returns
    -------
    bool array, shape (rows,)
        Whether all were evaluated for the row: not where time was up.
    """
    problem = best.problem
    domain, context = problem.domain, problem.context
    total = int(combinations(domain))
    done = 0
    for block in combination_blocks(domain, problem.near.mean(axis=0)):
        if context.should_stop():
            return np.zeros(problem.rows, dtype=np.bool_)
        _offer_to_all(best, points(domain, block))
        done += block.shape[0]
        context.emit(Progress("whole numbers", done, total))
    return np.ones(problem.rows, dtype=np.bool_)


def points(domain: Domain, block: Float64) -> Float64:
    """The allowed x of some combinations, where the other inputs are fixed."""
    x = np.tile(domain.lower, (block.shape[0], 1))
    x[:, domain.integer] = block
    return x[domain.contain(x)]


def _offer_to_all(best: Best, x: Float64) -> None:
    """Let every row take the x that is best for it."""
    if not x.shape[0]:
        return
    rows = np.arange(best.problem.rows)
    outputs = best.problem.network.forward_with_terms(x)
    chosen = np.empty(rows.size, dtype=np.int64)
    for row in rows:
        judged = judge(best.problem.take(rows[row : row + 1]), x, outputs, best.scale)
        order = judged.distance if best.wants_nearest else judged.misfit
        ranked = np.where(judged.meets, order, judged.misfit)
        chosen[row] = np.lexsort((ranked, ~judged.meets))[0]
    best.offer(rows, x[chosen])


def search_each(best: Best, solve: Solve, start: Float64 | None) -> Mask:
    """Search the other inputs with each combination of whole numbers, all rows at once.

    Parameters
    ----------
    best : Best
    solve : callable
        From a problem without whole numbers and a start to an attempt.
    start : float64 array, shape (rows, n_in), or None

    Returns
    -------
    bool array, shape (rows,)
        Whether the searches of the row ended by themselves, all of them unless it is
        settled.
    """
    problem = best.problem
    domain, context = problem.domain, problem.context
    total, done = int(combinations(domain)), 0
    ended = np.ones(problem.rows, dtype=np.bool_)
    for block in combination_blocks(domain, problem.near.mean(axis=0)):
        for values in block:
            rows = np.flatnonzero(~best.is_settled)
            if context.should_stop():
                ended[rows] = False
                return ended
            fixed = _fixed(domain, values)
            part = replace(problem.take(rows), domain=fixed)
            attempt = solve(part, None if start is None else fixed.clip(start[rows]))
            ended[rows] &= ~attempt.stopped
            best.offer(rows, attempt.x)
            done += 1
            context.emit(Progress("whole numbers", done, total))
            if best.is_settled.all():
                return ended
    return ended


def _fixed(domain: Domain, values: Float64) -> Domain:
    """The domain with these whole numbers."""
    lower, upper = domain.lower.copy(), domain.upper.copy()
    lower[domain.integer] = upper[domain.integer] = values
    return domain.continuous().narrowed(lower, upper)
