"""Dense layers over any axes, as an equation of index letters says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from string import ascii_letters
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import ShapeError
from nninvert.layers._axiswise import share
from nninvert.layers._base import Facts, Float64, Shape, Weights, size_of
from nninvert.layers._linear import LinearLayer
from nninvert.linalg.block_diagonal import BlockDiagonalMap
from nninvert.linalg.map import (
    DenseMap,
    IdentityMap,
    LinearMap,
    PermutationMap,
    RepeatedMap,
    compose,
)
from nninvert.linalg.stored import ArrayMatrix

Array = NDArray[np.generic]


class EinsumDense(LinearLayer):
    """``y = einsum(equation, x, kernel) + bias``: a matrix along some axes.

    Parameters
    ----------
    input_shape : tuple of int
        Without the batch.
    equation : str
        "abc,cd->abd" or "...c,cd->...d": letters of the input, the batch among them as its
        first one, of the kernel, and of the output.
    kernel : array
        In its stored type, axes as in the equation.
    bias : array that broadcasts to the output shape, or None, default None

    Raises
    ------
    ShapeError
        If the equation is none of such a layer, or shapes do not fit it.

    Notes
    -----
    Letters of input and output alone are repeated over, letters of all three have a matrix
    of their own for each index, letters of input and kernel alone are summed over, and so
    are those of the input alone. Between two permutations of the numbers the layer is one
    matrix, or several, over and over.
    """

    kind = "einsum_dense"

    def __init__(
        self,
        input_shape: Shape,
        equation: str,
        kernel: Array,
        bias: Array | None = None,
    ) -> None:
        self.input_shape, self.equation = input_shape, equation
        self.kernel, self.bias = kernel, bias
        self._letters = _Letters.read(equation, len(input_shape), kernel.ndim)
        self._sizes = self._letters.sizes(input_shape, kernel.shape)
        shape = self.output_shape
        if bias is not None and not _broadcasts(bias.shape, shape):
            raise ShapeError(
                "bias",
                got=f"shape {bias.shape}",
                expected=f"one that broadcasts to {shape}",
            )

    @property
    def output_shape(self) -> Shape:
        """The sizes of the output's letters."""
        return tuple(self._sizes[letter] for letter in self._letters.after)

    @cached_property
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """The matrix, or matrices, between the permutations that bring axes together."""
        letters = self._letters
        before = _reordered(letters.before, letters.gathered, self._sizes)
        after = _reordered(letters.made, letters.after, self._sizes)
        repeats = self._count(letters.repeated)
        core = self._core()
        middle = RepeatedMap(core, repeats) if repeats > 1 else core
        bias = None
        if self.bias is not None:
            full = np.broadcast_to(self.bias.astype(np.float64), self.output_shape)
            bias = full.ravel()
        return compose([before, middle, after]), bias

    def _core(self) -> LinearMap:
        """The matrices for one index of what is repeated over."""
        letters = self._letters
        kernel = self.kernel
        if letters.dropped:
            places = tuple(letters.kernel.index(letter) for letter in letters.dropped)
            kernel = np.asarray(kernel.astype(np.float64).sum(axis=places))
        kept = [letter for letter in letters.kernel if letter not in letters.dropped]
        wanted = letters.apart + letters.added + letters.contracted
        kernel = kernel.transpose([kept.index(letter) for letter in wanted])
        n_out, n_in = self._count(letters.added), self._count(letters.contracted)
        matrices = kernel.reshape(-1, n_out, n_in)
        matrices = np.repeat(matrices, self._count(letters.summed), axis=2)
        blocks = [DenseMap(ArrayMatrix(matrix)) for matrix in matrices]
        return BlockDiagonalMap(blocks) if len(blocks) > 1 else blocks[0]

    def _count(self, letters: str) -> int:
        return math.prod(self._sizes[letter] for letter in letters)

    @property
    def facts(self) -> Facts:
        """Each matrix loses what it has more columns than rows, and all sums lose."""
        letters = self._letters
        rank = min(self._count(letters.added), self._count(letters.contracted))
        n, m = size_of(self.input_shape), size_of(self.output_shape)
        blocks = self._count(letters.repeated + letters.apart)
        lost = n - rank * blocks
        reason = f"maps {n} numbers to {m}, {n // blocks} to {m // blocks} at a time: "
        return Facts(
            one_to_one=False if lost else None,
            onto=False if rank * blocks < m else None,
            image=None,
            lost=lost,
            reason=f"{reason}{share(lost, n)} of the numbers are lost" if lost else "",
        )

    def config(self) -> dict[str, Any]:
        """The equation."""
        return {"equation": self.equation}

    def weights(self) -> Weights:
        """Kernel and bias as stored."""
        found = {"kernel": self.kernel}
        if self.bias is not None:
            found["bias"] = self.bias
        return found

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Take kernel and bias from `weights`."""
        arrays = {name: np.asarray(values) for name, values in weights.items()}
        return cls(input_shape, config["equation"], arrays["kernel"], arrays.get("bias"))


@dataclass(frozen=True)
class _Letters:
    """The index letters of an equation, without the batch, by what they do.

    `before`, `kernel` and `after` are those of the input, the kernel and the output.
    """

    before: str
    kernel: str
    after: str

    @classmethod
    def read(cls, equation: str, rank: int, kernel_rank: int) -> _Letters:
        """Take an equation apart; see `EinsumDense`."""
        text = equation.replace(" ", "")
        sides = text.split("->")
        operands = sides[0].split(",")
        if len(sides) != 2 or len(operands) != 2 or "..." in operands[1]:
            raise _refused(equation, "letters of the input, the kernel and the output")
        more = rank + 1 - len(operands[0].replace("...", ""))
        unused = [letter for letter in ascii_letters if letter not in text]
        dots = "".join(unused[:more]) if "..." in operands[0] else ""
        before, after = (k.replace("...", dots, 1) for k in (operands[0], sides[1]))
        found = (before, operands[1], after)
        if any(not k.isalpha() or len(set(k)) < len(k) for k in found):
            raise _refused(equation, "each letter at most once in each of its parts")
        if len(before) != rank + 1 or len(operands[1]) != kernel_rank:
            raise _refused(
                equation, f"{rank + 1} axes of the input and {kernel_rank} of the kernel"
            )
        if before[0] != after[0] or before[0] in operands[1]:
            raise _refused(equation, "the batch first in input and output")
        if set(after) - set(before) - set(operands[1]):
            raise _refused(equation, "an output of letters of the input and the kernel")
        return cls(before[1:], operands[1], after[1:])

    def sizes(self, input_shape: Shape, kernel_shape: Shape) -> dict[str, int]:
        """How many indices each letter has; refuse shapes that disagree."""
        found = dict(zip(self.before, input_shape, strict=True))
        for letter, size in zip(self.kernel, kernel_shape, strict=True):
            if found.setdefault(letter, size) != size:
                raise ShapeError(
                    "kernel",
                    got=f"shape {kernel_shape}",
                    expected=f"{found[letter]} indices {letter!r}, as in {input_shape}",
                )
        return found

    @property
    def repeated(self) -> str:
        """Of input and output."""
        return "".join(k for k in self.before if k in self.after and k not in self.kernel)

    @property
    def apart(self) -> str:
        """Of input, kernel and output."""
        return "".join(k for k in self.before if k in self.after and k in self.kernel)

    @property
    def contracted(self) -> str:
        """Of input and kernel."""
        return "".join(k for k in self.before if k in self.kernel and k not in self.after)

    @property
    def summed(self) -> str:
        """Of the input alone."""
        other = self.kernel + self.after
        return "".join(k for k in self.before if k not in other)

    @property
    def added(self) -> str:
        """Of kernel and output."""
        return "".join(k for k in self.after if k not in self.before)

    @property
    def dropped(self) -> str:
        """Of the kernel alone."""
        other = self.before + self.after
        return "".join(k for k in self.kernel if k not in other)

    @property
    def gathered(self) -> str:
        """The order of the input's axes in which the matrices stand side by side."""
        return self.repeated + self.apart + self.contracted + self.summed

    @property
    def made(self) -> str:
        """The order of the output's axes in which the matrices leave it."""
        return self.repeated + self.apart + self.added


def _reordered(given: str, wanted: str, sizes: Mapping[str, int]) -> LinearMap:
    """The permutation that puts the axes called `given` in the order `wanted`."""
    shape = tuple(sizes[letter] for letter in given)
    numbers = np.arange(size_of(shape)).reshape(shape)
    order = numbers.transpose([given.index(letter) for letter in wanted]).ravel()
    if (order == np.arange(order.size)).all():
        return IdentityMap(order.size)
    return PermutationMap(order)


def _broadcasts(shape: Shape, wanted: Shape) -> bool:
    try:
        return np.broadcast_shapes(shape, wanted) == wanted
    except ValueError:
        return False


def _refused(equation: str, expected: str) -> ShapeError:
    return ShapeError("equation", got=repr(equation), expected=expected)
