"""The leaky rectified linear unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import EVERYTHING, Activation, Branch, Float64
from nninvert.layers.activations._branches import (
    above,
    at_least,
    at_most,
    below,
    constant,
    decreasing,
    increasing,
    rising_over,
)
from nninvert.layers.activations._parameters import check_parameters
from nninvert.layers.activations._stable import finite


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """``z`` for z >= 0, else ``negative_slope z``; a negative slope makes a V.

    There is no default: Keras has 0.2 (the function) and 0.3 (the layer), torch and ONNX
    have 0.01. RReLU at inference is this with the mean of its bounds.
    """

    name = "leaky_relu"
    negative_slope: float

    def __post_init__(self) -> None:
        check_parameters(self)

    @np.errstate(over="ignore")
    def forward(self, z: Float64) -> Float64:
        """Scale what is negative."""
        return np.where(z < 0.0, self.negative_slope * z, z)

    def derivative(self, z: Float64) -> Float64:
        """One of the two slopes."""
        return np.where(z < 0.0, self.negative_slope, 1.0)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """By the sign of the slope: one, a flat part and a rising one, or a V."""
        if self.negative_slope > 0.0:
            return rising_over(EVERYTHING)
        if self.negative_slope == 0.0:
            return constant(at_most(0.0), 0.0), increasing(above(0.0), above(0.0))
        return (
            decreasing(below(0.0), above(0.0)),
            increasing(at_least(0.0), at_least(0.0)),
        )

    @np.errstate(over="ignore")
    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """Divide by the slope of the branch."""
        slope = self.negative_slope
        if slope > 0.0:
            return np.where(y < 0.0, finite(y / slope), y)
        if slope < 0.0 and branch == 0:
            return finite(y / slope)
        return y.copy()
