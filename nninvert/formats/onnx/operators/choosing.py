"""Where, by a constant condition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats._arrays import StoredArray
from nninvert.formats.onnx.call import MAX_PARAMETERS, Call
from nninvert.formats.onnx.chain import require_room
from nninvert.formats.onnx.operators.affine import scaled
from nninvert.formats.onnx.tensors import small
from nninvert.layers import Concatenate, Layer, Reshape, Take, size_of


def where(call: Call) -> list[Layer]:
    """Numbers of one array or of another; a constant may be one of both."""
    condition = call.inputs[0]
    if not isinstance(condition, StoredArray):
        raise UnsupportedLayerError("", got="chooses by what depends on x")
    chosen = small(condition, MAX_PARAMETERS, "condition").astype(np.bool_)
    if len(call.signals) == 2:
        return _of_two(call, chosen)
    place = 1 if isinstance(call.inputs[1], StoredArray) else 2
    taken = chosen if place == 1 else ~chosen
    shift = call.shift(place, taken)
    return scaled(call.with_inputs((3 - place,)), np.where(taken, 0.0, 1.0), shift)


def _of_two(call: Call, chosen: NDArray[np.bool_]) -> list[Layer]:
    """One behind the other, and of these the numbers that are chosen."""
    first, second = (signal.shape for signal in call.signals)
    require_room(np.broadcast_shapes(first, second))
    if call.batched and len(first) != len(second):
        raise FormatError("x and y", got=f"{first} and {second}", expected="as many axes")
    condition, shape = call.aligned(chosen, np.broadcast_shapes(first, second))
    require_room(shape)
    border = size_of(first)
    places = np.where(
        condition,
        np.arange(border).reshape(first),
        border + np.arange(size_of(second)).reshape(second),
    )
    joined = Concatenate([(border,), (size_of(second),)])
    picked = Take(joined.output_shape, places.ravel().tolist())
    return [joined, picked, Reshape(picked.output_shape, places.shape)]
