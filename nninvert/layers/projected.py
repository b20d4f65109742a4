"""A linear layer before one that does not see all of its values."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

import numpy as np

from nninvert import tolerances
from nninvert.layers._base import Float64, Linearization, Shape, Weights
from nninvert.layers._linear import AffineLinearization, LinearLayer
from nninvert.linalg.centring import CentringMap
from nninvert.linalg.map import LinearMap, RepeatedMap, compose


class Projected(LinearLayer):
    """``y = A x + b``, known only as P y: to be inverted as ``P A x = P y - P b``.

    It exists for preimages and Newton steps: a softmax, for instance, gives back its
    inputs less their mean, and the mean is solved for with x. Values are those of the
    layer itself, and no file holds such a layer.

    Parameters
    ----------
    layer : LinearLayer
    projection : LinearMap
        P, a projection that the next layer's function does not notice.
    """

    def __init__(self, layer: LinearLayer, projection: LinearMap) -> None:
        self.layer, self.projection = layer, projection
        self.input_shape = layer.input_shape

    @property
    def output_shape(self) -> Shape:
        """That of the layer."""
        return self.layer.output_shape

    @cached_property
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """P A and P b; where A is one matrix over and over, so is P A."""
        linear_map, bias = self.layer.linear_part
        seen = None if bias is None else self.projection.apply(bias)
        if isinstance(linear_map, RepeatedMap) and isinstance(self.projection, CentringMap):
            block = self.projection.of_block(linear_map.repeats)
            if block is not None:
                one = compose([linear_map.base, block])
                return RepeatedMap(one, linear_map.repeats), seen
        return compose([linear_map, self.projection]), seen

    def forward(self, x: Float64) -> Float64:
        """The layer's, with all that is not seen."""
        return self.layer.forward(x)

    def linearize(self, x: Float64) -> Linearization:
        """The layer's value and products; its equations are solved as P sees them."""
        return AffineLinearization(self.layer, self.layer.forward(x), self.linear_part[0])

    def product_and_rounding(self, x: Float64) -> tuple[Float64, Float64]:
        """Those of the layer, projected."""
        product, rounding = self.layer.product_and_rounding(x)
        own = self.projection.shape[0] * tolerances.EPS64 * np.abs(product)
        return self.projection.apply(product), self.projection.magnitude(rounding + own)

    def config(self) -> dict[str, Any]:
        """It is never written: the layer is."""
        raise TypeError("a Projected is derived from its layer")

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """It is never read: the layer is."""
        raise TypeError("a Projected is derived from its layer")
