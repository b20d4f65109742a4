"""Layers that join several arrays number by number, not linearly: products and extremes.

Each reads its arrays packed, as those of `merge` do.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import reduce
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
from nninvert.layers._searched import least_squares_step, searched_preimage
from nninvert.layers.merge import PackedParts, check_packed
from nninvert.linalg.box import Box


class NumberByNumber(Layer):
    """``y = h(x_1, x_2, ...)``, number by number of arrays that broadcast.

    Parameters
    ----------
    parts : sequence of tuple of int
        Shapes of the arrays.

    Raises
    ------
    ShapeError
        If they do not broadcast, or are fewer than two.
    """

    def __init__(self, parts: Sequence[Sequence[int]]) -> None:
        self.parts = PackedParts(parts)
        self.input_shape = (self.parts.size,)
        self._shape = self.parts.common
        if len(self.parts.shapes) < 2:
            raise ShapeError("parts", got="1", expected="2 or more")

    @abstractmethod
    def join(self, parts: Sequence[Float64]) -> Float64:
        """H."""

    @abstractmethod
    def slopes(self, parts: Sequence[Float64]) -> list[Float64]:
        """The derivative of h with respect to each part."""

    @abstractmethod
    def origin(self, y: Float64) -> list[Float64]:
        """Parts that give y, for arrays of one shape."""

    @property
    @abstractmethod
    def what_it_does(self) -> str:
        """For people: "multiplies 2 arrays"."""

    @property
    def output_shape(self) -> Shape:
        """What the parts broadcast to."""
        return self._shape

    def forward(self, x: Float64) -> Float64:
        """Apply h."""
        return self.join(self.parts.split(x))

    def linearize(self, x: Float64) -> Linearization:
        """Value and slopes."""
        parts = self.parts.split(x)
        y = self.join(parts)
        slopes = [np.broadcast_to(slope, y.shape) for slope in self.slopes(parts)]
        return _PartLinearization(self, y, slopes)

    @property
    def facts(self) -> Facts:
        """Several numbers become one; every number is reached."""
        n, m = self.parts.size, size_of(self._shape)
        reason = f"{self.what_it_does}: which numbers these were is lost"
        onto = True if self.parts.alike else False if m > n else None
        return Facts(
            one_to_one=False, onto=onto, image=None, lost=max(n - m, 0), reason=reason
        )

    @property
    def chooses(self) -> bool:
        """Always."""
        return True

    def preimage(
        self, y: Float64, radius: Float64, context: Context, inside: Box | None = None
    ) -> Preimage:
        """One of many x; inside a box, or where arrays broadcast, it is searched for."""
        if inside is not None or not self.parts.alike:
            return searched_preimage(self, y, radius, context, inside)
        x = self.parts.joined(self.origin(y))
        unknown = np.full(x.shape, tolerances.RADIUS_CAP)
        return Preimage.of_inside(x, unknown, self.facts.lost)

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


class Multiply(NumberByNumber):
    """The product of several arrays."""

    kind = "multiply"

    def join(self, parts: Sequence[Float64]) -> Float64:
        """From the first to the last."""
        return reduce(np.multiply, parts)

    def slopes(self, parts: Sequence[Float64]) -> list[Float64]:
        """The product of all others: a quotient would fail at zero."""
        found = []
        for place in range(len(parts)):
            others = [part for k, part in enumerate(parts) if k != place]
            found.append(reduce(np.multiply, others))
        return found

    def origin(self, y: Float64) -> list[Float64]:
        """Y times ones."""
        return [y, *([np.ones(y.shape)] * (len(self.parts.shapes) - 1))]

    @property
    def what_it_does(self) -> str:
        """It multiplies."""
        return f"multiplies {len(self.parts.shapes)} arrays"


class Divide(NumberByNumber):
    """The first array divided by the second.

    Raises
    ------
    ShapeError
        If there are not two.
    """

    kind = "divide"

    def __init__(self, parts: Sequence[Sequence[int]]) -> None:
        super().__init__(parts)
        if len(self.parts.shapes) != 2:
            raise ShapeError("parts", got=str(len(self.parts.shapes)), expected="2")

    def join(self, parts: Sequence[Float64]) -> Float64:
        """Not finite where the divisor is zero."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.asarray(parts[0] / parts[1])

    def slopes(self, parts: Sequence[Float64]) -> list[Float64]:
        """1 / b and -a / b^2."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return [1.0 / parts[1], -parts[0] / parts[1] / parts[1]]

    def origin(self, y: Float64) -> list[Float64]:
        """Y by ones."""
        return [y, np.ones(y.shape)]

    @property
    def what_it_does(self) -> str:
        """It divides."""
        return "divides one array by another"


class _Extreme(NumberByNumber):
    """The largest, or smallest, of several arrays; on ties the first one's slope counts."""

    @staticmethod
    @abstractmethod
    def better(a: Float64, b: Float64) -> Float64:
        """The one of two that is kept."""

    def join(self, parts: Sequence[Float64]) -> Float64:
        """From the first to the last."""
        return reduce(self.better, parts)

    def slopes(self, parts: Sequence[Float64]) -> list[Float64]:
        """1 for the part that is kept, 0 for the others."""
        kept = self.join(parts)
        taken = np.zeros(kept.shape, dtype=np.bool_)
        found = []
        for part in parts:
            chosen = (part == kept) & ~taken
            taken |= chosen
            found.append(chosen.astype(np.float64))
        return found

    def origin(self, y: Float64) -> list[Float64]:
        """Y, everywhere."""
        return [y] * len(self.parts.shapes)


