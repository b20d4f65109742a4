"""Rough solves, with the directions that a matrix nearly loses treated exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.nullspace import LostDirections, RoughInverse

Float64 = NDArray[np.float64]


class DeflatedInverse:
    """About A^+: rough factors on most directions, singular triplets on a few.

    ``B = P_V M^-1 P_U + sum_i v_i u_i^T / s_i`` with M the factors and P_U, P_V the
    projections along all triplets; those whose singular value counts as zero are left out
    of the sum. So what makes A (nearly) singular no longer slows refinement down, and
    solutions are least-squares solutions of minimum norm.

    Parameters
    ----------
    inverse : RoughInverse
        Solves with the factors.
    lost : LostDirections
        At least one.
    zero : float
        Singular values up to here count as zero.
    """

    def __init__(self, inverse: RoughInverse, lost: LostDirections, zero: float) -> None:
        self._inverse, self.lost = inverse, lost
        self.null = lost.up_to(zero)
        kept = lost.values > zero
        self._weights = np.divide(
            1.0, lost.values, out=np.zeros_like(lost.values), where=kept
        )

    @property
    def nbytes(self) -> int:
        """Bytes of the triplets."""
        return self.lost.left.nbytes + self.lost.right.nbytes

    def solve(self, rows: Float64) -> Float64:
        """Rows r to rows B r."""
        u, v = self.lost.left, self.lost.right
        return self._sum(self._inverse.solve(_without(u, rows)), rows, u, v)

    def solve_transposed(self, rows: Float64) -> Float64:
        """Rows r to rows B^T r."""
        u, v = self.lost.left, self.lost.right
        return self._sum(self._inverse.solve_transposed(_without(v, rows)), rows, v, u)

    def reachable(self, rows: Float64) -> Float64:
        """Rows b less what no x reaches: projected on the range of A."""
        return _without(self.null.left, rows)

    def reachable_transposed(self, rows: Float64) -> Float64:
        """The same for the transpose."""
        return _without(self.null.right, rows)

    def _sum(self, solved: Float64, rows: Float64, seen: Float64, made: Float64) -> Float64:
        return _without(made, solved) + ((rows @ seen.T) * self._weights) @ made


def _without(basis: Float64, rows: Float64) -> Float64:
    """Rows less their parts along an orthonormal basis."""
    return rows - (rows @ basis.T) @ basis
