"""Graph: layers one after another, nested graphs among them. A graph is a layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from nninvert.context import Context
from nninvert.errors import ShapeError
from nninvert.layers._base import (
    Facts,
    Float64,
    Layer,
    Linearization,
    Preimage,
    Shape,
    Weights,
    size_of,
)
from nninvert.layers._linear import LinearLayer
from nninvert.layers.affine_run import AffineRun
from nninvert.layers.pull_back import PullBack, as_seen
from nninvert.linalg.box import Box


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
    """

    layer: Layer
    index: str
    name: str
    label: str


@dataclass(frozen=True)
class Segment:
    """A piece of a graph between two places that every path passes.

    `layer` is either one non-linear layer or a maximal run of linear ones, fused.
    """

    layer: Layer
    nodes: tuple[Node, ...]

    @property
    def main(self) -> Node:
        """The node that people know the segment by: the widest weights, else the first."""
        return max(
            self.nodes,
            key=lambda node: sum(w.nbytes for w in node.layer.weights().values()),
        )


class Graph(Layer):
    """Layers applied in order.

    Parameters
    ----------
    input_shape : tuple of int
    nodes : sequence of Node
        In topological order; shapes are checked here, once.
    """

    kind = "graph"

    def __init__(self, input_shape: Shape, nodes: Sequence[Node]) -> None:
        shape = input_shape
        for node in nodes:
            if node.layer.input_shape != shape:
                raise ShapeError(
                    "input shape",
                    got=str(shape),
                    expected=str(node.layer.input_shape),
                    layer=(node.index, node.name),
                )
            shape = node.layer.output_shape
        self.input_shape = input_shape
        self.nodes = tuple(nodes)
        self._output_shape = shape

    @property
    def output_shape(self) -> Shape:
        """That of the last node."""
        return self._output_shape

    def forward(self, x: Float64) -> Float64:
        """The plain forward pass."""
        for node in self.nodes:
            x = node.layer.forward(x)
        return x

    def linearize(self, x: Float64) -> Linearization:
        """Linearise every segment at its own input; the value is the plain forward one."""
        steps = []
        for layer in self._inverted:
            step = layer.linearize(x)
            steps.append(step)
            x = step.y
        return ChainLinearization(x, steps)

    @property
    def facts(self) -> Facts:
        """Those of the segments, combined; the image is that of the last one.

        What the first segment makes equal stays equal, and the last one's range holds all
        values. In between, an activation need not meet the inputs that it would lose, so
        that only widths decide: a continuous one-to-one map does not lower the dimension.
        """
        parts = [segment.layer.facts for segment in self.segments]
        if not parts:
            return Facts(True, True, None, 0, "")
        n_in = size_of(self.input_shape)
        left = min(
            size_of(segment.layer.input_shape) - part.lost
            for segment, part in zip(self.segments, parts, strict=True)
        )
        lost = max(n_in - left, 0)
        one_to_one = _all_or_unknown([part.one_to_one for part in parts])
        onto = _all_or_unknown([part.onto for part in parts])
        return Facts(
            one_to_one=False if lost or parts[0].one_to_one is False else one_to_one,
            onto=False if parts[-1].onto is False else onto,
            image=parts[-1].image,
            lost=lost,
            reason=next((part.reason for part in parts if part.reason), ""),
        )

    def leaves(self, prefix: str = "", index: str = "") -> Iterator[Node]:
        """All layers that are not graphs, in order, names and indices qualified."""
        for node in self.nodes:
            name, place = prefix + node.name, index + node.index
            if isinstance(node.layer, Graph):
                yield from node.layer.leaves(name + "/", place + ".")
            else:
                yield replace(node, name=name, index=place)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The pieces that are inverted one by one, from input to output."""
        found: list[Segment] = []
        run: list[Node] = []
        for node in self.leaves():
            if isinstance(node.layer, LinearLayer):
                run.append(node)
                continue
            found += _fused(run)
            run = []
            found.append(Segment(node.layer, (node,)))
        return tuple(found + _fused(run))

    def preimage(
        self, y: Float64, radius: Float64, context: Context, inside: Box | None = None
    ) -> Preimage:
        """Pull y back segment by segment, from the output to the input.

        A row that leaves a segment's image goes on from the nearest point of it; `place`,
        `unit`, `outside` and `overshoot` tell where it left first. Where a segment leaves
        a choice, its x is taken inside the range of the activation before it, near the
        value that is there if the input is the centre of `inside` (else zero).
        """
        found = Preimage.of_inside(y, radius)
        back = self.pulled_back(context, inside)
        for place in range(len(self.segments) - 1, -1, -1):
            step = back.step(place, found.x, found.radius)
            found = _before(found, step, place, back.settled(place))
        return found

    def pulled_back(self, context: Context, inside: Box | None = None) -> PullBack:
        """The steps of `preimage`, to be taken one by one."""
        layers = [segment.layer for segment in self.segments]
        return PullBack(layers, self._inverted, context, inside)

    @cached_property
    def _inverted(self) -> tuple[Layer, ...]:
        return as_seen([segment.layer for segment in self.segments])

    def config(self) -> dict[str, Any]:
        """All nodes with their own descriptions."""
        return {
            "nodes": [
                {
                    "kind": node.layer.kind,
                    "index": node.index,
                    "name": node.name,
                    "label": node.label,
                    "config": node.layer.config(),
                }
                for node in self.nodes
            ]
        }

    def weights(self) -> Weights:
        """The weights of all nodes, each behind the position of its node."""
        return {
            f"{position}/{name}": values
            for position, node in enumerate(self.nodes)
            for name, values in node.layer.weights().items()
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Rebuild the nodes in order; kinds are looked up in `LAYERS`."""
        from nninvert.layers import layer_class

        nodes: list[Node] = []
        shape = input_shape
        for position, item in enumerate(config["nodes"]):
            prefix = f"{position}/"
            own = {k[len(prefix) :]: v for k, v in weights.items() if k.startswith(prefix)}
            place = (item["index"], item["name"])
            made = layer_class(item["kind"], place).from_config(item["config"], own, shape)
            nodes.append(Node(made, item["index"], item["name"], item["label"]))
            shape = made.output_shape
        return cls(input_shape, nodes)


