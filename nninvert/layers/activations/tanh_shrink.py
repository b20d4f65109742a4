"""What tanh leaves of z."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import EVERYTHING, Activation, Branch, Float64
from nninvert.layers.activations._branches import rising_over
from nninvert.rootfind import solve_monotone

FRACTION_DEPTH = 12
"""Levels of the continued fraction: at |z| = 2 the rest is below the rounding."""


@dataclass(frozen=True)
class TanhShrink(Activation):
    """``z - tanh(z)``."""

    name = "tanh_shrink"

    def forward(self, z: Float64) -> Float64:
        """The difference; near zero, where it would cancel, by a continued fraction.

        Lambert's ``tanh z = z / (1 + t)`` with ``t = z^2 / (3 + z^2 / (5 + ...))`` gives
        ``z - tanh z = z t / (1 + t)``: sums of positive terms.
        """
        small = np.clip(z, -2.0, 2.0)
        square = small * small
        tail = np.zeros_like(small)
        for level in range(2 * FRACTION_DEPTH + 1, 1, -2):
            tail = square / (level + tail)
        near = small * (tail / (1.0 + tail))
        return np.where(np.abs(z) < 2.0, near, z - np.tanh(z))

    def derivative(self, z: Float64) -> Float64:
        """``tanh(z)^2``, zero at zero."""
        return np.tanh(z) ** 2

    @property
    def branches(self) -> tuple[Branch, ...]:
        """One, onto the real line."""
        return rising_over(EVERYTHING)

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """Newton between the cube root of 3 |y| and |y| + 1."""
        size = np.abs(y)
        far = size >= 40.0  # There tanh is 1 to rounding.
        root = np.cbrt(3.0 * np.where(far, 0.0, size))
        found = solve_monotone(
            self.forward,
            self.derivative,
            np.where(far, 0.0, size),
            lower=np.maximum(root, np.where(far, 0.0, size)),
            upper=np.minimum(2.0 * root, size + 1.0),
            start=np.minimum(root * (1.0 + 0.2 * root * root), size + 1.0),
        )
        return np.copysign(np.where(far, size + 1.0, found.z), y)
