"""Which factorisation a linear map gets: chosen in one place, with the reason.

`factorise` keeps what it makes in the context's store; the choice is visible in
`Factorisation.reason`.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from nninvert import tolerances
from nninvert.context import Context, FactorKey, Notice
from nninvert.linalg.block_diagonal import BlockDiagonalFactor, BlockDiagonalMap
from nninvert.linalg.centring import CentringMap, factor_centred
from nninvert.linalg.convolution import ConvolutionMap, TransposedConvolutionMap
from nninvert.linalg.convolution_solve import factor_convolution
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.gram import factor_by_gram
from nninvert.linalg.isometry import SurroundedFactor, surrounded
from nninvert.linalg.kronecker import KroneckerFactor, KroneckerMap
from nninvert.linalg.large import factor_large_rectangular, factor_large_square
from nninvert.linalg.lu import factor_lu
from nninvert.linalg.map import (
    ComposedMap,
    DenseMap,
    DiagonalMap,
    IdentityMap,
    LinearMap,
    PermutationMap,
    RepeatedMap,
    compose,
)
from nninvert.linalg.merged_convolution import merged
from nninvert.linalg.orthogonal import OrthogonalFactor, column_lengths, row_lengths
from nninvert.linalg.scaled import ScaledFactor, uneven_scales
from nninvert.linalg.sparse import SparseMap
from nninvert.linalg.sparse_solve import factor_sparse
from nninvert.linalg.stored import ArrayMatrix
from nninvert.linalg.structured import (
    ChainFactor,
    DiagonalFactor,
    PermutationFactor,
    RepeatedFactor,
)
from nninvert.linalg.svd import SvdFactor

_DENSE_COPIES = 3
"""Float64 arrays of a matrix's size that its LU takes, the matrix itself included."""


def factorise(linear_map: LinearMap, context: Context) -> Factorisation:
    """Return the factorisation of a map from the context's store, or make it.

    Parameters
    ----------
    linear_map : LinearMap
    context : Context
        Its `FactorStore` keeps the result as long as memory allows.
    """
    return context.factors.get_or_build(
        factor_key(linear_map), lambda: select_factorisation(linear_map, context)
    )


def factor_key(linear_map: LinearMap) -> FactorKey:
    """What the factorisation of a map is kept under."""
    return (*linear_map.key, "float64")


def select_factorisation(linear_map: LinearMap, context: Context) -> Factorisation:
    """Choose and make a factorisation; the result's `reason` explains the choice.

    ==========================  ==============================================
    map                         factorisation
    ==========================  ==============================================
    identity, permutation       none needed
    diagonal                    division
    equal blocks                that of one block
    different blocks            one for each block
    Kronecker product           one for each axis
    convolution with scales or padding        that of one convolution
    composition of one map with isometries    that of the one, and transposes
    composition, all nonsingular and square   one after the other
    composition that ends in centring         that of the rest, with constants
    sparse matrix               by its pattern: see `sparse_solve`
    convolution                 by its windows: see `convolution_solve`
    small square matrix         LU
    singular or not square, rows or columns of uneven size   see `scaled`
    singular square matrix      SVD
    large square matrix         as planned: see `large`
    other small matrix          SVD
    other large matrix          QR, or iteration where that does not fit
    ==========================  ==============================================
    """
    if isinstance(linear_map, IdentityMap | PermutationMap):
        return PermutationFactor(linear_map)
    if isinstance(linear_map, DiagonalMap):
        return DiagonalFactor(linear_map)
    if isinstance(linear_map, RepeatedMap):
        return RepeatedFactor(linear_map, factorise(linear_map.base, context))
    if isinstance(linear_map, BlockDiagonalMap):
        blocks = [factorise(block, context) for block in linear_map.blocks]
        return BlockDiagonalFactor(linear_map, blocks)
    if isinstance(linear_map, KroneckerMap):
        axes = [_factor_axis(part, context) for part in linear_map.parts]
        return KroneckerFactor(linear_map, axes)
    if isinstance(linear_map, ComposedMap):
        *before, last = linear_map.parts
        if isinstance(last, CentringMap):
            rest = compose(before)
            base = factorise(rest, context)
            if isinstance(base, ScaledFactor):
                return SvdFactor(linear_map, "SVD: scaled rows have no common constant")
            return factor_centred(linear_map, rest, base, last)
        simpler = merged(linear_map)
        if simpler is not None:
            return factorise(simpler, context)
        around = _surrounded(linear_map, context)
        if around is not None:
            return around
        parts = _square_parts(linear_map, context)
        if parts is not None:
            return ChainFactor(linear_map, parts)
    if isinstance(linear_map, SparseMap):
        return factor_sparse(linear_map, context)
    if isinstance(linear_map, ConvolutionMap | TransposedConvolutionMap):
        made = factor_convolution(linear_map, context, partial(factorise, context=context))
        if made is not None:
            return made
    m, n = linear_map.shape
    large = not tolerances.svd_is_cheap(linear_map.shape)
    if m == n and large and isinstance(linear_map, DenseMap):
        return factor_large_square(linear_map, context)
    if large and (m != n or _DENSE_COPIES * 8 * m * n > context.memory):
        return factor_large_rectangular(linear_map, context)
    found = factor_lu(linear_map) if m == n else None
    return found or _scaled(linear_map, context) or _decomposed(linear_map, context)


