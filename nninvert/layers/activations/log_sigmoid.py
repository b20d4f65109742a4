"""The logarithm of the logistic sigmoid."""

from __future__ import annotations

from dataclasses import dataclass

from nninvert.layers.activations._base import Activation, Branch, Float64
from nninvert.layers.activations._branches import below, rising_over
from nninvert.layers.activations._stable import log1p_exp, log1p_exp_inverse, logistic


@dataclass(frozen=True)
class LogSigmoid(Activation):
    """``-log(1 + exp(-z))``."""

    name = "log_sigmoid"

    def forward(self, z: Float64) -> Float64:
        """Minus softplus of -z."""
        return -log1p_exp(-z)

    def derivative(self, z: Float64) -> Float64:
        """``1 / (1 + exp(z))``."""
        return logistic(-z)

    @property
    def branches(self) -> tuple[Branch, ...]:
        """One, onto the negative numbers."""
        return rising_over(below(0.0))

    def branch_inverse(self, y: Float64, branch: int) -> Float64:
        """``-log(exp(-y) - 1)``."""
        return -log1p_exp_inverse(-y)
