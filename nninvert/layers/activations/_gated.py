"""What silu, gelu and mish share: z times a gate, with one minimum below zero.

The gate rises from 0 to 1. The activation falls from 0 to its minimum and rises from
there on, so that values between the minimum and zero have two origins.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import (
    at_least,
    below,
    between,
    decreasing,
    increasing,
)
from nninvert.rootfind import solve_monotone
from nninvert.rootfind.newton import LARGEST


@dataclass(frozen=True)
class Minimum:
    """The lowest point of an activation, and its second derivative there."""

    z: float
    y: float
    curvature: float


class GatedActivation(Activation):
    """``y = z gate(z)``."""

    @property
    @abstractmethod
    def minimum(self) -> Minimum:
        """The one minimum."""

    @abstractmethod
    def gate(self, z: Float64) -> Float64:
        """The factor between 0 and 1."""

    @abstractmethod
    def log_gate(self, z: Float64) -> Float64:
        """Its logarithm for z < 0, where the gate itself may underflow."""

    @abstractmethod
    def log_gate_slope(self, z: Float64) -> Float64:
        """The derivative of `log_gate`."""

    def forward(self, z: Float64) -> Float64:
        """``z gate(z)``."""
        return z * self.gate(z)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """Falling to the minimum, rising from it."""
        low = self.minimum
        return (
            decreasing(below(low.z), between(low.y, 0.0)),
            increasing(at_least(low.z), at_least(low.y)),
        )

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """Newton on the branch; far to the left for the logarithms of -z, gate and -y.

        Near the minimum the start is that of a parabola, and the result is as good as the
        rounding of y allows: a change of y by e moves z by e / (curvature |z - z_min|).
        """
        if branch == 1:
            return self._right(y)
        z = np.empty_like(y)
        tail = y > 0.5 * self.minimum.y
        z[tail] = self._left_tail(y[tail])
        z[~tail] = self._left_of_minimum(y[~tail])
        return z

    def _off_minimum(self, y: Float64) -> Float64:
        """How far from the minimum a parabola takes the value y."""
        low = self.minimum
        return np.sqrt(2.0 * np.maximum(y - low.y, 0.0) / low.curvature)

    @np.errstate(over="ignore")
    def _right(self, y: Float64) -> Float64:
        # z = y / gate(z), and the gate lies between its values at the minimum and at 0
        # where y < 0, above that at 0 elsewhere. There z exceeds y by at most |z_min|.
        low = self.minimum
        start_gate = float(self.gate(np.zeros(1))[0])
        negative = np.maximum(y / (low.y / low.z), low.z)
        return solve_monotone(
            self.forward,
            self.derivative,
            y,
            lower=np.where(y < 0.0, negative, y),
            upper=np.minimum(y / start_gate, y + abs(low.z)),
            start=np.where(y < 0.0, low.z + self._off_minimum(y), y / self.gate(y)),
            limits=(low.z, LARGEST),
        ).z

    def _left_of_minimum(self, y: Float64) -> Float64:
        low = self.minimum
        step = self._off_minimum(y)
        return solve_monotone(
            self.forward,
            self.derivative,
            y,
            lower=low.z - 2.0 * step,
            upper=low.z,
            start=low.z - step,
            limits=(-LARGEST, low.z),
        ).z

    def _left_tail(self, y: Float64) -> Float64:
        low = self.minimum
        return solve_monotone(
            lambda z: np.log(-z) + self.log_gate(z),
            lambda z: 1.0 / z + self.log_gate_slope(z),
            np.log(-y),
            lower=2.0 * low.z,
            upper=low.z,
            start=2.0 * low.z,
            limits=(-LARGEST, low.z),
        ).z