def _surrounded(linear_map: ComposedMap, context: Context) -> SurroundedFactor | None:
    """By the one map that decides, if there is one that leaves the plain residual least."""
    where = surrounded(linear_map)
    if where is None:
        return None
    parts = [factorise(part, context) for part in linear_map.parts]
    if np.any(parts[where.place].residual_scale != 1.0):
        return None
    return SurroundedFactor(linear_map, parts, where)


def _factor_axis(part: LinearMap, context: Context) -> Factorisation:
    """Of one part of a Kronecker product: by structure, or exactly where that is cheap."""
    for lengths, by_rows in ((row_lengths(part), True), (column_lengths(part), False)):
        if lengths is not None:
            return OrthogonalFactor(part, lengths, by_rows=by_rows)
    if tolerances.svd_is_cheap(part.shape):
        return SvdFactor(part, "SVD")
    rectangular = part.shape[0] != part.shape[1] and context.engine != "iterative"
    gram = None
    if rectangular and isinstance(part, SparseMap):
        gram = factor_by_gram(part, context)
    return gram or factorise(part, context)


def _scaled(linear_map: LinearMap, context: Context) -> ScaledFactor | None:
    """That of the matrix with rows and columns of one size, if they differ much."""
    if not tolerances.svd_is_cheap(linear_map.shape):
        return None
    matrix = linear_map.dense()
    scales = uneven_scales(matrix)
    if scales is None:
        return None
    rows, columns = scales
    even = DenseMap(ArrayMatrix(rows[:, None] * matrix * columns))
    found = factor_lu(even) if matrix.shape[0] == matrix.shape[1] else None
    return ScaledFactor(linear_map, found or _decomposed(even, context), rows, columns)


def _square_parts(linear_map: ComposedMap, context: Context) -> list[Factorisation] | None:
    """Factors of all parts, if each is square and nonsingular."""
    if any(part.shape[0] != part.shape[1] for part in linear_map.parts):
        return None
    parts = [factorise(part, context) for part in linear_map.parts]
    return parts if all(part.nullity == 0 for part in parts) else None


def _decomposed(linear_map: LinearMap, context: Context) -> SvdFactor:
    m, n = linear_map.shape
    if m != n:
        return SvdFactor(linear_map, f"SVD: {m} x {n} is not square")
    _announce_svd(linear_map, context)
    return SvdFactor(linear_map, "SVD: LU shows it to be singular in float64")


def _announce_svd(linear_map: LinearMap, context: Context) -> None:
    if not tolerances.svd_is_cheap(linear_map.shape):
        m, n = linear_map.shape
        context.emit(Notice(f"singular value decomposition of a {m} x {n} matrix"))
