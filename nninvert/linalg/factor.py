"""Which factorisation a linear map gets: chosen in one place, with the reason.

`factorise` keeps what it makes in the context's store; the choice is visible in
`Factorisation.reason`.
"""

from __future__ import annotations

from nninvert import tolerances
from nninvert.context import Context, FactorKey, Notice
from nninvert.linalg.centring import CentringMap, factor_centred
from nninvert.linalg.factorisation import Factorisation
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
from nninvert.linalg.sparse import SparseMap
from nninvert.linalg.sparse_solve import factor_sparse
from nninvert.linalg.structured import (
    ChainFactor,
    DiagonalFactor,
    PermutationFactor,
    RepeatedFactor,
)
from nninvert.linalg.svd import SvdFactor


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
    composition, all nonsingular and square   one after the other
    composition that ends in centring         that of the rest, with constants
    sparse matrix               by its pattern: see `sparse_solve`
    small square matrix         LU; SVD where LU shows it to be singular
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
    if isinstance(linear_map, ComposedMap):
        *before, last = linear_map.parts
        if isinstance(last, CentringMap):
            rest = compose(before)
            return factor_centred(linear_map, rest, factorise(rest, context), last)
        parts = _square_parts(linear_map, context)
        if parts is not None:
            return ChainFactor(linear_map, parts)
    if isinstance(linear_map, SparseMap):
        return factor_sparse(linear_map, context)
    m, n = linear_map.shape
    large = not tolerances.svd_is_cheap(linear_map.shape)
    if m == n and large and isinstance(linear_map, DenseMap):
        return factor_large_square(linear_map, context)
    if m != n and large:
        return factor_large_rectangular(linear_map, context)
    if m != n:
        return SvdFactor(linear_map, f"SVD: {m} x {n} is not square")
    return factor_lu(linear_map) or _singular(linear_map, context)


def _square_parts(linear_map: ComposedMap, context: Context) -> list[Factorisation] | None:
    """Factors of all parts, if each is square and nonsingular."""
    if any(part.shape[0] != part.shape[1] for part in linear_map.parts):
        return None
    parts = [factorise(part, context) for part in linear_map.parts]
    return parts if all(part.nullity == 0 for part in parts) else None


def _singular(linear_map: LinearMap, context: Context) -> SvdFactor:
    _announce_svd(linear_map, context)
    return SvdFactor(linear_map, "SVD: LU shows it to be singular in float64")


def _announce_svd(linear_map: LinearMap, context: Context) -> None:
    if not tolerances.svd_is_cheap(linear_map.shape):
        m, n = linear_map.shape
        context.emit(Notice(f"singular value decomposition of a {m} x {n} matrix"))
