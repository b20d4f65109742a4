"""Activations that consist of straight pieces, unit by unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.layers import Elementwise, Layer
from nninvert.layers.activations import Activation
from nninvert.layers.activations.hard_shrink import HardShrink
from nninvert.layers.activations.hard_sigmoid import HardSigmoid
from nninvert.layers.activations.hard_tanh import HardTanh
from nninvert.layers.activations.leaky_relu import LeakyReLU
from nninvert.layers.activations.linear import Linear
from nninvert.layers.activations.relu import ReLU
from nninvert.layers.activations.relu6 import ReLU6
from nninvert.layers.activations.soft_shrink import SoftShrink
from nninvert.layers.activations.threshold import Threshold
from nninvert.layers.activations.thresholded_relu import ThresholdedReLU
from nninvert.layers.prelu import PReLU

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Pieces:
    """A continuous function of straight pieces for every unit.

    Attributes
    ----------
    breaks : float64 array, shape (k,)
        Where the slope may change, ascending; the same for all units.
    slopes : float64 array, shape (k + 1, width)
        Of the pieces from left to right.
    values : float64 array, shape (k, width)
        At the breaks; without breaks, shape (1, width), the value at 0.
    """

    breaks: Float64
    slopes: Float64
    values: Float64

    def at(self, z: Float64) -> Float64:
        """The function of (..., width)."""
        if not self.breaks.size:
            return np.asarray(self.values[0] + self.slopes[0] * z)
        found = self.values[0] + self.slopes[0] * np.minimum(z - self.breaks[0], 0.0)
        ends = np.append(self.breaks[1:], np.inf)
        for slope, begin, end in zip(self.slopes[1:], self.breaks, ends, strict=True):
            found = found + slope * (np.clip(z, begin, end) - begin)
        return np.asarray(found)


def pieces_of(layer: Layer) -> Pieces | None:
    """The pieces of a layer, or None where it is no such function.

    What jumps is none: at the jump a solver may take either value.
    """
    width = int(np.prod(layer.input_shape))
    if isinstance(layer, PReLU):
        left = layer.forward(np.full((1, *layer.input_shape), -1.0)).reshape(width)
        slopes = np.stack([-left, np.ones(width)])
        return Pieces(np.zeros(1), slopes, np.zeros((1, width)))
    if not isinstance(layer, Elementwise):
        return None
    found = breaks_of(layer.activation)
    if found is None:
        return None
    breaks = np.array(found, dtype=np.float64)
    inside = _one_in_each(breaks)
    slopes = layer.activation.derivative(inside)
    values = layer.activation.forward(breaks if breaks.size else np.zeros(1))
    return Pieces(
        breaks,
        np.repeat(slopes[:, None], width, axis=1),
        np.repeat(values[:, None], width, axis=1),
    )


def _one_in_each(breaks: Float64) -> Float64:
    """A point inside of every piece."""
    if not breaks.size:
        return np.zeros(1)
    middle = 0.5 * (breaks[1:] + breaks[:-1])
    return np.concatenate([[breaks[0] - 1.0], middle, [breaks[-1] + 1.0]])


def breaks_of(activation: Activation) -> tuple[float, ...] | None:
    """Where the slope changes, ascending; None unless continuous with straight pieces."""
    match activation:
        case Linear():
            return ()
        case LeakyReLU():
            return (0.0,)
        case ReLU():
            return _breaks_of_relu(activation)
        case ReLU6():
            return (0.0, 6.0)
        case HardTanh():
            return (activation.min_value, activation.max_value)
        case HardSigmoid():
            return (-0.5 / activation.slope, 0.5 / activation.slope)
        case SoftShrink():
            edge = activation.threshold
            return (-edge, edge) if edge > 0.0 else ()
        case HardShrink():
            return () if activation.threshold == 0.0 else None
        case Threshold():
            edge = activation.threshold
            return (edge,) if activation.value == edge else None
        case ThresholdedReLU():
            return (0.0,) if activation.theta == 0.0 else None
        case _:
            return None


def _breaks_of_relu(relu: ReLU) -> tuple[float, ...] | None:
    if relu.threshold > 0.0:
        return None
    if relu.max_value is None or relu.max_value == 0.0:
        return (0.0,)
    return (0.0, relu.max_value)
