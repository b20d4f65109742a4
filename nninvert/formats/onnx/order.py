"""Which nodes of a graph are needed, and in which order."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from nninvert.errors import FormatError
from nninvert.formats.onnx.records import ModelRecord, NodeRecord


def ordered(model: ModelRecord, wanted: Sequence[str]) -> list[NodeRecord]:
    """The nodes that the wanted values depend on, each behind what feeds it.

    Nodes keep the file's order where that is possible.

    Raises
    ------
    FormatError
        If a value is made twice, or by nobody, or of itself.
    """
    makers = _makers(model)
    waiting = _waiting(model, makers, wanted)
    readers: dict[int, list[int]] = {k: [] for k in waiting}
    for k, feeds in waiting.items():
        for maker in feeds:
            readers[maker].append(k)
    ready = [k for k, feeds in waiting.items() if not feeds]
    heapq.heapify(ready)
    found: list[NodeRecord] = []
    while ready:
        k = heapq.heappop(ready)
        found.append(model.nodes[k])
        for reader in readers[k]:
            waiting[reader].discard(k)
            if not waiting[reader]:
                heapq.heappush(ready, reader)
    if len(found) < len(waiting):
        raise FormatError(
            "graph",
            got=f"{len(waiting) - len(found)} nodes that wait for each other",
            expected="no circle",
        )
    return found


def readers(nodes: Sequence[NodeRecord], wanted: Sequence[str]) -> dict[str, set[str]]:
    """Which operators read each value; "" stands for the outputs of the network."""
    found: dict[str, set[str]] = {name: {""} for name in wanted}
    for node in nodes:
        for name in node.inputs:
            found.setdefault(name, set()).add(node.op_type)
    return found


def _makers(model: ModelRecord) -> dict[str, int]:
    """Which node makes each value; inputs and initialisers are made by none."""
    given = _given(model)
    makers: dict[str, int] = {}
    for k, node in enumerate(model.nodes):
        for name in filter(None, node.outputs):
            if name in makers or name in given:
                raise FormatError(
                    "graph", got=f"'{name}' made twice", expected="one maker of each value"
                )
            makers[name] = k
    return makers


def _given(model: ModelRecord) -> set[str]:
    names = [record.name for record in model.initializers] + model.sparse
    if len(set(names)) < len(names):
        raise FormatError(
            "graph", got="two initialisers of one name", expected="different names"
        )
    return {*names, *(record.name for record in model.inputs)}


def _waiting(
    model: ModelRecord, makers: dict[str, int], wanted: Sequence[str]
) -> dict[int, set[int]]:
    """For each needed node those that it waits for."""
    given = _given(model)
    found: dict[int, set[int]] = {}
    todo = list(wanted)
    while todo:
        name = todo.pop()
        if name in given or not name:
            continue
        if name not in makers:
            raise FormatError(
                "graph",
                got=f"'{name}', which nothing makes",
                expected="a graph in one piece",
            )
        maker = makers[name]
        if maker in found:
            continue
        inputs = model.nodes[maker].inputs
        found[maker] = {makers[one] for one in inputs if one in makers}
        todo += inputs
    return found
