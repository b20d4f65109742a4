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

_BLOCK = 4
_STEPS = 15
_SETTLED = 0.005
"""Steps end when the estimate grew by less: it is then right to a few percent, far more
than a condition number needs."""

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
    basis, images = np.empty((0, n)), np.empty((0, n))
    best = NormEstimate(0.0, block[0])
    for step in range(_STEPS):
        if (step and should_stop()) or not len(block):
            break
        image = gram(block)
        if not np.all(np.isfinite(image)):
            return NormEstimate(float("inf"), block[0])
        basis, images = np.vstack([basis, block]), np.vstack([images, image])
        inner = basis @ images.T
        values, weights = np.linalg.eigh(0.5 * (inner + inner.T))
        found = float(np.sqrt(max(values[-1], 0.0)))
        settled = found <= best.value * (1.0 + _SETTLED)
        best = NormEstimate(max(found, best.value), weights[:, -1] @ basis)
        if settled:
            break
        block = _new_directions(image, basis)
    return best


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
