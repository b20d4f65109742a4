"""Operators that move numbers: other shapes, other orders, parts, repetitions."""

from __future__ import annotations

import numpy as np

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats.onnx.call import Call
from nninvert.formats.onnx.tensors import FLOATS
from nninvert.formats.onnx.values import RowsMixed
from nninvert.layers import Layer, size_of


def identity(call: Call) -> list[Layer]:
    """What does nothing at inference."""
    return call.chain.layers


def dropout(call: Call) -> list[Layer]:
    """Nothing, unless the file itself says that it trains."""
    training = call.inputs[2] if call.has(2) else None
    if training is not None and bool(np.any(call.values(2, "training_mode"))):
        raise UnsupportedLayerError("training_mode", got="true", expected="inference")
    return call.chain.layers


def cast(call: Call) -> list[Layer]:
    """Between types of floating-point numbers: they are all float64 here."""
    wanted = call.attributes.whole("to", 1)
    if wanted not in FLOATS:
        raise UnsupportedLayerError("", got="rounds to whole numbers, or makes text")
    return call.chain.layers


def flatten(call: Call) -> list[Layer]:
    """All axes from the given one on as one."""
    axis, rank = call.attributes.whole("axis", 1), call.rank()
    if not -rank <= axis <= rank:
        raise FormatError("axis", got=str(axis), expected=f"one of {rank} axes")
    axis = axis % rank if axis < 0 else axis
    shape = call.signal.shape
    if not call.batched:
        return call.chain.reshape((size_of(shape[:axis]), size_of(shape[axis:]))).layers
    if axis != 1 and not (axis > 1 and size_of(shape[: axis - 1]) == 1):
        raise RowsMixed("flattens the batch with other axes")
    return call.chain.reshape((size_of(shape),)).layers


def reshape(call: Call) -> list[Layer]:
    """A constant shape; 0 copies a length, -1 takes what is left."""
    shape, target = call.signal.shape, list(call.target_shape(1))
    full = (-2, *shape) if call.batched else shape
    if not call.attributes.whole("allowzero", 0):
        target = [full[k] if n == 0 and k < len(full) else n for k, n in enumerate(target)]
    if not call.batched:
        return call.chain.reshape(_filled(target, size_of(shape))).layers
    if not target or not _keeps_rows(target[0], call.count):
        raise RowsMixed(f"reshapes the batch: shape {target}")
    rest = target[1:]
    if target[0] == -1 and (-1 in rest or size_of(tuple(rest)) != size_of(shape)):
        raise RowsMixed(f"spreads the numbers of a row over several: shape {target}")
    return call.chain.reshape(_filled(rest, size_of(shape))).layers


def _keeps_rows(first: int, count: int | None) -> bool:
    """Whether the first length wanted may be that of the batch."""
    return first in (-1, -2, count or 1)


def _filled(target: list[int], size: int) -> tuple[int, ...]:
    """-1 replaced by the length that is left."""
    if target.count(-1) == 1:
        known = size_of(tuple(n for n in target if n != -1))
        if known > 0 and size % known == 0:
            return tuple(size // known if n == -1 else n for n in target)
    if min(target, default=1) < 1 or size_of(tuple(target)) != size:
        raise FormatError(
            "shape", got=str(target), expected=f"a shape for {size} numbers of a row"
        )
    return tuple(target)


def transpose(call: Call) -> list[Layer]:
    """Axes in another order; the batch stays the first."""
    rank = call.rank()
    order = call.attributes.wholes("perm") or tuple(reversed(range(rank)))
    if sorted(order) != list(range(rank)):
        raise FormatError("perm", got=str(order), expected=f"each of {rank} axes once")
    if call.batched and order[0] != 0:
        raise RowsMixed(f"moves the batch: perm {list(order)}")
    return call.chain.permute([k - call.rows for k in order[call.rows :]]).layers


def squeeze(call: Call) -> list[Layer]:
    """Axes of length 1 taken away."""
    axes = call.wholes(1, "axes")
    shape = call.signal.shape
    if axes is None:
        return call.chain.reshape(tuple(n for n in shape if n != 1)).layers
    gone = {call.axis(axis) for axis in axes}
    if any(shape[k] != 1 for k in gone):
        raise FormatError("axes", got=f"{axes} of {shape}", expected="axes of length 1")
    kept = tuple(n for k, n in enumerate(shape) if k not in gone)
    return call.chain.reshape(kept).layers


def unsqueeze(call: Call) -> list[Layer]:
    """Axes of length 1 put in."""
    axes = call.wholes(1, "axes")
    if axes is None:
        raise FormatError("axes", got="nothing", expected="a list")
    shape = call.signal.shape
    rank = call.rank() + len(axes)
    new = {call.axis(axis, rank) for axis in axes}
    left = iter(shape)
    made = [1 if k in new else next(left, 0) for k in range(len(shape) + len(new))]
    return call.chain.reshape(tuple(made)).layers
