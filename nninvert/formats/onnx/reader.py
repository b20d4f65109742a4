"""ONNX files: the graph as layers, weights left where they lie. No package is needed."""

from __future__ import annotations

from contextlib import suppress
from io import FileIO

from nninvert.errors import FormatError, NninvertError
from nninvert.files import regular_size, unreadable
from nninvert.formats._base import Reader
from nninvert.formats._options import ReadOptions, refuse_bare_options
from nninvert.formats._steps import Parsed
from nninvert.formats.file_layer import LayerMakers
from nninvert.formats.onnx.constants import Constants
from nninvert.formats.onnx.functions import inline
from nninvert.formats.onnx.inputs import (
    batch_axis,
    graph_input,
    has_batch,
    inputs_of,
    may_be_one_row,
)
from nninvert.formats.onnx.model import GRAPH, MODEL_FIELDS, read_model
from nninvert.formats.onnx.records import ModelRecord
from nninvert.formats.onnx.steps import Walk
from nninvert.formats.onnx.users import keep_calls
from nninvert.formats.onnx.wire import Kind, Wire

OLDEST, NEWEST = 7, 28
"""Opsets of the standard operators that are understood; before 7 broadcasting differed."""

_FIRST_BYTES = b"\x08\x12\x1a\x22\x3a\x42"
"""Keys of the fields that writers put first: nearly always the version."""


class Onnx(Reader):
    """A model in ONNX."""

    name = "ONNX"
    suffixes = (".onnx",)
    takes_layers = True
    reads = (
        "graphs of standard operators, opsets 7 to 28, as torch.onnx, tf2onnx, keras2onnx "
        "and skl2onnx write them, attention and classifiers' scores among them; weights "
        "inside or in files beside; nothing to install"
    )

    def sniff(self, head: bytes, path: str) -> bool:
        """Fields of a ModelProto up to the file's end, or a damaged file named .onnx."""
        if head[:1] not in (bytes([byte]) for byte in _FIRST_BYTES):
            return False
        return _is_model(path) or (head[:1] == b"\x08" and path.lower().endswith(".onnx"))

    def parse(self, path: str, options: ReadOptions) -> Parsed:
        """Read the graph, with the first axis as batch if that is possible."""
        refuse_bare_options(path, options)
        try:
            with FileIO(path) as stream:
                wire = Wire(path, stream, regular_size(path))
                model = read_model(wire)
                keep_calls(model, options.layers)
                inline(model)
                _require_opset(model)
                return _parsed(model, wire, options.layers)
        except NninvertError as error:
            raise error.at(file=path) from error
        except OSError as error:
            raise unreadable(path, error) from error


def _is_model(path: str) -> bool:
    """Whether the outermost fields are those of a ModelProto, a graph among them."""
    graphs = 0
    with suppress(FormatError), FileIO(path) as stream:
        wire = Wire(path, stream, regular_size(path))
        for part in wire.fields((0, wire.size)):
            if part.number not in MODEL_FIELDS:
                return False
            graphs += part.number == GRAPH and part.kind is Kind.LENGTH
        return graphs == 1
    return False


def _require_opset(model: ModelRecord) -> None:
    version = model.opsets.get("", NEWEST)
    if version < OLDEST:
        raise FormatError(
            "opset_import",
            got=f"opset {version}",
            expected=f"{OLDEST} or newer",
            because="operators were defined otherwise before",
            next_step="In Python: onnx.version_converter.convert_version(model, 21).",
        )


def _parsed(model: ModelRecord, wire: Wire, makers: LayerMakers) -> Parsed:
    """Read with a batch; as one x where the file's lengths only make sense that way."""
    constants = Constants(model, wire)
    records = inputs_of(model)
    notes = _notes(model)
    name = f"ONNX opset {model.opsets.get('', NEWEST)}"
    if model.producer.strip():
        name += f" by {model.producer.strip()}"
    batched = all(has_batch(record) for record in records)
    inputs = [graph_input(model, r, batched) for r in records]
    walk = Walk(model, constants, inputs, batched, makers)
    parsed = walk.parsed(name, notes)
    if not batched or not walk.mixed or not all(may_be_one_row(r) for r in records):
        return parsed
    inputs = [graph_input(model, r, False) for r in records]
    whole = Walk(model, constants, inputs, False, makers)
    other = whole.parsed(
        name, [*notes, "the graph mixes what could be rows: the whole input is one x"]
    )
    return other if _problems(other) < _problems(parsed) else parsed


def _problems(parsed: Parsed) -> int:
    return sum(bool(step.problem) for step in parsed.steps)


def _notes(model: ModelRecord) -> list[str]:
    notes = []
    version = model.opsets.get("", NEWEST)
    if version > NEWEST:
        notes.append(
            f"opset {version} is newer than nninvert knows ({NEWEST}); an operator may "
            "have changed: compare with --pairs"
        )
    for record in inputs_of(model):
        first = record.shape[0] if record.shape else None
        if batch_axis(record):
            notes.append(
                f"'{record.name}' has its batch as axis {batch_axis(record)}: read as one "
                "row, with 1 for that length"
            )
        elif isinstance(first, int) and first > 1 and len(record.shape or ()) > 1:
            notes.append(
                f"'{record.name}' has {first} as its first length: read as so many rows"
            )
    return notes
