"""Operators that join several signals, number by number or end to end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nninvert.errors import UnsupportedLayerError
from nninvert.formats._arrays import StoredArray
from nninvert.formats.onnx.call import Call
from nninvert.formats.onnx.chain import Chain
from nninvert.formats.onnx.values import RowsMixed, Shape
from nninvert.layers import (
    Add,
    Average,
    Concatenate,
    Layer,
    Multiply,
)

Merge = Callable[[Sequence[Shape]], Layer]


def merged(call: Call, merge: Merge) -> list[Layer]:
    """Several signals as one array, and the layer that joins its parts."""
    signals = call.signals
    if len(signals) < len([one for one in call.inputs if one is not None]):
        raise UnsupportedLayerError("", got="joins signals and constants")
    shapes = [signal.shape for signal in signals]
    if len(shapes) == 1:
        return Chain(shapes[0]).layers
    if call.batched and len({len(shape) for shape in shapes}) > 1:
        raise RowsMixed("joins signals with different numbers of axes")
    return [merge(shapes)]


def total(call: Call) -> list[Layer]:
    """The sum of any number of signals, and of constants."""
    constants = [k for k, one in enumerate(call.inputs) if isinstance(one, StoredArray)]
    signals = [k for k, one in enumerate(call.inputs) if k not in constants]
    joined = merged(call.with_inputs(signals), Add)
    chain = Chain(joined[-1].output_shape)
    for place in constants:
        shift, shape = call.aligned(call.numbers(place, "constant"), chain.shape)
        chain.stretch(shape).affine(1.0, shift)
    return [*joined, *(chain.layers if constants else [])]


def average(call: Call) -> list[Layer]:
    """The mean of any number of signals."""
    return merged(call, Average)


def concatenate(call: Call) -> list[Layer]:
    """End to end along one axis."""
    ranks = {len(signal.shape) for signal in call.signals}
    if len(ranks) > 1:
        raise UnsupportedLayerError("", got="joins signals with different numbers of axes")
    axis = call.axis(call.attributes.whole("axis", 1), call.rank(call.signals[0]))
    return merged(call, lambda shapes: Concatenate(shapes, axis))


def power(call: Call) -> list[Layer]:
    """Whole powers: the product of a signal with itself."""
    exponent = call.numbers(1, "exponent")
    signal = call.signal
    if exponent.size != 1 or exponent.item() not in (1.0, 2.0, 3.0, 4.0):
        raise UnsupportedLayerError("exponent", got=str(exponent), expected="1, 2, 3 or 4")
    count = int(exponent.item())
    if count == 1:
        return call.chain.layers
    call.sources = (signal.source,) * count
    return [Multiply([signal.shape] * count)]
