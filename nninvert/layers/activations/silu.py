"""The sigmoid-weighted linear unit, also called swish."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Float64
from nninvert.layers.activations._gated import GatedActivation, Minimum
from nninvert.layers.activations._parameters import check_parameters
from nninvert.layers.activations._stable import log1p_exp, logistic

# With W Lambert's function: the minimum of z / (1 + exp(-z)) is at -1 - W(1/e), its
# value -W(1/e), its second derivative W(1/e) / (1 + W(1/e)).
LOWEST = Minimum(-1.2784645427610738, -0.27846454276107380, 0.21781170571980010)


@dataclass(frozen=True)
class SiLU(GatedActivation):
    """``z / (1 + exp(-beta z))``, beta > 0."""

    name = "silu"
    beta: float = 1.0

    def __post_init__(self) -> None:
        check_parameters(self, beta="positive")

    @property
    def minimum(self) -> Minimum:
        """That of beta = 1, scaled: y(z; beta) = y(beta z; 1) / beta."""
        return Minimum(
            LOWEST.z / self.beta, LOWEST.y / self.beta, LOWEST.curvature * self.beta
        )

    @np.errstate(over="ignore")
    def gate(self, z: Float64) -> Float64:
        """The logistic function."""
        return logistic(self.beta * z)

    def derivative(self, z: Float64) -> Float64:
        """``s (1 + t (1 - s))`` with t = beta z and s the gate, cut where it is 0 or 1."""
        t = np.clip(z, -800.0 / self.beta, 800.0 / self.beta) * self.beta
        return logistic(t) * (1.0 + t * logistic(-t))

    def log_gate(self, z: Float64) -> Float64:
        """``-log(1 + exp(-beta z))``."""
        return -log1p_exp(-self.beta * z)

    def log_gate_slope(self, z: Float64) -> Float64:
        """``beta / (1 + exp(beta z))``."""
        return self.beta * logistic(-self.beta * z)
