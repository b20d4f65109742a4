"""Singular values, rank and condition of a linear map, saying how each was obtained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.linalg.extreme import NormEstimate, Product, two_norm, two_norm_of_gram
from nninvert.outcome import Kind

Float64 = NDArray[np.float64]

_SEEN = 0.3
"""Largest share of the direction in which factors err most that they may miss."""


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
    def deficient(self) -> bool | None:
        """Whether some singular value counts as zero; None where that is not known.

        Iteration bounds the smallest one from above only: it may count as zero or not.
        """
        if self.rank is not None:
            return self.rank < min(self.shape)
        return None if self.kind is Kind.LOWER_BOUND else True

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


def estimated_spectrum(
    n: int,
    products: tuple[Product, Product],
    solves: tuple[Product, Product],
    stored_eps: float,
    seed: int,
    how: str,
    should_stop: Callable[[], bool] = lambda: False,
    gram: Product | None = None,
) -> Spectrum:
    """Estimate the extreme singular values of a square factored map.

    The largest from below, by products; the smallest from the norm of the inverse, by
    solves. Rough factors show it only if ``v - B A v`` is small for the direction v that
    they say A shortens most, B standing for their inverse. Else all that is certain is
    ``||A v||``: the smallest is no larger, and the condition number no smaller than what
    follows from it.

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
    how : str
        What the solves are made with: "float32 LU factors".
    should_stop : callable, default never
        Asked between steps; both norms are then what was found from below so far.
    gram : callable, optional
        Rows times A^T A, or A A^T, from one pass over the weights; default: two products.
    """
    if gram is None:
        largest = two_norm(products, n, seed, should_stop).value
    else:
        largest = two_norm_of_gram(gram, n, seed, should_stop).value
    inverse = two_norm(solves, n, seed, should_stop)
    smallest, seen = _smallest(inverse, products[0], solves[0])
    shape = (n, n)
    full = seen and smallest > tolerances.singular_threshold(shape, largest)
    full_stored = full and smallest > tolerances.singular_threshold(
        shape, largest, stored_eps
    )
    steps, unseen = f"Lanczos steps with {how}", f"{how}, too rough for the smallest one"
    known = seen and not should_stop()
    return Spectrum(
        shape=shape,
        largest=largest,
        smallest=smallest,
        rank=n if full else None,
        rank_stored=n if full_stored else None,
        kind=Kind.ESTIMATE if known else Kind.LOWER_BOUND,
        method=steps if seen else unseen,
    )


def _smallest(
    inverse: NormEstimate, product: Product, solve: Product
) -> tuple[float, bool]:
    """The smallest singular value, and whether the solves show it; else a bound."""
    direction = solve(inverse.vector[None])
    size = float(np.linalg.norm(direction))
    if not (np.isfinite(inverse.value) and 0.0 < size < np.inf):
        return 0.0, False
    direction /= size
    image = product(direction)
    left = float(np.linalg.norm(direction - solve(image)))
    if left <= _SEEN:
        return 1.0 / inverse.value, True
    return float(np.linalg.norm(image)), False


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
