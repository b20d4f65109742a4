"""Layers that keep some of their numbers: slices, and lists of places along an axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np

from nninvert.errors import ShapeError
from nninvert.layers._axiswise import AxiswiseLayer
from nninvert.layers._base import Shape, Weights
from nninvert.layers.scaling import positive_axes
from nninvert.linalg.map import IdentityMap, LinearMap
from nninvert.linalg.orthogonal import gathering

Ends = Sequence[int | None]


class Slice(AxiswiseLayer):
    """``x[start:stop:step]`` along each axis.

    Parameters
    ----------
    input_shape : tuple of int
    slices : sequence of (start, stop, step)
        One for each axis, as Python understands them: None for all that is there, negative
        numbers from the end, negative steps backwards.

    Raises
    ------
    ShapeError
        If nothing is left, or the slices are not one for each axis.
    """

    kind = "slice"

    def __init__(self, input_shape: Shape, slices: Sequence[Ends]) -> None:
        self.input_shape = input_shape
        self.slices = tuple(tuple(one) for one in slices)
        if len(self.slices) != len(input_shape):
            raise ShapeError(
                "slices",
                got=str(len(self.slices)),
                expected=f"one for each axis of {input_shape}",
            )
        if any(len(one) != 3 or one[2] == 0 for one in self.slices):
            raise ShapeError(
                "slices", got=str(self.slices), expected="start, stop and a step that moves"
            )
        if not all(map(len, self._ranges)):
            raise ShapeError(
                "slices", got=f"{self.slices} of {input_shape}", expected="something left"
            )

    @property
    def _ranges(self) -> tuple[range, ...]:
        return tuple(
            range(*slice(*one).indices(size))
            for one, size in zip(self.slices, self.input_shape, strict=True)
        )

    @cached_property
    def axis_maps(self) -> tuple[LinearMap, ...]:
        """The cells that stay."""
        return tuple(
            gathering(np.array(places)[:, None], np.ones(()), size)
            for places, size in zip(self._ranges, self.input_shape, strict=True)
        )

    @property
    def what_it_does(self) -> str:
        """What is left."""
        return f"takes {self.output_shape} out of {self.input_shape}"

    def config(self) -> dict[str, Any]:
        """The slices."""
        return {"slices": [list(one) for one in self.slices]}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Take the slices."""
        return cls(input_shape, config["slices"])


class Take(AxiswiseLayer):
    """``x[indices]`` along one axis, with constant indices.

    Parameters
    ----------
    input_shape : tuple of int
    indices : sequence of int
        Negative ones count from the end; they may repeat.
    axis : int, default -1
        Not counting the batch.

    Raises
    ------
    ShapeError
        If there is no index, or one beyond the axis.
    """

    kind = "take"

    def __init__(self, input_shape: Shape, indices: Sequence[int], axis: int = -1) -> None:
        self.input_shape = input_shape
        self.axis = positive_axes((axis,), input_shape)[0]
        size = input_shape[self.axis]
        if not len(indices) or not all(-size <= k < size for k in indices):
            raise ShapeError(
                "indices",
                got=str(list(indices)),
                expected=f"numbers from {-size} to {size - 1}",
            )
        self.indices = tuple(int(k) % size for k in indices)

    @cached_property
    def axis_maps(self) -> tuple[LinearMap, ...]:
        """The cells in their order."""
        found: list[LinearMap] = [IdentityMap(size) for size in self.input_shape]
        places = np.array(self.indices)[:, None]
        found[self.axis] = gathering(places, np.ones(()), self.input_shape[self.axis])
        return tuple(found)

    @property
    def what_it_does(self) -> str:
        """What is left."""
        return f"takes {self.output_shape} out of {self.input_shape}"

    def config(self) -> dict[str, Any]:
        """Indices and axis."""
        return {"indices": list(self.indices), "axis": self.axis}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Take both."""
        return cls(input_shape, config["indices"], config["axis"])
