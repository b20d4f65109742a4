"""From the layers of a file to a network: the wanted part, refusals, nested graphs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import groupby

from nninvert.errors import FormatError, ShapeError, UnsupportedLayerError, UsageError
from nninvert.formats._options import ReadOptions
from nninvert.formats._steps import UNKNOWN_SHAPE, Parsed, Step
from nninvert.layers import Graph, Node
from nninvert.network import Network, Source


def build(parsed: Parsed, path: str, options: ReadOptions) -> Network:
    """Build the wanted part of a file's network.

    Raises
    ------
    UsageError
        If `options` name layers that are not there or not on one way.
    UnsupportedLayerError
        Naming every layer of the wanted part that is not known.
    FormatError
        If there is no layer, or several outputs and no choice among them.
    """
    if not parsed.steps:
        raise FormatError("layers", got="none", expected="a model with layers", file=path)
    last = _last(parsed, path, options)
    first = None
    if options.first is not None:
        first = _find(parsed.steps, options.first, "--from", path)
    part = _part(parsed.steps, first, last)
    if first is not None and first not in part:
        raise UsageError(
            "--from",
            got=f"'{parsed.steps[first].name}', which does not lead to "
            f"'{parsed.steps[last].name}'",
            expected="a layer on the way to it",
            file=path,
        )
    bad = [k for k in part if parsed.steps[k].problem]
    if bad:
        raise _refusal(parsed.steps, bad, path)
    steps = [parsed.steps[k] for k in part]
    try:
        graph = Graph(steps[0].layers[0].input_shape, _nodes(steps, 0))
    except ShapeError as error:
        raise error.at(file=path) from error
    source = Source(path, parsed.format, parsed.notes)
    return Network.of_graph(graph, source, parsed.names)


def _last(parsed: Parsed, path: str, options: ReadOptions) -> int:
    """Position of the step whose output is wanted."""
    if options.until is not None:
        return _find(parsed.steps, options.until, "--until", path)
    if len(parsed.outputs) == 1:
        return parsed.outputs[0]
    names = [parsed.steps[k].name for k in parsed.outputs]
    shown = ", ".join(f"'{name}'" for name in names)
    raise FormatError(
        "outputs",
        got=f"{len(names)} outputs: {shown}",
        expected="one output",
        because="networks with several outputs are not inverted yet",
        next_step=f"Choose one: --until {shlex.quote(names[0])}" if names else "",
        file=path,
    )


def _find(steps: Sequence[Step], wanted: str, option: str, path: str) -> int:
    """Position of a layer; of a nested model, that of its last (or first) one."""
    inside = {k for k, step in enumerate(steps) if _named(step, wanted)}
    if not inside:
        raise UsageError(
            option,
            got=repr(wanted),
            expected="a layer: "
            + ", ".join(f"{step.index} '{step.name}'" for step in steps),
            file=path,
        )
    if option == "--until":
        read = {source for k in inside for source in steps[k].sources}
        ends = sorted(inside - read)
    else:
        ends = sorted(k for k in inside if not inside & set(steps[k].sources))
    if len(ends) == 1:
        return ends[0]
    raise UsageError(
        option,
        got=f"{wanted!r}, which stands for "
        + " and ".join(f"{steps[k].index} '{steps[k].name}'" for k in ends),
        expected="one layer",
        next_step=f"Name it by its index: {option} {steps[ends[0]].index}",
        file=path,
    )


def _named(step: Step, wanted: str) -> bool:
    """Whether the step, or a model around it, has this name or index."""
    for depth in range(1, len(step.places) + 1):
        around = step.places[:depth]
        if wanted in (
            "/".join(place.name for place in around),
            ".".join(place.index for place in around),
        ):
            return True
    return False


def _part(steps: Sequence[Step], first: int | None, last: int) -> list[int]:
    """Everything that `last` depends on, ascending; not beyond `first`."""
    found: set[int] = set()
    todo = [last]
    while todo:
        position = todo.pop()
        if position < 0 or position in found:
            continue
        found.add(position)
        if position != first:
            todo += steps[position].sources
    return sorted(found)


def _refusal(steps: Sequence[Step], bad: Sequence[int], path: str) -> UnsupportedLayerError:
    """One error for all layers that are not known."""
    roots = [k for k in bad if steps[k].problem != UNKNOWN_SHAPE]
    first, *others = (steps[k] for k in roots or bad)
    got = _class(first)
    if others:
        also = ", ".join(f"{step.index} '{step.name}' {_class(step)}" for step in others)
        got += f"; also {also}"
    return UnsupportedLayerError(
        "class_name",
        got=got,
        expected="layers that nninvert knows (nninvert info --layers)",
        next_step=_what_can_be_done(steps, bad[0], path),
        file=path,
        layer=(first.index, first.name),
    )


def _class(step: Step) -> str:
    return f"'{step.label}' ({step.problem})"


def _what_can_be_done(steps: Sequence[Step], bad: int, path: str) -> str:
    """The leading layers that can be inverted by themselves, as a command."""
    for source in steps[bad].sources:
        if source < 0:
            continue
        part = _part(steps, None, source)
        if any(steps[k].problem for k in part):
            continue
        begin, end = steps[part[0]], steps[part[-1]]
        model, name = shlex.quote(path), shlex.quote(end.name)
        which = f"Layers {begin.index}-{end.index}"
        if begin is end:
            which = f"Layer {begin.index}"
        return (
            f"{which} can be inverted alone: "
            f"nninvert invert {model} h.npy --until {name} -o x.npy"
        )
    return ""


def _nodes(steps: Sequence[Step], depth: int) -> list[Node]:
    """Nodes of one level; consecutive steps inside one nested model become a graph."""
    nodes: list[Node] = []
    for place, group in groupby(steps, key=lambda step: step.places[depth]):
        inner = list(group)
        layers = [layer for step in inner for layer in step.layers]
        if len(inner[0].places) > depth + 1:
            layers = [Graph(layers[0].input_shape, _nodes(inner, depth + 1))]
        nodes += [Node(layer, place.index, place.name, place.label) for layer in layers]
    return nodes
