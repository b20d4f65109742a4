"""The logistic sigmoid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import between, rising_over
from nninvert.layers.activations._stable import logistic, logistic_slope


@dataclass(frozen=True)
class Sigmoid(Activation):
    """``1 / (1 + exp(-z))``."""

    name = "sigmoid"

    def forward(self, z: Float64) -> Float64:
        """To full relative precision on both sides."""
        return logistic(z)

    def derivative(self, z: Float64) -> Float64:
        """``y (1 - y)`` without the cancellation."""
        return logistic_slope(z)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """One, onto (0, 1)."""
        return rising_over(between(0.0, 1.0))

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """``log(y / (1 - y))``; in the middle by arctanh, where 2 y - 1 is exact."""
        middle = np.abs(y - 0.5) <= 0.25
        outer = np.where(middle, 0.125, y)
        inner = np.where(middle, y, 0.5)
        return np.where(
            middle, 2.0 * np.arctanh(2.0 * inner - 1.0), np.log(outer / (1.0 - outer))
        )
