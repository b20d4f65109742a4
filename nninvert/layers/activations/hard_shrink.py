"""Zero near zero, z elsewhere."""

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


@dataclass(frozen=True)
class HardShrink(Activation):
    """``z`` where |z| > threshold, else 0."""

    name = "hard_shrink"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        check_parameters(self, threshold="not negative")

    def forward(self, z: Float64) -> Float64:
        """Zero what is small."""
        return np.where(np.abs(z) > self.threshold, z, 0.0)

    def derivative(self, z: Float64) -> Float64:
        """One outside, zero from -threshold up to the threshold."""
        inside = (z >= -self.threshold) & (z < self.threshold)
        return np.where(inside, 0.0, 1.0)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Rising, flat, rising, with jumps between."""
        edge = self.threshold
        if edge == 0.0:
            return rising_over(EVERYTHING)
        return (
            increasing(below(-edge), below(-edge)),
            constant(Interval(-edge, edge), 0.0),
            increasing(above(edge), above(edge)),
        )

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """Copy y."""
        return y.copy()
