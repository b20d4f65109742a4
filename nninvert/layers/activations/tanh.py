"""The hyperbolic tangent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import between, rising_over
from nninvert.layers.activations._stable import logistic_slope


@dataclass(frozen=True)
class Tanh(Activation):
    """``tanh(z)``."""

    name = "tanh"

    def forward(self, z: Float64) -> Float64:
        """The library's."""
        return np.tanh(z)

    @np.errstate(over="ignore")
    def derivative(self, z: Float64) -> Float64:
        """``1 / cosh(z)^2``; 1 - y^2 would cancel where tanh saturates."""
        return 4.0 * logistic_slope(2.0 * z)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """One, onto (-1, 1)."""
        return rising_over(between(-1.0, 1.0))

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """``arctanh(y)``."""
        return np.arctanh(y)
