"""What can be computed while reading: operators whose inputs are all constants.

Exporters leave shapes, transposes and casts of constants in the graph. Numbers that are
computed with become float64; those that are only moved keep their type.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, LimitError
from nninvert.formats.onnx.attributes import Attributes
from nninvert.formats.onnx.pointwise import POINTWISE
from nninvert.formats.onnx.records import MAX_RANK
from nninvert.formats.onnx.tensors import FLOATS

MAX_FOLDED = 1 << 24
"""Numbers that all folded constants of a file may have together."""

Array = NDArray[np.generic]
Shape = tuple[int, ...]
Fold = Callable[[Attributes, Sequence[Array | None], int], Array | list[Array]]
"""Attributes, inputs and opset to one output or several."""

_WHOLE = {2: "u1", 3: "i1", 4: "u2", 5: "i2", 6: "i4", 7: "i8", 9: "?", 12: "u4", 13: "u8"}


# NumPy's refusals of shapes, axes and types that contradict each other.
_MISFITS = (ValueError, TypeError, IndexError, AttributeError, OverflowError)


class Folder:
    """Computes constants, up to a limit for the whole file."""

    def __init__(self) -> None:
        self._left = MAX_FOLDED

    def knows(self, op_type: str) -> bool:
        """Whether the operator can be computed."""
        return op_type in POINTWISE or op_type in FOLDS

    def fold(
        self,
        op_type: str,
        attributes: Attributes,
        given: Sequence[Array | None],
        opset: int,
    ) -> list[Array]:
        """All outputs.

        Raises
        ------
        FormatError
            If inputs and attributes do not fit.
        LimitError
            If there are too many numbers.
        """
        try:
            self._allow(_size_of_outputs(op_type, attributes, given))
            with np.errstate(all="ignore"):
                if op_type in POINTWISE:
                    wide = [_wide(one) for one in given if one is not None]
                    found: Array | list[Array] = POINTWISE[op_type](attributes, wide)
                else:
                    found = FOLDS[op_type](attributes, given, opset)
        except _MISFITS as error:
            raise FormatError(
                op_type, got=f"constants that do not fit: {error}", expected="fitting ones"
            ) from error
        return found if isinstance(found, list) else [np.asarray(found)]

    def _allow(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise LimitError(
                "constants",
                got="more numbers to compute",
                expected=f"at most {MAX_FOLDED:,} that are not stored in the file",
            )


def _wide(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _size_of_outputs(
    op_type: str, attributes: Attributes, given: Sequence[Array | None]
) -> int:
    """How many numbers an operator makes, before it makes them."""
    there = [one for one in given if one is not None]
    if op_type == "ConstantOfShape":
        return math.prod(_shape_from(there[0]))
    if op_type == "Expand":
        wanted = _shape_from(there[1])
        return math.prod(np.broadcast_shapes(there[0].shape, wanted))
    if op_type == "Tile":
        return there[0].size * math.prod(_shape_from(there[1]))
    if op_type == "Range":
        start, stop, step = (float(one) for one in there)
        return max(0, math.ceil((stop - start) / step)) if step else 0
    if op_type == "Gather":
        return there[0].size // max(1, min(there[0].shape, default=1)) * there[1].size
    if op_type in ("Gemm", "MatMul"):
        return int(there[0].size * there[1].size // max(1, there[0].shape[-1]))
    if op_type in POINTWISE:
        return math.prod(np.broadcast_shapes(*(one.shape for one in there)))
    return sum(one.size for one in there)


def _shape_from(values: Array | None) -> Shape:
    if values is None:
        raise ValueError("a shape is missing")
    if values.size > MAX_RANK:
        raise ValueError(f"{values.size} axes")
    return tuple(int(n) for n in values.ravel())


def _given(given: Sequence[Array | None], place: int) -> Array | None:
    return given[place] if place < len(given) else None


def _first(given: Sequence[Array | None]) -> Array:
    if not given or given[0] is None:
        raise ValueError("no input")
    return given[0]


def axes_of(attributes: Attributes, second: Array | None) -> Shape | None:
    """Axes from an input (newer opsets) or an attribute."""
    if second is not None:
        return _shape_from(second)
    return attributes.wholes("axes")


def _cast_like(attributes: Attributes, given: Sequence[Array | None], opset: int) -> Array:
    """To the type of the second input; whole numbers stay what they are."""
    return _wide(_first(given))


def _cast(attributes: Attributes, given: Sequence[Array | None], opset: int) -> Array:
    wanted = attributes.whole("to", 1)
    if wanted in FLOATS:
        found = _first(given)
        return found if found.dtype.kind == "f" else found.astype(np.float64)
    return _first(given).astype(_WHOLE.get(wanted, "O"))


def _reshape(attributes: Attributes, given: Sequence[Array | None], opset: int) -> Array:
    values = _first(given)
    wanted = list(_shape_from(given[1]))
    if not attributes.whole("allowzero", 0):
        wanted = [values.shape[k] if n == 0 else n for k, n in enumerate(wanted)]
    return values.reshape(wanted)


def _transpose(attributes: Attributes, given: Sequence[Array | None], opset: int) -> Array:
    return _first(given).transpose(attributes.wholes("perm"))


def _squeeze(attributes: Attributes, given: Sequence[Array | None], opset: int) -> Array:
    return np.squeeze(_first(given), axes_of(attributes, _given(given, 1)))


def _unsqueeze(attributes: Attributes, given: Sequence[Array | None], opset: int) -> Array:
    return np.expand_dims(_first(given), axes_of(attributes, _given(given, 1)) or ())


def _concat(attributes: Attributes, given: Sequence[Array | None], opset: int) -> Array:
    return np.concatenate(
        [one for one in given if one is not None], attributes.whole("axis", 1)
    )


def _slice(attributes: Attributes, given: Sequence[Array | None], opset: int) -> Array:
    values = _first(given)
    return values[slices_of(attributes, given, values.shape)]


def slices_of(
    attributes: Attributes, given: Sequence[Array | None], shape: Shape
) -> tuple[slice, ...]:
    """What Slice takes of each axis: attributes up to opset 9, inputs later."""
    if "starts" in attributes:
        starts, ends = attributes.wholes("starts") or (), attributes.wholes("ends") or ()
        axes, steps = attributes.wholes("axes"), None
    else:
        starts, ends = _shape_from(_given(given, 1)), _shape_from(_given(given, 2))
        listed, stepped = _given(given, 3), _given(given, 4)
        axes = None if listed is None else _shape_from(listed)
        steps = None if stepped is None else _shape_from(stepped)
    axes = axes if axes is not None else tuple(range(len(starts)))
    steps = steps if steps is not None else (1,) * len(starts)
    found = [slice(None)] * len(shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if not step or not -len(shape) <= axis < len(shape):
            raise ValueError(f"axis {axis}, step {step}")
        # A start or end below the first entry stays there in ONNX.
        length = shape[axis]
        low = max(start + length, 0) if start < 0 else start
        high: int | None = end + length if end < 0 else end
        if high is not None and high < 0:
            high = None if step < 0 else 0
        found[axis] = slice(low, high, step)
    return tuple(found)


def _gather(attributes: Attributes, given: Sequence[Array | None], opset: int) -> Array:
    values, indices = _first(given), _given(given, 1)
    if indices is None or indices.dtype.kind not in "iu":
        raise ValueError("indices that are no whole numbers")
    return np.take(values, indices.astype(np.int64), axis=attributes.whole("axis", 0))


def split_sizes(
    attributes: Attributes, sizes: Array | None, length: int, parts: int
) -> Shape:
    """How long the pieces of Split are.

    Raises
    ------
    ValueError
        If they do not add up to `length`.
    """
    found = attributes.wholes("split")
    if sizes is not None:
        found = tuple(int(n) for n in sizes.ravel())
    if found is None:
        count = attributes.whole("num_outputs", parts)
        if count < 1:
            raise ValueError(f"{count} parts")
        piece = -(-length // count)
        found = tuple(
            max(0, min(piece, length - start)) for start in range(0, piece * count, piece)
        )
    if sum(found) != length or min(found, default=0) < 0:
        raise ValueError(f"parts of {list(found)} from an axis of {length}")
    return found


def _split(
    attributes: Attributes, given: Sequence[Array | None], opset: int
) -> list[Array]:
    values, axis = _first(given), attributes.whole("axis", 0)
    parts = attributes.whole("num_outputs", 2)
    sizes = split_sizes(attributes, _given(given, 1), values.shape[axis], parts)
    return np.split(values, np.cumsum(sizes)[:-1], axis)


def _reduce(function: Callable[..., Array]) -> Fold:
    def reduced(attributes: Attributes, given: Sequence[Array | None], opset: int) -> Array:
        axes = axes_of(attributes, _given(given, 1))
        keep = bool(attributes.whole("keepdims", 1))
        values = _first(given)
        if not values.size:
            raise ValueError("no numbers to join")
        if not axes and attributes.whole("noop_with_empty_axes", 0):
            return values
        return np.asarray(function(_wide(values), axis=axes or None, keepdims=keep))

    return reduced


def _matmul(attributes: Attributes, given: Sequence[Array | None], opset: int) -> Array:
    left, right = (_wide(one) for one in given if one is not None)
    return np.asarray(np.matmul(left, right))


def _gemm(attributes: Attributes, given: Sequence[Array | None], opset: int) -> Array:
    left, right, *rest = (one.astype(np.float64) for one in given if one is not None)
    left = left.T if attributes.whole("transA", 0) else left
    right = right.T if attributes.whole("transB", 0) else right
    found = attributes.number("alpha", 1.0) * np.matmul(left, right)
    return np.asarray(sum([attributes.number("beta", 1.0) * one for one in rest], found))


def _triangle(attributes: Attributes, given: Sequence[Array | None], opset: int) -> Array:
    below = _given(given, 1)
    diagonal = 0 if below is None else int(below.item())
    cut = np.triu if attributes.whole("upper", 1) else np.tril
    return cut(_first(given), diagonal)


FOLDS: dict[str, Fold] = {
    "Cast": _cast,
    "CastLike": _cast_like,
    "Concat": _concat,
    "Dropout": lambda a, given, o: _first(given),
    "Expand": lambda a, given, o: np.broadcast_to(
        _first(given),
        np.broadcast_shapes(_first(given).shape, _shape_from(_given(given, 1))),
    ),
    "Flatten": lambda a, given, o: _first(given).reshape(
        math.prod(_first(given).shape[: a.whole("axis", 1)]), -1
    ),
    "Gather": _gather,
    "Gemm": _gemm,
    "Identity": lambda a, given, o: _first(given),
    "MatMul": _matmul,
    "Range": lambda a, given, o: np.arange(
        *(one.item() for one in given if one is not None)
    ),
    "ReduceMax": _reduce(np.max),
    "ReduceMean": _reduce(np.mean),
    "ReduceMin": _reduce(np.min),
    "ReduceProd": _reduce(np.prod),
    "ReduceSum": _reduce(np.sum),
    "Reshape": _reshape,
    "Shape": lambda a, given, o: np.array(
        _first(given).shape[a.whole("start", 0) : a.whole("end", 99)], np.int64
    ),
    "Size": lambda a, given, o: np.array(_first(given).size, np.int64),
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": lambda a, given, o: np.tile(_first(given), _shape_from(_given(given, 1))),
    "Transpose": _transpose,
    "Trilu": _triangle,
    "Unsqueeze": _unsqueeze,
}
"""By the operator's name; ConstantOfShape and Constant hold a tensor, see `steps`."""

MOVES = {
    "Cast",
    "Concat",
    "Flatten",
    "Gather",
    "Identity",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
"""Those that only move numbers: what holds for the numbers holds where they go."""
