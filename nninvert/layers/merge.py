"""Linear layers that join several arrays: sums, averages, one behind the other.

Each reads its arrays packed: flattened, one behind the other; `parts` says their shapes.
Shapes that differ broadcast as in numpy, missing axes in front.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from operator import index
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import ShapeError
from nninvert.layers._base import Float64, Shape, Weights, size_of
from nninvert.layers._linear import LinearLayer
from nninvert.layers.scaling import positive_axes
from nninvert.linalg.kronecker import KroneckerMap
from nninvert.linalg.map import IdentityMap, LinearMap, PermutationMap
from nninvert.linalg.orthogonal import gathering


class PackedParts:
    """Several arrays in one: where they lie, and what they broadcast to.

    Parameters
    ----------
    shapes : sequence of tuple of int
        At least one.

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    """

    def __init__(self, shapes: Sequence[Sequence[int]]) -> None:
        self.shapes = tuple(tuple(map(index, shape)) for shape in shapes)
        if not self.shapes:
            raise ShapeError("parts", got="none", expected="at least one shape")

    @cached_property
    def size(self) -> int:
        """How many numbers all hold."""
        return sum(map(size_of, self.shapes))

    @cached_property
    def common(self) -> Shape:
        """The shape that all broadcast to."""
        try:
            return np.broadcast_shapes(*self.shapes)
        except ValueError as error:
            raise ShapeError(
                "parts",
                got=" and ".join(map(str, self.shapes)),
                expected="shapes that broadcast to one",
            ) from error

    @property
    def alike(self) -> bool:
        """Whether nothing is broadcast."""
        return all(shape == self.common for shape in self.shapes)

    @cached_property
    def numbers(self) -> tuple[NDArray[np.int64], ...]:
        """Of each part the places of its numbers in the packed array, in its shape."""
        ends = np.cumsum([0, *map(size_of, self.shapes)])
        return tuple(
            np.arange(start, start + size_of(shape)).reshape(shape)
            for start, shape in zip(ends[:-1], self.shapes, strict=True)
        )

    def split(self, x: Float64) -> list[Float64]:
        """(..., size) to arrays that broadcast to (..., *common)."""
        found, start, rank = [], 0, len(self.common)
        for shape in self.shapes:
            part = x[..., start : start + size_of(shape)]
            still = (1,) * (rank - len(shape))
            found.append(part.reshape(*x.shape[:-1], *still, *shape))
            start += size_of(shape)
        return found

    def joined(self, parts: Sequence[Float64]) -> Float64:
        """Pack arrays (..., *common); where a part was broadcast, their sums."""
        found, rank = [], len(self.common)
        for part, shape in zip(parts, self.shapes, strict=True):
            still = (1,) * (rank - len(shape)) + shape
            axes = tuple(
                k - rank for k in range(rank) if still[k] == 1 and self.common[k] != 1
            )
            lead = part.shape[: part.ndim - rank]
            found.append(part.sum(axis=axes).reshape(*lead, -1))
        return np.concatenate(found, axis=-1)

    def config(self) -> list[list[int]]:
        """The shapes."""
        return [list(shape) for shape in self.shapes]


def check_packed(input_shape: Shape, parts: PackedParts) -> None:
    """Refuse an input shape that the parts do not fill.

    Raises
    ------
    ShapeError
    """
    if tuple(input_shape) != (parts.size,):
        shapes = " + ".join(map(str, parts.shapes))
        raise ShapeError("parts", got=shapes, expected=f"what makes {input_shape}")


class Combination(LinearLayer):
    """A sum of arrays, each with a factor.

    Parameters
    ----------
    parts : sequence of tuple of int
        Their shapes; they broadcast.
    """

    def __init__(self, parts: Sequence[Sequence[int]]) -> None:
        self.parts = PackedParts(parts)
        self.input_shape = (self.parts.size,)
        self._shape = self.parts.common

    @property
    @abstractmethod
    def factors(self) -> tuple[float, ...]:
        """What each part is multiplied by."""

    @property
    def output_shape(self) -> Shape:
        """What the parts broadcast to."""
        return self._shape

    @cached_property
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """One number of each part for every output."""
        places = np.stack(
            [
                np.broadcast_to(numbers, self._shape).ravel()
                for numbers in self.parts.numbers
            ],
            axis=1,
        )
        found = gathering(places, np.array(self.factors), self.parts.size)
        return KroneckerMap((found,)), None

    def forward(self, x: Float64) -> Float64:
        """Sum in the order of the parts."""
        y = np.zeros(())
        for factor, part in zip(self.factors, self.parts.split(x), strict=True):
            y = y + factor * part
        return np.broadcast_to(y, (len(x), *self._shape)).copy()

    def config(self) -> dict[str, Any]:
        """The shapes."""
        return {"parts": self.parts.config()}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Take the shapes."""
        made = cls(config["parts"])
        check_packed(input_shape, made.parts)
        return made


