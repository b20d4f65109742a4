"""What a target asks of the values that enter the last activation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis.bounds.box import TINY, Box
from nninvert.analysis.bounds.interval import units_of
from nninvert.analysis.bounds.units import UnitFunction
from nninvert.layers import Elementwise, Layer, LogSoftmax, PReLU, Softmax

Float64 = NDArray[np.float64]

_BISECTIONS = 40
"""Halvings of an interval, down to a millionth of a millionth of it."""

_FAR = 1e4
"""Origins beyond it, where the interval is infinite, count as infinite."""


@dataclass(frozen=True)
class Goal:
    """Intervals in which values must lie, up to a constant for each group of them.

    Attributes
    ----------
    lower, upper : float64 arrays, shape (n,)
        -inf and inf where anything does.
    group : int array, shape (n,), or None
        Softmax ignores a constant added to a group: there the intervals are those of
        ``v - c`` for some c, one for each number in this array. None: no constants.
    """

    lower: Float64
    upper: Float64
    group: NDArray[np.int64] | None


def has_goal_before(layer: Layer) -> bool:
    """Whether what a last layer must say can be asked of what enters it."""
    return isinstance(layer, Elementwise | PReLU | Softmax | LogSoftmax)


def goal_before(layer: Layer, box: Box, lower: Float64, upper: Float64) -> Goal:
    """What must enter a layer so that computed values in [lower, upper] leave it.

    Parameters
    ----------
    layer : Layer
        One that `has_goal_before`.
    box : Box
        What can enter.
    lower, upper : float64 arrays, shape (n,)
    """
    if isinstance(layer, Elementwise | PReLU):
        return Goal(*origins(units_of(layer), box, lower, upper), None)
    assert isinstance(layer, Softmax | LogSoftmax)
    units = np.arange(int(np.prod(layer.input_shape))).reshape(layer.input_shape)
    first = np.take(units, [0], axis=layer.axis)
    group = np.broadcast_to(first, layer.input_shape).ravel()
    # exp at arguments of up to 745 in size, and the sum.
    error = 8.0 * (layer.group_size + 1600) * tolerances.EPS64
    if isinstance(layer, LogSoftmax):
        size = np.where(np.isfinite(lower), np.abs(lower), 0.0)
        margin = error * (1.0 + size)
        return Goal(lower - margin, upper + margin, group)
    with np.errstate(divide="ignore"):
        low = np.log(np.maximum(lower - TINY, 0.0)) - error
        high = np.log(np.maximum(upper + TINY, TINY)) + error
    # The logarithm rounds as well, and near 0 and 1 that counts.
    return Goal(_moved(low, -error), _moved(high, error), group)


def _moved(values: Float64, error: float) -> Float64:
    return np.where(np.isfinite(values), values + error * np.abs(values), values)


def origins(
    units: UnitFunction, box: Box, lower: Float64, upper: Float64
) -> tuple[Float64, Float64]:
    """Between which z a function takes values in [lower, upper], computed or exact.

    Found by halving from both ends of the box: what is cut off has been enclosed, and its
    values lie elsewhere.

    Returns
    -------
    lower, upper : float64 arrays, shape (n,)
        The lower above the upper where there is no such z.
    """
    start = np.maximum(box.lower, np.minimum(-_FAR, box.upper))
    stop = np.minimum(box.upper, np.maximum(_FAR, box.lower))

    def missed(left: Float64, right: Float64) -> NDArray[np.bool_]:
        low, high = units.enclose(left, right)
        return np.asarray((high < lower) | (low > upper))

    nowhere = missed(box.lower, box.upper)
    left = _last_missed(lambda z: missed(box.lower, z), start, stop)
    right = _last_missed(lambda z: missed(z, box.upper), stop, start)
    left = np.where(missed(box.lower, start), left, box.lower)
    right = np.where(missed(stop, box.upper), right, box.upper)
    return np.where(nowhere, np.inf, left), np.where(nowhere, -np.inf, right)


def _last_missed(
    missed: Callable[[Float64], NDArray[np.bool_]], near: Float64, far: Float64
) -> Float64:
    """How far from `near` towards `far` all is missed, by halving."""
    kept, met = near.copy(), far.copy()
    for _ in range(_BISECTIONS):
        middle = 0.5 * kept + 0.5 * met
        out = missed(middle)
        kept, met = np.where(out, middle, kept), np.where(out, met, middle)
    return kept
