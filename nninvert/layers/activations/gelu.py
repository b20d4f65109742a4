"""The Gaussian error linear unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Float64
from nninvert.layers.activations._gated import GatedActivation, Minimum

LOWEST = Minimum(-0.75179152469356446, -0.16997120747990362, 0.43149399231404692)
SQRT_2_PI = 2.5066282746310005
SQRT_HALF = 0.70710678118654752
FAR = 40.0  # Beyond, the density is 0 in float64.


@dataclass(frozen=True)
class GELU(GatedActivation):
    """``z P(z)``, P the distribution function of the standard normal."""

    name = "gelu"

    @property
    def minimum(self) -> Minimum:
        """Where P(z) + z P'(z) = 0; computed to 25 digits and rounded."""
        return LOWEST

    def gate(self, z: Float64) -> Float64:
        """P(z), the tail as a Gaussian times a factor that does not underflow."""
        from scipy.special import erf

        tail = 0.5 * _gaussian(z) * _scaled_tail(np.abs(z))
        outer = np.where(z < 0.0, tail, 1.0 - tail)
        return np.where(np.abs(z) < 1.0, 0.5 + 0.5 * erf(SQRT_HALF * z), outer)

    def derivative(self, z: Float64) -> Float64:
        """``P(z) + z P'(z)``."""
        return self.gate(z) + z * _gaussian(z) / SQRT_2_PI

    def log_gate(self, z: Float64) -> Float64:
        """``log P(z)``."""
        from scipy.special import log_ndtr

        logarithm: Float64 = log_ndtr(z)
        return logarithm

    def log_gate_slope(self, z: Float64) -> Float64:
        """``P'(z) / P(z)``."""
        return 2.0 / (SQRT_2_PI * _scaled_tail(-z))


def _gaussian(z: Float64) -> Float64:
    """``exp(-z^2 / 2)``.

    z is split into a part of few bits, whose square is exact, and a small rest: the
    rounding of z^2 itself would cost three digits at z = 38 (W. J. Cody, Math. Comp. 23,
    1969, for erfc).
    """
    near = np.clip(z, -FAR, FAR)
    coarse = np.round(16.0 * near) / 16.0
    fine = 0.5 * (near - coarse) * (near + coarse)
    return np.exp(-0.5 * coarse * coarse) * np.exp(-fine)


def _scaled_tail(z: Float64) -> Float64:
    """``2 P(-z) exp(z^2 / 2)`` for z >= 0."""
    from scipy.special import erfcx

    tail: Float64 = erfcx(SQRT_HALF * z)
    return tail
