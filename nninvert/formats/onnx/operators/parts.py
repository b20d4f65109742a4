"""Operators that take parts of a signal: Slice, Split, Gather."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats._arrays import StoredArray
from nninvert.formats.onnx.call import Call
from nninvert.formats.onnx.chain import Chain
from nninvert.formats.onnx.fold import slices_of, split_sizes
from nninvert.formats.onnx.tensors import small
from nninvert.formats.onnx.values import RowsMixed
from nninvert.layers import Layer, Slice, Take

_MOST = 1 << 24
"""Indices of one operator."""

_FAR = 1 << 62
"""Ends are meant to be beyond any axis."""


def taken(chain: Chain, axis: int, indices: Sequence[int]) -> Chain:
    """The entries of one axis at `indices`, in their order."""
    if not len(indices):
        raise UnsupportedLayerError("", got="takes nothing")
    if isinstance(indices, range):
        if indices == range(chain.shape[axis]):
            return chain
        slices: list[tuple[int | None, int | None, int | None]]
        slices = [(None, None, None)] * len(chain.shape)
        end = indices.stop if indices.stop >= 0 else None
        slices[axis] = (indices.start, end, indices.step)
        return chain.then(Slice(chain.shape, slices))
    return chain.then(Take(chain.shape, indices, axis))


def slice_(call: Call) -> list[Layer]:
    """From start to end by steps, along any axes but the batch."""
    chain = call.chain
    given: list[NDArray[np.generic] | None] = [None]
    for place, one in enumerate(call.inputs[1:], 1):
        if isinstance(one, StoredArray):
            given.append(small(one, 64, "the places of Slice"))
        elif one is not None:
            raise _unknown_places(place)
        else:
            given.append(None)
    full = (_FAR,) * call.rows + chain.shape
    try:
        slices = slices_of(call.attributes, given, full)
    except (ValueError, TypeError) as error:
        raise FormatError("Slice", got=str(error), expected="places that fit") from error
    if call.batched and not _is_all(slices[0]):
        raise RowsMixed("takes some of the rows")
    for axis, part in enumerate(slices[call.rows :]):
        taken(chain, axis, range(*part.indices(chain.start[axis])))
    return chain.layers


def _unknown_places(place: int) -> UnsupportedLayerError:
    return UnsupportedLayerError("", got=f"its input {place} depends on x or on the rows")


def _is_all(part: slice) -> bool:
    """Whether a slice of an axis of unknown length is all of it."""
    whole = part.stop is None or part.stop > _FAR // 4
    return whole and not part.start and part.step in (None, 1)


def split(call: Call) -> list[list[Layer]]:
    """Pieces along one axis, one after another."""
    axis = call.axis(call.attributes.whole("axis", 0))
    length = call.signal.shape[axis]
    sizes = call.wholes(1, "split")
    given = None if sizes is None else np.array(sizes, np.int64)
    try:
        found = split_sizes(call.attributes, given, length, call.outputs)
    except ValueError as error:
        raise FormatError("split", got=str(error), expected="parts that fit") from error
    if len(found) != call.outputs:
        raise FormatError(
            "split", got=f"{len(found)} parts", expected=f"{call.outputs} outputs"
        )
    starts = np.cumsum([0, *found])
    return [
        taken(call.chain, axis, range(int(start), int(start) + size)).layers
        for start, size in zip(starts, found, strict=False)
    ]


def gather(call: Call) -> list[Layer]:
    """Entries of one axis by constant indices, which may have a shape of their own."""
    axis = call.axis(call.attributes.whole("axis", 0))
    return _gathered(call, axis)


def feature_extractor(call: Call) -> list[Layer]:
    """ai.onnx.ml: entries of the last axis."""
    return _gathered(call, len(call.signal.shape) - 1)


def _gathered(call: Call, axis: int) -> list[Layer]:
    chain = call.chain
    values = small(call.constant(1, "indices"), _MOST, "indices")
    if values.dtype.kind not in "iu" or axis < 0:
        raise FormatError("indices", got=str(values.dtype), expected="whole numbers")
    length = chain.shape[axis]
    indices = [int(k) for k in values.ravel()]
    if not indices or any(not -length <= k < length for k in indices):
        raise FormatError("indices", got="one too large", expected=f"0 to {length - 1}")
    indices = [k % length for k in indices]
    if indices == list(range(indices[0], indices[0] + len(indices))):
        taken(chain, axis, range(indices[0], indices[0] + len(indices)))
    else:
        taken(chain, axis, indices)
    shape = (*chain.shape[:axis], *values.shape, *chain.shape[axis + 1 :])
    return chain.reshape(shape).layers
