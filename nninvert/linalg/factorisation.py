"""What every factorisation of a linear map answers.

Solutions are least-squares solutions of minimum norm wherever the map is not square and
nonsingular.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.linalg import condition
from nninvert.linalg.condition import Spectrum
from nninvert.linalg.map import LinearMap

Float64 = NDArray[np.float64]


class Factorisation(ABC):
    """A linear map A (m, n), ready to be solved with.

    Attributes
    ----------
    shape : (int, int)
        (m, n).
    rank : int
        Numerical rank used by `solve`.
    nbytes : int
        Memory held.
    reason : str
        Which factorisation this is and why it was chosen.
    """

    shape: tuple[int, int]
    rank: int
    nbytes: int
    reason: str

    @abstractmethod
    def solve(self, y: Float64) -> Float64:
        """Least-squares solutions of minimum norm, (..., m) to (..., n)."""

    def solve_bounded(self, y: Float64) -> tuple[Float64, Float64 | None]:
        """`solve`, and how well the equations are met where that is known without a look.

        Returns
        -------
        x : float64 array, shape (..., n)
        slack : float64 array, shape (..., 1), or None
            Bounds |A x - y| of every unit, the rounding of that product included; NaN
            where nothing is known of a row. None: only the product tells.
        """
        return self.solve(y), None

    @abstractmethod
    def solve_transposed(self, x: Float64) -> Float64:
        """The same for the transpose, (..., n) to (..., m)."""

    def solve_roughly(self, y: Float64) -> Float64:
        """Solutions for error estimates, to a few digits where that is cheaper."""
        return self.solve(y)

    def solve_transposed_roughly(self, x: Float64) -> Float64:
        """The same for the transpose."""
        return self.solve_transposed(x)

    @abstractmethod
    def spectrum(self) -> Spectrum:
        """Extreme singular values, rank and condition."""

    @abstractmethod
    def spread(self, radius: Float64) -> Float64:
        """Bound |A^+ d| for every d with |d| <= radius: (..., m) to (..., n)."""

    @property
    def residual_scale(self) -> Float64:
        """s, shape (m,) or (), where solutions are those of least ||s (A x - y)||."""
        return np.ones(())

    @property
    def nullity(self) -> int:
        """How many dimensions of x the map loses."""
        return self.shape[1] - self.rank

    @property
    def onto(self) -> bool:
        """Whether every y is reached."""
        return self.rank == self.shape[0]


def square_spectrum(linear_map: LinearMap, factor: Factorisation) -> Spectrum:
    """By SVD where cheap, else estimated with products and solves."""
    if tolerances.svd_is_cheap(linear_map.shape):
        return condition.dense_spectrum(linear_map.dense(), linear_map.stored_eps)
    return condition.estimated_spectrum(
        linear_map.shape[0],
        (linear_map.apply, linear_map.adjoint),
        (factor.solve, factor.solve_transposed),
        linear_map.stored_eps,
        seed=0,
        how="LU factors",
    )
