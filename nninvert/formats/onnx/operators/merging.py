"""Operators that join several signals, number by number or end to end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats._arrays import StoredArray
from nninvert.formats.onnx.call import Call
from nninvert.formats.onnx.chain import Chain
from nninvert.formats.onnx.values import RowsMixed, Shape, Signal
from nninvert.layers import (
    Add,
    Average,
    Concatenate,
    Layer,
    Multiply,
    Padding,
    Take,
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
    """End to end along one axis; constants are put in afterwards."""
    ranks = {len(signal.shape) for signal in call.signals}
    if len(ranks) > 1:
        raise UnsupportedLayerError("", got="joins signals with different numbers of axes")
    axis = call.axis(call.attributes.whole("axis", 1), call.rank(call.signals[0]))
    places = [k for k, one in enumerate(call.inputs) if isinstance(one, Signal)]
    joined = merged(call.with_inputs(places), lambda shapes: Concatenate(shapes, axis))
    if len(places) == len([one for one in call.inputs if one is not None]):
        return joined
    return [*joined, *_with_constants(call, joined[-1].output_shape, axis)]


def _with_constants(call: Call, shape: Shape, axis: int) -> list[Layer]:
    """Zeros behind the signals, moved to where constants belong, which are added."""
    pieces: list[NDArray[np.generic]] = []
    order: list[NDArray[np.int64]] = []
    start, behind = 0, shape[axis]
    for place, given in enumerate(call.inputs):
        if isinstance(given, Signal):
            length = given.shape[axis]
            order.append(np.arange(start, start + length))
            pieces.append(np.zeros((*shape[:axis], length, *shape[axis + 1 :])))
            start += length
        elif given is not None:
            values = _one_row(call.shift(place), call)
            length = values.shape[axis] if axis < values.ndim else 0
            if values.shape != (*shape[:axis], length, *shape[axis + 1 :]):
                raise FormatError("constant", got=str(values.shape), expected=f"{shape}")
            order.append(np.arange(behind, behind + length))
            pieces.append(values)
            behind += length
    widths = [(0, 0)] * len(shape)
    widths[axis] = (0, behind - shape[axis])
    chain = Chain(shape).then(Padding(shape, widths))
    taken = np.concatenate(order)
    if (taken != np.arange(behind)).any():
        chain.then(Take(chain.shape, taken.tolist(), axis))
    return chain.affine(1.0, np.concatenate(pieces, axis)).layers


def _one_row(values: NDArray[np.generic], call: Call) -> NDArray[np.generic]:
    """A constant without the axis of rows."""
    if not call.batched:
        return values
    if values.shape[:1] != (1,):
        raise RowsMixed(f"a constant of shape {values.shape}, different in rows")
    return values.reshape(values.shape[1:])


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
