"""The constants of a graph: stored, stated in nodes, or computed from such."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, LimitError, UnsupportedLayerError
from nninvert.formats._arrays import PieceArray, StoredArray
from nninvert.formats.onnx.attributes import Attributes
from nninvert.formats.onnx.fold import MAX_FOLDED, MOVES, Folder
from nninvert.formats.onnx.records import ModelRecord, NodeRecord, TensorRecord
from nninvert.formats.onnx.tensors import MadeArray, TransposedArray, small, tensor_array
from nninvert.formats.onnx.values import Lengths, RowsMixed, Signal, Value
from nninvert.formats.onnx.wire import Wire

_RESHAPING = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}

_STATED = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


class Constants:
    """Looks constants up and computes new ones.

    Parameters
    ----------
    model : ModelRecord
    wire : Wire
        The file it was read from.
    """

    def __init__(self, model: ModelRecord, wire: Wire) -> None:
        self._wire = wire
        self._records = {record.name: record for record in model.initializers}
        self._sparse = set(model.sparse)
        self._arrays: dict[str, StoredArray] = {}
        self._folder = Folder()

    def stored(self, name: str) -> StoredArray:
        """An initialiser; one object for all who use it.

        Raises
        ------
        UnsupportedLayerError
            If it is of a type that is not computed with.
        FormatError
            If its numbers are not where it says.
        """
        if name in self._sparse:
            raise UnsupportedLayerError("", got=f"'{name}' is sparse")
        if name not in self._records:
            raise UnsupportedLayerError("", got=f"'{name}' is made by no node after all")
        if name not in self._arrays:
            self._arrays[name] = tensor_array(self._records[name], self._wire)
        return self._arrays[name]

    def computed(
        self,
        node: NodeRecord,
        given: Sequence[Value | None],
        opset: int,
        alone: bool,
    ) -> list[Value]:
        """The outputs of a node that depends on no value of x, only on its shape.

        `alone` says that the length of the batch is 1 where it is computed with.

        Raises
        ------
        UnsupportedLayerError
            If that cannot be computed.
        FormatError, LimitError
            If inputs do not fit, or the result is too large.
        """
        attributes = Attributes(node)
        if alone and not _only_moves(node, given):
            given = [_counted(value, node.outputs[0]) for value in given]
        if node.domain:
            raise UnsupportedLayerError("", got="constants only, not computed")
        if node.op_type == "Constant":
            return [self._stated(attributes, node.outputs[0])]
        if node.op_type == "ConstantOfShape":
            return [self._filled(attributes, given, node.outputs[0])]
        if given and isinstance(given[0], Signal) and node.op_type in ("Shape", "Size"):
            return [_shape(node, attributes, given[0], alone)]
        if any(isinstance(value, Lengths) for value in given):
            return self._moved(node, attributes, given, opset)
        arrays = [value if isinstance(value, StoredArray) else None for value in given]
        placed = _placed(node, attributes, arrays, self._folder, opset)
        if placed is not None:
            return [placed]
        if not self._folder.knows(node.op_type):
            raise UnsupportedLayerError("", got="constants only, not computed")
        read = [
            None if one is None else small(one, MAX_FOLDED, "computing with it")
            for one in arrays
        ]
        found = self._folder.fold(node.op_type, attributes, read, opset)
        names = [*node.outputs, *[""] * len(found)]
        return [MadeArray(one, name) for one, name in zip(found, names, strict=False)]

    def _stated(self, attributes: Attributes, name: str) -> StoredArray:
        """The value of a Constant node."""
        record: TensorRecord | None = attributes.tensor("value")
        if record is not None:
            return tensor_array(record, self._wire, name)
        for key, dtype in _STATED.items():
            if key in attributes:
                many = key.endswith("s")
                value = attributes.numbers(key) if many else attributes.number(key, 0.0)
                return MadeArray(np.asarray(value, dtype), name)
        raise UnsupportedLayerError("", got="a constant that is sparse or text")

    def _filled(
        self, attributes: Attributes, given: Sequence[Value | None], name: str
    ) -> StoredArray:
        """One number, many times."""
        if not given or not isinstance(given[0], StoredArray):
            raise RowsMixed("a constant as long as the batch")
        shape = tuple(int(n) for n in small(given[0], 64, "a shape").ravel())
        if min(shape, default=0) < 0 or math.prod(shape) > MAX_FOLDED:
            raise LimitError(
                f"'{name}'",
                got=f"shape {shape}",
                expected=f"at most {MAX_FOLDED:,} numbers",
            )
        record = attributes.tensor("value")
        value: NDArray[np.generic] = np.zeros(1, np.float32)
        if record is not None:
            value = tensor_array(record, self._wire, name).read()
        if value.size != 1:
            raise FormatError(f"'{name}'", got=f"{value.size} values", expected="one")
        # One number in memory, whatever the shape says.
        return MadeArray(np.broadcast_to(value.reshape(()), shape), name)

    def _moved(
        self,
        node: NodeRecord,
        attributes: Attributes,
        given: Sequence[Value | None],
        opset: int,
    ) -> list[Value]:
        """Parts of a shape moved about, with the places where the batch's length stands."""
        if not _only_moves(node, given):
            raise RowsMixed("computes with the number of rows")
        numbers: list[NDArray[np.generic] | None] = []
        rows: list[NDArray[np.generic] | None] = []
        moved = given if node.op_type == "Concat" else given[:1]
        for value in given:
            if isinstance(value, Lengths):
                numbers.append(value.values)
                rows.append(value.rows)
            elif isinstance(value, StoredArray):
                values = small(value, 1 << 16, "a shape")
                numbers.append(values)
                inside = any(value is one for one in moved)
                rows.append(np.zeros(values.shape, np.bool_) if inside else values)
            else:
                numbers.append(None)
                rows.append(None)
        if node.op_type == "Cast":
            return [given[0]] if given[0] is not None else []
        made = self._folder.fold(node.op_type, attributes, numbers, opset)
        where = self._folder.fold(node.op_type, attributes, rows, opset)
        return [
            Lengths(values.astype(np.int64), places.astype(np.bool_))
            if places.any()
            else MadeArray(values.astype(np.int64), name)
            for values, places, name in zip(made, where, node.outputs, strict=False)
        ]