class ChainLinearization(Linearization):
    """Linearisations one after another."""

    def __init__(self, y: Float64, steps: Sequence[Linearization]) -> None:
        self.y, self.steps = y, steps

    def jvp(self, dx: Float64) -> Float64:
        """From input to output."""
        for step in self.steps:
            dx = step.jvp(dx)
        return dx

    def vjp(self, dy: Float64) -> Float64:
        """From output to input."""
        for step in reversed(self.steps):
            dy = step.vjp(dy)
        return dy

    def magnitude(self, dx: Float64) -> Float64:
        """From input to output; never less than |J| |dx|."""
        for step in self.steps:
            dx = step.magnitude(dx)
        return dx

    def solve(self, dy: Float64, context: Context) -> Float64:
        """From output to input."""
        for step in reversed(self.steps):
            dy = step.solve(dy, context)
        return dy

    def solve_roughly(self, dy: Float64, context: Context) -> Float64:
        """From output to input, by factors alone."""
        for step in reversed(self.steps):
            dy = step.solve_roughly(dy, context)
        return dy


def _all_or_unknown(values: list[bool | None]) -> bool | None:
    """True if all are; else None, as one part alone proves nothing about the whole."""
    return True if all(values) else None


def _fused(run: list[Node]) -> list[Segment]:
    """The nodes of a run of linear layers as one segment; none where there is none."""
    if not run:
        return []
    linear = [node.layer for node in run if isinstance(node.layer, LinearLayer)]
    return [Segment(linear[0] if len(linear) == 1 else AffineRun(linear), tuple(run))]


def _before(later: Preimage, step: Preimage, place: int, settled: int) -> Preimage:
    """Join what later segments told with what this one tells.

    `settled` dimensions that the next segment has lost are counted by this one.
    """
    free = later.free_dimensions - settled
    unique = (later.origins == 0.0) & (free == 0)
    left = later.outside > 0
    leaves = (step.outside > 0) & ~left
    return Preimage(
        x=step.x,
        radius=step.radius,
        outside=np.where(left, later.outside, step.outside),
        overshoot=np.where(left, later.overshoot, step.overshoot),
        unit=np.where(left, later.unit, step.unit),
        value=np.where(left, later.value, step.value),
        place=np.where(left, later.place, np.where(leaves, place, 0)),
        proved=later.proved | (leaves & step.proved & unique),
        free=step.free,
        free_dimensions=free + step.free_dimensions,
        origins=later.origins + step.origins,
    )
