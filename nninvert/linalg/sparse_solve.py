"""Sparse layers: carries a plan out, and changes it where facts demand it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context, Notice
from nninvert.linalg.dominance import DominantFactor
from nninvert.linalg.equilibration import MatrixSizes
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.iterative import IterativeFactor
from nninvert.linalg.mixed import MixedFactor, factor_mixed
from nninvert.linalg.nullspace import MOST_LOST
from nninvert.linalg.probe import probe
from nninvert.linalg.sparse import SparseMap, SparseMatrix
from nninvert.linalg.sparse_factors import BandFactors, SuperLuFactors, most_rank
from nninvert.linalg.sparse_order import Band
from nninvert.linalg.sparse_plan import SparseWay, sparse_plan
from nninvert.linalg.svd import SvdFactor
from nninvert.linalg.triangular import RoughSolver, TriangularFactors
from nninvert.patience import patiently

Float64 = NDArray[np.float64]

_LONG = 60.0
"""Seconds of LU after which a look is worth while whether iteration is faster."""


def factor_sparse(sparse_map: SparseMap, context: Context) -> Factorisation:
    """Choose and make the factorisation of a sparse layer; see `sparse_plan`.

    Parameters
    ----------
    sparse_map : SparseMap
    context : Context
        Its memory bounds the fill; it is told the numbers before the work starts.

    Raises
    ------
    Stopped
        Before the factors were done.
    MachineError
        If the fill exceeds the memory in spite of the prediction.
    """
    plan = sparse_plan(sparse_map, context)
    context.emit(Notice(plan.text))
    if plan.band is not None:
        return _of_band(sparse_map, plan.band, context)
    if plan.dominance is not None:
        return DominantFactor(sparse_map, plan.dominance, context)
    if plan.way is SparseWay.ITERATION:
        return _iterated(sparse_map, context, most_rank(sparse_map.matrix))
    if plan.seconds > _LONG:
        outlook = probe(sparse_map, context)
        if outlook.worthwhile:
            return IterativeFactor(sparse_map, outlook, context)
    return _of_superlu(sparse_map, plan.symmetric, context)


def _of_band(sparse_map: SparseMap, band: Band, context: Context) -> Factorisation:
    made = _refined(sparse_map, BandFactors(sparse_map.matrix, band), context)
    if made is None:
        return _singular(sparse_map, context)
    made.reason = f"band LU ({band.lower} diagonals below, {band.upper} above)"
    return _with_nullity(made)


def _of_superlu(sparse_map: SparseMap, symmetric: bool, context: Context) -> Factorisation:
    matrix = sparse_map.matrix

    def look() -> None:
        context.require_time("sparse LU")

    factors = patiently(lambda: SuperLuFactors(matrix, symmetric), look)
    made = _refined(sparse_map, factors, context)
    if made is None and symmetric and not factors.zero_pivots:
        # Pivots on the diagonal were too small: choose them freely.
        factors = patiently(lambda: SuperLuFactors(matrix, symmetric=False), look)
        made = _refined(sparse_map, factors, context)
    if made is None:
        return _singular(sparse_map, context)
    made.reason = f"sparse LU, {factors.entries / 1e6:,.1f} million entries"
    return _with_nullity(made)


def _with_nullity(made: MixedFactor) -> MixedFactor:
    if made.nullity:
        made.reason += f"; {made.nullity} lost directions set apart"
    return made


def _refined(
    sparse_map: SparseMap, factors: TriangularFactors, context: Context
) -> MixedFactor | None:
    sizes = sparse_sizes(sparse_map.matrix)
    return factor_mixed(sparse_map, RoughSolver(factors), context, sizes)


def sparse_sizes(matrix: SparseMatrix) -> MatrixSizes:
    """Sums and maxima of |A| along rows and columns, from the entries alone."""
    size = np.abs(matrix.data.astype(np.float64))
    found: list[Float64] = []
    for lines, count in zip(matrix.triplets(), matrix.shape, strict=True):
        largest = np.zeros(count)
        np.maximum.at(largest, lines, size)
        sums = np.bincount(lines, weights=size, minlength=count).astype(np.float64)
        found += [sums, largest]
    return MatrixSizes(*found)


def _singular(sparse_map: SparseMap, context: Context) -> Factorisation:
    """What LU shows to lose more than a few directions."""
    rank = min(most_rank(sparse_map.matrix), sparse_map.shape[0] - MOST_LOST - 1)
    return _iterated(sparse_map, context, rank)


def _iterated(sparse_map: SparseMap, context: Context, most: int) -> Factorisation:
    """Least squares without LU; `most` bounds the rank."""
    m, n = sparse_map.shape
    if tolerances.svd_is_cheap((m, n)):
        return SvdFactor(sparse_map, f"SVD: {m} x {n}, small enough")
    factor = IterativeFactor(sparse_map, probe(sparse_map, context), context)
    factor.rank = min(factor.rank, most)
    if factor.rank < min(m, n):
        factor.reason += f"; rank at most {factor.rank}"
    return factor
