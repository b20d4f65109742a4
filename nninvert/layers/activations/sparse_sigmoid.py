"""The piecewise linear sigmoid between -1 and 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import between, ramp


@dataclass(frozen=True)
class SparseSigmoid(Activation):
    """``(z + 1) / 2`` between -1 and 1; 0 before, 1 after."""

    name = "sparse_sigmoid"

    def forward(self, z: Float64) -> Float64:
        """Cut off at -1 and 1."""
        return 0.5 * (np.clip(z, -1.0, 1.0) + 1.0)

    def derivative(self, z: Float64) -> Float64:
        """One half from -1 up to 1."""
        return np.where((z >= -1.0) & (z < 1.0), 0.5, 0.0)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Flat, rising, flat."""
        return ramp(between(-1.0, 1.0), between(0.0, 1.0))

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """``2 y - 1``."""
        return 2.0 * y - 1.0
