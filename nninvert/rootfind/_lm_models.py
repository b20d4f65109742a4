"""Linear models of many rows at once: dense Jacobians, or products with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nninvert.rootfind._lm_protocol import RowFunction, RowLinearization

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]

DENSE_SIDE = 1000
"""Largest smaller side of a Jacobian that is formed: beyond it a step takes seconds."""

DENSE_BYTES = 2**28
"""Largest Jacobian of one row that is formed."""

INNER_STEPS = 200
"""Of conjugate gradients for one step: with fewer the outer steps, each with a fresh
Jacobian, gain more."""

SQUARE_SIDE = 4096
"""Most inputs for which J^T J is formed, where plain conjugate gradients do not get far:
it takes seconds, but serves as preconditioner for many steps."""

SQUARE_BYTES = 2**30
"""Of those that are kept, for some rows."""

GUIDED_STEPS = 20
"""Of conjugate gradients with an old J^T J beside: if they do not do, a new one is worth
its price."""

INNER_REDUCTION = 1e-3
"""Of ||J^T r|| in one step: three digits of the residual, then a fresh Jacobian."""


class Model(ABC):
    """``r + J p`` for every row, J with the weights of outputs and the units of inputs.

    Attributes
    ----------
    size : float64 array, shape (k,)
        The squared norm of J, or an estimate: what dampings are relative to.
    """

    size: Float64

    @abstractmethod
    def renew(self, rows: Rows, x: Float64) -> None:
        """Linearise anew at x, shape (k, n), of which these rows have moved."""

    @abstractmethod
    def keep(self, rows: Mask) -> None:
        """Go on with some of the rows only."""

    @abstractmethod
    def product(self, rows: Rows, step: Float64) -> Float64:
        """J p for some rows, (., n) to (., m)."""

    @abstractmethod
    def slope(self, residual: Float64) -> Float64:
        """J^T r for all rows."""

    @abstractmethod
    def damped(
        self, rows: Rows, residual: Float64, damping: Float64, free: Mask | None
    ) -> Float64:
        """``min ||J p + r||^2 + damping ||p||^2`` over the free variables, for some rows.

        Every damping is positive and not below the rounding of `size`.
        """

    @abstractmethod
    def shortest(self, rows: Rows, residual: Float64, free: Mask | None) -> Float64:
        """``min ||J p + r||`` of minimum norm over the free variables, for some rows."""


def model_of(function: RowFunction, weights: Float64, unit: Float64, x: Float64) -> Model:
    """Choose by the size of one Jacobian, and linearise at x, shape (k, n)."""
    m, n = weights.shape[1], x.shape[1]
    small = min(m, n) <= DENSE_SIDE and 8 * m * n <= DENSE_BYTES
    kind = DenseModel if small else ProductModel
    return kind(function, weights, unit, x)


class DenseModel(Model):
    """Jacobians as arrays."""

    def __init__(
        self, function: RowFunction, weights: Float64, unit: Float64, x: Float64
    ) -> None:
        self.function, self.weights, self.unit = function, weights, unit
        self.jacobian = np.empty((x.shape[0], weights.shape[1], x.shape[1]))
        self.size = np.empty(x.shape[0])
        self.renew(np.arange(x.shape[0]), x)

    def renew(self, rows: Rows, x: Float64) -> None:
        """Form the Jacobians of rows that have moved."""
        if not rows.size:
            return
        found = self.function.linearize(x[rows]).dense()
        found = found * self.weights[rows, :, None] * self.unit
        # A slope that is not finite leads nowhere.
        found = np.nan_to_num(found, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        self.jacobian[rows] = found
        self.size[rows] = np.einsum("kmn,kmn->k", found, found)

    def keep(self, rows: Mask) -> None:
        """Drop the others' arrays."""
        self.jacobian, self.size = self.jacobian[rows], self.size[rows]
        self.weights = self.weights[rows]

    def product(self, rows: Rows, step: Float64) -> Float64:
        """By matrix products."""
        return np.asarray((self.jacobian[rows] @ step[..., None])[..., 0])

    def slope(self, residual: Float64) -> Float64:
        """By matrix products."""
        return np.asarray((residual[:, None, :] @ self.jacobian)[:, 0])

    def damped(
        self, rows: Rows, residual: Float64, damping: Float64, free: Mask | None
    ) -> Float64:
        """From the smaller of J J^T and J^T J."""
        jacobian = self._of(rows, free)
        _, m, n = jacobian.shape
        turned = jacobian.transpose(0, 2, 1)
        diagonal = np.arange(min(m, n))
        if m <= n:
            gram = jacobian @ turned
            gram[:, diagonal, diagonal] += damping[:, None]
            return np.asarray(
                -(turned @ np.linalg.solve(gram, residual[..., None]))[..., 0]
            )
        gram = turned @ jacobian
        gram[:, diagonal, diagonal] += damping[:, None]
        return np.asarray(-np.linalg.solve(gram, turned @ residual[..., None])[..., 0])

    def shortest(self, rows: Rows, residual: Float64, free: Mask | None) -> Float64:
        """By singular values; those that are rounding of the largest count as zero."""
        jacobian = self._of(rows, free)
        left, values, right = np.linalg.svd(jacobian, full_matrices=False)
        least = max(jacobian.shape[1:]) * np.finfo(np.float64).eps * values[:, :1]
        counts = (values > least) & (values > 0.0)
        share = (residual[:, None, :] @ left)[:, 0]
        share = np.divide(share, values, out=np.zeros_like(share), where=counts)
        return np.asarray(-(share[:, None, :] @ right)[:, 0])

    def _of(self, rows: Rows, free: Mask | None) -> Float64:
        jacobian = self.jacobian[rows] if rows.size < self.size.size else self.jacobian
        return jacobian if free is None or free.all() else jacobian * free[:, None, :]


