"""A network as straight pieces between affine maps, and the obstacle where it is none."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nninvert.layers import Elementwise, Layer, LinearLayer, Segment
from nninvert.layers.activations import Activation, Trend
from nninvert.layers.activations.leaky_relu import LeakyReLU
from nninvert.layers.prelu import PReLU
from nninvert.methods.milp.pieces import Pieces, pieces_of
from nninvert.network import Network

Float64 = NDArray[np.float64]

MOST_UNITS = 4000
"""Most units of the widest layer: their weights are held and handed over in full."""


@dataclass(frozen=True)
class Affine:
    """``z = matrix @ h + bias``."""

    matrix: Float64
    bias: Float64


@dataclass(frozen=True)
class Hidden:
    """An affine map and the pieces that follow it."""

    affine: Affine
    pieces: Pieces


@dataclass(frozen=True)
class Chain:
    """Hidden layers, an affine map, and a rising activation at the end.

    Attributes
    ----------
    hidden : tuple of Hidden
    last : Affine
    end : Layer or None
        The last activation, if it never falls: bounds of it are bounds of what enters it.
    """

    hidden: tuple[Hidden, ...]
    last: Affine
    end: Layer | None

    def pre_activations(self, x: Float64) -> list[Float64]:
        """What enters the activations of every hidden layer, for rows x."""
        found = []
        for layer in self.hidden:
            z = x @ layer.affine.matrix.T + layer.affine.bias
            found.append(z)
            x = layer.pieces.at(z)
        return found

    def targets(self, low: Float64, high: Float64) -> tuple[Float64, Float64]:
        """Bounds of the last affine map's values for bounds of the outputs.

        Returns
        -------
        low, high : float64 arrays, shape (n_out,)
            low = inf or high = -inf where no value gives such an output.
        """
        if self.end is None:
            return low, high
        if isinstance(self.end, PReLU):
            slopes = -self.end.forward(np.full((1, *self.end.input_shape), -1.0))
            activations: list[Activation] = [LeakyReLU(s) for s in slopes.reshape(-1)]
        else:
            assert isinstance(self.end, Elementwise)
            activations = [self.end.activation] * low.size
        ends = [
            (first_at_least(unit, bottom), last_at_most(unit, top))
            for unit, bottom, top in zip(activations, low, high, strict=True)
        ]
        return np.array([e[0] for e in ends]), np.array([e[1] for e in ends])


def obstacle(network: Network) -> str:
    """Why a network is no `Chain`; "" where it is one."""
    segments = network.segments
    for place, segment in enumerate(segments):
        layer, name = segment.layer, _name(segment)
        width = max(int(np.prod(layer.input_shape)), int(np.prod(layer.output_shape)))
        if width > MOST_UNITS:
            return f"{name} is {width:,} wide, more than the {MOST_UNITS:,} of milp"
        if isinstance(layer, LinearLayer) or pieces_of(layer) is not None:
            continue
        if place == len(segments) - 1 and _rises(layer):
            continue
        return f"{name} does not consist of straight pieces that join"
    return ""


def bends(network: Network) -> int:
    """How many units of the hidden layers have several pieces, at most."""
    segments = network.segments
    if _rises(segments[-1].layer):
        segments = segments[:-1]
    return sum(
        int(np.prod(segment.layer.output_shape))
        for segment in segments
        if not isinstance(segment.layer, LinearLayer)
    )


def chain_of(network: Network) -> Chain:
    """Take a network apart; `obstacle` has said that it can be."""
    segments = list(network.segments)
    end = None
    if _rises(segments[-1].layer):
        end = segments.pop().layer
    hidden, waiting = [], _identity(network.n_in)
    for segment in segments:
        layer = segment.layer
        if isinstance(layer, LinearLayer):
            linear_map, bias = layer.linear_part
            matrix = linear_map.dense()
            offset = np.zeros(matrix.shape[0]) if bias is None else bias.reshape(-1)
            waiting = Affine(matrix, np.asarray(offset, dtype=np.float64))
            continue
        pieces = pieces_of(layer)
        assert pieces is not None
        hidden.append(Hidden(waiting, pieces))
        waiting = _identity(pieces.slopes.shape[1])
    return Chain(tuple(hidden), waiting, end)


def _identity(width: int) -> Affine:
    return Affine(np.eye(width), np.zeros(width))


def _name(segment: Segment) -> str:
    return f"layer {segment.main.index} '{segment.main.name}'"


def _rises(layer: Layer) -> bool:
    """Whether a layer is an activation that is continuous and never falls."""
    if isinstance(layer, PReLU):
        return bool((layer.forward(np.full((1, *layer.input_shape), -1.0)) <= 0.0).all())
    if not isinstance(layer, Elementwise):
        return False
    branches = layer.activation.branches
    joined = all(
        left.image.upper == right.image.lower for left, right in pairwise(branches)
    )
    return joined and all(branch.trend is not Trend.DECREASING for branch in branches)


def first_at_least(activation: Activation, value: float) -> float:
    """The least z with f(z) >= value, for f that never falls; inf where there is none."""
    for index, branch in enumerate(activation.branches):
        image = branch.image
        if image.upper < value or (image.upper == value and image.upper_open):
            continue
        if branch.trend is Trend.CONSTANT or value <= image.lower:
            return branch.domain.lower
        return _origin(activation, value, index)
    return np.inf


def last_at_most(activation: Activation, value: float) -> float:
    """The greatest z with f(z) <= value, for f that never falls; -inf if none."""
    for index, branch in reversed(list(enumerate(activation.branches))):
        image = branch.image
        if image.lower > value or (image.lower == value and image.lower_open):
            continue
        if branch.trend is Trend.CONSTANT or value >= image.upper:
            return branch.domain.upper
        return _origin(activation, value, index)
    return -np.inf


def _origin(activation: Activation, value: float, branch: int) -> float:
    return float(activation.branch_inverse(np.array([value]), branch)[0])
