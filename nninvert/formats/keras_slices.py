"""Parts of a tensor: slices as Python writes them, splits, picks of indices."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats._json import as_whole
from nninvert.formats.keras_activations import inner_axis
from nninvert.layers import Identity, Layer, Reshape, Shape, Slice, Take


def sliced(shape: Shape, key: Any) -> list[Layer]:
    """``x[key]`` of a tensor (batch, *shape).

    Parameters
    ----------
    shape : tuple of int
    key : Any
        One item or a list: slices, numbers, Ellipsis, None for a new axis; slices and the
        ellipsis also as tf.keras writes them.
    """
    items = [_item(one) for one in (key if isinstance(key, list) else [key])]
    first, *rest = _expanded(items, len(shape) + 1)
    if first != slice(None):
        raise UnsupportedLayerError("key", got=f"{first}, which picks samples")
    lengths = iter(shape)
    ranges: list[range] = []
    wanted: list[int] = []
    for one in rest:
        if one is None:
            wanted.append(1)
            continue
        length = next(lengths)
        if isinstance(one, slice):
            ranges.append(range(length)[one])
            wanted.append(len(ranges[-1]))
        else:
            place = _place(one, length)
            ranges.append(range(place, place + 1))
    return _reshaped(shape, _cut(shape, ranges), tuple(wanted))


def _cut(shape: Shape, ranges: Sequence[range]) -> list[Layer]:
    """One range of each axis: a slice of those upwards, then the others one by one."""
    if not all(ranges):
        raise UnsupportedLayerError("", got="that leaves nothing")
    upwards = [
        one if one.step > 0 else range(n) for one, n in zip(ranges, shape, strict=True)
    ]
    layers: list[Layer] = []
    if upwards != [range(n) for n in shape]:
        layers.append(Slice(shape, [(one.start, one.stop, one.step) for one in upwards]))
    for axis, one in enumerate(ranges):
        if one.step < 0:
            entering = layers[-1].output_shape if layers else shape
            layers.append(Take(entering, tuple(one), axis))
    return layers


def _reshaped(shape: Shape, layers: list[Layer], wanted: Shape) -> list[Layer]:
    """The layers, and a change of shape where one is needed; at least one layer."""
    made = layers[-1].output_shape if layers else shape
    if made != wanted:
        return [*layers, Reshape(made, wanted)]
    return layers or [Identity(shape)]


def _item(value: Any) -> Any:
    """One item of a key, from either dialect."""
    if isinstance(value, dict) and value.get("class_name") == "__ellipsis__":
        return Ellipsis
    if isinstance(value, dict) and set(value) == {"start", "stop", "step"}:
        value = slice(value["start"], value["stop"], value["step"])
    if isinstance(value, slice):
        ends = (value.start, value.stop, value.step)
        if not all(end is None or isinstance(end, int) for end in ends) or value.step == 0:
            raise UnsupportedLayerError("key", got=repr(value))
        return value
    if value is None or value is Ellipsis:
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise UnsupportedLayerError("key", got=repr(value))
    return value


def _expanded(items: Sequence[Any], rank: int) -> list[Any]:
    """An item for each axis, and None for the new ones."""
    used = sum(1 for one in items if one is not None and one is not Ellipsis)
    if used > rank or items.count(Ellipsis) > 1:
        raise FormatError("key", got=str(items), expected=f"a key for {rank} axes")
    full = [slice(None)] * (rank - used)
    if Ellipsis not in items:
        return [*items, *full]
    place = items.index(Ellipsis)
    return [*items[:place], *full, *items[place + 1 :]]


def _place(index: int, length: int) -> int:
    if not -length <= index < length:
        raise FormatError("key", got=str(index), expected=f"an index below {length}")
    return index % length


def taken(shape: Shape, indices: Any, axis: int) -> list[Layer]:
    """The entries of these indices, of any shape, along an axis that counts the batch."""
    place = inner_axis(axis, len(shape))
    try:
        wanted = np.asarray(indices)
    except ValueError as error:
        raise FormatError("indices", got=repr(indices), expected="an array") from error
    if wanted.dtype.kind not in "iu" or wanted.size == 0:
        raise FormatError("indices", got=repr(indices), expected="whole numbers")
    chosen = [_place(int(index), shape[place]) for index in wanted.ravel()]
    around = (*shape[:place], *wanted.shape, *shape[place + 1 :])
    return _reshaped(shape, [Take(shape, chosen, place)], around)


def flipped(shape: Shape, axes: Any) -> list[Layer]:
    """Axes that count the batch, backwards."""
    items = axes if isinstance(axes, list) else [axes]
    turned = {inner_axis(as_whole(item, "axis"), len(shape)) for item in items}
    ranges = [range(n)[::-1] if k in turned else range(n) for k, n in enumerate(shape)]
    return _cut(shape, ranges) or [Identity(shape)]


def split(
    shape: Shape, wanted: Any, axis: int, output: int, *, by_sizes: bool
) -> list[Layer]:
    """One part of a tensor that is cut along an axis that counts the batch.

    Parameters
    ----------
    shape : tuple of int
    wanted : int or list of int
        How many equal parts; or where to cut, or how long the parts are.
    axis : int
    output : int
        Which part.
    by_sizes : bool
        Whether a list says how long the parts are, as for TensorFlow.
    """
    place = inner_axis(axis, len(shape))
    length = shape[place]
    if isinstance(wanted, list):
        numbers = [as_whole(n, "split") for n in wanted]
        cuts = list(accumulate(_filled(numbers, length)))[:-1] if by_sizes else numbers
    else:
        count = as_whole(wanted, "split")
        if count < 1 or length % count:
            raise FormatError("split", got=str(count), expected=f"a divisor of {length}")
        cuts = list(range(length // count, length, length // count))
    ends = [0, *cuts, length]
    if ends != sorted(ends) or output >= len(ends) - 1:
        raise FormatError(
            "split", got=f"{wanted}, part {output}", expected="ascending cuts"
        )
    part = range(ends[output], ends[output + 1])
    ranges = [part if k == place else range(n) for k, n in enumerate(shape)]
    return _cut(shape, ranges) or [Identity(shape)]


def _filled(sizes: list[int], length: int) -> list[int]:
    """Sizes with the one that is -1 told by the others."""
    rest = length - sum(n for n in sizes if n != -1)
    filled = [rest if n == -1 else n for n in sizes]
    if sum(filled) != length or sizes.count(-1) > 1:
        raise FormatError("split", got=str(sizes), expected=f"sizes that make {length}")
    return filled
