"""The inputs of a graph: which they are, their shapes, and whether they hold a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nninvert.formats.onnx.chain import MAX_UNITS
from nninvert.formats.onnx.records import Length, ModelRecord, ValueRecord
from nninvert.formats.onnx.tensors import FLOATS, TYPE_NAMES
from nninvert.formats.onnx.values import Shape
from nninvert.layers import size_of

_WHOLE_NUMBERS = {2, 3, 4, 5, 6, 7, 12, 13}

_KEEPING = {"Cast", "Dropout", "Identity", "Relu", "Sigmoid", "Tanh"}
"""Operators that a matrix behind them tells the input's length through."""


@dataclass(frozen=True)
class GraphInput:
    """An input.

    Attributes
    ----------
    name : str
    shape : tuple of int
        Without the batch, where there is one.
    problem : str
        Why it cannot be one of ours; "" if it can.
    whole : bool
        Whether it holds whole numbers.
    rows : bool, default True
        Whether its batch, where there is one, is the first axis; else it is one row, and
        its batch an axis of length 1.
    """

    name: str
    shape: Shape
    problem: str
    whole: bool = False
    rows: bool = True


def inputs_of(model: ModelRecord) -> list[ValueRecord]:
    """The inputs that are no initialisers: up to IR version 3 these are listed, too."""
    known = {record.name for record in model.initializers} | set(model.sparse)
    return [record for record in model.inputs if record.name not in known]


def has_batch(record: ValueRecord) -> bool:
    """Whether the first axis is likely the batch: it is open, 1, or not the only one."""
    shape = record.shape
    if shape is None:
        return True
    return len(shape) > 1 or (len(shape) == 1 and not isinstance(shape[0], int))


def batch_axis(record: ValueRecord) -> int:
    """Where the batch is: elsewhere only if that is the one open axis, and called so."""
    shape = record.shape or ()
    open_axes = [k for k, length in enumerate(shape) if not isinstance(length, int)]
    if len(open_axes) == 1 and "batch" in str(shape[open_axes[0]]).lower():
        return open_axes[0]
    return 0


def stated_rows(records: Sequence[ValueRecord]) -> int | None:
    """How many rows the file says there are; None where it leaves that open."""
    for record in records:
        first = record.shape[0] if record.shape else None
        if isinstance(first, int) and not batch_axis(record):
            return first
    return None


def may_be_one_row(record: ValueRecord) -> bool:
    """Whether the whole input may as well be one x: all lengths are stated."""
    return record.shape is not None and all(isinstance(n, int) for n in record.shape)


def graph_input(model: ModelRecord, record: ValueRecord, batched: bool) -> GraphInput:
    """An input as signals have it."""
    name, whole = record.name, record.element in _WHOLE_NUMBERS
    if record.element not in FLOATS | _WHOLE_NUMBERS:
        kind = TYPE_NAMES.get(record.element, "no tensor of numbers")
        return GraphInput(name, (), f"input '{name}' holds {kind}")
    shape = record.shape
    if shape is None or (batched and len(shape) == 2 and shape[1] is None):
        width = _told_by_matrix(model, name)
        if width is None:
            return GraphInput(name, (), f"input '{name}' has no shape")
        return GraphInput(name, (width,), "", whole)
    if batched and batch_axis(record):
        lengths = [n if isinstance(n, int) else 1 for n in shape]
        return GraphInput(name, tuple(lengths), "", whole, rows=False)
    if batched and not shape:
        return GraphInput(name, (), f"input '{name}' has no axis of rows")
    lengths = [n for n in shape[int(batched) :] if isinstance(n, int)]
    if len(lengths) < len(shape) - int(batched):
        told = _told_by_matrix(model, name) if len(shape) == 2 and batched else None
        if told is None:
            return GraphInput(name, (), _open_lengths(name, shape))
        lengths = [told]
    if size_of(tuple(lengths)) > MAX_UNITS:
        return GraphInput(name, (), f"input '{name}' is too large: {_shown(shape)}")
    return GraphInput(name, tuple(lengths), "", whole)


def _open_lengths(name: str, shape: tuple[Length, ...]) -> str:
    """What is open, and a program that states it."""
    rest = ",".join(str(n) if isinstance(n, int) else "64" for n in shape[1:])
    return (
        f"input '{name}' has open lengths: {_shown(shape)}; state them when exporting, or "
        "with python -m onnxruntime.tools.make_dynamic_shape_fixed "
        f"--input_name {name} --input_shape 1,{rest} OLD.onnx NEW.onnx"
    )


def _shown(shape: tuple[Length, ...]) -> str:
    return "(" + ", ".join("?" if n is None else str(n) for n in shape) + ")"


def _told_by_matrix(model: ModelRecord, name: str) -> int | None:
    """The length of rows that a stored matrix takes which they are multiplied by."""
    shapes = {record.name: record.dims for record in model.initializers}
    for _ in range(8):
        readers = [node for node in model.nodes if name in node.inputs]
        if not readers:
            return None
        node = readers[0]
        if node.op_type in ("Gemm", "MatMul") and len(node.inputs) > 1:
            dims = shapes.get(node.inputs[1], [])
            turned = node.attributes.get("transB", 0) == 1
            return dims[int(turned)] if len(dims) == 2 and node.inputs[0] == name else None
        if node.op_type not in _KEEPING or not node.outputs:
            return None
        name = node.outputs[0]
    return None
