"""Factorisations that the structure of a map gives away: no matrix is factored here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg import condition
from nninvert.linalg.condition import Spectrum
from nninvert.linalg.factorisation import Factorisation, square_spectrum
from nninvert.linalg.map import ComposedMap, DiagonalMap, LinearMap, RepeatedMap

Float64 = NDArray[np.float64]


class PermutationFactor(Factorisation):
    """Of the identity and of permutations: the transpose is the inverse."""

    reason = "permutation"
    nbytes = 0

    def __init__(self, linear_map: LinearMap) -> None:
        self._map = linear_map
        self.shape = linear_map.shape
        self.rank = linear_map.shape[0]

    def solve(self, y: Float64) -> Float64:
        """Reorder back."""
        return self._map.adjoint(y)

    def solve_transposed(self, x: Float64) -> Float64:
        """Reorder."""
        return self._map.apply(x)

    def spectrum(self) -> Spectrum:
        """All ones."""
        return condition.trivial_spectrum(self.shape[0])

    def spread(self, radius: Float64) -> Float64:
        """Reorder the radii."""
        return self._map.adjoint(radius)


class DiagonalFactor(Factorisation):
    """Of a diagonal map; entries that count as zero are left out of the inverse."""

    reason = "diagonal"

    def __init__(self, linear_map: DiagonalMap) -> None:
        d = linear_map.diagonal
        self.shape = linear_map.shape
        self.nbytes = 8 * d.size
        self._values, self._eps = np.abs(d), linear_map.stored_eps
        # Scales of different units may differ by any factor: only a true zero is lost,
        # and what is so small that its reciprocal overflows.
        used = np.abs(d) >= np.finfo(np.float64).tiny
        self.rank = int(np.count_nonzero(used))
        self._inverse = np.divide(1.0, d, out=np.zeros(d.shape), where=used)

    def solve(self, y: Float64) -> Float64:
        """Divide; zero where the diagonal is."""
        return y * self._inverse

    def solve_transposed(self, x: Float64) -> Float64:
        """Divide; zero where the diagonal is."""
        return x * self._inverse

    def spectrum(self) -> Spectrum:
        """From the entries; a true zero alone lowers the rank."""
        found = condition.spectrum_of_values(
            self.shape, self._values, self._eps, "diagonal"
        )
        return condition.with_rank(found, self.rank)

    def spread(self, radius: Float64) -> Float64:
        """Scale the radii."""
        return radius * np.abs(self._inverse)


class RepeatedFactor(Factorisation):
    """Of a block-diagonal map whose blocks are equal."""

    def __init__(self, linear_map: RepeatedMap, base: Factorisation) -> None:
        self._map, self._base = linear_map, base
        self.shape = linear_map.shape
        self.rank = base.rank * linear_map.repeats
        self.nbytes = base.nbytes
        self.reason = f"{linear_map.repeats} equal blocks: {base.reason}"

    @property
    def residual_scale(self) -> Float64:
        """That of the block, for each of them."""
        scale = self._base.residual_scale
        return np.tile(scale, self._map.repeats) if scale.size > 1 else scale

    def solve(self, y: Float64) -> Float64:
        """Solve each piece."""
        return self._map.joined(self._base.solve(self._map.pieces(y)))

    def solve_roughly(self, y: Float64) -> Float64:
        """Solve each piece roughly."""
        return self._map.joined(self._base.solve_roughly(self._map.pieces(y)))

    def solve_transposed(self, x: Float64) -> Float64:
        """Solve each piece with the transpose."""
        return self._map.joined(self._base.solve_transposed(self._map.pieces(x)))

    def solve_transposed_roughly(self, x: Float64) -> Float64:
        """The same, roughly."""
        return self._map.joined(self._base.solve_transposed_roughly(self._map.pieces(x)))

    def spectrum(self) -> Spectrum:
        """The spectrum of one block, ranks counted over all."""
        return condition.repeated(self._base.spectrum(), self._map.repeats)

    def spread(self, radius: Float64) -> Float64:
        """Spread each piece."""
        return self._map.joined(self._base.spread(self._map.pieces(radius)))


class ChainFactor(Factorisation):
    """Of a composition of square nonsingular maps: solve with one after the other."""

    def __init__(self, linear_map: ComposedMap, parts: list[Factorisation]) -> None:
        self._map, self._parts = linear_map, parts
        self.shape = linear_map.shape
        self.rank = linear_map.shape[0]
        self.nbytes = sum(part.nbytes for part in parts)
        self.reason = " then ".join(part.reason for part in reversed(parts))

    def solve(self, y: Float64) -> Float64:
        """Solve from the last part to the first."""
        for part in reversed(self._parts):
            y = part.solve(y)
        return y

    def solve_roughly(self, y: Float64) -> Float64:
        """Solve roughly from the last part to the first."""
        for part in reversed(self._parts):
            y = part.solve_roughly(y)
        return y

    def solve_transposed(self, x: Float64) -> Float64:
        """Solve from the first part to the last."""
        for part in self._parts:
            x = part.solve_transposed(x)
        return x

    def solve_transposed_roughly(self, x: Float64) -> Float64:
        """The same, roughly."""
        for part in self._parts:
            x = part.solve_transposed_roughly(x)
        return x

    def spectrum(self) -> Spectrum:
        """That of the product: by SVD where cheap, else estimated.

        Its rank is full, whatever the quotient of its singular values: each part is
        nonsingular, and scales that differ by any factor may be among them.
        """
        return replace(square_spectrum(self._map, self), rank=self.rank)

    def spread(self, radius: Float64) -> Float64:
        """Spread from the last part to the first."""
        for part in reversed(self._parts):
            radius = part.spread(radius)
        return radius
