"""Zero up to a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import above, at_most, constant, increasing
from nninvert.layers.activations._parameters import check_parameters


@dataclass(frozen=True)
class ThresholdedReLU(Activation):
    """``z`` for z > theta, else 0."""

    name = "thresholded_relu"
    theta: float = 1.0

    def __post_init__(self) -> None:
        check_parameters(self)

    def forward(self, z: Float64) -> Float64:
        """Zero what does not exceed theta."""
        return np.where(z > self.theta, z, 0.0)

    def derivative(self, z: Float64) -> Float64:
        """One from theta on."""
        return np.where(z >= self.theta, 1.0, 0.0)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Flat, then rising, with a jump between unless theta is 0."""
        edge = self.theta
        return constant(at_most(edge), 0.0), increasing(above(edge), above(edge))

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """Copy y."""
        return y.copy()
