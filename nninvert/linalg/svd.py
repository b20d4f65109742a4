"""Singular value decompositions: for maps that are not square, or singular."""

from __future__ import annotations

from functools import cached_property
from typing import cast

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg import condition
from nninvert.linalg.condition import Spectrum
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.map import LinearMap

Float64 = NDArray[np.float64]


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
