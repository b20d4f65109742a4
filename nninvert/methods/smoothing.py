"""A network with its kinks rounded: what least squares can follow where relu stops it.

At a kink both pieces may lead to it, and steps that follow slopes jam there; behind it a
unit is dead and has no slope at all. Rounded, the network is smooth; solved with less and
less rounding, it leads to solutions of the network itself many times as often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nninvert.layers import Elementwise, Graph, Layer, Linearization
from nninvert.layers.activations import Activation
from nninvert.layers.elementwise import DiagonalLinearization
from nninvert.network import FlatLinearization, Network

Float64 = NDArray[np.float64]

LEAST_JUMP = 1e-6
"""Change of slope from which a place counts as a kink."""


@dataclass(frozen=True)
class Kinks:
    """Where the slope of an activation jumps, and by how much.

    Attributes
    ----------
    places, jumps : tuple of float
    """

    places: tuple[float, ...]
    jumps: tuple[float, ...]

    @classmethod
    def of(cls, activation: Activation) -> Kinks:
        """Look at the ends of its branches, and at zero, where leaky ones bend."""
        ends = {0.0}
        for branch in activation.branches:
            ends |= {branch.domain.lower, branch.domain.upper}
        at = np.array(sorted(end for end in ends if np.isfinite(end)))
        step = 1e-9 * np.maximum(np.abs(at), 1.0)
        jump = activation.derivative(at + step) - activation.derivative(at - step)
        rise = activation.forward(at + step) - activation.forward(at - step)
        # Where the value itself jumps, there is nothing to round.
        kink = (np.abs(jump) > LEAST_JUMP) & (np.abs(rise) < LEAST_JUMP)
        return cls(tuple(at[kink].tolist()), tuple(jump[kink].tolist()))

    def rounding(self, z: Float64, width: float) -> tuple[Float64, Float64]:
        """What rounding adds to the values at z, and to the slopes.

        |z - t| becomes ``sqrt((z - t)^2 + width^2)``.
        """
        value, slope = np.zeros_like(z), np.zeros_like(z)
        for place, jump in zip(self.places, self.jumps, strict=True):
            off = z - place
            root = np.hypot(off, width)
            value += 0.5 * jump * (root - np.abs(off))
            slope += 0.5 * jump * (off / root - np.sign(off))
        return value, slope


def has_kinks(network: Network) -> bool:
    """Whether any activation of the network has one, inside of branches too."""
    return any(_kinks(node.layer).places for node in network.graph.leaves())


def _kinks(layer: Layer) -> Kinks:
    if isinstance(layer, Elementwise):
        return Kinks.of(layer.activation)
    return Kinks((), ())


class _Rounded(Elementwise):
    """An activation with its kinks rounded; for values and slopes only."""

    def __init__(self, layer: Elementwise, kinks: Kinks, width: float) -> None:
        super().__init__(layer.input_shape, layer.activation)
        self._kinks, self._width = kinks, width

    def forward(self, x: Float64) -> Float64:
        """The rounded values."""
        return super().forward(x) + self._kinks.rounding(x, self._width)[0]

    def linearize(self, x: Float64) -> Linearization:
        """With the rounded slopes."""
        added, bent = self._kinks.rounding(x, self._width)
        slope = self.activation.derivative(x) + bent
        return DiagonalLinearization(super().forward(x) + added, slope)


def _rounded(layer: Layer, width: float) -> Layer:
    kinks = _kinks(layer)
    if not kinks.places:
        return layer
    assert isinstance(layer, Elementwise)
    return _Rounded(layer, kinks, width)


class RoundedNetwork:
    """A network whose kinks are rounded over a width; a function of rows.

    Parameters
    ----------
    network : Network
    sizes : sequence of float
        Of what enters each layer, branches taken apart; see `entering_sizes`.
    width : float
        Relative to these sizes, positive.
    """

    def __init__(self, network: Network, sizes: Sequence[float], width: float) -> None:
        flat = network.graph.flat
        nodes = [
            replace(node, layer=_rounded(node.layer, width * size), inputs=sources)
            for node, sources, size in zip(flat.nodes, flat.sources, sizes, strict=True)
        ]
        self._graph = Graph(network.graph.input_shape, nodes)

    def forward(self, x: Float64) -> Float64:
        """The rounded f, (k, n_in) to (k, n_out)."""
        shaped = x.reshape(x.shape[0], *self._graph.input_shape)
        return self._graph.forward(shaped).reshape(x.shape[0], -1)

    def linearize(self, x: Float64) -> FlatLinearization:
        """Value and Jacobian products of the rounded f."""
        graph = self._graph
        near = graph.linearize(x.reshape(x.shape[0], *graph.input_shape))
        return FlatLinearization(near, graph.input_shape, graph.output_shape)


def entering_sizes(network: Network, x: Float64) -> tuple[float, ...]:
    """Root mean square of what enters each layer at points x, 1 where that says nothing.

    For all layers of the graph, in order, those of branches among them.
    """
    flat = network.graph.flat
    values = {-1: x.reshape(x.shape[0], *network.graph.input_shape)}
    sizes = []
    for place, node in enumerate(flat.nodes):
        value = flat.packed(values, place)
        with np.errstate(over="ignore", invalid="ignore"):
            size = float(np.sqrt(np.mean(np.square(value))))
            values[place] = node.layer.forward(value)
        sizes.append(size if np.isfinite(size) and size > 0.0 else 1.0)
    return tuple(sizes)
