"""A layer that applies one activation to every unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np

from nninvert import tolerances
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
from nninvert.layers._outside import Outside, flat_rows
from nninvert.layers.activations import Activation, Trend, activation_from_config
from nninvert.linalg.box import Box
from nninvert.linalg.row_blocks import row_blocks

_FORWARD_ULPS = 4.0
"""How many spacings a computed activation may be off; see `Activation.forward`."""


class Elementwise(Layer):
    """``y = activation(x)``, unit by unit."""

    kind = "elementwise"

    def __init__(self, input_shape: Shape, activation: Activation) -> None:
        self.input_shape = input_shape
        self.activation = activation

    @property
    def output_shape(self) -> Shape:
        """The input's."""
        return self.input_shape

    def forward(self, x: Float64) -> Float64:
        """Apply the activation."""
        return self.activation.forward(x)

    def linearize(self, x: Float64) -> Linearization:
        """Value and slopes at x."""
        y, slope = np.empty(x.shape), np.empty(x.shape)
        for part in _blocks(x):
            y[part] = self.activation.forward(x[part])
            slope[part] = self.activation.derivative(x[part])
        return DiagonalLinearization(y, slope)

    @property
    def facts(self) -> Facts:
        """Those of the activation."""
        activation = self.activation
        return Facts(
            one_to_one=activation.one_to_one,
            onto=activation.onto,
            image=activation.image,
            lost=0,
            reason=why_not_one_to_one(activation),
        )

    def preimage(
        self, y: Float64, radius: Float64, context: Context, inside: Box | None = None
    ) -> Preimage:
        """Invert every unit; see `invert_units`."""
        return invert_units(self.activation, y, radius)

    def config(self) -> dict[str, Any]:
        """Name and parameters of the activation."""
        return {"activation": self.activation.config()}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Look the activation up."""
        return cls(input_shape, activation_from_config(config["activation"]))


class DiagonalLinearization(Linearization):
    """A Jacobian that is diagonal: one slope for every unit."""

    def __init__(self, y: Float64, slope: Float64) -> None:
        self.y, self._slope = y, slope

    def rows(self, part: slice) -> DiagonalLinearization:
        """The same for some of the rows."""
        return DiagonalLinearization(self.y[part], self._slope[part])

    def jvp(self, dx: Float64) -> Float64:
        """Scale."""
        return dx * self._slope

    def vjp(self, dy: Float64) -> Float64:
        """Scale."""
        return dy * self._slope

    def magnitude(self, dx: Float64) -> Float64:
        """Scale by the sizes of the slopes."""
        size = dx * self._slope
        return np.abs(size, out=size)

    def solve(self, dy: Float64, context: Context) -> Float64:
        """Divide; no step where the slope is zero or the quotient overflows."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            step = dy / self._slope
        step[~np.isfinite(step)] = 0.0
        return step


def why_not_one_to_one(activation: Activation) -> str:
    """A sentence for people; "" where the activation is one-to-one."""
    if activation.one_to_one:
        return ""
    flat = [b.domain for b in activation.branches if b.trend is Trend.CONSTANT]
    if flat:
        places = " and on ".join(str(domain) for domain in flat)
        return f"{activation.name} is constant on {places}: what lies there is lost"
    return f"{activation.name} takes some values more than once"


def invert_units(activation: Activation, y: Float64, radius: Float64) -> Preimage:
    """Invert an activation unit by unit, with error radii, some rows at a time.

    A value beyond an end of the image is moved to the end. An end that no input attains
    (tanh at 1) stands for "at least as far as the radius allows": the origin of
    end - radius is taken, and the entry is free, as all that lies beyond would do as
    well. For a value of 1 - 0 stored in float32, radius 2^-25, that is z = 9.01.
    """
    parts = list(_blocks(y))
    if len(parts) < 2:
        return _invert_block(activation, y, radius)
    return Preimage.stacked(
        [_invert_block(activation, y[part], radius[part]) for part in parts]
    )


def _blocks(values: Float64) -> Iterator[slice]:
    return row_blocks((len(values), size_of(values.shape[1:])))


def _invert_block(activation: Activation, y: Float64, radius: Float64) -> Preimage:
    bounded = radius < tolerances.UNBOUNDED_RADIUS
    rounding = _FORWARD_ULPS * tolerances.EPS64 * np.abs(y)
    radius = np.where(bounded, radius + rounding, radius)
    nearest = activation.project(y)
    judged = Outside.of(y, nearest, bounded & (np.abs(y - nearest) > radius))
    inner = _step_inside(activation, nearest, radius)
    found = activation.preimage(inner)
    reach = _reach(activation, nearest, found.z, radius)
    free = flat_rows(found.flat | (inner != nearest))
    own = 4.0 * tolerances.EPS64 * np.abs(found.z)
    return judged.preimage(
        found.z,
        reach + own,
        free=free,
        origins=flat_rows(np.log2(np.maximum(found.origins, 1))).sum(axis=1),
    )


def _step_inside(activation: Activation, y: Float64, radius: Float64) -> Float64:
    """Move values that lie on an unattained end of the image inside, by the radius."""
    moved = y
    for interval in activation.image:
        width = interval.upper - interval.lower
        step = np.minimum(radius, 0.25 * width)
        if interval.upper_open and np.isfinite(interval.upper):
            room = np.maximum(step, np.spacing(abs(interval.upper)))
            moved = np.where(y == interval.upper, interval.upper - room, moved)
        if interval.lower_open and np.isfinite(interval.lower):
            least = max(float(np.spacing(abs(interval.lower))), 1e-300)
            room = np.maximum(step, least)
            moved = np.where(y == interval.lower, interval.lower + room, moved)
    return moved


def _reach(
    activation: Activation, nearest: Float64, z: Float64, radius: Float64
) -> Float64:
    """How far from z the origins of values within the radius lie, on every branch.

    silu near zero has origins close by and far to the left; both count. Where a branch
    ends within the radius, its origins reach to the end of its domain.
    """
    reach = np.zeros(nearest.shape)
    radius = np.where(radius < tolerances.UNBOUNDED_RADIUS, radius, np.inf)
    low, high = nearest - radius, nearest + radius
    for index, branch in enumerate(activation.branches):
        ends = branch.domain.lower, branch.domain.upper
        if branch.trend is Trend.DECREASING:
            ends = ends[1], ends[0]
        image = branch.image
        first, last = np.maximum(low, image.lower), np.minimum(high, image.upper)
        met = (first < last) | ((first == last) & image.contains(first))
        for value, inside, end in (
            (first, low > image.lower, ends[0]),
            (last, high < image.upper, ends[1]),
        ):
            origin = np.full(nearest.shape, end)
            if branch.trend is not Trend.CONSTANT:
                chosen = met & inside
                origin[chosen] = activation.branch_inverse(value[chosen], index)
            reach = np.where(met, np.maximum(reach, np.abs(origin - z)), reach)
    return reach