class Add(Combination):
    """The sum of several arrays."""

    kind = "add"

    @property
    def factors(self) -> tuple[float, ...]:
        """All 1."""
        return (1.0,) * len(self.parts.shapes)


class Subtract(Combination):
    """The first array less the second.

    Raises
    ------
    ShapeError
        If there are not two.
    """

    kind = "subtract"

    def __init__(self, parts: Sequence[Sequence[int]]) -> None:
        super().__init__(parts)
        if len(self.parts.shapes) != 2:
            raise ShapeError("parts", got=str(len(self.parts.shapes)), expected="2")

    @property
    def factors(self) -> tuple[float, ...]:
        """1 and -1."""
        return (1.0, -1.0)


class Average(Combination):
    """The mean of several arrays, number by number."""

    kind = "average"

    @property
    def factors(self) -> tuple[float, ...]:
        """1 / k for k arrays."""
        count = len(self.parts.shapes)
        return (1.0 / count,) * count

    def forward(self, x: Float64) -> Float64:
        """Sum, then divide."""
        parts = self.parts.split(x)
        y = sum(parts[1:], start=parts[0]) / len(parts)
        return np.broadcast_to(y, (len(x), *self.output_shape)).copy()


class Concatenate(LinearLayer):
    """Several arrays one behind the other along an axis.

    Parameters
    ----------
    parts : sequence of tuple of int
        Their shapes, equal but for the axis.
    axis : int, default -1
        Not counting the batch.

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    """

    kind = "concatenate"

    def __init__(self, parts: Sequence[Sequence[int]], axis: int = -1) -> None:
        self.parts = PackedParts(parts)
        self.input_shape = (self.parts.size,)
        first = self.parts.shapes[0]
        self.axis = positive_axes((axis,), first)[0]
        still = {self._without_axis(shape) for shape in self.parts.shapes}
        if len(still) > 1:
            raise ShapeError(
                "parts",
                got=" and ".join(map(str, self.parts.shapes)),
                expected=f"shapes that differ along axis {self.axis} only",
            )

    def _without_axis(self, shape: Shape) -> tuple[int, Shape]:
        return len(shape), shape[: self.axis] + shape[self.axis + 1 :]

    @property
    def output_shape(self) -> Shape:
        """The first part's, longer along the axis."""
        shape = list(self.parts.shapes[0])
        shape[self.axis] = sum(part[self.axis] for part in self.parts.shapes)
        return tuple(shape)

    @cached_property
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """A permutation; the identity where nothing moves."""
        order = np.concatenate(self.parts.numbers, axis=self.axis).ravel()
        if (order == np.arange(order.size)).all():
            return IdentityMap(order.size), None
        return PermutationMap(order), None

    def config(self) -> dict[str, Any]:
        """The shapes and the axis."""
        return {"parts": self.parts.config(), "axis": self.axis}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Take both."""
        made = cls(config["parts"], config["axis"])
        check_packed(input_shape, made.parts)
        return made
