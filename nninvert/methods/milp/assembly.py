"""Columns and rows of a program, gathered block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy import sparse

Float64 = NDArray[np.float64]
Places = NDArray[np.int64]
Mask = NDArray[np.bool_]


class Builder:
    """A program in the making."""

    def __init__(self) -> None:
        self.size = 0
        self._columns: list[tuple[Float64, Float64, Float64, Mask]] = []
        self._rows: list[tuple[sparse.csr_array, Float64, Float64]] = []
        self._count = 0

    def columns(
        self, lower: Float64, upper: Float64, *, cost: float = 0.0, whole: bool = False
    ) -> Places:
        """Add a block of columns; their places."""
        count = lower.size
        kind = np.full(count, whole, dtype=np.bool_)
        self._columns.append((np.full(count, cost), lower, upper, kind))
        self.size += count
        return np.arange(self.size - count, self.size)

    def rows(
        self, matrix: sparse.csr_array, lower: Float64 | float, upper: Float64 | float
    ) -> Places:
        """Add ``lower <= matrix @ v <= upper``; their places.

        Columns that are added later do not occur in them.
        """
        count = matrix.shape[0]
        self._rows.append(
            (matrix, np.broadcast_to(lower, count), np.broadcast_to(upper, count))
        )
        self._count += count
        return np.arange(self._count - count, self._count)

    def selection(self, places: Places, values: Float64 | float = 1.0) -> sparse.csr_array:
        """The matrix that takes the columns at `places`, each times its value."""
        from scipy import sparse

        count = places.size
        data = np.array(np.broadcast_to(values, count), dtype=np.float64)
        shape = (count, self.size)
        return sparse.csr_array((data, (np.arange(count), places)), shape=shape)

    def wide(self, matrix: sparse.csr_array) -> sparse.csr_array:
        """The same with as many columns as there are now."""
        from scipy import sparse

        found = sparse.csr_array(matrix, copy=True)
        found.resize((matrix.shape[0], self.size))
        return found

    def columns_done(self) -> tuple[Float64, Float64, Float64, Mask]:
        """Costs, bounds, and which are whole."""
        cost, lower, upper, whole = zip(*self._columns, strict=True)
        return (
            np.concatenate(cost),
            np.concatenate(lower),
            np.concatenate(upper),
            np.concatenate(whole),
        )

    def rows_done(self) -> tuple[sparse.csr_array, Float64, Float64]:
        """All rows and their bounds."""
        from scipy import sparse

        matrices, lower, upper = zip(*self._rows, strict=True)
        stacked = sparse.vstack([self.wide(matrix) for matrix in matrices], format="csr")
        return stacked, np.concatenate(lower), np.concatenate(upper)


class Expression:
    """One affine function of the columns for each unit of a layer, term by term."""

    def __init__(self, width: int) -> None:
        self.constant = np.zeros(width)
        self._terms: list[tuple[Places, Places, Float64]] = []

    def add(self, units: Places, places: Places, values: Float64 | float) -> None:
        """Add ``value * v[place]`` to each of these units."""
        data = np.array(np.broadcast_to(values, units.size), dtype=np.float64)
        kept = data != 0.0
        self._terms.append((units[kept], places[kept], data[kept]))

    def matrix(self, columns: int) -> sparse.csr_array:
        """All terms, as many columns wide."""
        from scipy import sparse

        units, places, data = (
            np.concatenate(part) for part in zip(*self._terms, strict=True)
        )
        shape = (self.constant.size, columns)
        return sparse.csr_array((data, (units, places)), shape=shape)
