"""The piecewise linear stand-in for the sigmoid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import between, ramp
from nninvert.layers.activations._parameters import check_parameters
from nninvert.layers.activations._stable import finite


@dataclass(frozen=True)
class HardSigmoid(Activation):
    """``min(max(slope z + 1/2, 0), 1)``, slope > 0.

    There is no default: Keras 3 and torch have 1/6, Keras 1 and 2 and ONNX have 0.2.
    """

    name = "hard_sigmoid"
    slope: float

    def __post_init__(self) -> None:
        check_parameters(self, slope="positive")

    @property
    def _edge(self) -> float:
        """Where the flat parts begin, 3 for the slope 1/6."""
        return 0.5 / self.slope

    def forward(self, z: Float64) -> Float64:
        """``slope (z + edge)``: near the lower edge, slope z + 1/2 would cancel."""
        inside = np.clip(z, -self._edge, self._edge)
        return np.where(
            z >= self._edge, 1.0, np.minimum(self.slope * (inside + self._edge), 1.0)
        )

    def derivative(self, z: Float64) -> Float64:
        """The slope between the edges."""
        return np.where((z >= -self._edge) & (z < self._edge), self.slope, 0.0)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Flat, rising, flat."""
        return ramp(between(-self._edge, self._edge), between(0.0, 1.0))

    @np.errstate(over="ignore")
    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """``(y - 1/2) / slope``."""
        return finite((y - 0.5) / self.slope)
