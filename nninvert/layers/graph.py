"""Graph: layers that feed each other, nested graphs among them. A graph is a layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from nninvert.context import Context
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
from nninvert.layers.block import block
from nninvert.layers.pull_back import PullBack, as_seen
from nninvert.layers.wiring import Node, WiredLayer, Wiring
from nninvert.linalg.box import Box


@dataclass(frozen=True)
class Segment:
    """A piece of a graph between two places that every path passes.

    `layer` is one non-linear layer, a block of branches, or a maximal run of linear layers
    and blocks of such, fused. `nodes` are nodes of the graph's `trunk`.
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


class Graph(WiredLayer):
    """Layers that feed each other, one input, one output.

    Parameters
    ----------
    input_shape : tuple of int
    nodes : sequence of Node
        In topological order; the last one gives the output. Shapes are checked here, once.
    """

    def __init__(self, input_shape: Shape, nodes: Sequence[Node]) -> None:
        self.input_shape = input_shape
        self.wiring = Wiring(input_shape, nodes)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """As given; see `leaves` and `trunk` for other views."""
        return self.wiring.nodes

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

    def leaves(self) -> Iterator[Node]:
        """All layers that are not graphs, in order, names and indices qualified.

        Their `inputs` count the leaves.
        """
        return iter(self.flat.nodes)

    @cached_property
    def flat(self) -> Wiring:
        """The leaves and how they feed each other."""
        return self.wiring.flattened()

    @cached_property
    def trunk(self) -> tuple[Node, ...]:
        """The graph as a chain: leaves, and blocks where ways part and meet again."""
        flat = self.flat
        found: list[Node] = []
        start = -1
        for cut in flat.cuts():
            alone = flat.sources[cut] == (start,)
            found.append(
                replace(flat.nodes[cut], inputs=None) if alone else block(flat, start, cut)
            )
            start = cut
        return tuple(found)

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The pieces that are inverted one by one, from input to output."""
        found: list[Segment] = []
        run: list[Node] = []
        for node in self.trunk:
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

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Rebuild the nodes in order; kinds are looked up in `LAYERS`."""
        from nninvert.layers import layer_class

        nodes: list[Node] = []
        shapes = {-1: input_shape}
        for position, item in enumerate(config["nodes"]):
            prefix = f"{position}/"
            own = {k[len(prefix) :]: v for k, v in weights.items() if k.startswith(prefix)}
            place = (item["index"], item["name"])
            inputs = item.get("inputs")
            sources = (position - 1,) if inputs is None else tuple(inputs)
            read = [shapes[source] for source in sources]
            shape = read[0] if len(read) == 1 else (sum(map(size_of, read)),)
            made = layer_class(item["kind"], place).from_config(item["config"], own, shape)
            shapes[position] = made.output_shape
            given = None if inputs is None else sources
            nodes.append(Node(made, item["index"], item["name"], item["label"], given))
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
