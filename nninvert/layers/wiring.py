"""How the layers of a graph feed each other, and passes along these ways.

A node reads one value, or several, which are packed: flattened and put one behind the
other. So every layer has one array as its input and one as its output, whatever the graph
looks like, and only the passes here know of more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from nninvert.context import Context
from nninvert.errors import ShapeError
from nninvert.layers._base import (
    Float64,
    Layer,
    Linearization,
    Shape,
    Weights,
    size_of,
)
from nninvert.layers._searched import least_squares_step
from nninvert.layers.reshape import Identity

Sources = tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """A layer at its place in a graph.

    Attributes
    ----------
    layer : Layer
    index : str
        0-based place in the file; "2.0" for the first layer of a nested model at 2. A
        file's layer with a fused activation makes two nodes with one index and name.
    name : str
        As the file calls it.
    label : str
        The class that the file names, for people: "Dense", "Dropout".
    inputs : tuple of int or None, default None
        Positions of the nodes that feed it, -1 for the input of the graph; None: the node
        before, or the graph's input for the first.
    """

    layer: Layer
    index: str
    name: str
    label: str
    inputs: Sources | None = None


class Wiring:
    """Nodes in topological order, of which the last one gives the output.

    Parameters
    ----------
    input_shape : tuple of int
    nodes : sequence of Node

    Raises
    ------
    ShapeError
        If a layer's input shape is not what feeds it, a node reads one that does not come
        before it, or nothing reads a node.
    """

    def __init__(self, input_shape: Shape, nodes: Sequence[Node]) -> None:
        self.input_shape, self.nodes = input_shape, tuple(nodes)
        self.sources = tuple(
            (k - 1,) if node.inputs is None else tuple(node.inputs)
            for k, node in enumerate(self.nodes)
        )
        for place in range(len(self.nodes)):
            self._check(place)
        read = {source for sources in self.sources for source in sources}
        for place, node in enumerate(self.nodes[:-1]):
            if place not in read:
                raise ShapeError(
                    "inputs",
                    got="a layer that nothing reads",
                    expected="layers that lead to the last one",
                    layer=(node.index, node.name),
                )

    def _check(self, place: int) -> None:
        node, sources = self.nodes[place], self.sources[place]
        if not sources or not all(-1 <= source < place for source in sources):
            raise ShapeError(
                "inputs",
                got=str(list(sources)),
                expected=f"numbers from -1 to {place - 1}",
                layer=(node.index, node.name),
            )
        shape = self.shape(sources[0])
        if len(sources) > 1:
            shape = (sum(size_of(self.shape(source)) for source in sources),)
        if node.layer.input_shape != shape:
            raise ShapeError(
                "input shape",
                got=str(shape),
                expected=str(node.layer.input_shape),
                layer=(node.index, node.name),
            )

    def shape(self, source: int) -> Shape:
        """What a node gives; -1: the input."""
        return self.input_shape if source < 0 else self.nodes[source].layer.output_shape

    @property
    def output_shape(self) -> Shape:
        """That of the last node; the input's where there is none."""
        return self.shape(len(self.nodes) - 1)

    @cached_property
    def is_chain(self) -> bool:
        """Whether each node reads the one before and nothing else."""
        return all(sources == (k - 1,) for k, sources in enumerate(self.sources))

    @cached_property
    def _last_reader(self) -> dict[int, int]:
        return {s: place for place, sources in enumerate(self.sources) for s in sources}

    def packed(self, values: dict[int, Float64], place: int) -> Float64:
        """What a node reads, any number of leading axes before those of its shape."""
        sources = self.sources[place]
        if len(sources) == 1:
            return values[sources[0]]
        parts = []
        for source in sources:
            value, rank = values[source], len(self.shape(source))
            parts.append(value.reshape(*value.shape[: value.ndim - rank], -1))
        return np.concatenate(parts, axis=-1)

    def unpacked(self, value: Float64, place: int) -> Iterator[tuple[int, Float64]]:
        """Undo `packed`: each source with its part."""
        sources = self.sources[place]
        if len(sources) == 1:
            yield sources[0], value
            return
        start = 0
        for source in sources:
            shape = self.shape(source)
            part = value[..., start : start + size_of(shape)]
            yield source, part.reshape(*value.shape[:-1], *shape)
            start += size_of(shape)

    def forward(self, x: Float64) -> Float64:
        """The plain forward pass; values are kept until their last reader has them."""
        values = {-1: x}
        for place, node in enumerate(self.nodes):
            values[place] = node.layer.forward(self.packed(values, place))
            self.forget(values, place)
        return values[len(self.nodes) - 1]

    def linearize(self, x: Float64) -> tuple[Float64, list[Linearization]]:
        """The value, and every layer at its own input."""
        values, steps = {-1: x}, []
        for place, node in enumerate(self.nodes):
            steps.append(node.layer.linearize(self.packed(values, place)))
            values[place] = steps[-1].y
            self.forget(values, place)
        return values[len(self.nodes) - 1], steps

    def forget(self, values: dict[int, Float64], place: int) -> None:
        """Drop what no node behind `place` reads."""
        for source in set(self.sources[place]):
            if self._last_reader[source] == place:
                del values[source]

    def flattened(self) -> Wiring:
        """The same without graphs among its layers; names and indices qualified."""
        if not any(isinstance(node.layer, WiredLayer) for node in self.nodes):
            return self
        found: list[Node] = []
        ends = {-1: (-1,)}
        for place, node in enumerate(self.nodes):
            before = tuple(p for s in self.sources[place] for p in ends[s])
            _write_out(node, before, found)
            ends[place] = (len(found) - 1,)
        return Wiring(self.input_shape, found)

    def cuts(self) -> list[int]:
        """The nodes that every way from the input to the output passes.

        No value may go past such a node: then all that comes later comes through it.
        """
        furthest, found = -1, []
        for place in range(len(self.nodes)):
            furthest = max(furthest, self._last_reader[place - 1])
            if furthest <= place:
                found.append(place)
        return found

    def config(self) -> dict[str, Any]:
        """All nodes with their own descriptions; inputs where they are not plain."""
        items = []
        for place, node in enumerate(self.nodes):
            item: dict[str, Any] = {
                "kind": node.layer.kind,
                "index": node.index,
                "name": node.name,
                "label": node.label,
                "config": node.layer.config(),
            }
            if self.sources[place] != (place - 1,):
                item["inputs"] = list(self.sources[place])
            items.append(item)
        return {"nodes": items}

    def weights(self) -> Weights:
        """The weights of all nodes, each behind the position of its node."""
        return {
            f"{position}/{name}": values
            for position, node in enumerate(self.nodes)
            for name, values in node.layer.weights().items()
        }


