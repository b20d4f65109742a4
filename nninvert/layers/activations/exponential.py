"""The exponential function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import above, rising_over


@dataclass(frozen=True)
class Exponential(Activation):
    """``exp(z)``; infinite in float64 from z = 709.8 on."""

    name = "exponential"

    @np.errstate(over="ignore")
    def forward(self, z: Float64) -> Float64:
        """The library's."""
        return np.exp(z)

    def derivative(self, z: Float64) -> Float64:
        """The function itself."""
        return self.forward(z)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """One, onto the positive numbers."""
        return rising_over(above(0.0))

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """``log(y)``."""
        return np.log(y)
