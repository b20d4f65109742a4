"""Search from many starts, all rows and starts in batches, until every row is solved.

The engine is `levenberg_marquardt`; which equations it follows, `Ways` knows.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.context import Progress
from nninvert.linalg.norms import row_norms
from nninvert.methods.pool import Pool
from nninvert.methods.problem import Problem
from nninvert.methods.starts import random_starts
from nninvert.methods.ways import Way, Ways
from nninvert.rootfind.levenberg_marquardt import LeastSquaresRows, levenberg_marquardt

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.int64]
Remember = Callable[[Index, Float64], None]
Starts = Callable[[Problem], Float64]

STAGES = (4, 12, 32, 64, 128, 256, 512)
"""Starts in each stage, tried where the stages before did not succeed: together 1008. On
nets that are hard one start in a thousand succeeds."""

SECONDS_PER_ROW = 4.0
"""No stage begins, and no batch in it, once the rows that were open after the first starts
have taken this long on average."""

SAMPLE = 16
"""Random inputs that tell typical sizes."""

BATCH_BYTES = 2**22
"""Jacobians of a batch: they stay in the cache."""

STARTS_BYTES = 2**27
"""Starts that are made at a time."""

MOST_AT_ONCE = 4096
"""Starts of a batch: for small networks more are no faster."""

CLOSE = 1e-3
"""Misfit up to which a row that has come to rest is searched for once more, outputs weighed
by their tolerances there: small ones beside large ones are met to their own."""

AGREEING = 24
"""A row is given up when so many random starts have ended at its best point: others would,
too."""


@dataclass(frozen=True)
class Found:
    """The best point of each row.

    Attributes
    ----------
    x : float64 array, shape (rows, n_in)
        Inside the bounds; where no start had a finite value, the first start.
    solved : bool array, shape (rows,)
        Whether it meets the tolerances.
    stopped : bool array, shape (rows,)
        A limit ended the search of the row before it was solved or came to rest.
    error : float64 array, shape (rows,)
        Largest |f(x) - y| over the wanted outputs.
    starts : int array, shape (rows,)
        How many were tried.
    """

    x: Float64
    solved: Mask
    stopped: Mask
    error: Float64
    starts: Index


@dataclass(frozen=True)
class Ends:
    """Where searches from given starts ended.

    Attributes
    ----------
    x : float64 array, shape (s, rows, n_in)
    misfit : float64 array, shape (s, rows)
        Norm of f(x) - y over the wanted outputs, each relative to its size (the larger of
        |y| and of the terms that typically make it); infinite where it is not finite.
    solved : bool array, shape (s, rows)
        Whether every output lies within its tolerance.
    """

    x: Float64
    misfit: Float64
    solved: Mask


def search(
    problem: Problem, starts: Sequence[Float64], dearer: Starts | None = None
) -> Found:
    """Solve f(x) = y for every row: from given starts, then from random ones.

    Parameters
    ----------
    problem : Problem
        Its bounds are kept; inequalities and whole numbers are not looked at.
    starts : sequence of float64 arrays, shape (rows, n_in)
        Tried in one batch first; rows that are not finite begin at `near`. At least one.
    dearer : callable, default None
        Makes more starts, shape (s, rows, n_in), for the problem of the rows that these and
        the first random ones leave: for what takes longer to find than most rows need.

    Returns
    -------
    Found

    Notes
    -----
    Rows that are proved to be out of reach get the first starts only. The others get up to
    ``sum(STAGES)`` random starts, as long as all rows together have not taken
    `SECONDS_PER_ROW` each. In the end the best point of each row that is not solved is
    brought to rest: it is a local least-squares point, each output relative to its size.
    """
    return _Search(problem).run(starts, dearer)


def solutions(problem: Problem, starts: Float64) -> Ends:
    """Follow every start to where it ends, batch-wise.

    Parameters
    ----------
    problem : Problem
    starts : float64 array, shape (s, rows, n_in)
        Finite.
    """
    engine = _Search(problem)
    many, rows, _ = starts.shape
    x = np.empty_like(starts)
    misfit, solved = np.empty((many, rows)), np.empty((many, rows), dtype=np.bool_)
    flat_rows = np.tile(np.arange(rows), many)
    flat = x.reshape(many * rows, -1)
    for part in engine.parts(flat_rows.size):
        ends = engine.ways.direct(flat_rows[part], starts.reshape(flat.shape)[part])
        flat[part] = ends
        judged = engine.judge(flat_rows[part], ends)
        misfit.reshape(-1)[part], solved.reshape(-1)[part] = judged.misfit, judged.solved
    return Ends(x, misfit, solved)


@dataclass(frozen=True)
class _Judged:
    misfit: Float64
    solved: Mask
    error: Float64
    tolerance: Float64


class _Search:
    """The best point of each row so far, and the batches that make it better."""

    def __init__(self, problem: Problem) -> None:
        self.problem, self.context = problem, problem.context
        self.random = np.random.default_rng([problem.context.seed, problem.rows])
        self.unit = problem.unit
        sample = random_starts(
            problem.domain, problem.begin[:1], self.unit, SAMPLE, self.random
        )
        self.ways = Ways(problem, sample[:, 0])
        self.pool = Pool(problem, self.ways.views, self.unit)
        rows = problem.rows
        self.x = problem.begin.copy()
        self.misfit = np.full(rows, np.inf)
        self.error = np.full(rows, np.inf)
        self.solved = np.zeros(rows, dtype=np.bool_)
        self.tried = np.zeros(rows, dtype=np.int64)

    def run(self, starts: Sequence[Float64], dearer: Starts | None) -> Found:
        """The stages, then the end."""
        rows = self.problem.rows
        first = np.stack([self._usable(start) for start in starts])
        with np.errstate(all="ignore"):
            # Known even if time is up at once.
            self._enter(np.arange(rows), first[0], self.pool.enter_related)
            self.tried[:] = 0
            self._try(np.arange(rows), first, self.ways.direct, self.pool.enter, np.inf)
            begun = time.monotonic()
            limit = begun + SECONDS_PER_ROW * self._open().size
            for stage, count in enumerate(STAGES):
                if stage == 1 and dearer is not None:
                    self._try_dearer(dearer)
                chosen = self._open()
                if not chosen.size or self.context.should_stop():
                    break
                if time.monotonic() > limit:
                    break
                self._stage(chosen, count, limit)
            stopped = self._finish()
        return Found(self.x, self.solved, stopped, self.error, self.tried)

    def _try_dearer(self, make: Starts) -> None:
        rows = self._open()
        if rows.size and not self.context.should_stop():
            starts = self.problem.domain.clip(make(self.problem.take(rows)))
            self._try(rows, starts, self.ways.direct, self.pool.enter, np.inf)

    def _usable(self, start: Float64) -> Float64:
        finite = np.isfinite(start).all(axis=1, keepdims=True)
        return self.problem.domain.clip(np.where(finite, start, self.problem.begin))

    def _open(self) -> Index:
        """Rows for which more starts are worth while."""
        open_rows = ~self.solved & (self.pool.agreeing < AGREEING)
        if self.problem.unreachable is not None:
            open_rows &= ~self.problem.unreachable
        return np.flatnonzero(open_rows)

    def _stage(self, rows: Index, count: int, limit: float) -> None:
        """So many starts for some rows, by all ways in turn."""
        each = 8 * count * self.x.shape[1]
        for group in np.array_split(rows, math.ceil(rows.size * each / STARTS_BYTES)):
            hops = count // 2
            drawn = self.pool.drawn(group, count - hops, self.random)
            self._by_all_ways(group, drawn, self.pool.enter, limit)
            near = self.pool.around(group, hops, self.random)
            self._by_all_ways(group, near, self.pool.enter_related, limit)

    def _by_all_ways(
        self, rows: Index, starts: Float64, remember: Remember, limit: float
    ) -> None:
        ways = self.ways.every
        for place, way in enumerate(ways):
            rest = ~self.solved[rows]
            part = starts[place :: len(ways), rest]
            self._try(rows[rest], part, way, remember, limit)

    def _try(
        self, rows: Index, starts: Float64, way: Way, remember: Remember, limit: float
    ) -> None:
        """Follow starts (s, rows, n) of some rows and keep what is better."""
        many = starts.shape[0]
        which = np.tile(rows, many)
        flat = starts.reshape(which.size, self.x.shape[1])
        for part in self.parts(which.size):
            if self.context.should_stop() or time.monotonic() > limit:
                return
            here = np.arange(which.size)[part]
            here = here[~self.solved[which[here]]]
            if here.size:
                self._enter(which[here], way(which[here], flat[here]), remember)
            done = int(np.count_nonzero(self.solved))
            self.context.emit(Progress("least squares", done, self.problem.rows))

    def parts(self, count: int) -> list[slice]:
        """Cut so many starts into batches that fit into the cache."""
        at_once = int(np.clip(BATCH_BYTES // self.ways.views.bytes_each, 1, MOST_AT_ONCE))
        return [slice(first, first + at_once) for first in range(0, count, at_once)]

    def judge(self, rows: Index, x: Float64) -> _Judged:
        """What the plain forward pass says of points x (k, n) of rows (k,)."""
        part = self.problem.take(rows)
        value, terms = part.evaluated(x)
        weights = self.ways.views.outer.weights[rows]
        with np.errstate(all="ignore"):
            tol = part.tolerance(terms)
            off = np.abs(value - part.targets.values)
            off = np.where(part.targets.wanted, off, 0.0)
            misfit = row_norms(off * weights)
            met = (off <= tol) & np.isfinite(off)
        return _Judged(
            misfit=np.where(np.isfinite(misfit), misfit, np.inf),
            solved=np.asarray(met.all(axis=1)),
            error=off.max(axis=1),
            tolerance=tol,
        )

    def _enter(self, rows: Index, x: Float64, remember: Remember) -> None:
        """Keep of each row the best: solved and near, else lowest; rows may occur often."""
        judged = self.judge(rows, x)
        remember(rows[~judged.solved], x[~judged.solved])
        np.add.at(self.tried, rows, 1)
        away = row_norms((x - self.problem.near[rows]) / self.unit)
        rank = np.where(judged.solved, away, judged.misfit)
        order = np.lexsort((rank, ~judged.solved, rows))
        first = order[np.unique(rows[order], return_index=True)[1]]
        lower = judged.misfit[first] < self.misfit[rows[first]]
        better = first[judged.solved[first] | lower]
        self._take(rows[better], x[better], judged, better)

    def _take(self, rows: Index, x: Float64, judged: _Judged, chosen: Index) -> None:
        self.x[rows], self.misfit[rows] = x, judged.misfit[chosen]
        self.solved[rows], self.error[rows] = judged.solved[chosen], judged.error[chosen]

    def _finish(self) -> Mask:
        """Bring the best points of rows that are left to rest; which did not get there."""
        outer = self.ways.views.outer
        stopped = ~self.solved & np.isfinite(self.misfit)
        rows = np.flatnonzero(stopped)
        if not rows.size or self.context.should_stop():
            return np.asarray(stopped)
        found = self._to_rest(rows, outer.weights[rows])
        stopped[rows] = found.stopped
        judged = self.judge(rows, found.x)
        better = np.flatnonzero(judged.solved | (judged.misfit < self.misfit[rows]))
        self._take(rows[better], found.x[better], judged, better)
        rows = np.flatnonzero(~self.solved & (self.misfit <= CLOSE))
        if rows.size and not self.context.should_stop():
            tol = self.judge(rows, self.x[rows]).tolerance
            weights = 1.0 / np.maximum(tol, np.finfo(np.float64).tiny)
            found = self._to_rest(rows, np.where(outer.weights[rows] > 0.0, weights, 0.0))
            judged = self.judge(rows, found.x)
            better = np.flatnonzero(judged.solved)
            self._take(rows[better], found.x[better], judged, better)
        return np.asarray(stopped & ~self.solved)

    def _to_rest(self, rows: Index, weights: Float64) -> LeastSquaresRows:
        problem, domain = self.problem, self.problem.domain
        return levenberg_marquardt(
            problem.network,
            problem.targets.values[rows],
            weights,
            self.x[rows],
            domain.lower,
            domain.upper,
            scale=self.unit,
            should_stop=self.context.should_stop,
        )
