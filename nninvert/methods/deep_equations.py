"""The same equations before the last hidden activation, where the layers behind allow it.

If what follows a hidden layer is one-to-one, its values are known. Units whose value has
one origin then give linear equations in what enters them; only those that are flat there,
or have several origins, remain bent: a dead relu just has to stay dead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.context import Context
from nninvert.layers import Elementwise, Graph, Layer, LinearLayer
from nninvert.layers.activations import Activation
from nninvert.linalg.factor import factorise
from nninvert.methods.inner_search import inner_equations
from nninvert.methods.problem import Problem
from nninvert.network import Network
from nninvert.rootfind.levenberg_marquardt import RowLinearization
from nninvert.tolerances import svd_is_cheap

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class DeepEquations:
    """What enters the last hidden activation, and what it gives, side by side.

    Attributes
    ----------
    function : BothSides
        From x (k, n) to (k, 2 h).
    target : float64 array, shape (rows, 2 h)
    counts : bool array, shape (rows, 2 h)
        Of each unit either what enters it or what it gives.
    usable : bool array, shape (rows,)
    """

    function: BothSides
    target: Float64
    counts: Mask
    usable: Mask


def deep_equations(problem: Problem) -> DeepEquations | None:
    """Pull targets back through the last layer; None where it is not one-to-one."""
    segments = list(problem.network.segments)
    targets = problem.targets
    z, radius = targets.values, targets.precision.half_step
    usable = targets.wanted.all(axis=1)
    if not isinstance(segments[-1].layer, LinearLayer):
        inner = inner_equations(problem)
        if inner is None or inner.seen is not None:
            return None
        z, radius, usable = inner.target, inner.radius, inner.usable
        segments.pop()
    if len(segments) < 3 or not isinstance(segments[-2].layer, Elementwise):
        return None
    last, bend = segments[-1].layer, segments[-2].layer
    if not _one_to_one(last, problem.context):
        return None
    shape = (problem.rows, *last.output_shape)
    wanted = last.preimage(z.reshape(shape), radius.reshape(shape), problem.context)
    h = bend.activation.project(_flat(wanted.x))
    one = _single(bend.activation, h, _flat(wanted.radius))
    origin = bend.activation.preimage(h)
    usable = usable & (wanted.outside == 0) & np.isfinite(origin.z).all(axis=1)
    nodes = [node for segment in segments[:-2] for node in segment.nodes]
    before = Network.of_graph(Graph(problem.network.graph.input_shape, nodes))
    return DeepEquations(
        function=BothSides(before, bend.activation),
        target=np.concatenate([origin.z, h], axis=1),
        counts=np.concatenate([one, ~one], axis=1),
        usable=usable,
    )


def _one_to_one(layer: Layer, context: Context) -> bool:
    """Whether a last layer loses nothing, as far as that is cheap to tell."""
    if not isinstance(layer, LinearLayer):
        return False
    linear_map = layer.linear_part[0]
    m, n = linear_map.shape
    return m >= n and svd_is_cheap((m, n)) and not factorise(linear_map, context).nullity


def _single(activation: Activation, h: Float64, radius: Float64) -> Mask:
    """Which units have one origin, whatever their value is within its radius."""
    found = np.ones(h.shape, dtype=np.bool_)
    for shift in (-radius, 0.0, radius):
        origin = activation.preimage(activation.project(h + shift))
        found &= ~origin.flat & (origin.origins == 1)
    return found


def _flat(array: Float64) -> Float64:
    return array.reshape(array.shape[0], -1)


class BothSides:
    """What a network gives, and an activation of it: a function of rows."""

    def __init__(self, network: Network, activation: Activation) -> None:
        self._network, self._activation = network, activation

    def forward(self, x: Float64) -> Float64:
        """Both side by side, (k, n) to (k, 2 h)."""
        z = self._network.forward(x)
        return np.concatenate([z, self._activation.forward(z)], axis=1)

    def linearize(self, x: Float64) -> BothLinearized:
        """Value and Jacobian products."""
        near = self._network.linearize(x)
        y = np.concatenate([near.y, self._activation.forward(near.y)], axis=1)
        return BothLinearized(near, y, self._activation.derivative(near.y))


class BothLinearized:
    """The linearisation of `BothSides`."""

    def __init__(self, near: RowLinearization, y: Float64, slope: Float64) -> None:
        self._near, self.y, self._slope = near, y, slope

    def jvp(self, dx: Float64) -> Float64:
        """J dx."""
        dz = self._near.jvp(dx)
        return np.concatenate([dz, self._slope * dz], axis=-1)

    def vjp(self, dy: Float64) -> Float64:
        """J^T dy."""
        first, second = np.split(dy, 2, axis=-1)
        return self._near.vjp(first + self._slope * second)

    def dense(self) -> Float64:
        """J, shape (k, 2 h, n)."""
        found = self._near.dense()
        return np.concatenate([found, self._slope[:, :, None] * found], axis=1)
