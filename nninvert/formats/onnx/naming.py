"""Which steps of a graph are kept, under which names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nninvert.formats._steps import Step
from nninvert.formats.onnx.records import NodeRecord


def renamed(step: Step, name: str) -> Step:
    """The step of one of several outputs of a node."""
    place = step.places[-1]
    if len(place.name) == 0 or place.name == name:
        return step
    return replace(step, places=(replace(place, name=name),))


def pruned(
    steps: Sequence[Step], outputs: Sequence[int]
) -> tuple[list[Step], dict[int, int]]:
    """The steps that lead to the outputs, numbered, with names of their own."""
    needed: set[int] = set()
    todo = list(outputs)
    while todo:
        k = todo.pop()
        if k >= 0 and k not in needed:
            needed.add(k)
            todo += steps[k].sources
    places = {k: new for new, k in enumerate(sorted(needed))}
    found: list[Step] = []
    names: set[str] = set()
    for k, new in places.items():
        old = steps[k]
        name = old.name or f"step_{new}"
        if name in names:
            name = f"{name}_{new}"
        names.add(name)
        sources = tuple(places[s] if s >= 0 else s for s in old.sources)
        place = replace(old.places[-1], index=str(new), name=name)
        found.append(replace(old, places=(place,), sources=sources))
    return found, places


def label_of(node: NodeRecord) -> str:
    """What a step of this node is called, for people."""
    return f"{node.domain}.{node.op_type}" if node.domain else node.op_type
