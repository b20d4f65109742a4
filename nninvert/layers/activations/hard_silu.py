"""The piecewise quadratic stand-in for silu."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import (
    at_least,
    at_most,
    between,
    constant,
    decreasing,
    increasing,
)


@dataclass(frozen=True)
class HardSiLU(Activation):
    """``0`` for z <= -3, ``z (z + 3) / 6`` up to 3, then ``z``."""

    name = "hard_silu"

    def forward(self, z: Float64) -> Float64:
        """The parabola between -3 and 3."""
        inside = np.clip(z, -3.0, 3.0)
        return np.where(z < 3.0, inside * (inside + 3.0) / 6.0 + 0.0, z)

    def derivative(self, z: Float64) -> Float64:
        """``(2 z + 3) / 6`` from -3 up to 3."""
        inside = (2.0 * np.clip(z, -3.0, 3.0) + 3.0) / 6.0
        return np.where(z >= 3.0, 1.0, np.where(z >= -3.0, inside, 0.0))

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Flat, falling to -3/8 at -3/2, rising."""
        return (
            constant(at_most(-3.0), 0.0),
            decreasing(between(-3.0, -1.5), between(-0.375, 0.0)),
            increasing(at_least(-1.5), at_least(-0.375)),
        )

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """The roots of ``z^2 + 3 z = 6 y``, none by a difference that cancels."""
        root = np.sqrt(24.0 * (np.minimum(y, 3.0) + 0.375))
        if branch == 1:
            return -0.5 * (3.0 + root)
        return np.where(y < 3.0, 12.0 * np.minimum(y, 3.0) / (3.0 + root), y)
