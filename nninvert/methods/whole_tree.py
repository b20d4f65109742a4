"""Branch on whole numbers: boxes searched without them, the most promising first."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from nninvert.context import Progress
from nninvert.methods._base import Attempt
from nninvert.methods.problem import Problem
from nninvert.methods.whole_best import Best
from nninvert.methods.whole_moves import changes, improved

Float64 = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]
Solve = Callable[[Problem, Float64 | None], Attempt]

MOST_TRIES = 500
"""Searches for a row: some seconds for small networks."""

FEW_TRIES = 50
"""The same where even fractions do not meet the target: only the least misfit counts."""

WHOLE = 1e-6
"""Numbers this close to whole ones are not branched on for being fractional."""


@dataclass(frozen=True, order=True)
class _Node:
    """A box of whole numbers and the best x in it that ignores wholeness.

    The order is that of the search: what meets the target comes first, the nearest of it;
    then the least misfit. The number tells equals apart.
    """

    misfit: float
    distance: float
    number: int
    lower: Float64 = field(compare=False)
    upper: Float64 = field(compare=False)
    x: Float64 = field(compare=False)


class Tree:
    """The search of all rows of a problem, a node of each at a time.

    Rows whose boxes are the same share a call of `solve`.

    Parameters
    ----------
    best : Best
        What is found is offered to it.
    solve : callable
        From a problem without whole numbers, but with bounds of its own, and a start to an
        attempt: one local search.
    """

    def __init__(self, best: Best, solve: Solve) -> None:
        self.best, self.solve = best, solve
        self.problem = best.problem
        self.whole = np.flatnonzero(self.problem.domain.integer)
        self.moves = changes(self.whole.size)
        rows = self.problem.rows
        self.tries = np.zeros(rows, dtype=np.int64)
        self.most = np.full(rows, FEW_TRIES)
        self.heaps: list[list[_Node]] = [[] for _ in range(rows)]
        self.seen: list[set[bytes]] = [set() for _ in range(rows)]
        self._number = count()

    def search(self, x: Float64) -> Mask:
        """Search from relaxed solutions x, finite, until nothing is promising.

        Returns
        -------
        bool array, shape (rows,)
            Rows whose search ended by itself, not by the limit of tries or by time.
        """
        domain = self.problem.domain
        rows = np.arange(self.problem.rows)
        shape = (rows.size, self.whole.size)
        lower = np.broadcast_to(domain.lower[self.whole], shape)
        upper = np.broadcast_to(domain.upper[self.whole], shape)
        self._enter(rows, lower, upper, x)
        hopeful = self.best.relaxed(rows, x).meets
        self.most = np.where(hopeful, MOST_TRIES, FEW_TRIES)
        while (rows := self._open()).size:
            if self.problem.context.should_stop():
                break
            nodes = [heapq.heappop(self.heaps[row]) for row in rows]
            self._dive(rows, nodes)
            self._branch(rows, nodes)
            done = self.problem.rows - self._open().size
            self.problem.context.emit(Progress("whole numbers", done, self.problem.rows))
        return np.array([not self._is_promising(row) for row in range(self.problem.rows)])

    def _open(self) -> Index:
        """Rows that are worth another node."""
        promising = [self._is_promising(row) for row in range(self.problem.rows)]
        return np.flatnonzero(np.array(promising) & (self.tries < self.most))

    def _is_promising(self, row: int) -> bool:
        heap, best = self.heaps[row], self.best
        if not heap or best.is_settled[row]:
            return False
        if not best.meets[row]:
            return True
        # By local searches; that no other box holds a nearer x is not proved.
        return heap[0].misfit == 0.0 and heap[0].distance < best.distance[row]

    def _dive(self, rows: Index, nodes: list[_Node]) -> None:
        """Round and fix half of the numbers that are left, search again, until all are."""
        lower = np.array([node.lower for node in nodes])
        upper = np.array([node.upper for node in nodes])
        x = np.array([node.x for node in nodes])
        while rows.size:
            for k in range(rows.size):
                self._fix_half(lower[k], upper[k], x[k])
            new = self._are_new(rows, lower, upper)
            rows, lower, upper, x = rows[new], lower[new], upper[new], x[new]
            fixed = _all_fixed(lower, upper)
            x = self._solved(rows, lower, upper, x)
            self._offer(rows[fixed], x[fixed])
            self._change(rows[fixed], x[fixed])
            rows, lower, upper, x = rows[~fixed], lower[~fixed], upper[~fixed], x[~fixed]

    def _change(self, rows: Index, x: Float64) -> None:
        """Try other whole numbers around x, and search the rest where they are new."""
        owner, found = [], []
        for row, point in zip(rows, x, strict=True):
            part = self.problem.take(np.array([row]))
            other = improved(part, point, self.moves, self.best.scale)
            if self._are_new(row[None], other[None, self.whole], other[None, self.whole])[
                0
            ]:
                owner.append(row)
                found.append(other)
        if owner:
            rows, x = np.array(owner), np.array(found)
            values = x[:, self.whole]
            self._offer(rows, self._solved(rows, values, values, x))

    def _fix_half(self, lower: Float64, upper: Float64, x: Float64) -> None:
        """Fix those that are nearest to whole numbers, in place."""
        loose = np.flatnonzero(lower < upper)
        near = np.clip(np.round(x[self.whole]), lower, upper)
        off = np.abs(x[self.whole] - near)[loose]
        chosen = loose[np.argsort(off, kind="stable")[: (loose.size + 1) // 2]]
        lower[chosen] = upper[chosen] = near[chosen]

    def _branch(self, rows: Index, nodes: list[_Node]) -> None:
        """Divide each node's box at one number, search the parts, and keep them."""
        found = [
            (row, low, high, node.x)
            for row, node in zip(rows, nodes, strict=True)
            for low, high in self._parts(node)
        ]
        if not found:
            return
        owner, lower, upper, x = (np.array(part) for part in zip(*found, strict=True))
        new = self._are_new(owner, lower, upper)
        owner, lower, upper, x = owner[new], lower[new], upper[new], x[new]
        fixed = _all_fixed(lower, upper)
        x = self._solved(owner, lower, upper, x)
        for k in np.flatnonzero(fixed):
            self._offer(owner[k : k + 1], x[k : k + 1])
        kept = np.flatnonzero(~fixed)
        self._enter(owner[kept], lower[kept], upper[kept], x[kept])

    def _parts(self, node: _Node) -> list[tuple[Float64, Float64]]:
        """Boxes that together hold all whole numbers of the node's."""
        loose = np.flatnonzero(node.lower < node.upper)
        if not loose.size:
            return []
        x = np.clip(node.x[self.whole], node.lower, node.upper)
        off = np.abs(x - np.round(x))
        i = int(loose[np.argmax(off[loose])])
        if off[i] <= WHOLE:
            # Whole already, and yet not the answer: another value of the widest.
            i = int(loose[np.argmax((node.upper - node.lower)[loose])])
            middle = float(np.round(x[i]))
            ranges = [(-np.inf, middle - 1.0), (middle, middle), (middle + 1.0, np.inf)]
        else:
            ranges = [(-np.inf, float(np.floor(x[i]))), (float(np.ceil(x[i])), np.inf)]
        parts = []
        for first, last in ranges:
            low, high = node.lower.copy(), node.upper.copy()
            low[i], high[i] = max(low[i], first), min(high[i], last)
            if low[i] <= high[i]:
                parts.append((low, high))
        return parts

    def _enter(self, rows: Index, lower: Float64, upper: Float64, x: Float64) -> None:
        """Keep nodes, judged without the demand for whole numbers."""
        if not rows.size:
            return
        judged = self.best.relaxed(rows, x)
        for k, row in enumerate(rows):
            # All that meet the target are equal but for their distance.
            misfit = 0.0 if judged.meets[k] else float(judged.misfit[k])
            distance = float(judged.distance[k])
            if not np.isfinite(misfit):
                misfit, distance = np.inf, np.inf
            number = next(self._number)
            node = _Node(misfit, distance, number, lower[k].copy(), upper[k].copy(), x[k])
            heapq.heappush(self.heaps[row], node)

    def _are_new(self, rows: Index, lower: Float64, upper: Float64) -> Mask:
        """Which are not whole numbers that the row has met before; now it has."""
        new = ~_all_fixed(lower, upper)
        for k in np.flatnonzero(~new):
            key, seen = lower[k].tobytes(), self.seen[rows[k]]
            new[k] = key not in seen
            seen.add(key)
        return new

    def _solved(self, rows: Index, lower: Float64, upper: Float64, x: Float64) -> Float64:
        """One search in each box, from x."""
        groups = defaultdict(list)
        for k in range(rows.size):
            groups[lower[k].tobytes() + upper[k].tobytes()].append(k)
        found = x.copy()
        domain = self.problem.domain.continuous()
        for members in groups.values():
            places = np.array(members)
            low, high = domain.lower.copy(), domain.upper.copy()
            low[self.whole], high[self.whole] = lower[places[0]], upper[places[0]]
            box = domain.narrowed(low, high)
            if box.is_point:
                found[places] = box.lower
                continue
            part = replace(self.problem.take(rows[places]), domain=box)
            attempt = self.solve(part, box.clip(x[places]))
            usable = np.isfinite(attempt.x).all(axis=1, keepdims=True)
            found[places] = np.where(usable, attempt.x, box.clip(x[places]))
        np.add.at(self.tries, rows, 1)
        return found

    def _offer(self, rows: Index, x: Float64) -> None:
        if rows.size:
            self.best.offer(rows, x)


def _all_fixed(lower: Float64, upper: Float64) -> Mask:
    return np.asarray((lower == upper).all(axis=1))
