"""Directions that a square matrix loses or nearly loses, found with rough factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances

Float64 = NDArray[np.float64]

MOST_LOST = 128
"""Largest nullity that is looked for: beyond it, blocks of three times as many vectors
cost as much as better factors."""

_SPARE = 8
_SWEEPS = 3
_CORRECTIONS = 25
_FALLING = 0.5


class RoughInverse(Protocol):
    """Solves with rough factors of A, as `nninvert.linalg.triangular.RoughSolver`."""

    def solve(self, rows: Float64) -> Float64:
        """Rows r to rows of about A^-1 r."""
        ...

    def solve_transposed(self, rows: Float64) -> Float64:
        """Rows r to rows of about A^-T r."""
        ...


class Products(Protocol):
    """Products with a square matrix, as a `LinearMap` makes them."""

    shape: tuple[int, int]

    def apply(self, x: Float64) -> Float64:
        """Rows x to A x."""
        ...

    def adjoint(self, y: Float64) -> Float64:
        """Rows y to A^T y."""
        ...


class _Transposed:
    """A^T in place of A, for products and for rough solves."""

    def __init__(self, products: Products, inverse: RoughInverse) -> None:
        self._products, self._inverse = products, inverse
        self.shape = products.shape[::-1]

    def apply(self, x: Float64) -> Float64:
        return self._products.adjoint(x)

    def adjoint(self, y: Float64) -> Float64:
        return self._products.apply(y)

    def solve(self, rows: Float64) -> Float64:
        return self._inverse.solve_transposed(rows)

    def solve_transposed(self, rows: Float64) -> Float64:
        return self._inverse.solve(rows)


@dataclass(frozen=True)
class LostDirections:
    """Singular triplets with the smallest singular values: A v = s u and A^T u = s v.

    Attributes
    ----------
    values : float64 array, shape (k,)
        The singular values s, ascending.
    right, left : float64 arrays, shape (k, n)
        Orthonormal rows v and u.
    """

    values: Float64
    right: Float64
    left: Float64

    def up_to(self, threshold: float) -> LostDirections:
        """Only those whose singular value is not above a threshold."""
        k = int(np.count_nonzero(self.values <= threshold))
        return LostDirections(self.values[:k], self.right[:k], self.left[:k])


def lost_directions(
    products: Products,
    inverse: RoughInverse,
    threshold: float,
    seed: int,
    suspected: int = 0,
) -> LostDirections | None:
    """Singular directions of A whose singular values are at most a threshold.

    Block inverse iteration with the factors first. What it finds is as wrong as the
    factors are. Corrections B A v, B the rough inverse, then are added to the block: v
    less its correction loses all but what A itself loses. Singular values and vectors of
    A on the block are read off an SVD of its image, computed in float64.

    Parameters
    ----------
    products : LinearMap
        A, square; products in float64.
    inverse : RoughSolver
        Solves with float32 or float64 factors of A, their zero pivots replaced.
    threshold : float
        Should lie in a gap between singular values.
    seed : int
        Of the start vectors.
    suspected : int, default 0
        How many zero pivots there were.

    Returns
    -------
    LostDirections, or None where there are more than `MOST_LOST`, or the factors are too
    rough to find as many on the left as on the right.
    """
    width = _SPARE + min(suspected, MOST_LOST)
    right = _shortened(products, inverse, threshold, seed, width)
    lost = right.count(threshold)
    if lost > MOST_LOST or lost == len(right.lengths):
        return None
    turned = _Transposed(products, inverse)
    left = _shortened(turned, turned, threshold, seed, len(right.lengths))
    if left.count(threshold) != lost:
        return None
    # Each block is right as a whole; what belongs together is seen in the small matrix.
    p, values, q = np.linalg.svd(left.vectors[:lost] @ right.images[:lost].T)
    return LostDirections(
        values[::-1],
        q[::-1] @ right.vectors[:lost],
        p.T[::-1] @ left.vectors[:lost],
    )


@dataclass(frozen=True)
class _Block:
    """Orthonormal rows v, their images A v, orthogonal, and the lengths of these."""

    lengths: Float64
    vectors: Float64
    images: Float64

    def count(self, threshold: float) -> int:
        return int(np.count_nonzero(self.lengths <= threshold))


def _shortened(
    products: Products, inverse: RoughInverse, threshold: float, seed: int, width: int
) -> _Block:
    """Directions that A shortens most: `width`, or more if about as many are lost."""
    most = min(products.shape[1], MOST_LOST + _SPARE)
    width = min(width, most)
    found = _iterated(products, inverse, threshold, seed, width)
    while found.count(threshold) > width // 2 and width < most:
        width = min(4 * width + _SPARE, most)
        found = _iterated(products, inverse, threshold, seed, width)
    return found


def _iterated(
    products: Products, inverse: RoughInverse, threshold: float, seed: int, width: int
) -> _Block:
    n = products.shape[1]
    swept = _orthonormal(np.random.default_rng(seed).standard_normal((width, n)))
    for _ in range(_SWEEPS):
        opposite = _orthonormal(inverse.solve_transposed(swept))
        swept = _orthonormal(inverse.solve(opposite))
    best = _rotated(products, swept, width)
    if best.count(threshold) == width:
        return best
    floor = tolerances.EPS64 * best.lengths[-1]
    for _ in range(_CORRECTIONS):
        # The solve would drown all else in what the factors nearly lose.
        rest = best.images - (best.images @ opposite.T) @ opposite
        wider = np.vstack([best.vectors, inverse.solve(rest), swept])[:n]
        trial = _rotated(products, _orthonormal(wider), width)
        lost = trial.count(threshold)
        falling = trial.lengths < _FALLING * best.lengths
        best, concerned = trial, slice(0, lost + 1)
        if not (falling & (trial.lengths > floor))[concerned].any():
            break
    return best


def _rotated(products: Products, block: Float64, width: int) -> _Block:
    """Singular vectors of A on the span of a block: those with the smallest values."""
    images = products.apply(block)
    if not np.isfinite(images).all():
        return _Block(np.full(width, np.inf), block[:width], images[:width])
    _, lengths, mix = np.linalg.svd(images.T, full_matrices=False)
    mix = mix[::-1][:width]
    return _Block(lengths[::-1][:width], mix @ block, mix @ images)


def _orthonormal(rows: Float64) -> Float64:
    """Rows orthonormalised, each scaled first, so that none is lost to another's size."""
    size = np.abs(rows).max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.ascontiguousarray(np.linalg.qr((rows / size).T)[0].T)
