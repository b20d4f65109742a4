"""Kronecker products: one small map for each axis of a grid.

Pooling, padding, cropping and interpolation treat the axes of an image one by one, so that
their matrix is the Kronecker product of one matrix for each axis. Its singular values are
all products of those of the axes, its pseudo-inverse is the product of theirs (Golub & Van
Loan, Matrix Computations, 4th ed., section 12.3), and none of it needs the whole matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.condition import Spectrum
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.map import IdentityMap, LinearMap
from nninvert.outcome import Kind

Float64 = NDArray[np.float64]
OnAxis = Callable[[Float64], Float64]
Operations = Mapping[int, OnAxis]
"""One for each axis on which something happens."""


class KroneckerMap(LinearMap):
    """A map along each axis of a grid: their Kronecker product on its flattened numbers.

    Parameters
    ----------
    parts : sequence of LinearMap
        For axis i a map of shape (m_i, n_i); the identity where nothing happens.

    Attributes
    ----------
    sizes_in, sizes_out : tuple of int
        The axes of both grids.
    active : tuple of int
        The axes along which something happens.
    """

    def __init__(self, parts: Sequence[LinearMap]) -> None:
        self.parts = tuple(parts)
        self.sizes_in = tuple(part.shape[1] for part in self.parts)
        self.sizes_out = tuple(part.shape[0] for part in self.parts)
        self.shape = (math.prod(self.sizes_out), math.prod(self.sizes_in))
        self.active = tuple(
            place
            for place, part in enumerate(self.parts)
            if not isinstance(part, IdentityMap)
        )

    def apply(self, x: Float64) -> Float64:
        """Apply each part along its axis."""
        return along_axes(x, self.sizes_in, {k: p.apply for k, p in self._active})

    def adjoint(self, y: Float64) -> Float64:
        """Apply each transpose along its axis."""
        return along_axes(y, self.sizes_out, {k: p.adjoint for k, p in self._active})

    def magnitude(self, x: Float64) -> Float64:
        """Apply the sizes of each part's entries along its axis."""
        sizes = {k: p.magnitude for k, p in self._active}
        return along_axes(np.abs(x), self.sizes_in, sizes)

    @property
    def _active(self) -> list[tuple[int, LinearMap]]:
        return [(k, self.parts[k]) for k in self.active]

    @property
    def terms(self) -> int:
        """Sums of sums."""
        return math.prod(part.terms for part in self.parts)

    @property
    def key(self) -> tuple[str, ...]:
        """Keys of all parts."""
        return ("kronecker", *(word for part in self.parts for word in part.key))

    @property
    def stored_eps(self) -> float:
        """The coarsest of the parts."""
        return max(part.stored_eps for part in self.parts)


class KroneckerFactor(Factorisation):
    """Of a Kronecker product, from factorisations of its parts."""

    def __init__(self, linear_map: KroneckerMap, parts: Sequence[Factorisation]) -> None:
        self._map, self._parts = linear_map, tuple(parts)
        self.shape = linear_map.shape
        self.rank = math.prod(part.rank for part in self._parts)
        self.nbytes = sum(part.nbytes for part in self._parts)
        self._active = [(k, self._parts[k]) for k in linear_map.active]
        reasons = dict.fromkeys(part.reason for _, part in self._active)
        self.reason = f"axis by axis: {', '.join(reasons)}"

    def solve(self, y: Float64) -> Float64:
        """Solve along each axis."""
        return along_axes(y, self._map.sizes_out, {k: p.solve for k, p in self._active})

    def solve_roughly(self, y: Float64) -> Float64:
        """Solve roughly along each axis."""
        solves = {k: p.solve_roughly for k, p in self._active}
        return along_axes(y, self._map.sizes_out, solves)

    def solve_transposed(self, x: Float64) -> Float64:
        """Solve with the transposes along each axis."""
        solves = {k: p.solve_transposed for k, p in self._active}
        return along_axes(x, self._map.sizes_in, solves)

    def spread(self, radius: Float64) -> Float64:
        """Spread along each axis."""
        spreads = {k: p.spread for k, p in self._active}
        return along_axes(radius, self._map.sizes_out, spreads)

    def spectrum(self) -> Spectrum:
        """Products of the singular values of the parts."""
        found = [part.spectrum() for part in self._parts]
        # A part that is wide beside one that is tall leaves fewer products than the whole
        # has singular values: the others are zero.
        products = math.prod(min(part.shape) for part in found)
        smallest = math.prod(part.smallest for part in found)
        kinds = {part.kind for part in found}
        return Spectrum(
            shape=self.shape,
            largest=math.prod(part.largest for part in found),
            smallest=smallest if products == min(self.shape) else 0.0,
            rank=_product([part.rank for part in found]),
            rank_stored=_product([part.rank_stored for part in found]),
            kind=next(
                k for k in (Kind.LOWER_BOUND, Kind.ESTIMATE, Kind.EXACT) if k in kinds
            ),
            method=_methods([part.method for part in found]),
        )


def along_axes(values: Float64, sizes: Sequence[int], operations: Operations) -> Float64:
    """Apply to each axis of (..., prod(sizes)) an operation on last axes."""
    lead = values.shape[:-1]
    grid = values.reshape(*lead, *sizes)
    for place, operation in operations.items():
        axis = place - len(sizes)
        moved = operation(np.ascontiguousarray(np.moveaxis(grid, axis, -1)))
        grid = np.moveaxis(moved, -1, axis)
    return grid.reshape(*lead, math.prod(grid.shape[len(lead) :]))


def _product(ranks: Sequence[int | None]) -> int | None:
    known = [rank for rank in ranks if rank is not None]
    return math.prod(known) if len(known) == len(ranks) else None


def _methods(methods: Sequence[str]) -> str:
    """What was used beside structure, each once."""
    used = dict.fromkeys(method for method in methods if method != "structure")
    return f"{', '.join(used)} of each axis" if used else "structure"
