"""Shrinkage towards zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import (
    EVERYTHING,
    Activation,
    Branch,
    Float64,
    Interval,
)
from nninvert.layers.activations._branches import (
    above,
    below,
    constant,
    increasing,
    rising_over,
)
from nninvert.layers.activations._parameters import check_parameters
from nninvert.layers.activations._stable import finite


@dataclass(frozen=True)
class SoftShrink(Activation):
    """``z - threshold`` above it, ``z + threshold`` below -threshold, else 0."""

    name = "soft_shrink"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        check_parameters(self, threshold="not negative")

    def forward(self, z: Float64) -> Float64:
        """What is left of z after cutting off its part within the threshold."""
        return z - np.clip(z, -self.threshold, self.threshold)

    def derivative(self, z: Float64) -> Float64:
        """One outside, zero from -threshold up to the threshold."""
        inside = (z >= -self.threshold) & (z < self.threshold)
        return np.where(inside, 0.0, 1.0)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Rising, flat, rising."""
        edge = self.threshold
        if edge == 0.0:
            return rising_over(EVERYTHING)
        return (
            increasing(below(-edge), below(0.0)),
            constant(Interval(-edge, edge), 0.0),
            increasing(above(edge), above(0.0)),
        )

    @np.errstate(over="ignore")
    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """``y + threshold`` or ``y - threshold``."""
        return finite(y + np.copysign(self.threshold, y))
