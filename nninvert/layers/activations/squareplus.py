"""The algebraic smooth rectifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import above, rising_over
from nninvert.layers.activations._parameters import check_parameters
from nninvert.layers.activations._stable import finite


@dataclass(frozen=True)
class Squareplus(Activation):
    """``(z + sqrt(z^2 + b)) / 2``, b > 0."""

    name = "squareplus"
    b: float = 4.0

    def __post_init__(self) -> None:
        check_parameters(self, b="positive")

    def _larger_root(self, z: Float64) -> Float64:
        """``(|z| + sqrt(z^2 + b)) / 2``, halved before the sum, which could overflow."""
        return 0.5 * np.abs(z) + 0.5 * np.hypot(z, np.sqrt(self.b))

    def forward(self, z: Float64) -> Float64:
        """For z < 0 as ``b / 4`` over the larger root: nothing cancels."""
        larger = self._larger_root(z)
        return np.where(z < 0.0, (0.25 * self.b) / larger, larger)

    def derivative(self, z: Float64) -> Float64:
        """``y / sqrt(z^2 + b)``."""
        return self.forward(z) / np.hypot(z, np.sqrt(self.b))

    @property
    def branches(self) -> tuple[Branch, ...]:
        """One, onto the positive numbers."""
        return rising_over(above(0.0))

    @np.errstate(over="ignore")
    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """``y - b / (4 y)``."""
        return finite(y - (0.25 * self.b) / y)
