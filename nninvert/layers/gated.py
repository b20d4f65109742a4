"""Gated units: one half of the inputs times an activation of the other half."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np

from nninvert import tolerances
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
from nninvert.layers._outside import Outside
from nninvert.layers.activations import Activation, activation_from_config
from nninvert.layers.scaling import positive_axes
from nninvert.linalg.box import Box

_STEPS = np.concatenate(
    [-(2.0 ** np.arange(4.0, -4.0, -0.5)), [0.0], 2.0 ** np.arange(-4.0, 4.5, 0.5)]
)
"""How far from the centre gates are tried: at 16, every common activation has saturated
or passes its input on."""

Pair = tuple[Float64, Float64]


class Gated(Layer):
    """``y = a * activation(b)``, a and b the halves of the input along one axis.

    With the sigmoid it is GLU, with gelu GEGLU, with silu SwiGLU, with relu ReGLU, with
    the identity the bilinear unit (Shazeer, arXiv:2002.05202, 2020).

    Parameters
    ----------
    input_shape : tuple of int
        Even along the axis.
    activation : Activation
    axis : int, default -1
        Not counting the batch.
    gate : int, default 1
        Which half goes through the activation: 1 the second, 0 the first.

    Raises
    ------
    ShapeError
        If the input cannot be halved.
    """

    kind = "gated"

    def __init__(
        self,
        input_shape: Shape,
        activation: Activation,
        axis: int = -1,
        gate: int = 1,
    ) -> None:
        self.input_shape, self.activation = input_shape, activation
        self.axis = positive_axes((axis,), input_shape)[0]
        if input_shape[self.axis] % 2:
            raise ShapeError(
                "input shape", got=str(input_shape), expected=f"an even axis {self.axis}"
            )
        if gate not in (0, 1):
            raise ShapeError("gate", got=str(gate), expected="0 or 1, one of two halves")
        self.gate = gate

    @property
    def output_shape(self) -> Shape:
        """Half as many along the axis."""
        shape = list(self.input_shape)
        shape[self.axis] //= 2
        return tuple(shape)

    def halves(self, x: Float64) -> Pair:
        """What is multiplied, and what opens the gate; (..., *input_shape) each halved."""
        first, second = np.split(x, 2, axis=self.axis - len(self.input_shape))
        return (first, second) if self.gate else (second, first)

    def joined(self, passed: Float64, gate: Float64) -> Float64:
        """Undo `halves`."""
        pair = (passed, gate) if self.gate else (gate, passed)
        return np.concatenate(pair, axis=self.axis - len(self.input_shape))

    def forward(self, x: Float64) -> Float64:
        """Multiply."""
        passed, gate = self.halves(x)
        return passed * self.activation.forward(gate)

    def linearize(self, x: Float64) -> Linearization:
        """Value, and what each half contributes."""
        passed, gate = self.halves(x)
        opened = self.activation.forward(gate)
        slope = passed * self.activation.derivative(gate)
        return _GatedLinearization(self, passed * opened, (opened, slope))

    @property
    def facts(self) -> Facts:
        """Two numbers become one; any product is reached."""
        lost = size_of(self.output_shape)
        reason = (
            f"multiplies one half of its inputs by {self.activation.name} of the other: "
            "50 % of the numbers are lost"
        )
        return Facts(one_to_one=False, onto=True, image=None, lost=lost, reason=reason)

    @property
    def chooses(self) -> bool:
        """Always: two numbers for each one."""
        return True

    def preimage(
        self, y: Float64, radius: Float64, context: Context, inside: Box | None = None
    ) -> Preimage:
        """Near the centre of `inside`, else near zero, inside the box.

        Gates are tried at steps from the centre; the other half follows. A value for which
        none leads into the box counts as outside, which proves nothing.
        """
        size, rows = size_of(self.input_shape), len(y)
        box = Box.around(np.zeros(size)) if inside is None else inside
        low, high, centre = (
            self.halves(np.broadcast_to(k, (rows, size)).reshape(rows, *self.input_shape))
            for k in (box.lower, box.upper, box.centre)
        )
        off = radius + 4.0 * tolerances.EPS64 * np.abs(y)
        best = np.full(y.shape, np.inf)
        passed, gate = centre
        for step in _STEPS:
            tried = np.clip(centre[1] + step, low[1], high[1])
            other, missed = self._passed(y, tried, (low[0], high[0]), centre[0])
            cost = np.hypot(other - centre[0], tried - centre[1])
            # What misses the value is worse than all that does not.
            misses = ~(missed <= off)
            far = tolerances.RADIUS_CAP * (1.0 + np.minimum(missed, tolerances.RADIUS_CAP))
            cost = np.where(misses, far, cost)
            better = cost < best
            best = np.where(better, cost, best)
            passed, gate = np.where(better, other, passed), np.where(better, tried, gate)
        nearest = passed * self.activation.forward(gate)
        bounded = radius < tolerances.UNBOUNDED_RADIUS
        judged = Outside.of(y, nearest, bounded & (np.abs(y - nearest) > off))
        found = judged.preimage(
            self.joined(passed, gate),
            np.full((rows, *self.input_shape), np.inf),
            free=np.ones((rows, size), dtype=np.bool_),
            origins=np.zeros(rows),
        )
        return replace(
            found,
            proved=np.zeros(rows, dtype=np.bool_),
            free_dimensions=np.full(rows, size_of(self.output_shape)),
        )

    def _passed(self, y: Float64, gate: Float64, ends: Pair, centre: Float64) -> Pair:
        """The other half that gives y with this gate, in its box; by what it misses y."""
        opened = self.activation.forward(gate)
        closed = ~(np.abs(opened) >= np.finfo(np.float64).tiny) | np.isinf(opened)
        most = np.finfo(np.float64).max
        with np.errstate(over="ignore", invalid="ignore"):
            wanted = np.where(closed, centre, y / np.where(closed, 1.0, opened))
            other = np.clip(np.clip(wanted, -most, most), *ends)
            return other, np.abs(other * opened - y)

    def config(self) -> dict[str, Any]:
        """The activation, the axis, and which half is the gate."""
        return {
            "activation": self.activation.config(),
            "axis": self.axis,
            "gate": self.gate,
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Look the activation up."""
        activation = activation_from_config(config["activation"])
        return cls(input_shape, activation, config["axis"], config["gate"])


class _GatedLinearization(Linearization):
    """Two slopes for each unit: those of the half that is multiplied and of the gate."""

    def __init__(self, layer: Gated, y: Float64, slopes: Pair) -> None:
        self._layer, self.y, self._slopes = layer, y, slopes

    def jvp(self, dx: Float64) -> Float64:
        """Both halves add up."""
        passed, gate = self._layer.halves(dx)
        return self._slopes[0] * passed + self._slopes[1] * gate

    def vjp(self, dy: Float64) -> Float64:
        """Each half gets its share."""
        return self._layer.joined(self._slopes[0] * dy, self._slopes[1] * dy)

    def magnitude(self, dx: Float64) -> Float64:
        """Sizes add up."""
        passed, gate = self._layer.halves(np.abs(dx))
        return np.abs(self._slopes[0]) * passed + np.abs(self._slopes[1]) * gate

    def solve(self, dy: Float64, context: Context) -> Float64:
        """The smallest step; none where both slopes are zero."""
        size = self._slopes[0] ** 2 + self._slopes[1] ** 2
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            share = dy / size
        return self.vjp(np.where(np.isfinite(share), share, 0.0))
