"""Flexible GMRES for many right-hand sides at once, preconditioned by rough factors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Float32 = NDArray[np.float32]
Product = Callable[[Float64], Float64]


def flexible_gmres(
    product: Product,
    precondition: Product,
    rhs: Float64,
    reduction: float,
    steps: int,
    should_stop: Callable[[], bool],
) -> tuple[Float64, int]:
    """Approximate solutions d of A d = r, one Krylov space for each row r.

    The preconditioner acts from the right and may round its result as it likes: the
    relation A Z = V H is kept by products in float64 (Saad, SIAM J. Sci. Comput. 14,
    1993). With float32 factors this makes solutions backward stable in float64 (Arioli &
    Duff, ETNA 33, 2009), whereas a preconditioner from the left that rounds to float32
    limits what is reached.

    Parameters
    ----------
    product : callable
        Rows z to rows A z.
    precondition : callable
        Rows v to rows of about A^-1 v; scaled and rounded to float32 here.
    rhs : float64 array, shape (k, n)
        Residuals r, finite; a row of zeros gives zeros.
    reduction : float
        Stop when ||A d - r|| <= reduction ||r|| in every row.
    steps : int
        Most steps, each with one product for all rows; (k, n) numbers of float64 and as
        many of float32 are kept for each.
    should_stop : callable
        Asked before each step.

    Returns
    -------
    d : float64 array, shape (k, n)
        May be not finite where the preconditioner overflows.
    made : int
        Steps made.
    """
    beta = np.linalg.norm(rhs, axis=1)
    space = [_divided(rhs, beta)]
    kept: list[Float32] = []
    triangle = _Triangle(beta, steps)
    for _ in range(steps):
        if should_stop():
            break
        z = precondition(space[-1])
        kept.append(_divided(z, np.abs(z).max(axis=1)).astype(np.float32))
        image = product(kept[-1].astype(np.float64))
        column = np.zeros((len(space) + 1, len(rhs)))
        for i, basis in enumerate(space):
            column[i] = np.einsum("kn,kn->k", image, basis)
            image -= column[i, :, None] * basis
        column[-1] = np.linalg.norm(image, axis=1)
        space.append(_divided(image, column[-1]))
        left = triangle.append(column)
        if np.all(~(left > reduction * beta)):
            break
    solution = np.zeros_like(rhs)
    for weight, direction in zip(triangle.solve(), kept, strict=True):
        solution += weight[:, None] * direction
    return solution, len(kept)


def _divided(rows: Float64, by: Float64) -> Float64:
    """Rows divided by numbers; zero where those are."""
    inverse = np.divide(1.0, by, out=np.zeros_like(by), where=by > 0.0)
    with np.errstate(invalid="ignore"):
        return rows * inverse[:, None]


class _Triangle:
    """The Hessenberg systems of all rows, made triangular by rotations as they grow."""

    def __init__(self, beta: Float64, steps: int) -> None:
        self._columns: list[Float64] = []
        self._rotations: list[tuple[Float64, Float64]] = []
        self._right = np.zeros((steps + 1, beta.size))
        self._right[0] = beta

    def append(self, column: Float64) -> Float64:
        """Take one more column, shape (j + 2, rows); return the residual norms."""
        j = len(self._columns)
        for i, (c, s) in enumerate(self._rotations):
            column[i], column[i + 1] = (
                c * column[i] + s * column[i + 1],
                c * column[i + 1] - s * column[i],
            )
        size = np.hypot(column[j], column[j + 1])
        safe = np.where(size > 0.0, size, 1.0)
        c, s = np.where(size > 0.0, column[j] / safe, 1.0), column[j + 1] / safe
        self._rotations.append((c, s))
        column[j] = size
        self._columns.append(column[: j + 1])
        self._right[j + 1] = -s * self._right[j]
        self._right[j] = c * self._right[j]
        return np.asarray(np.abs(self._right[j + 1]))

    def solve(self) -> list[Float64]:
        """Weights of the preconditioned vectors, by back substitution."""
        weights: list[Float64] = []
        for j in reversed(range(len(self._columns))):
            total = self._right[j].copy()
            for i, weight in enumerate(reversed(weights)):
                total -= self._columns[j + 1 + i][j] * weight
            pivot = self._columns[j][j]
            weights.append(
                np.divide(total, pivot, out=np.zeros_like(total), where=pivot != 0.0)
            )
        return weights[::-1]
