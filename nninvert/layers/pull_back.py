"""The steps by which values are pulled back through layers, from the last to the first."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from nninvert.context import Context
from nninvert.layers._base import Float64, Layer, Preimage, size_of
from nninvert.layers._linear import LinearLayer
from nninvert.layers.activations import Trend
from nninvert.layers.elementwise import Elementwise
from nninvert.layers.projected import Projected
from nninvert.linalg.box import Box
from nninvert.linalg.factor import factorise


class PullBack:
    """One step for each layer; where it leaves a choice, inside the range before it.

    Parameters
    ----------
    plain : sequence of Layer
        From input to output, none of them a graph.
    layers : sequence of Layer
        The same as they are inverted: see `as_seen`.
    context : Context
    inside : Box or None
        Where the inputs should lie; its centre decides which values inner choices are
        near to. None: zero does, and the inputs may lie anywhere.
    """

    def __init__(
        self,
        plain: Sequence[Layer],
        layers: Sequence[Layer],
        context: Context,
        inside: Box | None,
    ) -> None:
        self.plain, self.layers, self.context = plain, layers, context
        self._inside = inside

    def step(self, place: int, y: Float64, radius: Float64) -> Preimage:
        """Invert the layer at `place`."""
        layer = self.layers[place]
        box = self.box(place) if self._leaves_a_choice(place) else None
        if box is None and layer.chooses:
            box = Box.around(self._centres[place])
        return layer.preimage(y, radius, self.context, box)

    def settled(self, place: int) -> int:
        """How many dimensions that the next layer has lost this one solves for."""
        if isinstance(self.layers[place], Projected):
            return self.plain[place + 1].facts.lost
        return 0

    def box(self, place: int) -> Box | None:
        """The box that the inputs of a layer come from; None if nothing is known."""
        if place == 0:
            return self._inside
        return range_of(self.plain[place - 1], self._centres[place])

    def _leaves_a_choice(self, place: int) -> bool:
        """Whether several x of a layer give the same y, and one must be picked."""
        layer = self.layers[place]
        if not isinstance(layer, LinearLayer):
            return layer.chooses
        return factorise(layer.linear_part[0], self.context).nullity > 0

    @cached_property
    def _centres(self) -> list[Float64]:
        """What enters each layer if the input is the centre, flat."""
        shape = self.plain[0].input_shape
        value = np.zeros((1, *shape))
        if self._inside is not None:
            value = np.atleast_2d(self._inside.centre)
            value = value.reshape(value.shape[0], *shape)
        found = []
        with np.errstate(over="ignore", invalid="ignore"):
            for layer in self.plain:
                found.append(value.reshape(value.shape[0], -1))
                value = layer.forward(value)
        return [np.nan_to_num(centre) for centre in found]


def as_seen(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers to invert: linear ones as the next one sees their values."""
    found = list(layers)
    for place, after in enumerate(layers[1:]):
        layer, seen = found[place], after.seen
        if isinstance(layer, LinearLayer) and seen is not None:
            found[place] = Projected(layer, seen)
    return tuple(found)


def range_of(layer: Layer, centre: Float64) -> Box | None:
    """The values that a layer takes, as a box around one of them; None if not known.

    Values keep off an end unless the layer takes it on an interval, as relu takes 0: at
    others it has no inverse, or no slope.

    Parameters
    ----------
    layer : Layer
    centre : float64 array, shape (rows, n)
    """
    image = layer.facts.image
    if image is None:
        return None
    n = size_of(layer.output_shape)
    low, high = image[0].lower, image[-1].upper
    ends = {end for end in (low, high) if np.isfinite(end)}
    flat = set()
    if isinstance(layer, Elementwise):
        branches = layer.activation.branches
        flat = {b.image.lower for b in branches if b.trend is Trend.CONSTANT}
    return Box(np.full(n, low), np.full(n, high), np.full(n, not ends <= flat), centre)
