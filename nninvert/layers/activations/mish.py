"""The self-gated unit mish."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Float64
from nninvert.layers.activations._gated import GatedActivation, Minimum

LOWEST = Minimum(-1.1924312145154952, -0.30884341301725041, 0.26694791404953451)


@dataclass(frozen=True)
class Mish(GatedActivation):
    """``z tanh(log(1 + exp(z)))``."""

    name = "mish"

    @property
    def minimum(self) -> Minimum:
        """Where the derivative vanishes; computed to 25 digits and rounded."""
        return LOWEST

    def gate(self, z: Float64) -> Float64:
        """``w (w + 2) / (w (w + 2) + 2)`` with w = exp(z), divided by w^2 for z > 0."""
        v = np.exp(-np.abs(z))
        numerator: Float64 = np.where(z < 0.0, v * (v + 2.0), 1.0 + 2.0 * v)
        rest: Float64 = np.where(z < 0.0, 2.0, 2.0 * v * v)
        return numerator / (numerator + rest)

    def derivative(self, z: Float64) -> Float64:
        """``gate + z gate'`` with ``gate' = 4 w (w + 1) / (w^2 + 2 w + 2)^2``."""
        v = np.exp(-np.abs(z))
        left = 4.0 * v * (v + 1.0) / (v * (v + 2.0) + 2.0) ** 2
        right = 4.0 * v * v * (v + 1.0) / (1.0 + 2.0 * v + 2.0 * v * v) ** 2
        gate_slope: Float64 = np.where(z < 0.0, left, right)
        return self.gate(z) + z * gate_slope

    def log_gate(self, z: Float64) -> Float64:
        """``z + log((w + 2) / (w^2 + 2 w + 2))``."""
        w = np.exp(z)
        return z + np.log((w + 2.0) / (w * (w + 2.0) + 2.0))

    def log_gate_slope(self, z: Float64) -> Float64:
        """``gate' / gate = 4 (w + 1) / ((w + 2) (w^2 + 2 w + 2))``."""
        w = np.exp(z)
        return 4.0 * (w + 1.0) / ((w + 2.0) * (w * (w + 2.0) + 2.0))
