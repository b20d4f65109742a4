"""The rectified linear unit with the parameters of Keras's ReLU layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import EVERYTHING, Activation, Branch, Float64
from nninvert.layers.activations._branches import (
    INF,
    above,
    at_least,
    at_most,
    below,
    between,
    constant,
    increasing,
)
from nninvert.layers.activations._parameters import check_parameters
from nninvert.layers.activations._stable import finite


@dataclass(frozen=True)
class ReLU(Activation):
    """``min(z, max_value)`` for z > threshold, else ``negative_slope (z - threshold)``.

    A threshold above zero makes a jump; the value at the threshold itself is 0, as Keras
    compares with "greater". Like there, no parameter is negative.
    """

    name = "relu"
    negative_slope: float = 0.0
    max_value: float | None = None
    threshold: float = 0.0

    def __post_init__(self) -> None:
        check_parameters(
            self,
            negative_slope="not negative",
            max_value="not negative",
            threshold="not negative",
        )

    @property
    def _ceiling(self) -> float:
        return INF if self.max_value is None else self.max_value

    @np.errstate(over="ignore")
    def forward(self, z: Float64) -> Float64:
        """Both sides of the threshold, each cut off where the other begins."""
        right = np.minimum(z, self._ceiling)
        # Adding 0.0 turns -0.0 into 0.0.
        left = self.negative_slope * np.minimum(z - self.threshold, 0.0) + 0.0
        return np.where(z > self.threshold, right, left)

    def derivative(self, z: Float64) -> Float64:
        """The slope on the right of z."""
        right = np.where(z >= self._ceiling, 0.0, 1.0)
        return np.where(z >= self.threshold, right, self.negative_slope)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """At most three: up to the threshold, above it, from the ceiling on."""
        slope, top, start = self.negative_slope, self._ceiling, self.threshold
        if top == 0.0:
            if slope == 0.0:
                return (constant(EVERYTHING, 0.0),)
            return increasing(below(start), below(0.0)), constant(at_least(start), 0.0)
        ceiling = () if top == INF else (constant(at_least(top), top),)
        if start == 0.0 and slope > 0.0:
            return increasing(below(top), below(top)), *ceiling
        if slope == 0.0:
            left = constant(at_most(start), 0.0)
        else:
            left = increasing(at_most(start), at_most(0.0))
        if top <= start:
            return left, constant(above(start), top)
        return left, increasing(between(start, top), between(start, top)), *ceiling

    @np.errstate(over="ignore")
    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """Positive values come from above the threshold, the others from below."""
        if self.negative_slope == 0.0:
            return y.copy()
        return np.where(y > 0.0, y, finite(self.threshold + y / self.negative_slope))
