"""Domain: which inputs are allowed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Constraints:
    """Linear inequalities between inputs, ``matrix @ x <= limit``.

    Attributes
    ----------
    matrix : float64 array, shape (c, n_in)
    limit : float64 array, shape (c,)
    names : tuple of str
        What people call each, for messages.
    """

    matrix: Float64
    limit: Float64
    names: tuple[str, ...]

    @classmethod
    def none(cls, n_in: int) -> Constraints:
        """No inequality at all."""
        return cls(np.zeros((0, n_in)), np.zeros(0), ())

    def __len__(self) -> int:
        return self.limit.size

    def excess(self, x: Float64) -> Float64:
        """``matrix @ x - limit`` for rows x, shape (rows, c)."""
        return np.asarray(x @ self.matrix.T - self.limit)

    def slack(self, x: Float64) -> Float64:
        """How far the rounding of its own sum can hide an excess, shape (rows, c).

        ``n eps (|A| |x| + |b|)``: Higham, Accuracy and Stability of Numerical Algorithms,
        2nd ed., section 3.1.
        """
        size = np.abs(x) @ np.abs(self.matrix.T) + np.abs(self.limit)
        return np.asarray(self.matrix.shape[1] * tolerances.EPS64 * size)


@dataclass(frozen=True)
class Domain:
    """The inputs that are allowed: a box, whole numbers, linear inequalities.

    Attributes
    ----------
    lower, upper : float64 arrays, shape (n_in,)
        -inf and inf where open; equal where an input is fixed.
    integer : bool array, shape (n_in,)
        Inputs that must be whole numbers.
    constraints : Constraints
    """

    lower: Float64
    upper: Float64
    integer: Mask
    constraints: Constraints

    @classmethod
    def box(cls, lower: Float64, upper: Float64) -> Domain:
        """Bounds alone."""
        whole = np.zeros(lower.size, dtype=np.bool_)
        return cls(lower, upper, whole, Constraints.none(lower.size))

    @classmethod
    def unlimited(cls, n_in: int) -> Domain:
        """All inputs."""
        return cls.box(np.full(n_in, -np.inf), np.full(n_in, np.inf))

    @property
    def is_box(self) -> bool:
        """Whether bounds say it all."""
        return not len(self.constraints) and not bool(self.integer.any())

    @property
    def is_open(self) -> bool:
        """Whether every input is allowed."""
        bounded = np.isfinite(self.lower).any() or np.isfinite(self.upper).any()
        return self.is_box and not bool(bounded)

    def contain(self, x: Float64) -> Mask:
        """Which rows are allowed: bounds to the last bit, sums up to their rounding."""
        inside = ((x >= self.lower) & (x <= self.upper)).all(axis=1)
        whole = (x[:, self.integer] == np.round(x[:, self.integer])).all(axis=1)
        held = self.constraints.excess(x) <= self.constraints.slack(x)
        return np.asarray(inside & whole & held.all(axis=1))

    def clip(self, x: Float64) -> Float64:
        """The nearest inputs within the bounds."""
        return np.clip(x, self.lower, self.upper)
