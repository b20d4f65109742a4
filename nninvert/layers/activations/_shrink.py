"""What the shrinkages share: zero up to a threshold, rising beyond it on both sides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

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
class Shrinkage(Activation):
    """0 where |z| <= threshold, with slope 1 elsewhere."""

    jumps: ClassVar[bool]
    """Whether values begin at the threshold beyond it, or at 0."""

    threshold: float = 0.5

    def __post_init__(self) -> None:
        check_parameters(self, threshold="not negative")

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
        start = edge if self.jumps else 0.0
        return (
            increasing(below(-edge), below(0.0 - start)),  # never -0.0
            constant(Interval(-edge, edge), 0.0),
            increasing(above(edge), above(start)),
        )
