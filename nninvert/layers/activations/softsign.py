"""The sigmoid that saturates slowly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import between, rising_over


@dataclass(frozen=True)
class Softsign(Activation):
    """``z / (1 + |z|)``."""

    name = "softsign"

    def forward(self, z: Float64) -> Float64:
        """One quotient."""
        return z / (1.0 + np.abs(z))

    def derivative(self, z: Float64) -> Float64:
        """``(1 / (1 + |z|))^2``: the square of the sum could overflow."""
        return (1.0 / (1.0 + np.abs(z))) ** 2

    @property
    def branches(self) -> tuple[Branch, ...]:
        """One, onto (-1, 1)."""
        return rising_over(between(-1.0, 1.0))

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """``y / (1 - |y|)``."""
        return y / (1.0 - np.abs(y))
