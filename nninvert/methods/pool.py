"""Where the next starts of a search lie: at random, or around the best points so far."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nninvert.methods.problem import Problem
from nninvert.methods.starts import random_starts
from nninvert.methods.views import Views

Float64 = NDArray[np.float64]
Index = NDArray[np.int64]

KEPT = 5
"""Points of each row that starts lie around. Around one alone, all might fail."""

DISTINCT = 1e-3
"""Points whose misfits differ by less, relatively, count as one: searches end before they
have come to rest."""

DRAWN = 4
"""Random points of which the one with the least misfit becomes a start."""

HOPS = (1.0, 0.3, 1.0, 0.1)
"""How far from a point the starts around it lie, by turns, in units of each input."""


class Pool:
    """The best points of rows that are not solved, and starts made from them.

    Local minima of deep networks lie in funnels: around a good one, better ones are more
    likely than elsewhere (D. J. Wales, J. P. K. Doye, J. Phys. Chem. A 101, 1997, "basin
    hopping").

    Attributes
    ----------
    agreeing : int array, shape (rows,)
        How many random starts of each row have ended at its best point.
    """

    def __init__(self, problem: Problem, views: Views, unit: Float64) -> None:
        self.problem, self.views, self.unit = problem, views, unit
        self.agreeing = np.zeros(problem.rows, dtype=np.int64)
        self._points: dict[int, list[tuple[float, Float64]]] = {}

    def enter(self, rows: Index, x: Float64) -> None:
        """Remember where searches from random starts ended, points x (k, n) of rows (k,).

        Those that are among the best of their row are kept; those that agree with the very
        best are counted.
        """
        for row, point, misfit in self._finite(rows, x):
            best = self._points.get(row, [(np.inf, point)])[0][0]
            if misfit < (1.0 - DISTINCT) * best:
                self.agreeing[row] = 1
            elif misfit <= (1.0 + DISTINCT) * best:
                self.agreeing[row] += 1
            self._keep(row, point, misfit)

    def enter_related(self, rows: Index, x: Float64) -> None:
        """The same for starts around known points, whose agreement says nothing."""
        for row, point, misfit in self._finite(rows, x):
            best = self._points.get(row, [(np.inf, point)])[0][0]
            if misfit < (1.0 - DISTINCT) * best:
                self.agreeing[row] = 0
            self._keep(row, point, misfit)

    def _finite(self, rows: Index, x: Float64) -> Iterator[tuple[int, Float64, float]]:
        misfits = self.views.misfit(rows, x) if rows.size else np.zeros(0)
        for row, point, misfit in zip(rows, x, misfits, strict=True):
            if np.isfinite(misfit):
                yield int(row), point, float(misfit)

    def _keep(self, row: int, point: Float64, misfit: float) -> None:
        known = self._points.setdefault(row, [])
        if len(known) == KEPT and misfit >= known[-1][0]:
            return
        if any(abs(misfit - other) <= DISTINCT * other for other, _ in known):
            return
        known.append((misfit, point.copy()))
        known.sort(key=lambda pair: pair[0])
        del known[KEPT:]

    def around(self, rows: Index, count: int, random: np.random.Generator) -> Float64:
        """Starts (count, rows, n) around the best points of each row."""
        return np.stack([self._around(int(row), count, random) for row in rows], axis=1)

    def drawn(self, rows: Index, count: int, random: np.random.Generator) -> Float64:
        """Starts (count, rows, n), each the best of `DRAWN` random points."""
        problem = self.problem
        best = random_starts(problem.domain, problem.begin[rows], self.unit, count, random)
        which = np.tile(rows, count)
        least = self.views.misfit(which, best.reshape(which.size, -1)).reshape(count, -1)
        for _ in range(DRAWN - 1):
            other = random_starts(
                problem.domain, problem.begin[rows], self.unit, count, random
            )
            misfit = self.views.misfit(which, other.reshape(which.size, -1))
            lower = misfit.reshape(count, -1) < least
            best[lower] = other[lower]
            least = np.where(lower, misfit.reshape(count, -1), least)
        return best

    def _around(self, row: int, count: int, random: np.random.Generator) -> Float64:
        """Points (count, n) around the best of one row, around `near` if none is known."""
        near = self.problem.begin[row]
        known = self._points.get(row) or [(0.0, near)]
        centres = np.stack([known[k % len(known)][1] for k in range(count)])
        length = np.resize(HOPS, count)[:, None] * self.unit
        moved = centres + length * random.standard_normal(centres.shape)
        return self.problem.domain.clip(moved)