class ProductModel(Model):
    """Jacobians by their products only; steps by conjugate gradients on ``J^T J``."""

    near: RowLinearization

    def __init__(
        self, function: RowFunction, weights: Float64, unit: Float64, x: Float64
    ) -> None:
        self.function, self.weights, self.unit = function, weights, unit
        self.x = x
        self.size = np.zeros(x.shape[0])
        self.squares: dict[int, Float64] = {}
        self.renew(np.arange(x.shape[0]), x)

    def renew(self, rows: Rows, x: Float64) -> None:
        """Linearise: products of all rows come from one pass."""
        self.x = x.copy()
        self.near = self.function.linearize(self.x)
        probe = np.random.default_rng(0).standard_normal(self.weights.shape)
        back = self.slope(probe)
        # For normal numbers E ||J^T g||^2 is the squared Frobenius norm.
        self.size = np.einsum("kn,kn->k", back, back)

    def keep(self, rows: Mask) -> None:
        """Linearise what is left."""
        self.weights = self.weights[rows]
        left = enumerate(np.flatnonzero(rows).tolist())
        self.squares = {k: self.squares[row] for k, row in left if row in self.squares}
        self.renew(np.arange(self.weights.shape[0]), self.x[rows])

    def product(self, rows: Rows, step: Float64) -> Float64:
        """By one pass, of all rows where some are asked for."""
        spread = np.zeros_like(self.x)
        spread[rows] = step * self.unit
        found = self.near.jvp(spread) * self.weights
        return np.asarray(np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)[rows])

    def slope(self, residual: Float64) -> Float64:
        """By one pass back."""
        found = self.near.vjp(residual * self.weights) * self.unit
        return np.asarray(np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0))

    def damped(
        self, rows: Rows, residual: Float64, damping: Float64, free: Mask | None
    ) -> Float64:
        """Conjugate gradients from zero; those that do not get far, with J^T J beside."""
        allowed = np.ones((rows.size, self.x.shape[1]))
        if free is not None:
            allowed *= free
        step = np.zeros_like(allowed)
        known = np.array([row in self.squares for row in rows.tolist()])
        plain = np.flatnonzero(~known)
        if plain.size:
            step[plain], met = self._conjugate(
                rows[plain], residual[plain], damping[plain], allowed[plain], INNER_STEPS
            )
            known[plain] = ~met
        if self.x.shape[1] <= SQUARE_SIDE:
            for place in np.flatnonzero(known):
                row, one = int(rows[place]), slice(place, place + 1)
                step[one] = self._guided(row, residual[one], damping[one], allowed[one])
        return step

    def _guided(
        self, row: int, residual: Float64, damping: Float64, allowed: Float64
    ) -> Float64:
        """The step of one row, with its last J^T J as preconditioner, or a new one."""
        here, first = np.array([row]), np.zeros(1, dtype=np.int64)
        one = ProductModel(self.function, self.weights[here], self.unit, self.x[here])
        old = self.squares.get(row)
        if old is not None:
            inverse = _inverse(old, float(damping[0]), allowed[0])
            step, met = one._conjugate(
                first, residual, damping, allowed, GUIDED_STEPS, inverse
            )
            if met.all():
                return step
        inverse = _inverse(self._square(row, one), float(damping[0]), allowed[0])
        return one._conjugate(first, residual, damping, allowed, GUIDED_STEPS, inverse)[0]

    def _square(self, row: int, one: ProductModel) -> Float64:
        """J^T J where the row is now, kept as long as there is room."""
        jacobian = one.near.dense()[0] * one.weights[0][:, None] * self.unit
        np.nan_to_num(jacobian, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
        square: Float64 = jacobian.T @ jacobian
        others = len(self.squares.keys() - {row})
        if (others + 1) * square.nbytes <= SQUARE_BYTES:
            self.squares[row] = square
        return square

    def _conjugate(
        self,
        rows: Rows,
        residual: Float64,
        damping: Float64,
        allowed: Float64,
        most: int,
        inverse: Callable[[Float64], Float64] = lambda fall: fall,
    ) -> tuple[Float64, Mask]:
        """CGLS from zero, all rows at once; which of them got as far as they should.

        C. C. Paige, M. A. Saunders, LSQR, ACM Trans. Math. Softw. 8, 1982, section 7.1;
        preconditioned by about the inverse of J^T J + damping.
        """
        step = np.zeros_like(allowed)
        rest = -residual
        fall = self._slope_of(rows, rest) * allowed
        better = inverse(fall)
        way, strength = better, np.einsum("kn,kn->k", fall, better)
        wanted = INNER_REDUCTION**2 * np.einsum("kn,kn->k", fall, fall)
        met = wanted <= 0.0
        for _ in range(min(most, 2 * min(rest.shape[1], step.shape[1]))):
            if met.all():
                break
            image = self.product(rows, way)
            curve = np.einsum("km,km->k", image, image)
            curve += damping * np.einsum("kn,kn->k", way, way)
            length = _quotient(strength, curve)[:, None]
            step = step + length * way
            rest = rest - length * image
            fall = (self._slope_of(rows, rest) - damping[:, None] * step) * allowed
            better = inverse(fall)
            new = np.einsum("kn,kn->k", fall, better)
            way = better + _quotient(new, strength)[:, None] * way
            strength = new
            met = np.einsum("kn,kn->k", fall, fall) <= wanted
        return step, met

    def shortest(self, rows: Rows, residual: Float64, free: Mask | None) -> Float64:
        """The same without damping: from zero it tends to the shortest solution."""
        return self.damped(rows, residual, np.zeros(rows.size), free)

    def _slope_of(self, rows: Rows, residual: Float64) -> Float64:
        spread = np.zeros_like(self.weights)
        spread[rows] = residual
        return self.slope(spread)[rows]


def _inverse(
    square: Float64, damping: float, allowed: Float64
) -> Callable[[Float64], Float64]:
    """About the inverse of J^T J + damping on the allowed variables, zero on the others."""
    from scipy.linalg import cho_factor, cho_solve

    n = square.shape[0]
    shifted = square * allowed * allowed[:, None]
    least = 4.0 * n * np.finfo(np.float64).eps * float(np.trace(square))
    shifted[np.arange(n), np.arange(n)] += max(damping, least)
    factor = cho_factor(shifted, lower=True, overwrite_a=True, check_finite=False)

    def solve(fall: Float64) -> Float64:
        found = cho_solve(factor, fall.T, check_finite=False).T
        return np.asarray(found * allowed)

    return solve


def _quotient(a: Float64, b: Float64) -> Float64:
    """Divide; 0 where b is 0."""
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0.0)
