"""Hessians of quadratic programs: the identity and what a few directions add to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

DIRECTIONS = 48
"""Directions in which curvature is looked for. Up to so many variables all of it is found;
with more the strongest part, and what is left out slows the descent down."""

CONVEX = 0.05
"""Least eigenvalue of the Hessian that the quadratic programs get; that of the squared
distance is 1."""

FLAT = 1e-9
"""Curvature below this, beside the 1 of the squared distance, is left out."""


@dataclass(frozen=True)
class Hessian:
    """H = I + V diag(e) V^T, positive definite.

    Attributes
    ----------
    vectors : float64 array, shape (n, k)
        V, usually far fewer columns than rows.
    excess : float64 array, shape (k,)
        e; negative where H is flatter than the identity, never 0.
    """

    vectors: Float64
    excess: Float64

    def apply(self, d: Float64) -> Float64:
        """H d."""
        return np.asarray(d + self.vectors @ (self.excess * (d @ self.vectors)))

    def dense(self) -> Float64:
        """H itself, shape (n, n)."""
        rank_k = (self.vectors * self.excess) @ self.vectors.T
        return np.asarray(np.eye(self.vectors.shape[0]) + rank_k)

    def of_variables(self, kept: NDArray[np.intp]) -> Hessian:
        """Its block of some of the variables."""
        return Hessian(self.vectors[kept], self.excess)

    def over(self, weight: float) -> Hessian:
        """((weight - 1) I + H) / weight."""
        return Hessian(self.vectors, self.excess / weight)

    @property
    def mean(self) -> float:
        """Mean of its diagonal."""
        n = self.vectors.shape[0]
        return float(1.0 + self.excess @ np.square(self.vectors).sum(axis=0) / max(n, 1))


def sketched(
    product: Callable[[Float64], Float64], n: int, known: Hessian | None
) -> Hessian | None:
    """I - C for a symmetric C that is known by its products, made positive definite.

    Parameters
    ----------
    product : callable
        From directions, shape (k, n), to C times each of them, shape (k, n); NaN in the
        rows where it does not exist, and those directions count as flat.
    n : int
        How many variables.
    known : Hessian or None
        The one of a point near by: its directions are looked at again.

    Returns
    -------
    Hessian or None
        None where C is zero or not finite.

    Notes
    -----
    With more than `DIRECTIONS` variables a randomised range finder (Halko, Martinsson,
    Tropp, SIAM Rev. 53, 2011, 217-288, algorithm 4.1) gives an orthonormal basis Q, and
    Q Q^T C Q Q^T stands for C. From step to step the directions are those of the step
    before: subspace iteration on a matrix that hardly changes.
    """
    if n <= DIRECTIONS:
        basis = np.eye(n)
    else:
        random = np.random.default_rng(n)
        probes = random.standard_normal((DIRECTIONS, n)) / np.sqrt(n)
        if known is not None:
            count = min(known.excess.size, DIRECTIONS // 2)
            strongest = np.argsort(-np.abs(known.excess))[:count]
            probes[:count] = known.vectors[:, strongest].T
        image = np.nan_to_num(product(probes), posinf=0.0, neginf=0.0)
        basis = np.linalg.qr(image.T)[0].T
    image = product(basis)
    exists = np.asarray(np.isfinite(image).all(axis=1))
    small = np.where(exists[:, None] & exists, image @ basis.T, 0.0)
    values, vectors = np.linalg.eigh(0.5 * (small + small.T))
    excess = np.maximum(1.0 - values, CONVEX) - 1.0
    bent = np.abs(excess) > FLAT
    if not bent.any():
        return None
    return Hessian(basis.T @ vectors[:, bent], excess[bent])
