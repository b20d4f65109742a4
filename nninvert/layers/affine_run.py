"""Adjacent linear layers, fused into one affine map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

from nninvert.layers._base import Float64, Shape, Weights
from nninvert.layers._linear import LinearLayer, accumulated_rounding
from nninvert.linalg.map import LinearMap, compose


class AffineRun(LinearLayer):
    """``y = A_k (... (A_1 x + b_1) ...) + b_k`` as one layer.

    It exists for analysis, preimages and Newton steps: what is one-to-one is the product,
    not its parts (32 to 64 to 32 without an activation between may be). The forward pass
    goes through the parts themselves, and no file holds such a run.
    """

    def __init__(self, parts: Sequence[LinearLayer]) -> None:
        self.parts = tuple(parts)
        self.input_shape = self.parts[0].input_shape

    @property
    def output_shape(self) -> Shape:
        """That of the last part."""
        return self.parts[-1].output_shape

    @cached_property
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """The composed map, and the biases carried through the later maps."""
        total: Float64 | None = None
        for part in self.parts:
            linear_map, bias = part.linear_part
            if total is not None:
                total = linear_map.apply(total)
            if bias is not None:
                total = bias if total is None else total + bias
        return compose([part.linear_part[0] for part in self.parts]), total

    def forward(self, x: Float64) -> Float64:
        """The plain forward pass, part by part."""
        for part in self.parts:
            x = part.forward(x)
        return x

    def product_and_rounding(self, x: Float64) -> tuple[Float64, Float64]:
        """Rounding of all parts: what cancels between them has been rounded before."""
        return self.linear_part[0].apply(x), accumulated_rounding(self.parts, x)

    def config(self) -> dict[str, Any]:
        """A run is never written: its parts are."""
        raise TypeError("an AffineRun is derived from its parts")

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """A run is never read: its parts are."""
        raise TypeError("an AffineRun is derived from its parts")
