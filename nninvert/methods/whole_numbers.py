"""Inputs that must be whole numbers, around a method that knows none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nninvert.methods import nearest
from nninvert.methods._base import Attempt, Method
from nninvert.methods.problem import Problem
from nninvert.methods.whole_best import Best
from nninvert.methods.whole_points import combinations, evaluate_all, is_listed, search_each
from nninvert.methods.whole_tree import Tree
from nninvert.rootfind.levenberg_marquardt import levenberg_marquardt

Float64 = NDArray[np.float64]

MOST_SEARCHES = 32
"""Combinations up to which the other inputs are searched with each of them."""


class WholeNumbers(Method):
    """Search without the demand for whole numbers, then with some of them fixed.

    Parameters
    ----------
    inner : Method
        Searches with bounds and inequalities, whole numbers left aside.

    Notes
    -----
    ==================================  ===============================================
    combinations of whole numbers       what is done
    ==================================  ===============================================
    few, and nothing else is free       f is evaluated at all of them
    up to `MOST_SEARCHES`               the other inputs are searched with each,
                                        from `near` and from where the inner method led
    more                                relax, round, branch (`Tree`)
    ==================================  ===============================================

    Only the first is exhaustive: nothing is proved by local searches.
    """

    name = "whole"
    summary = "some inputs whole numbers: all combinations, or rounding and branching"
    searches = True

    def __init__(self, inner: Method) -> None:
        self.inner = inner

    def obstacle(self, problem: Problem) -> str:
        """No whole numbers asked for, or what stands in the way of the inner method."""
        if not problem.domain.integer.any():
            return "no input that must be a whole number (--integer)"
        return self.inner.obstacle(_relaxed(problem))

    def attempt(self, problem: Problem, start: Float64 | None) -> Attempt:
        """Search whole numbers for each row; see the class for how."""
        best = Best(problem)
        domain = problem.domain
        total = combinations(domain)
        if is_listed(domain):
            ended = evaluate_all(best)
            reason = [_of_all_points(best, row, int(total)) for row in range(problem.rows)]
        elif total <= MOST_SEARCHES:
            begin = None if start is None else _filled(start, problem)
            ended = search_each(best, one_search, begin)
            if not best.meets.all():
                relaxed = self.inner.attempt(_relaxed(problem), start)
                ended &= search_each(best, one_search, _filled(relaxed.x, problem))
            reason = [_of_searches(best, row, int(total)) for row in range(problem.rows)]
        else:
            tree = Tree(best, one_search)
            relaxed = self.inner.attempt(_relaxed(problem), start)
            ended = tree.search(_filled(relaxed.x, problem))
            reason = [
                _of_tree(best, row, int(tree.tries[row]), bool(ended[row]))
                for row in range(problem.rows)
            ]
        x = best.x + 0.0
        x[:, domain.integer] = np.round(x[:, domain.integer]) + 0.0
        return Attempt(x, ~ended, tuple(reason))


def _relaxed(problem: Problem) -> Problem:
    return replace(problem, domain=problem.domain.continuous())


def _filled(x: Float64, problem: Problem) -> Float64:
    """The rows of x, with `near` where they are not finite."""
    usable = np.isfinite(x).all(axis=1, keepdims=True)
    return np.where(usable, x, problem.begin)


def one_search(problem: Problem, start: Float64 | None) -> Attempt:
    """Least squares from one start of each row; least change where nearness matters."""
    begin = problem.begin if start is None else start
    asks = problem.within is not None or problem.near_is_given
    if asks or len(problem.domain.constraints):
        return nearest.nearest_rows(problem, begin[None])
    terms = problem.evaluated(begin)[1]
    tolerance = np.maximum(problem.tolerance(terms), np.finfo(np.float64).tiny)
    found = levenberg_marquardt(
        problem.network,
        problem.targets.values,
        np.where(problem.targets.wanted, 1.0 / tolerance, 0.0),
        begin,
        problem.domain.lower,
        problem.domain.upper,
        scale=problem.unit,
        should_stop=problem.context.should_stop,
    )
    return Attempt(found.x, found.stopped, ("",) * problem.rows)


def _of_all_points(best: Best, row: int, total: int) -> str:
    every = f"all {total:,} combinations of whole numbers that the bounds allow"
    if best.meets[row]:
        return f"the nearest of {every}" if best.wants_nearest else ""
    return f"{_none(best, row)} among {every}"


def _of_searches(best: Best, row: int, total: int) -> str:
    if best.meets[row]:
        return ""
    return (
        f"{_none(best, row)} by a search with each of {total:,} combinations of whole "
        "numbers; no proof"
    )


def _of_tree(best: Best, row: int, tries: int, ended: bool) -> str:
    if best.meets[row]:
        if best.wants_nearest and not ended:
            return f"a nearer x of whole numbers may exist: ended after {tries:,} tries"
        return ""
    return f"{_none(best, row)} in {tries:,} tries; no proof"


def _none(best: Best, row: int) -> str:
    if not np.isfinite(best.misfit[row]):
        return "no allowed whole numbers found"
    return (
        f"no whole numbers found that meet the target, |f(x) - y| = {best.error(row):.3g},"
    )
