"""The wanted steps of a file as one graph, several inputs and outputs in flat rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise

from nninvert.formats._parts import input_names, output_names
from nninvert.formats._steps import Parsed, Step
from nninvert.layers import Concatenate, Graph, Layer, Node, Reshape, Shape, Slice, size_of
from nninvert.layers.merge import Combination
from nninvert.layers.products import NumberByNumber
from nninvert.layout import Layout, Part
from nninvert.network import Network, Source


def wired_network(
    parsed: Parsed,
    part: Sequence[int],
    ends: Sequence[int],
    first: int | None,
    source: Source,
) -> Network:
    """Join steps as their sources say.

    Parameters
    ----------
    parsed : Parsed
    part : sequence of int
        Positions of the steps, ascending, all of them built.
    ends : sequence of int
        Those whose outputs are the network's.
    first : int or None
        The step whose input is the network's; None: the network's own inputs.
    source : Source

    Raises
    ------
    ShapeError
        If shapes do not fit.
    """
    steps = [parsed.steps[k] for k in part]
    if _is_chain(parsed.steps, part, ends, first):
        graph = Graph(steps[0].layers[0].input_shape, _nested(steps, 0))
        return Network.of_graph(graph, source, parsed.names)
    shapes = _input_shapes(parsed, part, first)
    names = parsed.names[:1] if first is not None else input_names(parsed, list(shapes))
    inputs = Layout(tuple(map(Part, names, shapes.values())))
    nodes, made = _entries(inputs, list(shapes))
    for position in part:
        step = parsed.steps[position]
        before = (-1,) if position == first else tuple(made[s] for s in step.sources)
        for layer in step.layers:
            nodes.append(Node(layer, step.index, step.name, step.label, before))
            before = (len(nodes) - 1,)
        made[position] = before[0]
    given = [_shape_at(made[end], nodes, inputs) for end in ends]
    outputs = Layout(tuple(map(Part, output_names(parsed, ends), given)))
    if len(ends) > 1:
        joined = Concatenate([(size_of(shape),) for shape in given])
        taken = tuple(made[end] for end in ends)
        nodes.append(Node(joined, "outputs", "outputs", "Concatenate", taken))
    shape = inputs.parts[0].shape if len(inputs.parts) == 1 else (inputs.size,)
    network = Network.of_graph(Graph(shape, nodes), source)
    return replace(network, inputs=inputs, outputs=outputs)


def _is_chain(
    steps: Sequence[Step], part: Sequence[int], ends: Sequence[int], first: int | None
) -> bool:
    """Whether each step of the part reads the one before it and nothing else."""
    if len(ends) > 1 or list(ends) != list(part[-1:]):
        return False
    one = part[0] == first or len(steps[part[0]].sources) == 1
    return one and all(steps[b].sources == (a,) for a, b in pairwise(part))


def _input_shapes(
    parsed: Parsed, part: Sequence[int], first: int | None
) -> dict[int, Shape]:
    """The shape of each input that is read, by its number -1 - k, in the file's order."""
    if first is not None:
        return {-1: parsed.steps[first].layers[0].input_shape}
    found: dict[int, Shape] = {}
    for position in part:
        step = parsed.steps[position]
        for place, source in enumerate(step.sources):
            if source < 0 and parsed.input_shapes is not None:
                found[source] = parsed.input_shapes[-1 - source]
            elif source < 0:
                found[source] = _shape_read(step.layers[0], place, len(step.sources))
    return {k: found[k] for k in sorted(found, reverse=True)}


def _shape_read(layer: Layer, place: int, count: int) -> Shape:
    """The shape that a layer expects of its source number `place`."""
    if count == 1:
        return layer.input_shape
    assert isinstance(layer, Combination | NumberByNumber | Concatenate)
    return layer.parts.shapes[place]


def _entries(inputs: Layout, sources: Sequence[int]) -> tuple[list[Node], dict[int, int]]:
    """Nodes that take the inputs apart, and where each comes from; none for one input."""
    if len(sources) == 1:
        return [], {sources[0]: -1}
    nodes: list[Node] = []
    made: dict[int, int] = {}
    for source, part in zip(sources, inputs.parts, strict=True):
        place = inputs.offsets[part.name]
        cut = Slice((inputs.size,), [(place.start, place.stop, None)])
        nodes.append(Node(cut, "inputs", part.name, "Input", (-1,)))
        if part.shape != (part.size,):
            shaped = Reshape((part.size,), part.shape)
            nodes.append(Node(shaped, "inputs", part.name, "Input", (len(nodes) - 1,)))
        made[source] = len(nodes) - 1
    return nodes, made


def _shape_at(place: int, nodes: Sequence[Node], inputs: Layout) -> Shape:
    return inputs.parts[0].shape if place < 0 else nodes[place].layer.output_shape


def _nested(steps: Sequence[Step], depth: int) -> list[Node]:
    """Nodes of one level; consecutive steps inside one nested model become a graph."""
    nodes: list[Node] = []
    for place, group in groupby(steps, key=lambda step: step.places[depth]):
        inner = list(group)
        layers = [layer for step in inner for layer in step.layers]
        if len(inner[0].places) > depth + 1:
            layers = [Graph(layers[0].input_shape, _nested(inner, depth + 1))]
        nodes += [Node(layer, place.index, place.name, place.label) for layer in layers]
    return nodes
