"""The linear activation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import EVERYTHING, Activation, Branch, Float64
from nninvert.layers.activations._branches import rising_over


@dataclass(frozen=True)
class Linear(Activation):
    """``y = z``."""

    name = "linear"

    def forward(self, z: Float64) -> Float64:
        """Copy z."""
        return z.copy()

    def derivative(self, z: Float64) -> Float64:
        """One."""
        return np.ones_like(z)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """One, onto the real line."""
        return rising_over(EVERYTHING)

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """Copy y."""
        return y.copy()
