"""Arithmetic between a signal and a constant; between signals, see `merging`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import UnsupportedLayerError
from nninvert.formats._arrays import StoredArray
from nninvert.formats.onnx.call import Call
from nninvert.formats.onnx.chain import Chain
from nninvert.formats.onnx.operators.activations import cut
from nninvert.formats.onnx.operators.affine import reciprocal, scaled
from nninvert.formats.onnx.operators.merging import merged
from nninvert.layers import Add, Divide, Layer, Maximum, Minimum, Multiply, Subtract
from nninvert.layers.activations.relu import ReLU


def _other(call: Call) -> int | None:
    """Which of two inputs is the constant; None if neither is."""
    found = [k for k, one in enumerate(call.inputs) if isinstance(one, StoredArray)]
    return found[0] if len(call.inputs) == 2 and found else None


def add(call: Call) -> list[Layer]:
    """A shift, or the sum of several signals."""
    place = _other(call)
    if place is None:
        return merged(call, Add)
    return scaled(_turned(call, place), 1.0, call.shift(place))


def subtract(call: Call) -> list[Layer]:
    """``x - c``, ``c - x``, or the difference of two signals."""
    place = _other(call)
    if place is None:
        return merged(call, Subtract)
    values = call.numbers(place, "constant")
    if place == 1:
        return scaled(call, 1.0, -values)
    return scaled(_turned(call, place), -1.0, values)


def multiply(call: Call) -> list[Layer]:
    """A scale, or the product of several signals."""
    place = _other(call)
    if place is None:
        return merged(call, Multiply)
    return scaled(_turned(call, place), call.values(place, "constant"), 0.0)


def divide(call: Call) -> list[Layer]:
    """``x / c``, or the quotient of two signals."""
    place = _other(call)
    if place is None:
        return merged(call, Divide)
    if place == 0:
        raise UnsupportedLayerError("", got="divides by what depends on x")
    return scaled(call, reciprocal(call.numbers(1, "divisor")), 0.0)


def negative(call: Call) -> list[Layer]:
    """-x."""
    return call.chain.affine(-1.0, 0.0).layers


def _turned(call: Call, place: int) -> Call:
    """The same call with the signal first."""
    return call if place == 1 else call.with_inputs((1, 0))


def maximum(call: Call) -> list[Layer]:
    """At least a constant, or the largest of several signals."""
    return _bounded(call, "maximum")


def minimum(call: Call) -> list[Layer]:
    """At most a constant, or the least of several signals."""
    return _bounded(call, "minimum")


def _bounded(call: Call, kind: str) -> list[Layer]:
    signals = call.signals
    places = [k for k, one in enumerate(call.inputs) if isinstance(one, StoredArray)]
    if not places:
        return merged(call, Maximum if kind == "maximum" else Minimum)
    if len(signals) > 1:
        raise UnsupportedLayerError("", got="several signals and a constant")
    best = np.max if kind == "maximum" else np.min
    values = [call.numbers(place, "bound") for place in places]
    if any(one.size != 1 for one in values):
        return _bounded_apart(call, values, kind)
    bound = float(best([one.item() for one in values]))
    chain = Chain(signals[0].shape)
    ends = (bound, np.inf) if kind == "maximum" else (-np.inf, bound)
    return cut(chain, *ends)


def _bounded_apart(
    call: Call, values: Sequence[NDArray[np.float64]], kind: str
) -> list[Layer]:
    """``max(x, c) = relu(x - c) + c`` for each unit; the minimum upside down."""
    chain = Chain(call.signals[0].shape)
    sign = 1.0 if kind == "maximum" else -1.0
    for one in values:
        aligned, shape = call.aligned(one, chain.shape)
        bound = aligned.astype(np.float64)
        chain.stretch(shape).affine(sign, -sign * bound).activation(ReLU())
        chain.affine(sign, bound)
    return chain.layers
