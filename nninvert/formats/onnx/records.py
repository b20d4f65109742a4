"""What the messages of an ONNX file hold, as far as it is needed: names and places."""

from __future__ import annotations

from dataclasses import dataclass, field

from nninvert.formats.onnx.wire import Field, Span

MAX_RECORDS = 200_000
"""Nodes, tensors, and described values: each kind."""

MAX_RANK = 32
Length = int | str | None
"""A dimension: a number, a name for one that is open, or nothing."""


@dataclass(frozen=True)
class Reference:
    """In a function: an attribute of the node that calls it."""

    name: str


Value = float | int | bytes | list[float] | list[int] | list[bytes] | Reference | None


@dataclass
class TensorRecord:
    """TensorProto: where its numbers lie.

    Attributes
    ----------
    name : str
    dims : list of int
    data_type : int
        TensorProto.DataType.
    raw : Span or None
        Little-endian numbers.
    typed : dict of int to list of Field
        Typed data by field number.
    external : dict of str to str or None
        Where in another file they lie.
    """

    name: str = ""
    dims: list[int] = field(default_factory=list)
    data_type: int = 0
    raw: Span | None = None
    typed: dict[int, list[Field]] = field(default_factory=dict)
    external: dict[str, str] | None = None


@dataclass(frozen=True)
class NodeRecord:
    """NodeProto; `tensors` are the attributes that are tensors."""

    op_type: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Value]
    tensors: dict[str, TensorRecord]
    graphs: tuple[str, ...]
    """Attributes that are graphs, or values of an unknown kind."""
    opset: int | None = None
    """Of its domain in a function; None: the model's."""


@dataclass
class FunctionRecord:
    """FunctionProto: nodes with inputs and outputs, and attributes with defaults."""

    name: str = ""
    domain: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    nodes: list[NodeRecord] = field(default_factory=list)
    opsets: dict[str, int] = field(default_factory=dict)
    attributes: dict[str, Value] = field(default_factory=dict)
    tensors: dict[str, TensorRecord] = field(default_factory=dict)


@dataclass(frozen=True)
class ValueRecord:
    """ValueInfoProto.

    `element` is TensorProto.DataType, 0 where the value is no tensor; `shape` is None
    where the file says none.
    """

    name: str
    element: int
    shape: tuple[Length, ...] | None


@dataclass
class ModelRecord:
    """ModelProto and its GraphProto."""

    ir_version: int = 0
    producer: str = ""
    opsets: dict[str, int] = field(default_factory=dict)
    nodes: list[NodeRecord] = field(default_factory=list)
    initializers: list[TensorRecord] = field(default_factory=list)
    inputs: list[ValueRecord] = field(default_factory=list)
    outputs: list[ValueRecord] = field(default_factory=list)
    values: list[ValueRecord] = field(default_factory=list)
    sparse: list[str] = field(default_factory=list)
    functions: dict[tuple[str, str], FunctionRecord] = field(default_factory=dict)
