"""The exponential linear unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import (
    above,
    at_least,
    at_most,
    below,
    between,
    constant,
    decreasing,
    increasing,
    rising_over,
)
from nninvert.layers.activations._parameters import check_parameters
from nninvert.layers.activations._stable import log1p_ratio


@dataclass(frozen=True)
class ELU(Activation):
    """``z`` for z >= 0, else ``alpha (exp(z) - 1)``; a negative alpha makes a V."""

    name = "elu"
    alpha: float = 1.0

    def __post_init__(self) -> None:
        check_parameters(self)

    def forward(self, z: Float64) -> Float64:
        """The exponential side sees only what is negative."""
        return np.where(z < 0.0, self.alpha * np.expm1(np.minimum(z, 0.0)), z)

    def derivative(self, z: Float64) -> Float64:
        """1 or alpha exp(z)."""
        return np.where(z < 0.0, self.alpha * np.exp(np.minimum(z, 0.0)), 1.0)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """By the sign of alpha: one, a flat part and a rising one, or two."""
        if self.alpha > 0.0:
            return rising_over(above(-self.alpha))
        if self.alpha == 0.0:
            return constant(at_most(0.0), 0.0), increasing(above(0.0), above(0.0))
        return (
            decreasing(below(0.0), between(0.0, -self.alpha)),
            increasing(at_least(0.0), at_least(0.0)),
        )

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """``log(1 + y / alpha)`` on the exponential side."""
        exponential = y < 0.0 if self.alpha > 0.0 else np.full(y.shape, branch == 0)
        if self.alpha == 0.0:
            return y.copy()
        safe = np.where(exponential, y, 0.0)
        return np.where(exponential, log1p_ratio(safe, self.alpha), y)
