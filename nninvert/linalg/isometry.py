"""Compositions of one map with others that keep all lengths, up to a factor.

If B B^T = b^2 I and C^T C = c^2 I, then (C A B)^+ = B^+ A^+ C^+ for every A (Greville,
SIAM Review 8, 1966), and the singular values are those of A times b c, with zeros. So a
matrix behind a pooling layer, or between two permutations, is solved with as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.condition import Spectrum
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.kronecker import KroneckerMap
from nninvert.linalg.map import (
    ComposedMap,
    IdentityMap,
    LinearMap,
    PermutationMap,
    RepeatedMap,
)
from nninvert.linalg.orthogonal import column_lengths, row_lengths
from nninvert.linalg.structured import ChainFactor

_EVEN = 1e-15
"""Lengths that agree to this differ by rounding alone."""

Lengths = Callable[[LinearMap], NDArray[np.float64] | None]


def row_scale(linear_map: LinearMap) -> float | None:
    """The s > 0 with A A^T = s^2 I; None where that is not seen."""
    return _scale(linear_map, row_lengths)


def column_scale(linear_map: LinearMap) -> float | None:
    """The s > 0 with A^T A = s^2 I; None where that is not seen."""
    return _scale(linear_map, column_lengths)


def _scale(linear_map: LinearMap, lengths_of: Lengths) -> float | None:
    if isinstance(linear_map, IdentityMap | PermutationMap):
        return 1.0
    if isinstance(linear_map, RepeatedMap):
        return _scale(linear_map.base, lengths_of)
    if isinstance(linear_map, KroneckerMap):
        product = 1.0
        for part in linear_map.parts:
            scale = _scale(part, lengths_of)
            if scale is None:
                return None
            product *= scale
        return product
    lengths = lengths_of(linear_map)
    if lengths is None or lengths[0] == 0.0:
        return None
    even = np.all(np.abs(lengths - lengths[0]) <= _EVEN * lengths[0])
    return float(lengths[0]) if even else None


@dataclass(frozen=True)
class Surrounded:
    """Where in a composition the map stands that decides.

    Attributes
    ----------
    place : int
        All parts before it have orthogonal rows of one length, all after it orthogonal
        columns.
    scale : float
        What they multiply its singular values by.
    """

    place: int
    scale: float


def surrounded(linear_map: ComposedMap) -> Surrounded | None:
    """The map that decides in a composition; None where several do."""
    parts = linear_map.parts
    place, scale = len(parts) - 1, 1.0
    while place > 0 and (after := column_scale(parts[place])) is not None:
        scale *= after
        place -= 1
    for part in parts[:place]:
        before = row_scale(part)
        if before is None:
            return None
        scale *= before
    return Surrounded(place, scale)


class SurroundedFactor(ChainFactor):
    """Of a composition in which one map decides."""

    def __init__(
        self,
        linear_map: ComposedMap,
        parts: Sequence[Factorisation],
        where: Surrounded,
    ) -> None:
        super().__init__(linear_map, list(parts))
        self._core, self._scale = parts[where.place], where.scale
        self.rank = self._core.rank

    def spectrum(self) -> Spectrum:
        """That of the map that decides, scaled; zero where the shape has more of them."""
        found = self._core.spectrum()
        complete = min(found.shape) == min(self.shape)
        return replace(
            found,
            shape=self.shape,
            largest=found.largest * self._scale,
            smallest=found.smallest * self._scale if complete else 0.0,
        )
