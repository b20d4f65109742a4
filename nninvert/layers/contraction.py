"""Products of two arrays, summed over the indices that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

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


class Contraction(Layer):
    """``y = einsum(equation, a, b)``, both arrays read from x, in which they lie packed.

    Scores and mixtures of attention are such products, and so is any of two matrices that
    depend on the input.

    Parameters
    ----------
    parts : sequence of tuple of int
        The shapes of a and b.
    equation : str
        "ij,jk->ik": one letter for each axis, the batch not counted. A letter stands once
        in an array, and twice or more in all.

    Raises
    ------
    ShapeError
        If there are not two arrays, or the equation does not fit them.
    """

    kind = "contraction"

    def __init__(self, parts: Sequence[Sequence[int]], equation: str) -> None:
        self.parts, self.equation = PackedParts(parts), equation
        self.input_shape = (self.parts.size,)
        if len(self.parts.shapes) != 2:
            raise ShapeError("parts", got=str(len(self.parts.shapes)), expected="2")
        self._left, self._right, self._out = _letters(equation)
        self._sizes = _sizes(equation, (self._left, self._right), self.parts.shapes)

    @property
    def output_shape(self) -> Shape:
        """The sizes of the output's letters."""
        return tuple(self._sizes[letter] for letter in self._out)

    def _split(self, x: Float64) -> tuple[Float64, Float64]:
        """(..., size) to a and b, each (..., *shape)."""
        first, second = self.parts.shapes
        border = size_of(first)
        return (
            x[..., :border].reshape(*x.shape[:-1], *first),
            x[..., border:].reshape(*x.shape[:-1], *second),
        )

    def forward(self, x: Float64) -> Float64:
        """Multiply and sum."""
        a, b = self._split(x)
        return _product((self._left, self._right, self._out), a, b)

    def linearize(self, x: Float64) -> Linearization:
        """Each array is the other's slope."""
        a, b = self._split(x)
        return _ContractionLinearization(self, a, b)

    @property
    def facts(self) -> Facts:
        """One array times c and the other by c give the same."""
        n, m = self.parts.size, size_of(self.output_shape)
        return Facts(
            one_to_one=False,
            onto=False if m >= n else None,
            image=None,
            lost=max(n - m, 1),
            reason="multiplies two arrays: which factors these were is lost",
        )

    @property
    def chooses(self) -> bool:
        """Always."""
        return True

    def preimage(
        self, y: Float64, radius: Float64, context: Context, inside: Box | None = None
    ) -> Preimage:
        """Least squares from several starts; see `searched_preimage`."""
        return searched_preimage(self, y, radius, context, inside)

    def config(self) -> dict[str, Any]:
        """Shapes and equation."""
        return {"parts": self.parts.config(), "equation": self.equation}

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Take both."""
        made = cls(config["parts"], config["equation"])
        check_packed(input_shape, made.parts)
        return made


class _ContractionLinearization(Linearization):
    """The product rule."""

    def __init__(self, layer: Contraction, a: Float64, b: Float64) -> None:
        self._layer, self._a, self._b = layer, a, b
        self._letters = (layer._left, layer._right, layer._out)
        self.y = _product(self._letters, a, b)

    def jvp(self, dx: Float64) -> Float64:
        """``da b + a db``."""
        da, db = self._layer._split(dx)
        return self._sum(da, self._b, self._a, db)

    def vjp(self, dy: Float64) -> Float64:
        """To each array the product with the other one."""
        left, right, out = self._letters
        da = _product((out, right, left), dy, self._b)
        db = _product((left, out, right), self._a, dy)
        rank = dy.ndim - len(out)
        flat = (*dy.shape[:rank], -1)
        return np.concatenate([da.reshape(flat), db.reshape(flat)], axis=-1)

    def magnitude(self, dx: Float64) -> Float64:
        """The same with sizes."""
        da, db = self._layer._split(np.abs(dx))
        return self._sum(da, np.abs(self._b), np.abs(self._a), db)

    def solve(self, dy: Float64, context: Context) -> Float64:
        """J^+ dy."""
        return least_squares_step(self._layer, self, dy)

    def _sum(self, da: Float64, b: Float64, a: Float64, db: Float64) -> Float64:
        return _product(self._letters, da, b) + _product(self._letters, a, db)


def _letters(equation: str) -> tuple[str, str, str]:
    """The letters of a, of b and of the output."""
    given, _, out = equation.partition("->")
    words = (*given.split(","), out)
    if len(words) == 3:
        left, right = words[:2]
        single = all(len(set(word)) == len(word) and _plain(word) for word in words)
        pairs = (set(left), set(right) | set(out)), (set(right), set(left) | set(out))
        known = set(out) <= set(left) | set(right)
        if single and known and all(one <= others for one, others in pairs):
            return left, right, out
    raise ShapeError(
        "equation",
        got=repr(equation),
        expected="two words and a third, each letter once in a word and twice in all",
    )


def _plain(word: str) -> bool:
    return not word or (word.isascii() and word.isalpha())


def _sizes(equation: str, words: Sequence[str], shapes: Sequence[Shape]) -> dict[str, int]:
    """How long the axis of each letter is."""
    found: dict[str, int] = {}
    for word, shape in zip(words, shapes, strict=True):
        fits = len(word) == len(shape) and all(
            found.setdefault(letter, size) == size
            for letter, size in zip(word, shape, strict=True)
        )
        if not fits:
            raise ShapeError(
                "parts",
                got=" and ".join(map(str, shapes)),
                expected=f"shapes that fit {equation!r}",
            )
    return found


def _product(letters: tuple[str, str, str], a: Float64, b: Float64) -> Float64:
    """The contraction as one product of stacks of matrices; leading axes broadcast."""
    left, right, out = letters
    stack = [one for one in out if one in left and one in right]
    rows = [one for one in out if one not in right]
    columns = [one for one in out if one not in left]
    summed = [one for one in left if one in right and one not in out]
    first = _gathered(a, left, (stack, rows, summed))
    second = _gathered(b, right, (stack, summed, columns))
    found: Float64 = np.matmul(first, second)
    lead = found.ndim - len(stack) - 2
    shape = dict(zip(left, a.shape[a.ndim - len(left) :], strict=True))
    shape |= dict(zip(right, b.shape[b.ndim - len(right) :], strict=True))
    made = [*stack, *rows, *columns]
    found = found.reshape(*found.shape[:lead], *(shape[one] for one in made))
    order = [lead + made.index(one) for one in out]
    return np.transpose(found, (*range(lead), *order))


def _gathered(
    values: Float64, word: str, groups: tuple[list[str], list[str], list[str]]
) -> Float64:
    """(..., *stack, product of the second group, product of the third)."""
    lead = values.ndim - len(word)
    stack, second, third = groups
    order = [lead + word.index(one) for one in (*stack, *second, *third)]
    moved = values.transpose(*range(lead), *order)
    sizes = moved.shape[lead:]
    split = len(stack) + len(second)
    return moved.reshape(
        *moved.shape[:lead],
        *sizes[: len(stack)],
        size_of(sizes[len(stack) : split]),
        size_of(sizes[split:]),
    )
