"""The linear systems of quadratic programs, by Cholesky factors of the smaller kind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.rootfind._hessian import Hessian

Float64 = NDArray[np.float64]

DEPENDENT = 1e-13
"""Least squared pivot, relative to the diagonal entry it came from: below it a row counts
as a combination of the rows before it, and its multiplier as unknown. The entry carries a
rounding error of about n eps of itself."""


class Dependent(ArithmeticError):
    """Rows depend on each other, or the Hessian is not positive definite."""


class SaddleSystem:
    """Solves (H + D) dx - A^T dy = a, A dx + E dy = b.

    Parameters
    ----------
    hessian : Hessian or None
        H; None: the identity.
    diagonal : float64 array, shape (n,)
        D >= 0.
    rows : float64 array, shape (m, n)
        A.
    compliance : float64 array, shape (m,)
        E >= 0; zero for equations.

    Raises
    ------
    Dependent
        If a Cholesky factorisation breaks down.

    Notes
    -----
    With m <= n the matrix ``A (H + D)^-1 A^T + E`` of order m is factored, the inverse
    being that of a diagonal matrix with the Hessian's few directions added (Sherman,
    Morrison, Woodbury); else ``H + D + A^T E^-1 A`` of order n over the rows with E > 0,
    and the Schur complement of the others. One step of iterative refinement regains what
    the products lose.
    """

    def __init__(
        self,
        hessian: Hessian | None,
        diagonal: Float64,
        rows: Float64,
        compliance: Float64,
    ) -> None:
        self._hessian, self._diagonal = hessian, diagonal
        self._rows, self._compliance = rows, compliance
        self._small = rows.shape[0] <= rows.shape[1]
        if self._small:
            self._weight = 1.0 / (1.0 + diagonal)
            self._factor_small()
        else:
            self._factor_large()

    def _factor_small(self) -> None:
        """The Schur complement of the variables, of the order of the rows."""
        rows, hessian = self._rows, self._hessian
        matrix = (rows * self._weight) @ rows.T
        if hessian is not None:
            bent = self._weight[:, None] * hessian.vectors
            core = _plus_diagonal(hessian.vectors.T @ bent, 1.0 / hessian.excess)
            self._bent, self._core = bent, np.linalg.inv(core)
            across = rows @ bent
            matrix = matrix - across @ self._core @ across.T
        self._outer = _Cholesky(_plus_diagonal(matrix, self._compliance))

    def _factor_large(self) -> None:
        """The matrix of the variables, and the Schur complement of the equations."""
        rows, compliance = self._rows, self._compliance
        self._hard = compliance == 0.0
        soft = rows[~self._hard]
        matrix = (soft / compliance[~self._hard, None]).T @ soft
        if self._hessian is None:
            matrix = _plus_diagonal(matrix, 1.0 + self._diagonal)
        else:
            matrix = _plus_diagonal(matrix + self._hessian.dense(), self._diagonal)
        self._inner = _Cholesky(matrix)
        hard = rows[self._hard]
        self._spread = self._inner.solve(hard.T)
        self._outer = _Cholesky(hard @ self._spread)

    def solve(self, a: Float64, b: Float64) -> tuple[Float64, Float64]:
        """Return dx, dy."""
        once = self._solve_small if self._small else self._solve_large
        dx, dy = once(a, b)
        product = dx if self._hessian is None else self._hessian.apply(dx)
        rest_a = a - product - self._diagonal * dx + self._rows.T @ dy
        rest_b = b - self._rows @ dx - self._compliance * dy
        more_x, more_y = once(rest_a, rest_b)
        return dx + more_x, dy + more_y

    def _solve_small(self, a: Float64, b: Float64) -> tuple[Float64, Float64]:
        dy = self._outer.solve(b - self._rows @ self._divided(a))
        return self._divided(a + self._rows.T @ dy), dy

    def _divided(self, a: Float64) -> Float64:
        """(H + D)^-1 a."""
        if self._hessian is None:
            return self._weight * a
        return self._weight * a - self._bent @ (self._core @ (self._bent.T @ a))

    def _solve_large(self, a: Float64, b: Float64) -> tuple[Float64, Float64]:
        rows = self._rows
        soft, stiffness = rows[~self._hard], 1.0 / self._compliance[~self._hard]
        force = a + soft.T @ (stiffness * b[~self._hard])
        dx = self._inner.solve(force)
        dy = np.empty_like(b)
        held = self._outer.solve(b[self._hard] - rows[self._hard] @ dx)
        dx = dx + self._spread @ held
        dy[self._hard] = held
        dy[~self._hard] = stiffness * (b[~self._hard] - soft @ dx)
        return dx, dy


def _plus_diagonal(matrix: Float64, diagonal: Float64) -> Float64:
    matrix.flat[:: matrix.shape[0] + 1] += diagonal
    return matrix


class _Cholesky:
    """L of a positive definite matrix, which is overwritten."""

    def __init__(self, matrix: Float64) -> None:
        from scipy.linalg import lapack

        self._empty = matrix.shape[0] == 0
        if self._empty:
            return
        diagonal = matrix.diagonal().copy()
        factor, info = lapack.dpotrf(matrix.T, lower=1, clean=0, overwrite_a=1)
        if info != 0 or not (factor.diagonal() ** 2 > DEPENDENT * diagonal).all():
            raise Dependent
        self._factor = factor

    def solve(self, right: Float64) -> Float64:
        """The solution for one or several right-hand sides, shape (n,) or (n, k)."""
        from scipy.linalg import lapack

        if self._empty or right.size == 0:
            return np.zeros_like(right)
        solution, _ = lapack.dpotrs(self._factor, right, lower=1)
        return np.asarray(solution)
