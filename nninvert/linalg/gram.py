"""Sparse matrices that are not square, by LU of the square one they make with themselves.

With T the tall one of A and A^T, least squares are ``(T^T T)^-1 T^T y``, and solutions of
least norm ``T (T^T T)^-1 y``. Squaring squares the condition number; corrections from
residuals with T itself make up for that as long as it stays below the reciprocal of the
unit roundoff (A. Björck, Linear Algebra Appl. 88/89, 1987: corrected seminormal equations).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context, Notice
from nninvert.linalg.condition import Spectrum
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.sparse import SparseMap, SparseMatrix
from nninvert.linalg.sparse_plan import SparseWay, sparse_plan
from nninvert.linalg.sparse_solve import factor_sparse
from nninvert.outcome import Kind

Float64 = NDArray[np.float64]
_Product = Callable[[Float64], Float64]

_WORST_SQUARE = 1e13
"""Largest condition number of T^T T: a correction still gains two digits."""

_CORRECTIONS = 4
"""They gain two digits at least, so that four make good what squaring has lost."""

_LONG = 60.0
"""Seconds of LU that are worth the knowledge of the rank; iteration has to do beyond."""


class GramFactor(Factorisation):
    """Of a sparse matrix of full rank that is not square.

    Parameters
    ----------
    sparse_map : SparseMap
        A.
    square : Factorisation
        Of T^T T, nonsingular.
    seen : Spectrum
        Of T^T T.
    """

    def __init__(
        self, sparse_map: SparseMap, square: Factorisation, seen: Spectrum
    ) -> None:
        self._map, self._square, self._seen = sparse_map, square, seen
        self.shape = sparse_map.shape
        self.rank = min(self.shape)
        self.nbytes = square.nbytes
        m, n = self.shape
        which = "A^T A" if m > n else "A A^T"
        self.reason = f"{square.reason} of {which}, corrected: it is not square"

    def solve(self, y: Float64) -> Float64:
        """Least squares, or least norm, corrected by residuals."""
        solve = self._least_squares if self.shape[0] > self.shape[1] else self._least_norm
        return solve(y, self._map.apply, self._map.adjoint)

    def solve_transposed(self, x: Float64) -> Float64:
        """The same with the transpose."""
        solve = self._least_norm if self.shape[0] > self.shape[1] else self._least_squares
        return solve(x, self._map.adjoint, self._map.apply)

    def _least_squares(self, y: Float64, tall: _Product, wide: _Product) -> Float64:
        def estimate(right: Float64) -> Float64:
            return self._square.solve(wide(right))

        return _corrected(y, estimate, tall)

    def _least_norm(self, y: Float64, wide: _Product, tall: _Product) -> Float64:
        def estimate(right: Float64) -> Float64:
            return tall(self._square.solve(right))

        return _corrected(y, estimate, wide)

    def spectrum(self) -> Spectrum:
        """The roots of the extreme values of T^T T."""
        largest, smallest = math.sqrt(self._seen.largest), math.sqrt(self._seen.smallest)
        eps = self._map.stored_eps
        coarse = tolerances.singular_threshold(self.shape, largest, eps)
        return Spectrum(
            shape=self.shape,
            largest=largest,
            smallest=smallest,
            rank=self.rank,
            rank_stored=self.rank if smallest > coarse else None,
            kind=Kind.ESTIMATE,
            method="Lanczos steps with LU of its square",
        )

    def spread(self, radius: Float64) -> Float64:
        """One bound for every unit: ||radius|| over the smallest singular value."""
        size = np.linalg.norm(radius, axis=-1, keepdims=True)
        bound = tolerances.ESTIMATE_MARGIN * size / math.sqrt(self._seen.smallest)
        capped: Float64 = np.minimum(bound, tolerances.RADIUS_CAP)
        return np.repeat(capped, self.shape[1], axis=-1)


def factor_by_gram(sparse_map: SparseMap, context: Context) -> GramFactor | None:
    """Make it; None where LU takes long or too much memory, or rounding forbids it.

    Parameters
    ----------
    sparse_map : SparseMap
        Not square.
    context : Context
        Its memory bounds the fill.
    """
    square = SparseMap(_gram(sparse_map.matrix))
    plan = sparse_plan(square, context)
    if plan.way is SparseWay.ITERATION or plan.seconds > _LONG:
        return None
    factor = factor_sparse(square, context)
    found = factor.spectrum()
    sure = found.full_rank and found.kind is not Kind.LOWER_BOUND
    if factor.nullity or not sure or not found.condition <= _WORST_SQUARE:
        context.emit(Notice("nearly dependent: what LU of its square tells is too rough"))
        return None
    return GramFactor(sparse_map, factor, found)


def _gram(matrix: SparseMatrix) -> SparseMatrix:
    """T^T T."""
    whole = matrix.to_scipy()
    m, n = matrix.shape
    square = (whole.T @ whole if m > n else whole @ whole.T).tocsr()
    square.sort_indices()
    return SparseMatrix(square.data, square.indices, square.indptr, square.shape)


def _corrected(right: Float64, estimate: _Product, product: _Product) -> Float64:
    """Correct an estimate by those for its residuals until they shrink no further."""
    x = estimate(right)
    step = np.inf
    for _ in range(_CORRECTIONS):
        correction = estimate(right - product(x))
        before, step = step, float(np.linalg.norm(correction))
        if not step < 0.5 * before:
            break
        x = x + correction
    return x
