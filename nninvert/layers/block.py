"""Blocks: what lies between two nodes that every way passes, where ways part and meet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from nninvert import tolerances
from nninvert.context import Context
from nninvert.layers._base import (
    Facts,
    Float64,
    Linearization,
    Preimage,
    Shape,
    Weights,
    size_of,
)
from nninvert.layers._linear import LinearLayer
from nninvert.layers._outside import flat_rows
from nninvert.layers._searched import searched_preimage
from nninvert.layers.lipschitz import lipschitz_bounds
from nninvert.layers.merge import Combination
from nninvert.layers.wiring import Node, WiredLayer, WiredLinearization, Wiring
from nninvert.linalg.box import Box
from nninvert.linalg.branched import BranchedMap
from nninvert.linalg.map import LinearMap

_MARGIN = 1e-6
"""A contraction is believed up to 1 minus this: far above the rounding of its bound."""

_MOST_PASSES = 10_000
"""Of the fixed-point iteration; a contraction of 0.998 gains 8 digits with them."""


def block(flat: Wiring, start: int, cut: int) -> Node:
    """The nodes of `flat` behind `start` up to `cut` as one node."""
    base = start + 1
    nodes = [
        replace(
            flat.nodes[place],
            inputs=tuple(source - base if source >= base else -1 for source in sources),
        )
        for place, sources in enumerate(flat.sources[base : cut + 1], start=base)
    ]
    wiring = Wiring(flat.shape(start), nodes)
    linear = all(isinstance(node.layer, LinearLayer) for node in nodes)
    layer = LinearBlock(wiring) if linear else Block(wiring)
    first, last = nodes[0], nodes[-1]
    index = first.index if first.index == last.index else f"{first.index}-{last.index}"
    label = "residual block" if isinstance(layer, Block) and layer.skips else "branches"
    return Node(layer, index, last.name, label)


class LinearBlock(WiredLayer, LinearLayer):
    """Branches of linear layers only: a linear layer."""

    recognised: ClassVar[bool] = True

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self.input_shape = wiring.input_shape

    @cached_property
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """The maps of all nodes, and what they make of zero."""
        maps = []
        has_bias = False
        for node in self.wiring.nodes:
            assert isinstance(node.layer, LinearLayer)
            linear_map, bias = node.layer.linear_part
            maps.append(linear_map)
            has_bias |= bias is not None
        found = BranchedMap(maps, self.wiring.sources, size_of(self.input_shape))
        if not has_bias:
            return found, None
        return found, self.forward(np.zeros((1, *self.input_shape))).ravel()

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """It is never read: the graph that it stands for is."""
        raise TypeError("a LinearBlock is derived from a graph")


@dataclass(frozen=True)
class Residual:
    """A block ``y = s x + g(x)``, as far as its structure tells.

    Attributes
    ----------
    factor : float
        s.
    contraction : float
        An upper bound of Lip(g) / |s| in the 2-norm; infinite where none is known.
    """

    factor: float
    contraction: float

    @property
    def proved(self) -> bool:
        """Whether x - (g(x) - y) / s is a contraction: then the block is bijective."""
        return self.contraction < 1.0 - _MARGIN


class Block(WiredLayer):
    """Branches, some of them not linear.

    Of a block ``s x + g(x)`` with Lip(g) < |s| the inverse is a fixed point, and it is
    one-to-one and onto (Banach; Behrmann et al., "Invertible residual networks", ICML 2019,
    theorem 1). Of all others an x is searched for, and nothing is claimed beside it.
    """

    recognised: ClassVar[bool] = True

    def __init__(self, wiring: Wiring) -> None:
        self.wiring = wiring
        self.input_shape = wiring.input_shape

    def linearize(self, x: Float64) -> Linearization:
        """Every layer at its own input."""
        return WiredLinearization(self, x)

    @property
    def skips(self) -> bool:
        """Whether it is a sum of its input and something else: a residual block."""
        last, sources = self.wiring.nodes[-1].layer, self.wiring.sources[-1]
        if not isinstance(last, Combination) or not last.parts.alike:
            return False
        return -1 in sources and last.output_shape == self.input_shape

    @cached_property
    def residual(self) -> Residual | None:
        """How the block is a sum of its input and a function of it; None: it is not."""
        last, sources = self.wiring.nodes[-1].layer, self.wiring.sources[-1]
        if not self.skips or not isinstance(last, Combination):
            return None
        pairs = list(zip(last.factors, sources, strict=True))
        factor = sum(weight for weight, source in pairs if source == -1)
        bounds = lipschitz_bounds(self.wiring)
        rest = sum(abs(weight) * bounds[source] for weight, source in pairs if source != -1)
        return Residual(factor, rest / abs(factor) if factor else np.inf)

    @property
    def is_contraction(self) -> bool:
        """Whether it is proved to be one-to-one and onto."""
        return self.residual is not None and self.residual.proved

    @property
    def facts(self) -> Facts:
        """Bijective where that is proved; else widths alone decide."""
        n, m = size_of(self.input_shape), size_of(self.output_shape)
        if self.is_contraction:
            return Facts(True, True, None, 0, "")
        if n > m:
            reason = f"maps {n} numbers to {m}: at least {n - m} directions of x are lost"
            return Facts(False, None, None, n - m, reason)
        reason = "joins branches: whether it is one-to-one is not known"
        if self.residual is not None:
            reason = (
                "adds a function of its input to it, whose slope is not proved to be "
                "below 1: whether it is one-to-one is not known"
            )
        return Facts(None, False if m > n else None, None, 0, reason)

    @property
    def chooses(self) -> bool:
        """Unless it is proved to be one-to-one."""
        return not self.is_contraction

    def preimage(
        self, y: Float64, radius: Float64, context: Context, inside: Box | None = None
    ) -> Preimage:
        """The fixed point, or what a search finds; see `searched_preimage`."""
        residual = self.residual
        if residual is None or not residual.proved:
            return searched_preimage(self, y, radius, context, inside)
        x, error = self._fixed_point(residual, y, context)
        rest = abs(residual.factor) * (1.0 - residual.contraction)
        # What a forward pass rounds counts as an error of y.
        rounding = tolerances.EPS64 * flat_rows(self._rounding(x))
        known = np.minimum(flat_rows(radius), tolerances.RADIUS_CAP)
        reach = np.linalg.norm(known, axis=1) + np.linalg.norm(rounding, axis=1)
        bound = np.minimum(reach / rest + error, tolerances.RADIUS_CAP)
        full = np.broadcast_to(bound.reshape(-1, *([1] * (x.ndim - 1))), x.shape)
        return Preimage.of_inside(x, full.copy())

    def _fixed_point(
        self, residual: Residual, y: Float64, context: Context
    ) -> tuple[Float64, Float64]:
        """X with s x + g(x) = y by Newton's steps or passes, and the error of each row.

        Passes alone converge however slow; a Newton step is taken where it leaves less.
        ||x - x*|| <= ||y - f(x)|| / (|s| (1 - q)) whatever the steps were.
        """
        x = y / residual.factor
        miss = y - self.forward(x)
        size = np.linalg.norm(flat_rows(miss), axis=1)
        for _ in range(_MOST_PASSES):
            if context.should_stop():
                break
            step = self.linearize(x).solve(miss, context)
            tried = x + step
            left = y - self.forward(tried)
            better = np.linalg.norm(flat_rows(left), axis=1) < residual.contraction * size
            plain = x + miss / residual.factor
            rows = better.reshape(-1, *([1] * (x.ndim - 1)))
            new = np.where(rows, tried, plain)
            new_miss = y - self.forward(new)
            new_size = np.linalg.norm(flat_rows(new_miss), axis=1)
            gained = new_size < size
            if not gained.any():
                break
            keep = gained.reshape(-1, *([1] * (x.ndim - 1)))
            x, miss = np.where(keep, new, x), np.where(keep, new_miss, miss)
            size = np.where(gained, new_size, size)
        return x, size / (abs(residual.factor) * (1.0 - residual.contraction))

    def _rounding(self, x: Float64) -> Float64:
        """How many eps a forward pass may be off at x: terms added, depth and all."""
        sizes = WiredLinearization(self, x).magnitude(x)
        depth = sum(max(size_of(n.layer.input_shape), 8) for n in self.wiring.nodes)
        return depth * (np.abs(sizes) + np.abs(self.forward(x)) + self._constants)

    @cached_property
    def _constants(self) -> float:
        """The size of what the block makes of zero."""
        made = self.forward(np.zeros((1, *self.input_shape)))
        return float(np.abs(made).max(initial=0.0))

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """It is never read: the graph that it stands for is."""
        raise TypeError("a Block is derived from a graph")
