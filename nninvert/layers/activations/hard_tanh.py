"""The piecewise linear stand-in for tanh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nninvert.errors import InputError
from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import between, ramp
from nninvert.layers.activations._parameters import check_parameters


@dataclass(frozen=True)
class HardTanh(Activation):
    """``min(max(z, min_value), max_value)``."""

    name = "hard_tanh"
    min_value: float = -1.0
    max_value: float = 1.0

    def __post_init__(self) -> None:
        check_parameters(self)
        if not self.min_value < self.max_value:
            raise InputError(
                "hard_tanh max_value",
                got=repr(self.max_value),
                expected=f"a number above min_value, {self.min_value!r}",
            )

    def forward(self, z: Float64) -> Float64:
        """Cut off on both sides."""
        return np.clip(z, self.min_value, self.max_value)

    def derivative(self, z: Float64) -> Float64:
        """One between the ends."""
        return np.where((z >= self.min_value) & (z < self.max_value), 1.0, 0.0)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Flat, rising, flat."""
        inside = between(self.min_value, self.max_value)
        return ramp(inside, inside)

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """Copy y."""
        return y.copy()
