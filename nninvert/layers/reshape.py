"""Layers that only rearrange numbers, and those that do nothing in inference mode."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from operator import index
from typing import Any, Self

import numpy as np

from nninvert.errors import ShapeError
from nninvert.layers._base import Float64, Shape, Weights, size_of
from nninvert.layers._linear import LinearLayer
from nninvert.linalg.map import IdentityMap, LinearMap, PermutationMap


class Identity(LinearLayer):
    """A layer that does nothing in inference mode: Dropout, noise, regularisation."""

    kind = "identity"

    def __init__(self, input_shape: Shape) -> None:
        self.input_shape = input_shape

    @property
    def output_shape(self) -> Shape:
        """The input's."""
        return self.input_shape

    @cached_property
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """The identity."""
        return IdentityMap(size_of(self.input_shape)), None

    def config(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Nothing to take."""
        return cls(input_shape)


class Reshape(LinearLayer):
    """The same numbers in row-major order under another shape; also Flatten.

    Parameters
    ----------
    input_shape : tuple of int
    target_shape : tuple of int
        One entry may be -1.
    """

    kind = "reshape"

    def __init__(self, input_shape: Shape, target_shape: Shape) -> None:
        self.input_shape = input_shape
        size, target_shape = size_of(input_shape), tuple(map(index, target_shape))
        known = size_of(tuple(k for k in target_shape if k != -1))
        open_axes = target_shape.count(-1)
        whole = all(k > 0 or k == -1 for k in target_shape)
        fits = whole and open_axes < 2 and size % known == 0
        if not fits or (open_axes == 0 and known != size):
            raise ShapeError(
                "target_shape",
                got=str(target_shape),
                expected=f"a shape for the {size} numbers of {input_shape}",
            )
        self._shape = tuple(size // known if k == -1 else k for k in target_shape)

    @property
    def output_shape(self) -> Shape:
        """The target shape."""
        return self._shape

    @cached_property
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """The identity on the flattened numbers."""
        return IdentityMap(size_of(self.input_shape)), None

    def config(self) -> dict[str, Any]:
        """The target shape, without -1."""
        return {"target_shape": list(self._shape)}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Take the target shape."""
        return cls(input_shape, tuple(config["target_shape"]))


class Permute(LinearLayer):
    """Axes in another order.

    Parameters
    ----------
    input_shape : tuple of int
    axes : tuple of int
        0-based, not counting the batch: output axis i is input axis ``axes[i]``.
    """

    kind = "permute"

    def __init__(self, input_shape: Shape, axes: tuple[int, ...]) -> None:
        if sorted(axes) != list(range(len(input_shape))):
            raise ShapeError(
                "dims",
                got=str(tuple(a + 1 for a in axes)),
                expected=f"each of the {len(input_shape)} axes of {input_shape} once",
            )
        self.input_shape = input_shape
        self.axes = tuple(map(index, axes))

    @property
    def output_shape(self) -> Shape:
        """The input's, reordered."""
        return tuple(self.input_shape[axis] for axis in self.axes)

    @cached_property
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """A permutation of the flattened numbers."""
        numbers = np.arange(size_of(self.input_shape)).reshape(self.input_shape)
        return PermutationMap(numbers.transpose(self.axes).ravel()), None

    def config(self) -> dict[str, Any]:
        """The axes."""
        return {"axes": list(self.axes)}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Take the axes."""
        return cls(input_shape, tuple(config["axes"]))
