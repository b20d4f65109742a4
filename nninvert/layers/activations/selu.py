"""The self-normalising exponential linear unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import above, rising_over
from nninvert.layers.activations._stable import log1p_ratio

# Klambauer et al., Self-Normalizing Neural Networks, NeurIPS 2017: the fixed point of
# mean 0 and variance 1. The product is rounded once, not computed from rounded factors.
SCALE = 1.0507009873554804934
SCALE_ALPHA = 1.7580993408473768599


@dataclass(frozen=True)
class SELU(Activation):
    """``1.0507 z`` for z >= 0, else ``1.7581 (exp(z) - 1)``."""

    name = "selu"

    @np.errstate(over="ignore")
    def forward(self, z: Float64) -> Float64:
        """The exponential side sees only what is negative."""
        left = SCALE_ALPHA * np.expm1(np.minimum(z, 0.0))
        return np.where(z < 0.0, left, SCALE * z)

    def derivative(self, z: Float64) -> Float64:
        """1.0507 or 1.7581 exp(z)."""
        return np.where(z < 0.0, SCALE_ALPHA * np.exp(np.minimum(z, 0.0)), SCALE)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """One."""
        return rising_over(above(-SCALE_ALPHA))

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """``log(1 + y / 1.7581)`` for y < 0."""
        left = log1p_ratio(np.minimum(y, 0.0), SCALE_ALPHA)
        return np.where(y < 0.0, left, y / SCALE)
