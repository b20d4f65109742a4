"""Shrinkage towards zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Float64
from nninvert.layers.activations._shrink import Shrinkage
from nninvert.layers.activations._stable import finite


@dataclass(frozen=True)
class SoftShrink(Shrinkage):
    """``z - threshold`` above it, ``z + threshold`` below -threshold, else 0."""

    name = "soft_shrink"
    jumps = False

    def forward(self, z: Float64) -> Float64:
        """What is left of z after cutting off its part within the threshold."""
        return z - np.clip(z, -self.threshold, self.threshold)

    @np.errstate(over="ignore")
    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """``y + threshold`` or ``y - threshold``."""
        return finite(y + np.copysign(self.threshold, y))
