"""Strictly diagonally dominant matrices: solved by Jacobi's iteration, with bounds.

For these alone convergence and nonsingularity are proved before the first step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context
from nninvert.linalg import condition
from nninvert.linalg.condition import Spectrum
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.sparse import SparseMap, SparseMatrix

Float64 = NDArray[np.float64]

SLOWEST = 0.95
"""Above this contraction Jacobi's iteration needs several hundred steps; other ways win."""

_ROUGH = 1e-3
_ROUNDING = 4


@dataclass(frozen=True)
class Dominance:
    """How far the diagonal outweighs the rest.

    Attributes
    ----------
    diagonal : float64 array, shape (n,)
    by_rows, by_columns : float
        The largest quotient of what stands beside a diagonal entry in its row (column) and
        the entry itself; below 1 the matrix is strictly dominant and nonsingular
        (Horn & Johnson, Matrix Analysis, 2nd ed., theorem 6.1.10).
    """

    diagonal: Float64
    by_rows: float
    by_columns: float

    @property
    def contraction(self) -> float:
        """Jacobi's iteration shrinks the error at least by this factor in each step."""
        return min(self.by_rows, self.by_columns)

    @property
    def is_strict(self) -> bool:
        """Whether rows, or columns, are dominant beyond doubt."""
        return self.contraction < 1.0 - 1e-8

    @property
    def steps(self) -> int:
        """Steps of Jacobi's iteration from zero to the rounding level."""
        return predicted_steps(self.contraction, tolerances.EPS64)


def predicted_steps(contraction: float, accuracy: float) -> int:
    """Steps after which an error has shrunk to `accuracy`, at a given rate."""
    if contraction <= accuracy:
        return 1
    return max(1, math.ceil(math.log(accuracy) / math.log(contraction)))


def dominance(matrix: SparseMatrix) -> Dominance:
    """Compare the diagonal of a square matrix with what stands beside it."""
    n = matrix.shape[0]
    rows, columns = matrix.triplets()
    size = np.abs(matrix.data.astype(np.float64))
    on = rows == columns
    diagonal = np.zeros(n)
    diagonal[rows[on]] = matrix.data[on]
    quotients = []
    for lines in (rows, columns):
        beside = np.bincount(lines[~on], weights=size[~on], minlength=n)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.where(diagonal != 0.0, beside / np.abs(diagonal), np.inf)
        quotients.append(float(found.max()))
    return Dominance(diagonal, quotients[0], quotients[1])


class DominantFactor(Factorisation):
    """Of a strictly diagonally dominant matrix A = D + E: ``x <- x + D^-1 (b - A x)``.

    Nothing is factored. Each step is one product with A and refines x against the true
    residual, so that the backward error reaches the rounding level.

    Parameters
    ----------
    sparse_map : SparseMap
    found : Dominance
        Strict.
    context : Context
        Asked between steps whether to stop with the best x so far.
    """

    def __init__(self, sparse_map: SparseMap, found: Dominance, context: Context) -> None:
        self._map, self._found, self._context = sparse_map, found, context
        self.shape = sparse_map.shape
        self.rank = sparse_map.shape[0]
        self.nbytes = found.diagonal.nbytes
        self.reason = (
            f"Jacobi iteration: the diagonal dominates, the error shrinks to "
            f"{found.contraction:.2g} of itself in each step"
        )

    def solve(self, y: Float64) -> Float64:
        """Iterate from D^-1 y to the rounding level."""
        return self._iterate(y, False, tolerances.EPS64)

    def solve_transposed(self, x: Float64) -> Float64:
        """The same with the transpose, which is dominant by columns where A is by rows."""
        return self._iterate(x, True, tolerances.EPS64)

    def solve_roughly(self, y: Float64) -> Float64:
        """Stop after three digits."""
        return self._iterate(y, False, _ROUGH)

    def _iterate(self, rows: Float64, transposed: bool, accuracy: float) -> Float64:
        """Solve for all rows at once until the largest correction is small enough."""
        product = self._map.adjoint if transposed else self._map.apply
        diagonal = self._found.diagonal
        x = rows / diagonal
        for _ in range(_ROUNDING + predicted_steps(self._found.contraction, accuracy)):
            if self._context.should_stop():
                break
            step = (rows - product(x)) / diagonal
            x = x + step
            size = np.abs(x).max(axis=-1, initial=0.0)
            if (np.abs(step).max(axis=-1, initial=0.0) <= accuracy * size).all():
                break
        return x

    def spectrum(self) -> Spectrum:
        """By SVD where cheap, else estimated with rough solves."""
        return self._spectrum

    @cached_property
    def _spectrum(self) -> Spectrum:
        stored = self._map.stored_eps
        if tolerances.svd_is_cheap(self.shape):
            return condition.dense_spectrum(self._map.dense(), stored)
        rough = (
            lambda rows: self._iterate(rows, False, _ROUGH),
            lambda rows: self._iterate(rows, True, _ROUGH),
        )
        products = (self._map.apply, self._map.adjoint)
        seed = self._context.seed
        return condition.estimated_spectrum(
            self.shape[0], products, rough, stored, seed, "Jacobi iteration"
        )

    def spread(self, radius: Float64) -> Float64:
        """Bound |A^-1 d| unit by unit.

        |A^-1| is at most the inverse of A's comparison matrix, |D| - |E|, which has no
        negative entries (Ostrowski, Comment. Math. Helv. 10, 1937). Jacobi's iteration on
        that one ascends to the bound; what is left of the ascent is added.
        """
        size = np.abs(self._found.diagonal)
        start = radius / size
        bound, steps = start, predicted_steps(self._found.contraction, _ROUGH)
        for _ in range(steps):
            # |E| x, without what rounding makes of its zeros.
            beside = np.maximum(self._map.magnitude(bound) - size * bound, 0.0)
            bound = start + beside / size
        left = bound + self._left(start, steps)
        return np.minimum(left, tolerances.RADIUS_CAP)

    def _left(self, start: Float64, steps: int) -> Float64:
        """What so many steps of the ascent have left out at most: a geometric series."""
        found, size = self._found, np.abs(self._found.diagonal)
        if found.by_rows <= found.by_columns:
            series = found.by_rows ** (steps + 1) / (1.0 - found.by_rows)
            return np.asarray(series * start.max(axis=-1, keepdims=True))
        series = found.by_columns ** (steps + 1) / (1.0 - found.by_columns)
        return np.asarray(series * (start * size).sum(axis=-1, keepdims=True) / size)
