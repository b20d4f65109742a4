"""Golub-Kahan bidiagonalisation of many starts at once, one pass over the weights a step.

With orthonormal u_k and v_k, ``A v_k = alpha_k u_k + beta_{k+1} u_{k+1}`` and
``A^T u_k = beta_k v_{k-1} + alpha_k v_k`` (Golub & Kahan, SIAM J. Numer. Anal. 2, 1965; in
this form Paige & Saunders, ACM Trans. Math. Softw. 8, 1982, section 3). A step needs both
products; where the weights lie in rows, ``t = A v_k - alpha_k u_k`` and ``A^T t`` come out
of one pass and are normalised afterwards. Where they lie in columns the pair begins half a
step later: ``s = A^T u_{k+1} - beta_{k+1} v_k`` and ``A s``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.fused import PassInterrupted, Products

Float64 = NDArray[np.float64]

_STARTS = 2
_STREAM = 0xB1D1
"""Sets these random numbers apart from others of the same seed."""

_SETTLED = 0.002
"""Extreme values count as found when a step changes them by less than this part, unless
somebody needs them less precisely."""

_ENDED = 1e-10
"""A coefficient this small against the norm ends the space: what follows is rounding."""


class Bidiagonal(ABC):
    """A batch of bidiagonalisations, each row with its own scalars.

    Attributes
    ----------
    alpha, beta : float64 arrays, shape (batch,)
        The latest alpha_k and beta_k.
    u, v : float64 arrays, shapes (batch, m) and (batch, n)
        The latest pair; zero where it ended because a norm vanished.
    """

    alpha: Float64
    beta: Float64
    u: Float64
    v: Float64

    def __init__(self, products: Products) -> None:
        self._products = products

    @abstractmethod
    def step(self) -> None:
        """Go on from k to k + 1.

        Raises
        ------
        PassInterrupted
            If the work shall stop; the state is then that before the step.
        """

    @abstractmethod
    def keep(self, chosen: NDArray[np.bool_]) -> None:
        """Go on with some of the rows only."""


class _ByRows(Bidiagonal):
    def __init__(self, products: Products, start: Float64) -> None:
        super().__init__(products)
        self.beta, self.u = unit(start)
        self.alpha, self.v = unit(products.adjoint(self.u))

    def step(self) -> None:
        offset = self.alpha[:, None] * self.u
        reached, returned = self._products.there_and_back(self.v, offset)
        self.beta, self.u = unit(reached)
        back = _divided(returned, self.beta) - self.beta[:, None] * self.v
        self.alpha, self.v = unit(back)

    def keep(self, chosen: NDArray[np.bool_]) -> None:
        self.alpha, self.beta = self.alpha[chosen], self.beta[chosen]
        self.u, self.v = self.u[chosen], self.v[chosen]


class _ByColumns(Bidiagonal):
    def __init__(self, products: Products, start: Float64) -> None:
        super().__init__(products)
        self.beta, self.u = unit(start)
        nothing = np.zeros((len(start), products.shape[1]))
        reached, returned = products.there_and_back(self.u, nothing)
        self.alpha, self.v = unit(reached)
        self._image = _divided(returned, self.alpha)

    def step(self) -> None:
        beta, u = unit(self._image - self.alpha[:, None] * self.u)
        reached, returned = self._products.there_and_back(u, beta[:, None] * self.v)
        self.beta, self.u = beta, u
        self.alpha, self.v = unit(reached)
        self._image = _divided(returned, self.alpha)

    def keep(self, chosen: NDArray[np.bool_]) -> None:
        self.alpha, self.beta = self.alpha[chosen], self.beta[chosen]
        self.u, self.v = self.u[chosen], self.v[chosen]
        self._image = self._image[chosen]


def bidiagonal(products: Products, start: Float64) -> Bidiagonal:
    """Begin with u_1 in the direction of each row of `start`: one pass.

    Parameters
    ----------
    products : Products
        With A (m, n).
    start : float64 array, shape (batch, m)

    Raises
    ------
    PassInterrupted
        If the work shall stop.
    """
    return (_ByColumns if products.by_columns else _ByRows)(products, start)


def unit(vectors: Float64) -> tuple[Float64, Float64]:
    """2-norms of the rows and the rows divided by them; zero rows stay zero."""
    norms = np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)))
    return norms, _divided(vectors, norms)


def _divided(vectors: Float64, norms: Float64) -> Float64:
    safe = np.where(norms > 0.0, norms, np.inf)
    return vectors / safe[:, None]


@dataclass(frozen=True)
class Extremes:
    """Bounds of the extreme singular values other than zeros that the shape brings.

    Attributes
    ----------
    largest : float
        Not above the largest singular value.
    smallest : float
        Not below the smallest one.
    steps : int
        Of the bidiagonalisation behind it.
    """

    largest: float
    smallest: float
    steps: int


def extreme_values(
    products: Products, seed: int, max_steps: int, settled: float = _SETTLED
) -> Extremes:
    """Extreme singular values of the bidiagonal matrices that random starts give.

    With ``A V = U B`` and orthonormal U and V, a singular value of B lies between the
    extreme ones of A: A's largest is bounded from below and its smallest one, apart from
    zeros, from above, as V lies in the row space. Where no value is an outlier both settle
    within some ten steps.

    Parameters
    ----------
    products : Products
    seed : int
        Of the random starts.
    max_steps : int
    settled : float, default 0.002
        The search ends with a step that changes both values by no more than this part.

    Raises
    ------
    PassInterrupted
        If the work shall stop before the first step is done.
    """
    generator = np.random.default_rng([seed, _STREAM])
    rows = generator.standard_normal((_STARTS, products.shape[0]))
    basis = bidiagonal(products, rows)
    entries: list[tuple[Float64, Float64]] = []
    found: Extremes | None = None
    while len(entries) < min(max_steps, *products.shape):
        alpha = basis.alpha
        try:
            basis.step()
        except PassInterrupted:
            if found is None:
                raise
            return found
        entries.append((alpha, basis.beta))
        values = _singular_values(entries)
        before = found
        found = Extremes(float(values.max()), float(values.min()), len(entries))
        ended = np.any(np.minimum(basis.alpha, basis.beta) <= _ENDED * found.largest)
        if ended or (before is not None and _settled(before, found, settled)):
            break
    if found is None:
        raise ValueError("a matrix without rows or columns has no singular values")
    return found


def _settled(before: Extremes, now: Extremes, share: float) -> bool:
    return (
        now.largest <= (1.0 + share) * before.largest
        and now.smallest >= (1.0 - share) * before.smallest
    )


def _singular_values(entries: list[tuple[Float64, Float64]]) -> Float64:
    """Of the (k + 1, k) matrices with alpha on the diagonal and beta below it."""
    size, batch = len(entries), len(entries[0][0])
    matrices = np.zeros((batch, size + 1, size))
    for k, (alpha, beta) in enumerate(entries):
        matrices[:, k, k] = alpha
        matrices[:, k + 1, k] = beta
    return np.asarray(np.linalg.svd(matrices, compute_uv=False))
