"""The smooth rectifier with a flat part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import above, at_most, constant, increasing


@dataclass(frozen=True)
class SparsePlus(Activation):
    """``0`` for z <= -1, ``(z + 1)^2 / 4`` up to 1, then ``z``."""

    name = "sparse_plus"

    def forward(self, z: Float64) -> Float64:
        """The parabola between -1 and 1."""
        return np.where(z < 1.0, (0.5 * (np.clip(z, -1.0, 1.0) + 1.0)) ** 2, z)

    def derivative(self, z: Float64) -> Float64:
        """``(z + 1) / 2`` between -1 and 1."""
        return 0.5 * (np.clip(z, -1.0, 1.0) + 1.0)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Flat, then rising."""
        return constant(at_most(-1.0), 0.0), increasing(above(-1.0), above(0.0))

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """``2 sqrt(y) - 1`` for y < 1, else y."""
        return np.where(y < 1.0, 2.0 * np.sqrt(y) - 1.0, y)