class WiredLayer(Layer):
    """A layer made of layers.

    Attributes
    ----------
    wiring : Wiring
    recognised : bool
        Whether it was found in a graph: then no file names it, and its nodes have the
        names that they have there.
    """

    kind = "graph"
    recognised: ClassVar[bool] = False
    wiring: Wiring

    @property
    def output_shape(self) -> Shape:
        """That of the last node."""
        return self.wiring.output_shape

    def forward(self, x: Float64) -> Float64:
        """The plain forward pass."""
        return self.wiring.forward(x)

    def config(self) -> dict[str, Any]:
        """All nodes with their own descriptions."""
        return self.wiring.config()

    def weights(self) -> Weights:
        """The weights of all nodes, each behind the position of its node."""
        return self.wiring.weights()


class WiredLinearization(Linearization):
    """Of layers that feed each other.

    Parameters
    ----------
    layer : WiredLayer
    x : float64 array, shape (batch, *input_shape)
    """

    def __init__(self, layer: WiredLayer, x: Float64) -> None:
        self._layer, self._wiring = layer, layer.wiring
        self.y, self._steps = layer.wiring.linearize(x)

    def jvp(self, dx: Float64) -> Float64:
        """From input to output."""
        values = {-1: dx}
        for place, step in enumerate(self._steps):
            values[place] = step.jvp(self._wiring.packed(values, place))
        return values[len(self._steps) - 1]

    def vjp(self, dy: Float64) -> Float64:
        """From output to input; what several nodes read gets the sum."""
        values = {len(self._steps) - 1: dy}
        for place in range(len(self._steps) - 1, -1, -1):
            back = self._steps[place].vjp(values.pop(place))
            for source, part in self._wiring.unpacked(back, place):
                known = values.get(source)
                values[source] = part if known is None else known + part
        return values[-1]

    def magnitude(self, dx: Float64) -> Float64:
        """From input to output: the sizes of all ways added, never less than |J| |dx|."""
        values = {-1: dx}
        for place, step in enumerate(self._steps):
            values[place] = step.magnitude(self._wiring.packed(values, place))
        return values[len(self._steps) - 1]

    def solve(self, dy: Float64, context: Context) -> Float64:
        """J^+ dy."""
        return least_squares_step(self._layer, self, dy)


def _write_out(node: Node, before: Sources, found: list[Node]) -> None:
    """Append a node, or the nodes of the graph that it is, fed by `before`."""
    layer = node.layer
    if isinstance(layer, WiredLayer) and not layer.wiring.nodes:
        layer = Identity(layer.input_shape)
    if not isinstance(layer, WiredLayer):
        plain = before == (len(found) - 1,)
        found.append(replace(node, layer=layer, inputs=None if plain else before))
        return
    inner = layer.wiring.flattened()
    base = len(found)
    for place, leaf in enumerate(inner.nodes):
        sources: list[int] = []
        for source in inner.sources[place]:
            sources += before if source < 0 else (base + source,)
        if not layer.recognised:
            name, index = f"{node.name}/{leaf.name}", f"{node.index}.{leaf.index}"
            leaf = replace(leaf, name=name, index=index)
        _write_out(leaf, tuple(sources), found)
