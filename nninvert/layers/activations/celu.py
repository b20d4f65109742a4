"""The exponential linear unit whose slope is continuous for every alpha."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import above, rising_over
from nninvert.layers.activations._parameters import check_parameters
from nninvert.layers.activations._stable import log1p_ratio


@dataclass(frozen=True)
class CELU(Activation):
    """``z`` for z >= 0, else ``alpha (exp(z / alpha) - 1)``; alpha > 0."""

    name = "celu"
    alpha: float = 1.0

    def __post_init__(self) -> None:
        check_parameters(self, alpha="positive")

    @np.errstate(over="ignore")
    def _scaled(self, z: Float64) -> Float64:
        return np.minimum(z, 0.0) / self.alpha

    def forward(self, z: Float64) -> Float64:
        """The exponential side sees only what is negative."""
        return np.where(z < 0.0, self.alpha * np.expm1(self._scaled(z)), z)

    def derivative(self, z: Float64) -> Float64:
        """1 or exp(z / alpha)."""
        return np.exp(self._scaled(z))

    @property
    def branches(self) -> tuple[Branch, ...]:
        """One."""
        return rising_over(above(-self.alpha))

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """``alpha log(1 + y / alpha)`` for y < 0."""
        left = self.alpha * log1p_ratio(np.minimum(y, 0.0), self.alpha)
        return np.where(y < 0.0, left, y)
