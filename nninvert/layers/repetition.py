"""The same numbers several times over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from operator import index
from typing import Any, Self

import numpy as np

from nninvert.errors import ShapeError
from nninvert.layers._axiswise import AxiswiseLayer, times
from nninvert.layers._base import Shape, Weights
from nninvert.linalg.map import IdentityMap, LinearMap
from nninvert.linalg.orthogonal import gathering


def _repeated(size: int, count: int) -> LinearMap:
    """All of an axis, `count` times one after the other."""
    return gathering((np.arange(size * count) % size)[:, None], np.ones(()), size)


def _require_counts(counts: Sequence[int], rank: int) -> None:
    if len(counts) != rank or min(counts, default=0) < 1:
        raise ShapeError(
            "repeats", got=str(tuple(counts)), expected=f"{rank} number(s), 1 or more"
        )


class Tile(AxiswiseLayer):
    """The whole input, several times along each axis.

    Parameters
    ----------
    input_shape : tuple of int
    repeats : sequence of int
        How many times along each axis of `input_shape`.
    """

    kind = "tile"

    def __init__(self, input_shape: Shape, repeats: Sequence[int]) -> None:
        _require_counts(repeats, len(input_shape))
        self.input_shape, self.repeats = input_shape, tuple(map(index, repeats))

    @cached_property
    def axis_maps(self) -> tuple[LinearMap, ...]:
        """Repetition along each axis."""
        pairs = zip(self.input_shape, self.repeats, strict=True)
        return tuple(_repeated(size, count) for size, count in pairs)

    @property
    def what_it_does(self) -> str:
        """It repeats."""
        return f"repeats its input {times(self.repeats)} times"

    def config(self) -> dict[str, Any]:
        """The counts."""
        return {"repeats": list(self.repeats)}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Everything is in `config`."""
        return cls(input_shape, **config)


class RepeatVector(AxiswiseLayer):
    """The whole input, `count` times along a new first axis.

    Parameters
    ----------
    input_shape : tuple of int
    count : int
    """

    kind = "repeat_vector"

    def __init__(self, input_shape: Shape, count: int) -> None:
        _require_counts((count,), 1)
        self.input_shape, self.count = input_shape, index(count)

    @cached_property
    def axis_maps(self) -> tuple[LinearMap, ...]:
        """Repetition along an axis of size 1, which stands before the others."""
        return (_repeated(1, self.count), *(IdentityMap(k) for k in self.input_shape))

    @property
    def what_it_does(self) -> str:
        """It repeats."""
        return f"repeats its input {self.count} times"

    def config(self) -> dict[str, Any]:
        """The count."""
        return {"count": self.count}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Everything is in `config`."""
        return cls(input_shape, **config)
