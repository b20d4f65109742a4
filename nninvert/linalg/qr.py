"""QR of rectangular matrices that are too large for a singular value decomposition."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.linalg.condition import Spectrum, estimated_spectrum
from nninvert.linalg.extreme import Product
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.map import DenseMap, LinearMap

Float64 = NDArray[np.float64]


class _Orthogonal:
    """B = Q R of a tall matrix (p, k), as LAPACK's geqrf leaves it."""

    def __init__(self, tall: Float64) -> None:
        from scipy.linalg import lapack

        work, _ = lapack.dgeqrf_lwork(*tall.shape)
        self._reflectors, self._scales, _, _ = lapack.dgeqrf(
            tall, lwork=int(work), overwrite_a=True
        )
        self.size = tall.shape[1]
        self.triangle = np.array(np.triu(self._reflectors[: self.size]), order="F")

    @property
    def nbytes(self) -> int:
        return int(self._reflectors.nbytes + self.triangle.nbytes)

    def coordinates(self, rows: Float64) -> Float64:
        """Q^T b for each row: (batch, p) to (batch, k)."""
        return self._multiplied(rows, "T")[:, : self.size]

    def combined(self, rows: Float64) -> Float64:
        """Q c for each row: (batch, k) to (batch, p)."""
        padded = np.zeros((len(rows), self._reflectors.shape[0]))
        padded[:, : self.size] = rows
        return self._multiplied(padded, "N")

    def divided(self, rows: Float64, transposed: bool) -> Float64:
        """R^-1 c, or R^-T c, for each row."""
        from scipy.linalg import lapack

        solved, _ = lapack.dtrtrs(self.triangle, rows.T, trans=int(transposed))
        return np.ascontiguousarray(solved.T)

    def _multiplied(self, rows: Float64, which: str) -> Float64:
        from scipy.linalg import lapack

        columns = np.array(rows.T, order="F")
        _, work, _ = lapack.dormqr("L", which, self._reflectors, self._scales, columns, -1)
        found, _, _ = lapack.dormqr(
            "L",
            which,
            self._reflectors,
            self._scales,
            columns,
            int(work[0]),
            overwrite_c=True,
        )
        return np.asarray(found.T)


class QrFactor(Factorisation):
    """Of a rectangular matrix of full rank: A = Q R if it is tall, A^T = Q R if wide.

    Parameters
    ----------
    linear_map : LinearMap
        Not square.
    tall : float64 array
        The matrix, or its transpose if it is wide; overwritten.
    """

    def __init__(self, linear_map: LinearMap, tall: Float64) -> None:
        self._stored_eps = linear_map.stored_eps
        self.shape = linear_map.shape
        self.rank = min(self.shape)
        self._qr = _Orthogonal(tall)
        self.nbytes = self._qr.nbytes
        m, n = self.shape
        self.reason = f"QR: {m} x {n} is not square, and large"

    def solve(self, y: Float64) -> Float64:
        """Least squares if tall, minimum norm if wide.

        Both are backward stable without refinement, the latter row by row (Higham,
        Accuracy and Stability, 2nd ed., theorems 20.3 and 21.4).
        """
        m, n = self.shape
        return self._by(self._least_squares if m > n else self._minimum_norm, y, n)

    def solve_transposed(self, x: Float64) -> Float64:
        """The same for the transpose."""
        m, n = self.shape
        return self._by(self._minimum_norm if m > n else self._least_squares, x, m)

    def _by(self, once: Product, values: Float64, size: int) -> Float64:
        rows = values.reshape(-1, values.shape[-1])
        return once(rows).reshape(*values.shape[:-1], size)

    def _least_squares(self, rows: Float64) -> Float64:
        return self._qr.divided(self._qr.coordinates(rows), transposed=False)

    def _minimum_norm(self, rows: Float64) -> Float64:
        return self._qr.combined(self._qr.divided(rows, transposed=True))

    def spectrum(self) -> Spectrum:
        """Estimated from the triangle, whose singular values are those of A."""
        return self._spectrum

    @cached_property
    def _spectrum(self) -> Spectrum:
        triangle, qr = self._qr.triangle, self._qr
        found = estimated_spectrum(
            self.rank,
            (lambda x: x @ triangle.T, lambda y: y @ triangle),
            (
                lambda y: qr.divided(y, transposed=False),
                lambda x: qr.divided(x, transposed=True),
            ),
            self._stored_eps,
            seed=0,
            how="QR factors",
        )
        return replace(found, shape=self.shape)

    def spread(self, radius: Float64) -> Float64:
        """One bound for every unit: ||radius|| over the smallest singular value.

        That value is estimated; `tolerances.ESTIMATE_MARGIN` covers its error.
        """
        size = np.linalg.norm(radius, axis=-1, keepdims=True) / self._spectrum.smallest
        bound = np.minimum(tolerances.ESTIMATE_MARGIN * size, tolerances.RADIUS_CAP)
        return np.repeat(bound, self.shape[1], axis=-1)


def factor_qr(linear_map: LinearMap) -> QrFactor | None:
    """QR of a map that is not square, or None where its rank is not full.

    Takes 8 bytes for every entry, and 8 more for every one of the triangle; LAPACK's
    factorisation is one call that cannot be interrupted, 2 k^2 (p - k / 3) operations for
    p by k.
    """
    factor = QrFactor(linear_map, _tall(linear_map))
    return factor if factor.spectrum().full_rank else None


def _tall(linear_map: LinearMap) -> Float64:
    """The matrix, or its transpose if it is wide, in columns."""
    m, n = linear_map.shape
    tall = np.empty((max(m, n), min(m, n)), order="F")
    target = tall if m > n else tall.T
    if isinstance(linear_map, DenseMap):
        linear_map.matrix.read(slice(0, m), slice(0, n), target)
    else:
        target[...] = linear_map.dense()
    return tall
