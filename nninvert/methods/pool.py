"""Where the next starts of a search lie: at random, or around the best points so far."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.methods.problem import Problem
from nninvert.methods.starts import random_starts
from nninvert.methods.views import Views

Float64 = NDArray[np.float64]
Index = NDArray[np.int64]

KEPT = 5
"""Points of each row that starts lie around. Around one alone, all might fail."""

DISTINCT = 1e-6
"""Points whose misfits differ by less, relatively, count as one."""

DRAWN = 8
"""Random points of which the one with the least misfit becomes a start."""

HOPS = (1.0, 0.3, 1.0, 0.1)
"""How far from a point the starts around it lie, by turns, in units of each input."""


class Pool:
    """The best points of rows that are not solved, and starts made from them.

    Local minima of deep networks lie in funnels: around a good one, better ones are more
    likely than elsewhere (D. J. Wales, J. P. K. Doye, J. Phys. Chem. A 101, 1997, "basin
    hopping").
    """

    def __init__(self, problem: Problem, views: Views, unit: Float64) -> None:
        self.problem, self.views, self.unit = problem, views, unit
        self._points: dict[int, list[tuple[float, Float64]]] = {}

    def enter(self, rows: Index, x: Float64) -> None:
        """Remember points x (k, n) of rows (k,) where they are among the best."""
        if not rows.size:
            return
        for row, point, misfit in zip(rows, x, self.views.misfit(rows, x), strict=True):
            if not np.isfinite(misfit):
                continue
            known = self._points.setdefault(int(row), [])
            if len(known) == KEPT and misfit >= known[-1][0]:
                continue
            if any(abs(misfit - other) <= DISTINCT * other for other, _ in known):
                continue
            known.append((float(misfit), point.copy()))
            known.sort(key=lambda pair: pair[0])
            del known[KEPT:]

    def starts(self, rows: Index, count: int, random: np.random.Generator) -> Float64:
        """Make starts (count, rows, n): screened random ones and such around the best."""
        around = count // 2
        drawn = self._screened(rows, count - around, random)
        hops = np.stack([self._around(int(row), around, random) for row in rows], axis=1)
        return np.concatenate([drawn, hops])

    def _screened(self, rows: Index, count: int, random: np.random.Generator) -> Float64:
        """Of `DRAWN` random points each the one with the least misfit."""
        problem = self.problem
        best = random_starts(problem.domain, problem.near[rows], self.unit, count, random)
        which = np.tile(rows, count)
        least = self.views.misfit(which, best.reshape(which.size, -1)).reshape(count, -1)
        for _ in range(DRAWN - 1):
            other = random_starts(
                problem.domain, problem.near[rows], self.unit, count, random
            )
            misfit = self.views.misfit(which, other.reshape(which.size, -1))
            lower = misfit.reshape(count, -1) < least
            best[lower] = other[lower]
            least = np.where(lower, misfit.reshape(count, -1), least)
        return best

    def _around(self, row: int, count: int, random: np.random.Generator) -> Float64:
        """Points (count, n) around the best of one row, around `near` if none is known."""
        near = self.problem.near[row]
        known = self._points.get(row) or [(0.0, near)]
        centres = np.stack([known[k % len(known)][1] for k in range(count)])
        length = np.resize(HOPS, count)[:, None] * self.unit
        moved = centres + length * random.standard_normal(centres.shape)
        return self.problem.domain.clip(moved)