class Maximum(_Extreme):
    """The largest of several arrays, number by number."""

    kind = "maximum"

    @staticmethod
    def better(a: Float64, b: Float64) -> Float64:
        """The larger one; NaN where one is NaN."""
        return np.maximum(a, b)

    @property
    def what_it_does(self) -> str:
        """What it keeps."""
        return f"keeps the largest of {len(self.parts.shapes)} arrays"


class Minimum(_Extreme):
    """The smallest of several arrays, number by number."""

    kind = "minimum"

    @staticmethod
    def better(a: Float64, b: Float64) -> Float64:
        """The smaller one; NaN where one is NaN."""
        return np.minimum(a, b)

    @property
    def what_it_does(self) -> str:
        """What it keeps."""
        return f"keeps the smallest of {len(self.parts.shapes)} arrays"


class _PartLinearization(Linearization):
    """Slopes of shape (batch, *output_shape), one array for each part."""

    def __init__(
        self, layer: NumberByNumber, y: Float64, slopes: Sequence[Float64]
    ) -> None:
        self._layer, self.y, self._slopes = layer, y, slopes

    def jvp(self, dx: Float64) -> Float64:
        """The sum of what each part adds."""
        parts = self._layer.parts.split(dx)
        terms = [slope * part for slope, part in zip(self._slopes, parts, strict=True)]
        return reduce(np.add, terms)

    def vjp(self, dy: Float64) -> Float64:
        """To each part its share."""
        return self._layer.parts.joined([slope * dy for slope in self._slopes])

    def magnitude(self, dx: Float64) -> Float64:
        """The same with sizes."""
        parts = self._layer.parts.split(np.abs(dx))
        terms = [
            np.abs(slope) * part for slope, part in zip(self._slopes, parts, strict=True)
        ]
        return reduce(np.add, terms)

    def solve(self, dy: Float64, context: Context) -> Float64:
        """J^+ dy: where nothing is broadcast, the rows of J do not meet."""
        if not self._layer.parts.alike:
            return least_squares_step(self._layer, self, dy)
        squares = reduce(np.add, [slope**2 for slope in self._slopes])
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            step = dy / squares
        return self.vjp(np.where(np.isfinite(step), step, 0.0))
