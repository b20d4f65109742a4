"""The rows of a batched search: what is asked of them, and the best point of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.norms import row_norms
from nninvert.rootfind._lm_protocol import RowFunction
from nninvert.rootfind._lm_steps import Box

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Index = NDArray[np.int64]

ROUNDING = 4.0 * np.finfo(np.float64).eps
"""A value that differs from its target by this part of its size is met: two evaluations of
the same point differ by as much."""


@dataclass
class Rows:
    """Points of k rows that only ever get better.

    Attributes
    ----------
    function : RowFunction
    target, weights : float64 arrays, shape (k, m)
        The weights are relative to the misfit at the start, so that no square overflows.
    lower, upper, unit : float64 arrays, shape (n,)
    enough : float64 array, shape (k,)
        A row is met where no weighted difference exceeds this.
    x, value : float64 arrays, shapes (k, n) and (k, m)
    cost : float64 array, shape (k,)
        Sum of the squares of the weighted differences; infinite where f is not finite.
    evaluations : int array, shape (k,)
    """

    function: RowFunction
    target: Float64
    weights: Float64
    lower: Float64
    upper: Float64
    unit: Float64
    enough: Float64
    x: Float64
    value: Float64
    cost: Float64
    evaluations: Index

    @classmethod
    def begin(
        cls,
        function: RowFunction,
        target: Float64,
        weights: Float64,
        x: Float64,
        lower: Float64,
        upper: Float64,
        unit: Float64,
        enough: float,
    ) -> Rows:
        """Evaluate the starts, which lie inside the bounds."""
        value = function.forward(x)
        wanted = weights > 0.0
        off = np.where(wanted, value - target, 0.0)
        size = row_norms(weights * off)
        size = np.where(np.isfinite(size) & (size > 0.0), size, 1.0)
        weights = weights / size[:, None]
        cost = np.square(weights * off).sum(axis=1)
        return cls(
            function=function,
            target=target,
            weights=weights,
            lower=lower,
            upper=upper,
            unit=unit,
            enough=enough / size,
            x=x.copy(),
            value=value,
            cost=np.where(np.isfinite(cost), cost, np.inf),
            evaluations=np.ones(x.shape[0], dtype=np.int64),
        )

    def residual(self, rows: Index) -> Float64:
        """Weighted differences of some rows."""
        return self._weighted(rows, self.value[rows])

    def met(self, rows: Index) -> Mask:
        """Which of some rows are as good as was asked for, or as float64 can tell."""
        value, target, weights = self.value[rows], self.target[rows], self.weights[rows]
        off = np.where(weights > 0.0, np.abs(value - target), 0.0)
        rounding = ROUNDING * np.maximum(np.abs(value), np.abs(target))
        enough = weights * off <= self.enough[rows, None]
        return np.asarray((enough | (off <= rounding)).all(axis=1))

    def box(self, rows: Index) -> Box:
        """How far the variables of some rows may move."""
        x = self.x[rows]
        return Box((self.lower - x) / self.unit, (self.upper - x) / self.unit)

    def distance(self, rows: Index) -> Float64:
        """||x|| of some rows in units: its rounding moves f by that times the slopes."""
        return row_norms(self.x[rows] / self.unit)

    def moved(self, rows: Index, step: Float64) -> Float64:
        """The points that steps, in units, lead to."""
        return np.clip(self.x[rows] + self.unit * step, self.lower, self.upper)

    def judge(self, rows: Index, x: Float64) -> tuple[Float64, Float64]:
        """Evaluate trial points: f and the sums of squares."""
        self.evaluations[rows] += 1
        value = self.function.forward(x)
        cost = np.square(self._weighted(rows, value)).sum(axis=1)
        return value, np.where(np.isfinite(cost), cost, np.inf)

    def take(self, rows: Index, x: Float64, value: Float64, cost: Float64) -> None:
        """Move rows to better points."""
        self.x[rows], self.value[rows], self.cost[rows] = x, value, cost

    def _weighted(self, rows: Index, value: Float64) -> Float64:
        weights = self.weights[rows]
        return np.where(weights > 0.0, weights * (value - self.target[rows]), 0.0)
