"""The Gaussian error linear unit by a hyperbolic tangent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Float64
from nninvert.layers.activations._gated import GatedActivation, Minimum
from nninvert.layers.activations._stable import log1p_exp, logistic

LOWEST = Minimum(-0.75246142207101626, -0.17004075057125405, 0.43040009102485851)
LINEAR = 1.5957691216057307  # 2 sqrt(2 / pi)
CUBIC = 0.044715
"""Hendrycks & Gimpel, Gaussian Error Linear Units, arXiv 1606.08415."""

FAR = 40.0
"""Beyond, the gate is 0 or 1; its cubic argument must not overflow."""


@dataclass(frozen=True)
class GELUTanh(GatedActivation):
    """``z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2``."""

    name = "gelu_tanh"

    @property
    def minimum(self) -> Minimum:
        """Where the derivative vanishes; computed to 25 digits and rounded."""
        return LOWEST

    def _argument(self, z: Float64) -> Float64:
        """Twice the argument of tanh: (1 + tanh u) / 2 is the logistic function of 2 u."""
        return LINEAR * z * (1.0 + CUBIC * z * z)

    def _argument_slope(self, z: Float64) -> Float64:
        return LINEAR * (1.0 + 3.0 * CUBIC * z * z)

    def gate(self, z: Float64) -> Float64:
        """The logistic function of a cubic."""
        return logistic(self._argument(np.clip(z, -FAR, FAR)))

    def derivative(self, z: Float64) -> Float64:
        """``s (1 + z (1 - s) a')`` with s the gate and a' the slope of its argument."""
        near = np.clip(z, -FAR, FAR)
        argument = self._argument(near)
        rest = near * logistic(-argument) * self._argument_slope(near)
        return logistic(argument) * (1.0 + rest)

    def log_gate(self, z: Float64) -> Float64:
        """``-log(1 + exp(-a))``."""
        return -log1p_exp(-self._argument(z))

    def log_gate_slope(self, z: Float64) -> Float64:
        """``a' / (1 + exp(a))``."""
        return self._argument_slope(z) * logistic(-self._argument(z))
