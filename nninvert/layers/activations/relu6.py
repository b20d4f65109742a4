"""The rectified linear unit that stops at 6."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import between, ramp


@dataclass(frozen=True)
class ReLU6(Activation):
    """``min(max(z, 0), 6)``."""

    name = "relu6"

    def forward(self, z: Float64) -> Float64:
        """Cut off at 0 and 6."""
        return np.clip(z, 0.0, 6.0)

    def derivative(self, z: Float64) -> Float64:
        """One from 0 up to 6."""
        return np.where((z >= 0.0) & (z < 6.0), 1.0, 0.0)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Flat, rising, flat."""
        return ramp(between(0.0, 6.0), between(0.0, 6.0))

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """Copy y."""
        return y.copy()
