"""A fixed value up to a threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import above, at_most, constant, increasing
from nninvert.layers.activations._parameters import check_parameters


@dataclass(frozen=True)
class Threshold(Activation):
    """``z`` for z > threshold, else ``value``."""

    name = "threshold"
    threshold: float
    value: float

    def __post_init__(self) -> None:
        check_parameters(self)

    def forward(self, z: Float64) -> Float64:
        """Replace what does not exceed the threshold."""
        return np.where(z > self.threshold, z, self.value)

    def derivative(self, z: Float64) -> Float64:
        """One from the threshold on."""
        return np.where(z >= self.threshold, 1.0, 0.0)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Flat, then rising, in general with a jump between."""
        edge = self.threshold
        return constant(at_most(edge), self.value), increasing(above(edge), above(edge))

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """Copy y."""
        return y.copy()