def needs_shape_only(node: NodeRecord, given: Sequence[Value | None]) -> bool:
    """Whether a node that reads a signal needs no more than its shape or type."""
    if node.domain or not given:
        return False
    if node.op_type == "CastLike":
        return isinstance(given[0], StoredArray)
    return node.op_type in ("Shape", "Size") and isinstance(given[0], Signal)


def counts_rows(node: NodeRecord, given: Sequence[Value | None]) -> bool:
    """Whether a node computes with the length of the batch."""
    if node.op_type == "Size":
        return any(isinstance(value, Signal) and value.rows for value in given)
    return not _only_moves(node, given) and any(
        isinstance(value, Lengths) for value in given
    )


def _only_moves(node: NodeRecord, given: Sequence[Value | None]) -> bool:
    """Whether lengths come out as they went in."""
    parts = node.op_type == "Concat" or (given and isinstance(given[0], Lengths))
    return node.op_type in MOVES and bool(parts)


def _counted(value: Value | None, name: str) -> Value | None:
    """Parts of a shape with 1 as the length of the batch."""
    return MadeArray(value.values, name) if isinstance(value, Lengths) else value


def _shape(node: NodeRecord, attributes: Attributes, signal: Signal, alone: bool) -> Value:
    """The shape of a signal, or how many numbers it has."""
    full = np.array([1, *signal.shape] if signal.rows else signal.shape, np.int64)
    rows = np.zeros(full.shape, np.bool_)
    rows[: int(signal.rows)] = True
    if node.op_type == "Size":
        if signal.rows and not alone:
            raise RowsMixed("computes with the number of rows")
        return MadeArray(np.array(full.prod(), np.int64), node.outputs[0])
    part = slice(attributes.whole("start", 0), attributes.whole("end", len(full)))
    if rows[part].any():
        return Lengths(full[part], rows[part])
    return MadeArray(full[part], node.outputs[0])


def _placed(
    node: NodeRecord,
    attributes: Attributes,
    arrays: Sequence[StoredArray | None],
    folder: Folder,
    opset: int,
) -> StoredArray | None:
    """Weights that need not be read to be moved: they stay in the file."""
    if not arrays or arrays[0] is None:
        return None
    first = arrays[0]
    if node.op_type in ("Identity", "Dropout"):
        return first
    if node.op_type == "Transpose" and len(first.shape) == 2:
        order = attributes.wholes("perm") or (1, 0)
        if order == (1, 0):
            return (
                first.base if isinstance(first, TransposedArray) else TransposedArray(first)
            )
    if node.op_type == "Cast" and first.dtype.kind in "fV":
        return first if attributes.whole("to", 1) in (1, 10, 11, 16) else None
    if node.op_type in _RESHAPING and isinstance(first, PieceArray) and first.size:
        # The shape that an array without memory of its own would get.
        hollow = np.broadcast_to(np.zeros((), np.bool_), first.shape)
        if node.op_type in ("Reshape", "Flatten") and first.size > MAX_FOLDED:
            return None
        others = [None if one is None else small(one, 64, "axes") for one in arrays[1:]]
        (made,) = folder.fold(node.op_type, attributes, [hollow, *others], opset)
        return first.reshaped(made.shape)
    return None
