"""LU of square nonsingular matrices, in float64 by LAPACK."""

from __future__ import annotations

from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.linalg.condition import Spectrum
from nninvert.linalg.factorisation import Factorisation, square_spectrum
from nninvert.linalg.map import LinearMap

Float64 = NDArray[np.float64]


class LuFactor(Factorisation):
    """Of a square nonsingular matrix: P A = L U with partial pivoting, float64.

    Parameters
    ----------
    linear_map : LinearMap
    lu, pivots : arrays
        As LAPACK's getrf leaves them.
    norm : float
        ||A|| in the maximum norm.
    """

    def __init__(
        self,
        linear_map: LinearMap,
        lu: Float64,
        pivots: NDArray[np.int32],
        norm: float,
    ) -> None:
        self._map, self._lu, self._pivots, self._norm = linear_map, lu, pivots, norm
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
        return square_spectrum(self._map, self)

    @cached_property
    def _absolute_inverse(self) -> Float64:
        # Row i is |A^-1 e_i|, so that radius @ it sums |A^-1| columns by their radii.
        return np.abs(self._triangular(np.eye(self.shape[0]), transposed=False))

    @cached_property
    def _inverse_norm(self) -> float:
        """||A^-1|| in the maximum norm, by LAPACK's estimator."""
        from scipy.linalg import lapack

        rcond, _ = lapack.dgecon(self._lu, self._norm, norm="I")
        return float(1.0 / max(rcond * self._norm, np.finfo(np.float64).tiny))

    def spread(self, radius: Float64) -> Float64:
        """|A^-1| radius; for large matrices one bound for every unit.

        That bound is ||A^-1|| max(radius) in the maximum norm. The estimator stays below
        the norm, nearly always within a factor 3 (Higham, Accuracy and Stability, 2nd
        ed., section 15.3); `tolerances.ESTIMATE_MARGIN` covers more.
        """
        if self.shape[0] <= tolerances.EXPLICIT_INVERSE_SIZE:
            return radius @ self._absolute_inverse
        size = radius.max(axis=-1, keepdims=True) * self._inverse_norm
        bound = np.minimum(tolerances.ESTIMATE_MARGIN * size, tolerances.RADIUS_CAP)
        return np.repeat(bound, self.shape[1], axis=-1)


def factor_lu(linear_map: LinearMap) -> LuFactor | None:
    """LU of a square matrix, or None where it is singular to working precision."""
    from scipy.linalg import lapack

    matrix = np.array(linear_map.dense(), dtype=np.float64, order="F")
    norm = float(np.abs(matrix).sum(axis=1).max(initial=0.0))
    lu, pivots, info = lapack.dgetrf(matrix, overwrite_a=True)
    if info > 0:
        return None
    factor = LuFactor(linear_map, lu, pivots, norm)
    rcond, _ = lapack.dgecon(lu, norm, norm="I")
    doubtful = rcond < tolerances.DOUBTFUL_RCOND
    return None if doubtful and not factor.spectrum().full_rank else factor
