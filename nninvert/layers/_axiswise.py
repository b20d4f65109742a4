"""Linear layers that treat the axes of their input one by one."""

from __future__ import annotations

import math
from abc import abstractmethod
from functools import cached_property

import numpy as np

from nninvert.layers._base import Facts, Float64, Shape
from nninvert.layers._linear import LinearLayer
from nninvert.linalg.kronecker import KroneckerMap
from nninvert.linalg.map import IdentityMap, LinearMap
from nninvert.linalg.orthogonal import column_lengths, row_lengths


class AxiswiseLayer(LinearLayer):
    """``y = A x + b`` with A the Kronecker product of one map for each axis."""

    @property
    @abstractmethod
    def axis_maps(self) -> tuple[LinearMap, ...]:
        """For each axis of the input the map along it; the identity where none is."""

    @property
    @abstractmethod
    def what_it_does(self) -> str:
        """What happens to the numbers, for people: "averages 2x2 cells to one"."""

    @property
    def offset(self) -> Float64 | None:
        """b, of shape (n_out,); None for zero."""
        return None

    @property
    def output_shape(self) -> Shape:
        """What the maps make of each axis."""
        return tuple(part.shape[0] for part in self.axis_maps)

    @cached_property
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """The Kronecker product, and the offset."""
        parts = self.axis_maps
        if all(isinstance(part, IdentityMap) for part in parts):
            return IdentityMap(math.prod(self.input_shape)), self.offset
        return KroneckerMap(parts), self.offset

    @cached_property
    def facts(self) -> Facts:
        """Exact where rows or columns of each axis are apart; else sizes alone tell."""
        parts = [_AxisFacts(part) for part in self.axis_maps]
        n = math.prod(self.input_shape)
        lost = n - math.prod(part.most_rank for part in parts)
        one_to_one = all(part.one_to_one for part in parts)
        reason = f"{self.what_it_does}: {share(lost, n)} of the numbers are lost"
        return Facts(
            one_to_one=False if lost else True if one_to_one else None,
            onto=False
            if any(part.misses for part in parts)
            else True
            if all(part.onto for part in parts)
            else None,
            image=None,
            lost=lost,
            reason=reason if lost else "",
        )


class _AxisFacts:
    """What the structure of the map along one axis tells."""

    def __init__(self, part: LinearMap) -> None:
        m, n = part.shape
        rows, columns = row_lengths(part), column_lengths(part)
        self.one_to_one = columns is not None and bool(np.all(columns > 0.0))
        self.onto = rows is not None and bool(np.all(rows > 0.0))
        known = [int(np.count_nonzero(k)) for k in (rows, columns) if k is not None]
        self.most_rank = min(known, default=min(m, n))
        self.misses = self.most_rank < m


def share(part: int, whole: int) -> str:
    """A part in percent, never rounded to all or nothing: "75 %", "over 99.9 %"."""
    percent = 100.0 * part / whole
    if part < whole and percent > 99.9:
        return "over 99.9 %"
    if part and percent < 0.1:
        return "less than 0.1 %"
    return f"{percent:.3g} %"


def times(sizes: tuple[int, ...]) -> str:
    """Sizes as people write them: "2x3"; "5" for a single one."""
    return "x".join(str(size) for size in sizes)
