"""Norms of operators that are known by their products only, estimated from below.

Applied to a map this gives its largest singular value; applied to solves with its factors
the reciprocal of the smallest, and norms of the inverse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Product = Callable[[Float64], Float64]

_BLOCK = 2
"""Vectors of a step. More do not find the largest value in fewer steps (on matrices of
independent entries, the hardest there are, 0.98 of it in seven) and each costs time."""

_STEPS = 15
_GREW = 0.01
"""Steps end when the estimate grew by less: it is then right to a few percent, far more
than a condition number needs."""

_SETTLED = 0.005
"""The search for the smallest singular value ends when it fell by less, several times."""

_SMALLEST = 2
"""Ritz vectors that the search for the smallest singular value follows."""

_MOST_STEPS, _HELD, _SURE = 40, 24, 2
"""Its steps, the vectors that it holds, and how many steps that gain nothing end it."""

_CHOICES = 4
_SIGN_STEPS = 5


@dataclass(frozen=True)
class NormEstimate:
    """A lower bound of ||B||_2 and where it is reached.

    Attributes
    ----------
    value : float
        inf where a product overflowed.
    vector : float64 array, shape (n,)
        Of length 1, with ||B v|| about `value`: a right singular vector.
    """

    value: float
    vector: Float64


def two_norm(
    pair: tuple[Product, Product],
    n: int,
    seed: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> NormEstimate:
    """||B||_2 from products with B and its transpose; see `two_norm_of_gram`.

    Parameters
    ----------
    pair : (callable, callable)
        Rows x to B x, and rows y to B^T y.
    n, seed, should_stop
        As there.
    """
    forward, backward = pair
    return two_norm_of_gram(lambda x: backward(forward(x)), n, seed, should_stop)


def two_norm_of_gram(
    gram: Product,
    n: int,
    seed: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> NormEstimate:
    """||B||_2 by a block Lanczos method on B^T B with full orthogonalisation.

    A few steps with a few vectors find the largest singular value of nearly any operator
    to a percent (Musco & Musco, NeurIPS 2015); more vectors than one make a start that
    misses it harmless.

    Parameters
    ----------
    gram : callable
        Rows x to B^T B x.
    n : int
        Columns of B.
    seed : int
        Of the start vectors.
    should_stop : callable
        Asked before each step but the first; the estimate so far is then returned.
    """
    start = np.random.default_rng(seed).standard_normal((min(_BLOCK, n), n))
    block = _orthonormal(start)
    space = _Space(_BLOCK * _STEPS, n, n)
    best = NormEstimate(0.0, block[0])
    for step in range(_STEPS):
        if (step and should_stop()) or not len(block):
            break
        image = gram(block)
        if not np.all(np.isfinite(image)):
            return NormEstimate(float("inf"), block[0])
        space.append(block, image)
        inner = space.basis @ space.images.T
        values, weights = np.linalg.eigh(0.5 * (inner + inner.T))
        found = float(np.sqrt(max(values[-1], 0.0)))
        settled = found <= best.value * (1.0 + _GREW)
        best = NormEstimate(max(found, best.value), weights[:, -1] @ space.basis)
        if settled:
            break
        block = _new_directions(image, space.basis)
    return best


def least_value(
    pair: tuple[Product, Product],
    precondition: Product,
    n: int,
    seed: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> float:
    """The smallest singular value of B, from above, by a block Davidson method on B^T B.

    Each step adds what a rough inverse of B^T B makes of the residuals of the smallest
    Ritz vectors (E. R. Davidson, J. Comput. Phys. 17, 87-94, 1975). Rayleigh quotients
    never lie below the value sought; they have it to a percent once they settle, nearly
    surely.

    Parameters
    ----------
    pair : (callable, callable)
        Rows x to B x, and rows y to B^T y.
    precondition : callable
        Rows v to rows of about (B^T B)^-1 v.
    n : int
        Columns of B, of which there are no more than rows.
    seed : int
        Of the start vectors.
    should_stop : callable, default never
        Asked before each step but the first; the bound so far is then returned.
    """
    forward, backward = pair
    start = np.random.default_rng(seed).standard_normal((min(_SMALLEST, n), n))
    block = _orthonormal(precondition(start))
    space = _Space(_HELD + _SMALLEST, n, forward(block[:0]).shape[1])
    best, settled = float("inf"), 0
    for step in range(_MOST_STEPS):
        if (step and should_stop()) or not len(block) or settled == _SURE:
            break
        space.append(block, forward(block))
        squares, weights = np.linalg.eigh(space.images @ space.images.T)
        found = float(np.sqrt(max(squares[0], 0.0)))
        settled = settled + 1 if found >= best * (1.0 - _SETTLED) else 0
        best = min(found, best)
        chosen = weights[:, :_SMALLEST].T
        vectors, reached = chosen @ space.basis, chosen @ space.images
        if len(space.basis) > _HELD - _SMALLEST:
            space.restrict(weights[:, : 2 * _SMALLEST].T)
        rest = backward(reached) - squares[: len(chosen), None] * vectors
        block = _new_directions(precondition(rest), space.basis)
    return best


class _Space:
    """Orthonormal vectors and their images, in memory that is asked for once.

    Parameters
    ----------
    most : int
        Vectors that may be held.
    n, m : int
        Numbers in a vector, and in its image.
    """

    def __init__(self, most: int, n: int, m: int) -> None:
        self._basis, self._images = np.empty((most, n)), np.empty((most, m))
        self._count = 0

    @property
    def basis(self) -> Float64:
        return self._basis[: self._count]

    @property
    def images(self) -> Float64:
        return self._images[: self._count]

    def append(self, block: Float64, images: Float64) -> None:
        end = self._count + len(block)
        self._basis[self._count : end], self._images[self._count : end] = block, images
        self._count = end

    def restrict(self, weights: Float64) -> None:
        """Keep combinations only, by orthonormal rows of weights."""
        basis, images = weights @ self.basis, weights @ self.images
        self._count = 0
        self.append(basis, images)


def _orthonormal(rows: Float64) -> Float64:
    """An orthonormal basis of the span of rows; rows that depend on others are left out."""
    q, triangle = np.linalg.qr(rows.T)
    size = np.abs(np.diag(triangle))
    kept = size > 1e-12 * size.max(initial=0.0)
    return np.ascontiguousarray(q.T[kept])


def _new_directions(image: Float64, basis: Float64) -> Float64:
    """What an image adds to an orthonormal basis; twice is enough against rounding."""
    size = np.linalg.norm(image, axis=1)
    rest = image
    for _ in range(2):
        rest = rest - (rest @ basis.T) @ basis
    left = np.linalg.norm(rest, axis=1)
    return _orthonormal(rest[left > 1e-12 * size.max(initial=0.0)])


def one_norm(
    pair: tuple[Product, Product], n: int, seed: int, width: int = _CHOICES
) -> float:
    """||B||_1, the largest column sum of |B|, by a block estimator.

    Algorithm 2.4 of Higham & Tisseur, SIAM J. Matrix Anal. Appl. 21(4), 2000, without the
    test for parallel sign vectors: almost always right to a factor of 3, never too large.
    For the maximum norm of B give the products in the other order.

    Parameters
    ----------
    pair : (callable, callable)
        Rows x to B x, and rows y to B^T y.
    n : int
        Columns of B.
    seed : int
        Of the start vectors.
    width : int
        Vectors at a time; with 1 it is the estimator of LAPACK, which is cheaper where
        products with several vectors cost several times as much.
    """
    forward, backward = pair
    width = min(width, n)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(width, n))
    signs[0] = 1.0
    block = signs / n
    best, tried = 0.0, np.zeros(n, dtype=bool)
    for _ in range(_SIGN_STEPS):
        image = forward(block)
        sums = np.abs(image).sum(axis=1)
        if not np.all(np.isfinite(sums)):
            return float("inf")
        found = float(sums.max())
        if found <= best:
            break
        best = found
        gain = np.abs(backward(np.where(image < 0.0, -1.0, 1.0))).max(axis=0)
        gain[tried] = -1.0
        chosen = np.argsort(gain)[::-1][:width]
        if tried.all():
            break
        tried[chosen] = True
        block = np.zeros((len(chosen), n))
        block[np.arange(len(chosen)), chosen] = 1.0
    return best
