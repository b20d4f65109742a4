"""Networks with kinks, seen as the smooth pieces that they are made of.

A relu, a hard tanh, an elu whose slope jumps at 0: each unit has knots at which its slope
jumps, and between them it is smooth. A *pattern* says for every such unit between which
knots it is. With the pattern held, and every piece continued straight beyond its knots,
the network is smooth everywhere, and equal to the real one wherever the units are where
the pattern says: on the *cell* of the pattern. Kinks inside of branches are not seen as
such: a block is taken for smooth, and steps have to find their way by its slopes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nninvert.layers import Elementwise, Layer, LinearLayer, PReLU
from nninvert.layers.activations import Activation
from nninvert.network import Network

Float64 = NDArray[np.float64]
Pattern = NDArray[np.intp]

JUMP = 1e-6
"""Slopes on the two sides of a point that differ by more make a knot."""


def knots(layer: Layer) -> tuple[float, ...]:
    """Where the slope of a layer's units jumps, ascending; () for smooth layers.

    A place where the value itself jumps is none: there is nothing to walk across.
    """
    if isinstance(layer, PReLU):
        return (0.0,)
    if not isinstance(layer, Elementwise):
        return ()
    activation = layer.activation
    ends = {0.0}
    for branch in activation.branches:
        ends |= {branch.domain.lower, branch.domain.upper}
    return tuple(z for z in sorted(ends) if np.isfinite(z) and _has_knot(activation, z))


def _has_knot(activation: Activation, z: float) -> bool:
    sides = np.array([np.nextafter(z, -np.inf), z, np.nextafter(z, np.inf)])
    values, slopes = activation.forward(sides), activation.derivative(sides)
    smooth = float(np.ptp(values)) <= JUMP * max(1.0, float(np.abs(values).max()))
    return smooth and abs(float(slopes[2] - slopes[0])) > JUMP


def is_straight(layer: Layer) -> bool:
    """Whether a layer's units are straight between their knots, as far as samples show."""
    if isinstance(layer, PReLU):
        return True
    if not isinstance(layer, Elementwise):
        return False
    places = knots(layer)
    if not places:
        return layer.activation.name == "linear"
    ends = np.array([places[0] - 8.0, *places, places[-1] + 8.0])
    parts = np.linspace(0.1, 0.9, 7)[:, None]
    samples = ends[:-1] + parts * np.diff(ends)
    slopes = layer.activation.derivative(samples)
    return bool((np.ptp(slopes, axis=0) == 0.0).all())


