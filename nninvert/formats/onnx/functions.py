"""Functions that a model defines for itself: their nodes take the place of each call.

Newer exporters wrap modules of the source in functions. A function's values get names of
their own in each place, so that what is read is one graph. Source: onnx/onnx, docs/IR.md,
section "Functions".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from nninvert.errors import FormatError, LimitError
from nninvert.formats.onnx.records import (
    FunctionRecord,
    ModelRecord,
    NodeRecord,
    Reference,
)

MAX_DEPTH = 32
"""Functions inside functions."""

MAX_LETTERS = 1 << 26
"""Of all names that calls get; each call and each node counts as some, too."""


def inline(model: ModelRecord) -> None:
    """Replace all calls in `model.nodes`.

    Raises
    ------
    LimitError
        If functions hold each other, or become too many nodes.
    FormatError
        If a call has more inputs or outputs than its function.
    """
    if model.functions:
        model.nodes = list(_Inliner(model).expanded(model.nodes, "", 0))


class _Inliner:
    """Enters calls, up to a limit for the whole model."""

    def __init__(self, model: ModelRecord) -> None:
        self._functions = model.functions
        self._left = MAX_LETTERS

    def expanded(
        self, nodes: Iterable[NodeRecord], prefix: str, depth: int
    ) -> Iterator[NodeRecord]:
        """The nodes one after another, calls entered."""
        for place, node in enumerate(nodes):
            function = self._functions.get((node.domain, node.op_type))
            self._charge(node, prefix)
            if function is None:
                yield node
                continue
            if depth == MAX_DEPTH:
                raise LimitError(
                    "functions", got="functions that hold each other", expected="an end"
                )
            inner = f"{node.name or node.op_type}_{place}/"
            yield from self.expanded(_body(function, node, inner), inner, depth + 1)

    def _charge(self, node: NodeRecord, prefix: str) -> None:
        names = (*node.inputs, *node.outputs)
        self._left -= 64 + len(prefix) + sum(len(prefix) + len(name) for name in names)
        if self._left < 0:
            raise LimitError(
                "functions",
                got="more calls",
                expected=f"at most {MAX_LETTERS:,} letters of names in all",
            )


def _body(function: FunctionRecord, call: NodeRecord, prefix: str) -> Iterator[NodeRecord]:
    """The function's nodes with the names and attributes of one call."""
    if len(call.inputs) > len(function.inputs) or len(call.outputs) > len(function.outputs):
        raise FormatError(
            f"'{call.name or call.op_type}'",
            got=f"{len(call.inputs)} inputs, {len(call.outputs)} outputs",
            expected=f"at most {len(function.inputs)} and {len(function.outputs)}",
        )
    names = {"": ""} | dict.fromkeys(function.inputs, "")
    names |= dict(zip(function.inputs, call.inputs, strict=False))
    for formal, actual in zip(function.outputs, call.outputs, strict=False):
        # An output that is an input as well would be made twice.
        if actual and formal not in function.inputs:
            names[formal] = actual
    for node in function.nodes:
        yield _renamed(function, node, call, names, prefix)


def _renamed(
    function: FunctionRecord,
    node: NodeRecord,
    call: NodeRecord,
    names: Mapping[str, str],
    prefix: str,
) -> NodeRecord:
    """A node with its values' names in one place, and the attributes that it is given."""
    values, tensors = dict(node.attributes), dict(node.tensors)
    for name, value in node.attributes.items():
        if not isinstance(value, Reference):
            continue
        del values[name]
        source = value.name
        if source in call.tensors or source in function.tensors:
            tensors[name] = call.tensors.get(source) or function.tensors[source]
        elif source in call.attributes or source in function.attributes:
            values[name] = call.attributes.get(source, function.attributes.get(source))
    return replace(
        node,
        name=prefix + (node.name or node.op_type),
        inputs=tuple(names.get(one, prefix + one) for one in node.inputs),
        outputs=tuple(names.get(one, prefix + one) for one in node.outputs),
        opset=function.opsets.get(node.domain, node.opset),
        attributes=values,
        tensors=tensors,
    )
