"""Bounds of what leaves a normalisation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nninvert.analysis.bounds.box import Box, rounding_of_sums, widened
from nninvert.layers import UnitNormalization
from nninvert.layers.mean_square import MeanSquareLayer
from nninvert.tolerances import EPS64

Float64 = NDArray[np.float64]

_ROUNDING = 64.0 * EPS64
"""Of a forward pass, relative to the largest value of a group, four times over."""

_LARGE = 1e150
"""Squares of larger numbers are not formed."""


def normalised(layer: MeanSquareLayer, box: Box) -> Box:
    """Each unit rises with itself, and shrinks as the others of its group grow.

    Exact but for rounding where no mean is subtracted; else the units less their mean are
    enclosed first, each by itself.
    """
    groups = layer.groups
    lower, upper = (
        groups.gather(end.reshape(layer.input_shape)) for end in (box.lower, box.upper)
    )
    if layer.seen is not None:
        lower, upper = _less_mean(lower, upper)
    high = _largest(lower, upper, layer.epsilon)
    low = -_largest(-upper, -lower, layer.epsilon)
    margin = np.full(box.lower.size, _ROUNDING * math.sqrt(groups.size))
    return widened(groups.scatter(low).ravel(), groups.scatter(high).ravel(), margin)


def of_length_one(layer: UnitNormalization, box: Box) -> Box:
    """No unit is longer than its group."""
    ones = np.ones(box.lower.size)
    return widened(-ones, ones, _ROUNDING * ones)


def _less_mean(lower: Float64, upper: Float64) -> tuple[Float64, Float64]:
    n = lower.shape[-1]
    size = np.max(np.maximum(np.abs(lower), np.abs(upper)), axis=-1, keepdims=True)
    share = (n - 1) / n
    with np.errstate(invalid="ignore", over="ignore"):
        margin = 4.0 * rounding_of_sums(n + 2, size)
        low = share * lower - _others(upper) / n - margin
        high = share * upper - _others(lower) / n + margin
    known = np.isfinite(margin)
    return np.where(known, low, -np.inf), np.where(known, high, np.inf)


def _largest(lower: Float64, upper: Float64, epsilon: float) -> Float64:
    """The upper ends: a unit at its largest, the others as short, or long, as they can."""
    n = upper.shape[-1]
    sizes = np.abs(lower), np.abs(upper)
    least = np.where((lower <= 0.0) & (upper >= 0.0), 0.0, np.minimum(*sizes))
    least, most = (np.minimum(v, _LARGE) for v in (least, np.maximum(*sizes)))
    others = np.where(upper >= 0.0, _others(least * least), _others(most * most))
    cut = np.clip(upper, -_LARGE, _LARGE)
    found = cut / np.sqrt((cut * cut + others) / n + epsilon)
    # Beyond there a unit may be all that counts, or nothing.
    found = np.where(upper >= _LARGE, math.sqrt(n), found)
    return np.where(
        (upper < 0.0) & (np.max(most, axis=-1, keepdims=True) >= _LARGE), 0.0, found
    )


def _others(values: Float64) -> Float64:
    """The sum of all other units of each group."""
    none = np.zeros((*values.shape[:-1], 1))
    before = np.concatenate([none, np.cumsum(values, axis=-1)[..., :-1]], axis=-1)
    turned = np.cumsum(values[..., ::-1], axis=-1)[..., :-1]
    behind = np.concatenate([none, turned], axis=-1)[..., ::-1]
    return np.asarray(before + behind)
