"""The smooth rectifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import above, rising_over
from nninvert.layers.activations._parameters import check_parameters
from nninvert.layers.activations._stable import finite, logistic


@dataclass(frozen=True)
class Softplus(Activation):
    """``log(1 + exp(beta z)) / beta``, beta > 0.

    torch's parameter "threshold" switches to z where the two agree to float32 rounding:
    a shortcut, not another function.
    """

    name = "softplus"
    beta: float = 1.0

    def __post_init__(self) -> None:
        check_parameters(self, beta="positive")

    @np.errstate(over="ignore")
    def forward(self, z: Float64) -> Float64:
        """``max(z, 0) + log(1 + exp(-beta |z|)) / beta``."""
        return np.maximum(z, 0.0) + np.log1p(np.exp(-self.beta * np.abs(z))) / self.beta

    @np.errstate(over="ignore")
    def derivative(self, z: Float64) -> Float64:
        """``1 / (1 + exp(-beta z))``."""
        return logistic(self.beta * z)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """One, onto the positive numbers."""
        return rising_over(above(0.0))

    @np.errstate(over="ignore")
    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """``y + log(1 - exp(-beta y)) / beta``.

        Where beta y is so small that it might underflow, 1 - exp(-beta y) is beta y.
        """
        scaled = self.beta * y
        tiny = scaled < 1e-200
        log_gap = np.where(
            tiny,
            np.log(self.beta) + np.log(y),
            np.log(-np.expm1(-np.where(tiny, 1.0, scaled))),
        )
        return finite(y + log_gap / self.beta)
