"""ModelProto and what it holds, as records: names and places, no values of weights.

Field numbers: onnx/onnx, onnx/onnx.proto. Messages that nothing here needs (training,
quantisation, devices, metadata) are skipped; graphs inside attributes are not entered, so
that nesting has no depth.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TypeVar

from nninvert.errors import LimitError
from nninvert.formats.onnx.records import (
    MAX_RANK,
    MAX_RECORDS,
    FunctionRecord,
    Length,
    ModelRecord,
    NodeRecord,
    Reference,
    TensorRecord,
    Value,
    ValueRecord,
)
from nninvert.formats.onnx.wire import Field, Kind, Span, Wire, signed

MAX_LIST = 1 << 22
"""Numbers in one attribute."""

Record = TypeVar("Record")

MODEL_FIELDS = {1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26}
GRAPH = 7
_TYPED = {4, 5, 6, 7, 10, 11}

# AttributeProto: the field in which each type lies.
_TYPE_OF_FIELD = {2: 1, 3: 2, 4: 3, 5: 4, 6: 5, 7: 6, 8: 7, 9: 8, 10: 9, 11: 10}


def read_model(wire: Wire) -> ModelRecord:
    """Read everything but the weights.

    Raises
    ------
    FormatError, LimitError
        If it is damaged, or larger than any network.
    """
    model = ModelRecord()
    graphs = 0
    for part in wire.fields((0, wire.size)):
        match part.number:
            case 1:
                model.ir_version = _whole(part, wire)
            case 2:
                model.producer = wire.text(_bytes(part, wire))
            case 3:
                model.producer += " " + wire.text(_bytes(part, wire))
            case 7:
                graphs += 1
                _read_graph(wire, _bytes(part, wire), model)
            case 8:
                domain, version = _opset(wire, _bytes(part, wire))
                model.opsets[domain] = version
            case 25:
                function = _function(wire, _bytes(part, wire))
                model.functions[function.domain, function.name] = function
    if graphs != 1:
        raise wire.damaged(f"{graphs} graphs in one model")
    return model


def _read_graph(wire: Wire, span: Span, model: ModelRecord) -> None:
    for part in wire.fields(span):
        match part.number:
            case 1:
                _append(model.nodes, _node, wire, part)
            case 5:
                _append(model.initializers, _tensor, wire, part)
            case 11:
                _append(model.inputs, _value, wire, part)
            case 12:
                _append(model.outputs, _value, wire, part)
            case 13:
                _append(model.values, _value, wire, part)
            case 15:
                _append(model.sparse, _sparse, wire, part)


def _append(
    records: list[Record], read: Callable[[Wire, Span], Record], wire: Wire, part: Field
) -> None:
    if len(records) == MAX_RECORDS:
        raise LimitError(
            "graph",
            got="more records",
            expected=f"at most {MAX_RECORDS:,} nodes, tensors or values",
        )
    records.append(read(wire, _bytes(part, wire)))


def _opset(wire: Wire, span: Span) -> tuple[str, int]:
    domain, version = "", 0
    for part in wire.fields(span):
        if part.number == 1:
            domain = _domain(wire.text(_bytes(part, wire)))
        elif part.number == 2:
            version = _whole(part, wire)
    return domain, version


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _function(wire: Wire, span: Span) -> FunctionRecord:
    made = FunctionRecord()
    for part in wire.fields(span):
        match part.number:
            case 1:
                made.name = wire.text(_bytes(part, wire))
            case 4:
                made.inputs.append(wire.text(_bytes(part, wire)))
            case 5:
                made.outputs.append(wire.text(_bytes(part, wire)))
            case 7:
                _append(made.nodes, _node, wire, part)
            case 9:
                domain, version = _opset(wire, _bytes(part, wire))
                made.opsets[domain] = version
            case 10:
                made.domain = _domain(wire.text(_bytes(part, wire)))
            case 11:
                name, value = _attribute(wire, _bytes(part, wire))
                if isinstance(value, TensorRecord):
                    made.tensors[name] = value
                else:
                    made.attributes[name] = value
    return made


def _node(wire: Wire, span: Span) -> NodeRecord:
    texts = {3: "", 4: "", 7: ""}
    inputs: list[str] = []
    outputs: list[str] = []
    attributes: dict[str, Value] = {}
    tensors: dict[str, TensorRecord] = {}
    graphs: list[str] = []
    for part in wire.fields(span):
        match part.number:
            case 1:
                inputs.append(wire.text(_bytes(part, wire)))
            case 2:
                outputs.append(wire.text(_bytes(part, wire)))
            case 3 | 4 | 7:
                texts[part.number] = wire.text(_bytes(part, wire))
            case 5:
                name, value = _attribute(wire, _bytes(part, wire))
                if isinstance(value, TensorRecord):
                    tensors[name] = value
                elif value is None:
                    graphs.append(name)
                else:
                    attributes[name] = value
    return NodeRecord(
        op_type=texts[4],
        domain=_domain(texts[7]),
        name=texts[3],
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        attributes=attributes,
        tensors=tensors,
        graphs=tuple(graphs),
    )


def _attribute(wire: Wire, span: Span) -> tuple[str, Value | TensorRecord]:
    """Name and value; None for graphs, sparse tensors and types."""
    name, stated, reference = "", 0, ""
    parts: dict[int, list[Field]] = {}
    for part in wire.fields(span):
        if part.number == 1:
            name = wire.text(_bytes(part, wire))
        elif part.number == 20:
            stated = part.value
        elif part.number == 21:
            reference = wire.text(_bytes(part, wire))
        elif part.number in _TYPE_OF_FIELD:
            parts.setdefault(_TYPE_OF_FIELD[part.number], []).append(part)
    if reference:
        return name, Reference(reference)
    # Before IR version 2 no type was stated: the field that is there tells.
    kind = stated or next(iter(parts), 0)
    given = parts.get(kind, [])
    match kind:
        case 1:
            return name, _floats(wire, given[-1:])[0] if given else 0.0
        case 2:
            return name, signed(given[-1].value) if given else 0
        case 3:
            return name, wire.short(_bytes(given[-1], wire)) if given else b""
        case 4:
            return name, _tensor(wire, _bytes(given[-1], wire)) if given else None
        case 6:
            return name, _floats(wire, given)
        case 7:
            return name, list(_wholes(wire, given))
        case 8:
            return name, [wire.short(_bytes(part, wire)) for part in given]
    return name, None


def _floats(wire: Wire, parts: list[Field]) -> list[float]:
    """Numbers of 4 bytes, packed or one in each field."""
    found: list[float] = []
    for part in parts:
        start, end = part.span
        if part.kind is Kind.VARINT or (end - start) % 4:
            raise wire.damaged(f"a float at byte {start:,} of {end - start} bytes")
        raw = wire.short(part.span)
        found += struct.unpack(f"<{len(raw) // 4}f", raw)
        _limit(len(found))
    return found


def _wholes(wire: Wire, parts: list[Field]) -> Iterator[int]:
    """Whole numbers, packed or one in each field."""
    count = 0
    for part in parts:
        if part.kind is Kind.VARINT:
            count += 1
            _limit(count)
            yield signed(part.value)
            continue
        values = wire.varints(_bytes(part, wire)).astype("i8").tolist()
        count += len(values)
        _limit(count)
        yield from values


def _limit(count: int) -> None:
    if count > MAX_LIST:
        raise LimitError(
            "attribute", got=f"{count:,} numbers", expected=f"at most {MAX_LIST:,}"
        )


def _tensor(wire: Wire, span: Span) -> TensorRecord:
    made = TensorRecord()
    external: dict[str, str] = {}
    location = 0
    for part in wire.fields(span):
        if part.number == 1:
            made.dims += _wholes(wire, [part])
            if len(made.dims) > MAX_RANK:
                raise LimitError(
                    f"'{made.name}'",
                    got=f"{len(made.dims)} axes",
                    expected=f"at most {MAX_RANK}",
                )
        elif part.number == 2:
            made.data_type = _whole(part, wire)
        elif part.number == 8:
            made.name = wire.text(_bytes(part, wire))
        elif part.number == 9:
            made.raw = _bytes(part, wire)
        elif part.number == 13:
            key, value = _entry(wire, _bytes(part, wire))
            external[key] = value
        elif part.number == 14:
            location = part.value
        elif part.number in _TYPED:
            typed = made.typed.setdefault(part.number, [])
            typed.append(part)
            _limit(len(typed))
    if location == 1:
        made.external = external
    return made


def _entry(wire: Wire, span: Span) -> tuple[str, str]:
    texts = {1: "", 2: ""}
    for part in wire.fields(span):
        if part.number in texts:
            texts[part.number] = wire.text(_bytes(part, wire))
    return texts[1], texts[2]


def _sparse(wire: Wire, span: Span) -> str:
    """The name of a SparseTensorProto, which is that of its values."""
    for part in wire.fields(span):
        if part.number == 1:
            return _tensor(wire, _bytes(part, wire)).name
    return ""


def _value(wire: Wire, span: Span) -> ValueRecord:
    name, element = "", 0
    shape: tuple[Length, ...] | None = None
    for part in wire.fields(span):
        if part.number == 1:
            name = wire.text(_bytes(part, wire))
        elif part.number == 2:
            for kind in wire.fields(_bytes(part, wire)):
                if kind.number == 1:
                    element, shape = _tensor_type(wire, _bytes(kind, wire))
    return ValueRecord(name, element, shape)


def _tensor_type(wire: Wire, span: Span) -> tuple[int, tuple[Length, ...] | None]:
    element = 0
    shape: tuple[Length, ...] | None = None
    for part in wire.fields(span):
        if part.number == 1:
            element = _whole(part, wire)
        elif part.number == 2:
            dims = wire.fields(_bytes(part, wire))
            shape = tuple(
                _length(wire, _bytes(one, wire)) for one in dims if one.number == 1
            )
    return element, shape


def _length(wire: Wire, span: Span) -> Length:
    found: Length = None
    for part in wire.fields(span):
        if part.number == 1:
            found = signed(_whole(part, wire))
        elif part.number == 2:
            found = wire.text(_bytes(part, wire))
    # Older exporters write 0 or -1 for a length that is open.
    return None if isinstance(found, int) and found < 1 else found


def _bytes(part: Field, wire: Wire) -> Span:
    if part.kind is not Kind.LENGTH:
        raise wire.damaged(f"a number in field {part.number} at byte {part.span[0]:,}")
    return part.span


def _whole(part: Field, wire: Wire) -> int:
    if part.kind is not Kind.VARINT:
        raise wire.damaged(f"bytes in field {part.number} at byte {part.span[0]:,}")
    return part.value
