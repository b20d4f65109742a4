"""Zero near zero, z elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Float64
from nninvert.layers.activations._shrink import Shrinkage


@dataclass(frozen=True)
class HardShrink(Shrinkage):
    """``z`` where |z| > threshold, else 0."""

    name = "hard_shrink"
    jumps = True

    def forward(self, z: Float64) -> Float64:
        """Zero what is small."""
        return np.where(np.abs(z) > self.threshold, z, 0.0)

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """Copy y."""
        return y.copy()
