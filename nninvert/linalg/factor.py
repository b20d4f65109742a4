"""Factorisations of linear maps: solve, solve transposed, spectrum, error spread.

`factorise` chooses one for a map and says why; the choice is visible in
`Factorisation.reason`. Solutions are least-squares solutions of minimum norm wherever the
map is not square and nonsingular.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.context import Context, Notice
from nninvert.linalg import condition
from nninvert.linalg.condition import Spectrum
from nninvert.linalg.map import (
    ComposedMap,
    DiagonalMap,
    IdentityMap,
    LinearMap,
    PermutationMap,
    RepeatedMap,
)
from nninvert.outcome import Kind

Float64 = NDArray[np.float64]


class Factorisation(ABC):
    """A linear map A (m, n), ready to be solved with.

    Attributes
    ----------
    shape : (int, int)
        (m, n).
    rank : int
        Numerical rank used by `solve`.
    nbytes : int
        Memory held.
    reason : str
        Which factorisation this is and why it was chosen.
    """

    shape: tuple[int, int]
    rank: int
    nbytes: int
    reason: str

    @abstractmethod
    def solve(self, y: Float64) -> Float64:
        """Least-squares solutions of minimum norm, (..., m) to (..., n)."""

    @abstractmethod
    def solve_transposed(self, x: Float64) -> Float64:
        """The same for the transpose, (..., n) to (..., m)."""

    @abstractmethod
    def spectrum(self) -> Spectrum:
        """Extreme singular values, rank and condition."""

    @abstractmethod
    def spread(self, radius: Float64) -> Float64:
        """Bound |A^+ d| for every d with |d| <= radius: (..., m) to (..., n)."""

    @property
    def nullity(self) -> int:
        """How many dimensions of x the map loses."""
        return self.shape[1] - self.rank

    @property
    def onto(self) -> bool:
        """Whether every y is reached."""
        return self.rank == self.shape[0]


class PermutationFactor(Factorisation):
    """Of the identity and of permutations: the transpose is the inverse."""

    reason = "permutation"
    nbytes = 0

    def __init__(self, linear_map: LinearMap) -> None:
        self._map = linear_map
        self.shape = linear_map.shape
        self.rank = linear_map.shape[0]

    def solve(self, y: Float64) -> Float64:
        """Reorder back."""
        return self._map.adjoint(y)

    def solve_transposed(self, x: Float64) -> Float64:
        """Reorder."""
        return self._map.apply(x)

    def spectrum(self) -> Spectrum:
        """All ones."""
        return condition.trivial_spectrum(self.shape[0])

    def spread(self, radius: Float64) -> Float64:
        """Reorder the radii."""
        return self._map.adjoint(radius)


class DiagonalFactor(Factorisation):
    """Of a diagonal map; entries that count as zero are left out of the inverse."""

    reason = "diagonal"

    def __init__(self, linear_map: DiagonalMap) -> None:
        d = linear_map.diagonal
        self.shape = linear_map.shape
        self.nbytes = 8 * d.size
        self._values, self._eps = np.abs(d), linear_map.stored_eps
        # Scales of different units may differ by any factor: only a true zero is lost,
        # and what is so small that its reciprocal overflows.
        used = np.abs(d) >= np.finfo(np.float64).tiny
        self.rank = int(np.count_nonzero(used))
        self._inverse = np.divide(1.0, d, out=np.zeros(d.shape), where=used)

    def solve(self, y: Float64) -> Float64:
        """Divide; zero where the diagonal is."""
        return y * self._inverse

    def solve_transposed(self, x: Float64) -> Float64:
        """Divide; zero where the diagonal is."""
        return x * self._inverse

    def spectrum(self) -> Spectrum:
        """From the entries; a true zero alone lowers the rank."""
        found = condition.spectrum_of_values(
            self.shape, self._values, self._eps, "diagonal"
        )
        return condition.with_rank(found, self.rank)

    def spread(self, radius: Float64) -> Float64:
        """Scale the radii."""
        return radius * np.abs(self._inverse)


class RepeatedFactor(Factorisation):
    """Of a block-diagonal map whose blocks are equal."""

    def __init__(self, linear_map: RepeatedMap, base: Factorisation) -> None:
        self._map, self._base = linear_map, base
        self.shape = linear_map.shape
        self.rank = base.rank * linear_map.repeats
        self.nbytes = base.nbytes
        self.reason = f"{linear_map.repeats} equal blocks: {base.reason}"

    def solve(self, y: Float64) -> Float64:
        """Solve each piece."""
        return self._map.joined(self._base.solve(self._map.pieces(y)))

    def solve_transposed(self, x: Float64) -> Float64:
        """Solve each piece with the transpose."""
        return self._map.joined(self._base.solve_transposed(self._map.pieces(x)))

    def spectrum(self) -> Spectrum:
        """The spectrum of one block, ranks counted over all."""
        return condition.repeated(self._base.spectrum(), self._map.repeats)

    def spread(self, radius: Float64) -> Float64:
        """Spread each piece."""
        return self._map.joined(self._base.spread(self._map.pieces(radius)))


class ChainFactor(Factorisation):
    """Of a composition of square nonsingular maps: solve with one after the other."""

    def __init__(self, linear_map: ComposedMap, parts: list[Factorisation]) -> None:
        self._map, self._parts = linear_map, parts
        self.shape = linear_map.shape
        self.rank = linear_map.shape[0]
        self.nbytes = sum(part.nbytes for part in parts)
        self.reason = " then ".join(part.reason for part in reversed(parts))

    def solve(self, y: Float64) -> Float64:
        """Solve from the last part to the first."""
        for part in reversed(self._parts):
            y = part.solve(y)
        return y

    def solve_transposed(self, x: Float64) -> Float64:
        """Solve from the first part to the last."""
        for part in self._parts:
            x = part.solve_transposed(x)
        return x

    def spectrum(self) -> Spectrum:
        """That of the product: by SVD where cheap, else estimated."""
        return _square_spectrum(self._map, self)

    def spread(self, radius: Float64) -> Float64:
        """Spread from the last part to the first."""
        for part in reversed(self._parts):
            radius = part.spread(radius)
        return radius


class LuFactor(Factorisation):
    """Of a square nonsingular matrix: P A = L U with partial pivoting, float64."""

    def __init__(
        self, linear_map: LinearMap, lu: Float64, pivots: NDArray[np.int32]
    ) -> None:
        self._map, self._lu, self._pivots = linear_map, lu, pivots
        self.shape = linear_map.shape
        self.rank = linear_map.shape[0]
        self.nbytes = lu.nbytes + pivots.nbytes
        self.reason = "LU"

    def solve(self, y: Float64) -> Float64:
        """Two triangular solves for all rows, and one step of refinement.

        Refinement in working precision makes the backward error small for each row of
        the system by itself (Higham, Accuracy and Stability, 2nd ed., theorem 12.4).
        """
        x = self._triangular(y, transposed=False)
        return x + self._triangular(y - self._map.apply(x), transposed=False)

    def solve_transposed(self, x: Float64) -> Float64:
        """Solve with the transpose, and one step of refinement."""
        y = self._triangular(x, transposed=True)
        return y + self._triangular(x - self._map.adjoint(y), transposed=True)

    def _triangular(self, rows: Float64, transposed: bool) -> Float64:
        from scipy.linalg import lu_solve

        n = self.shape[0]
        columns = rows.reshape(-1, n).T
        solved = lu_solve(
            (self._lu, self._pivots), columns, trans=int(transposed), check_finite=False
        )
        return cast(Float64, solved.T.reshape(rows.shape))

    def spectrum(self) -> Spectrum:
        """By SVD where cheap, else estimated from the factors."""
        return self._spectrum

    @cached_property
    def _spectrum(self) -> Spectrum:
        return _square_spectrum(self._map, self)

    @cached_property
    def _absolute_inverse(self) -> Float64:
        # Row i is |A^-1 e_i|, so that radius @ it sums |A^-1| columns by their radii.
        return np.abs(self._triangular(np.eye(self.shape[0]), transposed=False))

    @cached_property
    def _inverse_norm(self) -> float:
        found = self.spectrum()
        margin = 1.0 if found.kind is Kind.EXACT else tolerances.ESTIMATE_MARGIN
        return margin / max(found.smallest, float(np.finfo(np.float64).tiny))

    def spread(self, radius: Float64) -> Float64:
        """|A^-1| radius; for large matrices the 2-norm bound for every unit."""
        if self.shape[0] <= tolerances.EXPLICIT_INVERSE_SIZE:
            return radius @ self._absolute_inverse
        return _norm_bound(radius, self._inverse_norm, self.shape[1])


class SvdFactor(Factorisation):
    """Of any matrix: A = U S V^T, singular values that count as zero left out."""

    def __init__(self, linear_map: LinearMap, reason: str) -> None:
        from scipy.linalg import svd

        self._map = linear_map
        self.shape = linear_map.shape
        matrix = linear_map.dense()
        u, s, vt = svd(matrix, full_matrices=False, check_finite=False)
        self._spectrum = condition.spectrum_of_values(
            self.shape, s, linear_map.stored_eps, "SVD"
        )
        self.rank = self._spectrum.rank or 0
        self._u = cast(Float64, u[:, : self.rank])
        self._s = cast(Float64, s[: self.rank])
        self._vt = cast(Float64, vt[: self.rank])
        self.nbytes = self._u.nbytes + self._vt.nbytes
        self.reason = reason

    def solve(self, y: Float64) -> Float64:
        """V S^-1 U^T y."""
        return ((y @ self._u) / self._s) @ self._vt

    def solve_transposed(self, x: Float64) -> Float64:
        """U S^-1 V^T x."""
        return ((x @ self._vt.T) / self._s) @ self._u.T

    def spectrum(self) -> Spectrum:
        """All singular values."""
        return self._spectrum

    @cached_property
    def _absolute_inverse(self) -> Float64:
        return np.abs((self._u / self._s) @ self._vt)

    def spread(self, radius: Float64) -> Float64:
        """|A^+| radius."""
        return radius @ self._absolute_inverse


def _norm_bound(radius: Float64, norm: float, n: int) -> Float64:
    size = np.linalg.norm(radius, axis=-1, keepdims=True) * norm
    return np.repeat(np.minimum(size, tolerances.RADIUS_CAP), n, axis=-1)


def _square_spectrum(linear_map: LinearMap, factor: Factorisation) -> Spectrum:
    if tolerances.svd_is_cheap(linear_map.shape):
        return condition.dense_spectrum(linear_map.dense(), linear_map.stored_eps)
    return condition.estimated_spectrum(
        linear_map.shape[0],
        (linear_map.apply, linear_map.adjoint),
        (factor.solve, factor.solve_transposed),
        linear_map.stored_eps,
        seed=0,
    )


def factorise(linear_map: LinearMap, context: Context) -> Factorisation:
    """Return the factorisation of a map from the context's store, or make it.

    Parameters
    ----------
    linear_map : LinearMap
    context : Context
        Its `FactorStore` keeps the result as long as memory allows.
    """
    key = (*linear_map.key, "float64", context.engine)
    return context.factors.get_or_build(
        key, lambda: select_factorisation(linear_map, context)
    )


def select_factorisation(linear_map: LinearMap, context: Context) -> Factorisation:
    """Choose and make a factorisation; the result's `reason` explains the choice.

    ==========================  ==============================================
    map                         factorisation
    ==========================  ==============================================
    identity, permutation       none needed
    diagonal                    division
    equal blocks                that of one block
    composition, all nonsingular and square   one after the other
    square matrix               LU; SVD where LU shows it to be singular
    other matrix                SVD
    ==========================  ==============================================
    """
    if isinstance(linear_map, IdentityMap | PermutationMap):
        return PermutationFactor(linear_map)
    if isinstance(linear_map, DiagonalMap):
        return DiagonalFactor(linear_map)
    if isinstance(linear_map, RepeatedMap):
        return RepeatedFactor(linear_map, factorise(linear_map.base, context))
    if isinstance(linear_map, ComposedMap):
        parts = _square_parts(linear_map, context)
        if parts is not None:
            return ChainFactor(linear_map, parts)
    m, n = linear_map.shape
    if m != n:
        _announce_svd(linear_map, context)
        return SvdFactor(linear_map, f"SVD: {m} x {n} is not square")
    return _lu(linear_map) or _singular(linear_map, context)


def _square_parts(linear_map: ComposedMap, context: Context) -> list[Factorisation] | None:
    """Factors of all parts, if each is square and nonsingular."""
    if any(part.shape[0] != part.shape[1] for part in linear_map.parts):
        return None
    parts = [factorise(part, context) for part in linear_map.parts]
    return parts if all(part.nullity == 0 for part in parts) else None


def _lu(linear_map: LinearMap) -> LuFactor | None:
    """LU of a square matrix, or None where it is singular to working precision."""
    from scipy.linalg import lapack

    matrix = np.array(linear_map.dense(), dtype=np.float64, order="F")
    norm = float(np.abs(matrix).sum(axis=0).max(initial=0.0))
    lu, pivots, info = lapack.dgetrf(matrix, overwrite_a=True)
    if info > 0:
        return None
    factor = LuFactor(linear_map, lu, pivots)
    rcond, _ = lapack.dgecon(lu, norm)
    doubtful = rcond < tolerances.DOUBTFUL_RCOND
    return None if doubtful and not factor.spectrum().full_rank else factor


def _singular(linear_map: LinearMap, context: Context) -> SvdFactor:
    _announce_svd(linear_map, context)
    return SvdFactor(linear_map, "SVD: LU shows it to be singular in float64")


def _announce_svd(linear_map: LinearMap, context: Context) -> None:
    if not tolerances.svd_is_cheap(linear_map.shape):
        m, n = linear_map.shape
        context.emit(Notice(f"singular value decomposition of a {m} x {n} matrix"))