class Pieces:
    """The smooth pieces of a network.

    Parameters
    ----------
    network : Network

    Attributes
    ----------
    units : int
        How many units have knots; 0 for smooth networks.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.layers = [segment.layer for segment in network.segments]
        self._spans: dict[int, slice] = {}
        self._edges: dict[int, Float64] = {}
        self.units = 0
        for place, layer in enumerate(self.layers):
            found = knots(layer)
            if found:
                size = math.prod(layer.input_shape)
                self._spans[place] = slice(self.units, self.units + size)
                self._edges[place] = np.array([-np.inf, *found, np.inf])
                self.units += size

    @property
    def straight(self) -> bool:
        """Whether f is affine on every cell."""
        return all(
            isinstance(layer, LinearLayer) or is_straight(layer) for layer in self.layers
        )

    def entering(self, x: Float64) -> Float64:
        """What enters the units with knots at x (n_in,): shape (units,)."""
        found = np.zeros(self.units)
        value = x.reshape(1, *self.network.graph.input_shape)
        for place, layer in enumerate(self.layers):
            if place in self._spans:
                found[self._spans[place]] = value.reshape(-1)
            value = layer.forward(value)
        return found

    def sizes(self, entering: Float64) -> Float64:
        """Of what enters the units: the largest of each layer, shape (units,)."""
        found = np.zeros(self.units)
        for units in self._spans.values():
            found[units] = np.abs(entering[units]).max()
        return np.where(found > 0.0, found, 1.0)

    def pattern(self, entering: Float64) -> Pattern:
        """Between which knots each unit is; on a knot, the side to the right."""
        found = np.zeros(self.units, dtype=np.intp)
        for place, units in self._spans.items():
            inner = self._edges[place][1:-1]
            found[units] = np.searchsorted(inner, entering[units], side="right")
        return found

    def edges(self, pattern: Pattern) -> tuple[Float64, Float64]:
        """The knots to the left and to the right of each unit, shape (units,) each."""
        low, high = np.zeros(self.units), np.zeros(self.units)
        for place, units in self._spans.items():
            low[units] = self._edges[place][pattern[units]]
            high[units] = self._edges[place][pattern[units] + 1]
        return low, high

    def linearize(self, x: Float64, pattern: Pattern) -> PieceLinearization:
        """The piece of a pattern near each row of x, shape (rows, n_in)."""
        low, high = self.edges(pattern)
        rows, n_out = x.shape[0], self.network.n_out
        value = shaped = x.reshape(rows, *self.network.graph.input_shape)
        y = np.zeros((rows, n_out + self.units))
        steps: list[_Step] = []
        taps: dict[int, slice] = {}
        for place, layer in enumerate(self.layers):
            units = self._spans.get(place)
            if units is None:
                steps.append(layer.linearize(value))
            else:
                taps[place] = slice(n_out + units.start, n_out + units.stop)
                y[:, taps[place]] = value.reshape(rows, -1)
                ends = (edge[units].reshape(layer.input_shape) for edge in (low, high))
                steps.append(_Continued(layer, value, *ends))
            value = steps[-1].y
        y[:, :n_out] = value.reshape(rows, -1)
        return PieceLinearization(shaped, y, steps, taps)


class _Step(Protocol):
    """A layer near a point."""

    y: Float64

    def jvp(self, dx: Float64) -> Float64: ...

    def vjp(self, dy: Float64) -> Float64: ...


class _Continued:
    """A layer held between two knots per unit, and continued straight beyond them."""

    def __init__(self, layer: Layer, z: Float64, low: Float64, high: Float64) -> None:
        # At the right knot itself the slope of the layer is that of the next piece.
        inner = np.clip(z, low, np.nextafter(high, -np.inf))
        near = layer.linearize(inner)
        self._slope = near.jvp(np.ones_like(z))
        self.y = near.y + self._slope * (z - inner)

    def jvp(self, dx: Float64) -> Float64:
        """Scale."""
        return dx * self._slope

    def vjp(self, dy: Float64) -> Float64:
        """Scale."""
        return dy * self._slope


class PieceLinearization:
    """Outputs and what enters the units with knots, and the products with Jacobians.

    Attributes
    ----------
    y : float64 array, shape (rows, n_out + units)
        f as the piece continues it, then what enters the units.
    """

    def __init__(
        self, x: Float64, y: Float64, steps: Sequence[_Step], taps: dict[int, slice]
    ) -> None:
        self.y, self._in, self._steps, self._taps = y, x.shape[1:], steps, taps

    def jvp(self, dx: Float64) -> Float64:
        """J dx, (k, rows, n_in) to (k, rows, n_out + units)."""
        lead = dx.shape[:-1]
        found = np.zeros((*lead, self.y.shape[1]))
        value = dx.reshape(*lead, *self._in)
        for place, step in enumerate(self._steps):
            if place in self._taps:
                found[..., self._taps[place]] = value.reshape(*lead, -1)
            value = step.jvp(value)
        outputs = value.reshape(*lead, -1)
        found[..., : outputs.shape[-1]] = outputs
        return found

    def vjp(self, dy: Float64) -> Float64:
        """J^T dy, (k, rows, n_out + units) to (k, rows, n_in)."""
        lead = dy.shape[:-1]
        shape = self._steps[-1].y.shape[1:]
        found = dy[..., : math.prod(shape)].reshape(*lead, *shape)
        for place in range(len(self._steps) - 1, -1, -1):
            found = self._steps[place].vjp(found)
            if place in self._taps:
                found = found + dy[..., self._taps[place]].reshape(found.shape)
        return found.reshape(*lead, -1)

    def dense(self) -> Float64:
        """J at the first row, shape (n_out + units, n_in), from the fewer products."""
        m, n = self.y.shape[1], math.prod(self._in)
        if m <= n:
            return self.vjp(np.eye(m)[:, None, :])[:, 0]
        return self.jvp(np.eye(n)[:, None, :])[:, 0].T
