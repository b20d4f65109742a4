"""Singular values, rank and condition of a linear map, saying how each was obtained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.outcome import Kind

Float64 = NDArray[np.float64]

_PROBES = 4
_SWEEPS = 30
_SETTLED = 1e-4


@dataclass(frozen=True)
class Spectrum:
    """The extreme singular values of a map and what they say.

    Attributes
    ----------
    shape : (int, int)
        (m, n).
    largest, smallest : float
        Extreme ones of the min(m, n) singular values.
    rank : int or None
        Singular values above ``max(m, n) eps64 largest``; None where only the extreme
        ones are known and the smallest counts as zero.
    rank_stored : int or None
        The same with the spacing of the type in which the weights are stored; None, too,
        where that threshold is as large as `largest` (float16 from 1,024 on, bfloat16 from
        128 on): it would say nothing of any matrix of that size.
    kind : Kind
        EXACT (to rounding) or ESTIMATE.
    method : str
        How, in a few words.
    """

    shape: tuple[int, int]
    largest: float
    smallest: float
    rank: int | None
    rank_stored: int | None
    kind: Kind
    method: str

    @property
    def full_rank(self) -> bool:
        """Whether no singular value counts as zero in float64."""
        return self.rank == min(self.shape)

    @property
    def condition(self) -> float:
        """The 2-norm condition number, largest over smallest; inf where that is 0."""
        if self.smallest > 0.0:
            with np.errstate(over="ignore"):
                return float(np.float64(self.largest) / np.float64(self.smallest))
        return float("inf")


def spectrum_of_values(
    shape: tuple[int, int], values: Float64, stored_eps: float, method: str
) -> Spectrum:
    """Summarise all singular values, in any order."""
    ordered = np.sort(values)[::-1]
    if ordered.size == 0:
        return Spectrum(shape, 0.0, 0.0, 0, 0, Kind.EXACT, method)
    largest = float(ordered[0])
    zero = tolerances.singular_threshold(shape, largest)
    coarse = tolerances.singular_threshold(shape, largest, stored_eps)
    says_nothing = coarse >= largest > 0.0
    return Spectrum(
        shape=shape,
        largest=largest,
        smallest=float(ordered[-1]),
        rank=int(np.count_nonzero(ordered > zero)),
        rank_stored=None if says_nothing else int(np.count_nonzero(ordered > coarse)),
        kind=Kind.EXACT,
        method=method,
    )


def trivial_spectrum(n: int) -> Spectrum:
    """The spectrum of a permutation of R^n: all singular values are 1."""
    return Spectrum((n, n), 1.0, 1.0, n, n, Kind.EXACT, "structure")


def dense_spectrum(matrix: Float64, stored_eps: float) -> Spectrum:
    """All singular values of a matrix by SVD, summarised."""
    from scipy.linalg import svdvals

    values = svdvals(matrix, check_finite=False)
    return spectrum_of_values(matrix.shape, values, stored_eps, "SVD")


Product = Callable[[Float64], Float64]


def estimated_spectrum(
    n: int,
    products: tuple[Product, Product],
    solves: tuple[Product, Product],
    stored_eps: float,
    seed: int,
) -> Spectrum:
    """Estimate the extreme singular values of a square factored map.

    Block power iteration on A^T A gives the largest from below, on its inverse the
    smallest from above, so that the condition number is a lower bound that is usually
    right to a percent.

    Parameters
    ----------
    n : int
        A is n by n.
    products : (callable, callable)
        Rows times A^T and rows times A: ``apply`` and ``adjoint`` of a `LinearMap`.
    solves : (callable, callable)
        The same with the inverse: ``solve`` and ``solve_transposed``.
    stored_eps : float
        Spacing at 1 of the stored type.
    seed : int
        Of the start vectors.
    """
    start = np.random.default_rng(seed).standard_normal((min(_PROBES, n), n))
    largest = _block_power(products, start)
    inverse_norm = _block_power(solves, start)
    smallest = 0.0 if not np.isfinite(inverse_norm) else 1.0 / inverse_norm
    method = "block power iteration on the LU factors"
    return spectrum_of_extremes((n, n), largest, smallest, stored_eps, method)


def spectrum_of_extremes(
    shape: tuple[int, int],
    largest: float,
    smallest: float,
    stored_eps: float,
    method: str,
) -> Spectrum:
    """Summarise estimates of the largest and the smallest singular value."""
    full = smallest > tolerances.singular_threshold(shape, largest)
    full_stored = smallest > tolerances.singular_threshold(shape, largest, stored_eps)
    return Spectrum(
        shape=shape,
        largest=largest,
        smallest=smallest,
        rank=min(shape) if full else None,
        rank_stored=min(shape) if full_stored else None,
        kind=Kind.ESTIMATE,
        method=method,
    )


def _block_power(pair: tuple[Product, Product], start: Float64) -> float:
    """Norm of the operator whose products are given, from below."""
    forward, backward = pair
    block, norm = np.linalg.qr(start.T)[0].T, 0.0
    for _ in range(_SWEEPS):
        image = backward(forward(block))
        if not np.all(np.isfinite(image)):
            return float("inf")
        basis, triangle = np.linalg.qr(image.T)
        found = float(np.sqrt(np.linalg.norm(triangle, 2)))
        block = basis.T
        if abs(found - norm) <= _SETTLED * found:
            return found
        norm = found
    return norm


def repeated(base: Spectrum, count: int) -> Spectrum:
    """The spectrum of a block-diagonal map of `count` blocks with spectrum `base`."""
    m, n = base.shape
    return replace(
        base,
        shape=(m * count, n * count),
        rank=None if base.rank is None else base.rank * count,
        rank_stored=None if base.rank_stored is None else base.rank_stored * count,
    )


def with_rank(found: Spectrum, rank: int) -> Spectrum:
    """The same singular values with the rank that the map's structure proves."""
    return replace(found, rank=rank, rank_stored=rank)
