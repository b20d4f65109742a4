"""Exponential formulas that several activations share, free of overflow."""

from __future__ import annotations

import numpy as np

from nninvert.layers.activations._base import Float64


def logistic(z: Float64) -> Float64:
    """``1 / (1 + exp(-z))`` to full relative precision on both sides."""
    small = np.exp(-np.abs(z))
    return np.where(z < 0.0, small, 1.0) / (1.0 + small)


def logistic_slope(z: Float64) -> Float64:
    """Its derivative, ``exp(-|z|) / (1 + exp(-|z|))^2``."""
    small = np.exp(-np.abs(z))
    return small / (1.0 + small) ** 2


def log1p_exp(z: Float64) -> Float64:
    """``log(1 + exp(z))``."""
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


def log1p_exp_inverse(y: Float64) -> Float64:
    """``log(exp(y) - 1)`` for y > 0, as ``y + log(1 - exp(-y))``.

    exp(y) - 1 itself would overflow for large y.
    """
    return y + np.log(-np.expm1(-y))


def finite(z: Float64) -> Float64:
    """Replace what has overflowed by the largest number of its sign."""
    largest = np.finfo(np.float64).max
    return np.clip(z, -largest, largest)


def log1p_ratio(y: Float64, alpha: float) -> Float64:
    """``log(1 + y / alpha)`` for y between 0 and -alpha.

    Near -alpha the sum alpha + y is exact, while the quotient is rounded.
    """
    ratio = y / alpha
    near = ratio < -0.5
    exact = np.log(np.where(near, alpha + y, alpha) / alpha)
    return np.where(near, exact, np.log1p(np.where(near, 0.0, ratio)))
