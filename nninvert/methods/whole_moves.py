"""Change single whole numbers, and pairs of them, while that brings f(x) nearer to y."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.norms import row_norms
from nninvert.methods.domain import Domain
from nninvert.methods.problem import Problem

Float64 = NDArray[np.float64]

MOST_MOVES = 50
"""Changes in a row; each lowers the misfit, and most searches end after a few."""

MOST_PAIRS = 2000
"""Pairs of changes that are tried together; with more, single ones have to do."""

RANK = 1e-10
"""Singular values below this part of the largest move no output."""


def changes(count: int) -> Float64:
    """All ways to change one or two of so many numbers by one, shape (k, count)."""
    single = np.concatenate([np.eye(count), -np.eye(count)])
    if 2 * count * (count - 1) > MOST_PAIRS:
        return single
    pairs = [
        single[i] + single[j]
        for i, j in combinations(range(2 * count), 2)
        if i != j - count
    ]
    return np.concatenate([single, *(np.array(p)[None] for p in pairs)])


def improved(problem: Problem, x: Float64, moves: Float64, scale: Float64) -> Float64:
    """Descend over whole numbers, by the best of all moves at a time.

    Parameters
    ----------
    problem : Problem
        Of one row.
    x : float64 array, shape (n_in,)
        Whole where that is asked for.
    moves : float64 array, shape (k, n_integer)
        As `changes` gives them.
    scale : float64 array, shape (n_in,)
        Of the distance from `near`, which counts between equals.

    Returns
    -------
    float64 array, shape (n_in,)
        Other inputs as they were: what they could do about the misfit is left out of it to
        first order, for the caller to do.
    """
    domain, whole = problem.domain, problem.domain.integer
    others = (domain.lower < domain.upper) & ~whole
    # Sums with other inputs in them may be kept again by those.
    allowed = Domain.box(domain.lower, domain.upper) if others.any() else domain
    here = _rank(problem, x[None], _reach(problem, x, others), scale)[0]
    for _ in range(MOST_MOVES):
        if problem.context.should_stop():
            break
        trial = np.tile(x, (moves.shape[0], 1))
        trial[:, whole] += moves
        trial = trial[allowed.contain(trial)]
        if not trial.shape[0]:
            break
        ranks = _rank(problem, trial, _reach(problem, x, others), scale)
        best = int(np.lexsort(ranks.T[::-1])[0])
        if tuple(ranks[best]) >= tuple(here):
            break
        x, here = trial[best], ranks[best]
    return x


def _rank(problem: Problem, x: Float64, reach: Float64, scale: Float64) -> Float64:
    """How far outside the tolerances, then how far from `near`, shape (k, 2)."""
    fitted, terms = problem.network.forward_with_terms(x)
    wanted = problem.targets.wanted[0]
    with np.errstate(over="ignore", invalid="ignore"):
        tolerance = np.maximum(problem.tolerance(terms), np.finfo(np.float64).tiny)
        off = ((fitted - problem.targets.values) / tolerance)[:, wanted]
        off = off - (off @ reach) @ reach.T
        outside = row_norms(np.maximum(np.abs(off) - 1.0, 0.0))
        distance = row_norms((x - problem.near) / scale)
    return np.column_stack([np.nan_to_num(outside, nan=np.inf), distance])


def _reach(problem: Problem, x: Float64, others: NDArray[np.bool_]) -> Float64:
    """Orthonormal directions of the outputs, in tolerances, that other inputs can move."""
    wanted = problem.targets.wanted[0]
    if not others.any():
        return np.zeros((int(wanted.sum()), 0))
    terms = problem.evaluated(x[None])[1]
    tolerance = np.maximum(problem.tolerance(terms), np.finfo(np.float64).tiny)[0]
    jacobian = problem.network.linearize(x[None]).dense()[0][wanted][:, others]
    slopes = np.nan_to_num(jacobian / tolerance[wanted, None])
    left, sizes, _ = np.linalg.svd(slopes, full_matrices=False)
    return np.asarray(left[:, sizes > RANK * sizes.max(initial=0.0)])
