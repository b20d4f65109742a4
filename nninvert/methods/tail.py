"""The rest of a network behind its first activation, with that activation's values free.

Where the first layer reaches everything (at least as many inputs as units, full rank) and
inputs are open, what its activation may give is a box. The rest of the network, one layer
shallower, is then searched for a point of the box; inputs that give it follow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nninvert.context import Context
from nninvert.layers import Elementwise, Graph, LinearLayer
from nninvert.layers.activations import Activation
from nninvert.linalg.factor import factorise
from nninvert.methods.domain import Domain
from nninvert.methods.problem import Problem
from nninvert.network import Network
from nninvert.tolerances import svd_is_cheap

Float64 = NDArray[np.float64]

OPEN_END = 1e-10
"""How far from an end that is not attained values are kept: tanh there is at 11.9."""


@dataclass(frozen=True)
class Tail:
    """The question about the rest of a network, and the way from and to the inputs.

    Attributes
    ----------
    problem : Problem
        Its inputs are what the first activation gives; its domain is their box.
    head : Network
        The first layer and its activation.
    context : Context
    """

    problem: Problem
    head: Network
    context: Context

    @classmethod
    def of(cls, problem: Problem) -> Tail | None:
        """Split a problem; None where its network or its domain does not allow it."""
        segments = problem.network.segments
        if len(segments) < 3 or not problem.domain.is_open:
            return None
        first, bend = segments[0].layer, segments[1].layer
        if not isinstance(first, LinearLayer) or not isinstance(bend, Elementwise):
            return None
        linear_map = first.linear_part[0]
        m, n = linear_map.shape
        if m > n or not svd_is_cheap((m, n)):
            return None
        if not factorise(linear_map, problem.context).onto:
            return None
        head_nodes = [*segments[0].nodes, *segments[1].nodes]
        rest = [node for segment in segments[2:] for node in segment.nodes]
        head = Network.of_graph(Graph(problem.network.graph.input_shape, head_nodes))
        tail = Network.of_graph(Graph(bend.output_shape, rest))
        box = _box(bend.activation, m)
        near = box.clip(head.forward(problem.begin))
        asked = replace(problem, network=tail, domain=box, near=near)
        return cls(asked, head, problem.context)

    def values(self, x: Float64) -> Float64:
        """From inputs (k, n) to values of the first activation (k, m), inside the box."""
        return self.problem.domain.clip(self.head.forward(x))

    def inputs(self, values: Float64) -> Float64:
        """Inputs (k, n) that give values (k, m) of the box."""
        graph = self.head.graph
        shaped = values.reshape(values.shape[0], *graph.output_shape)
        found = graph.preimage(shaped, np.zeros_like(shaped), self.context).x
        return np.asarray(found.reshape(values.shape[0], -1))


def _box(activation: Activation, units: int) -> Domain:
    """The hull of an activation's image, without ends that are not attained."""
    first, last = activation.image[0], activation.image[-1]
    lower, upper = first.lower, last.upper
    room = OPEN_END * min(upper - lower, 1.0)
    lower += room if first.lower_open and np.isfinite(lower) else 0.0
    upper -= room if last.upper_open and np.isfinite(upper) else 0.0
    return Domain.box(np.full(units, lower), np.full(units, upper))
