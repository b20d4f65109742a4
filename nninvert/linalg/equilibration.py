"""How large the entries of a matrix are, and scaling its rows and columns to one size.

Scales are powers of two: the scaled numbers have the same digits, and nothing is rounded.
float32 holds numbers from 1e-38 to 1e38 only; scaled, any matrix of float64 fits into it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.casting import cast
from nninvert.linalg.passes import combined, over_stripes
from nninvert.linalg.stored import Array, StoredMatrix, Stripe

Float64 = NDArray[np.float64]
Exponents = NDArray[np.int64]

_LARGEST = float(np.finfo(np.float64).max)

_EVEN = 0.1
"""Rows, or columns, whose largest entries differ by no more than this factor stay as they
are: LAPACK's xGEEQU has the same bound."""

_FLOAT32_RANGE = (1e-20, 1e20)
"""Largest entries in this range leave room in float32 for the products and sums of an LU
factorisation, and for entries far smaller than the largest."""


@dataclass(frozen=True)
class MatrixSizes:
    """Sums and maxima of |A| along its rows and columns, A of shape (m, n).

    Attributes
    ----------
    row_sums, row_max : float64 arrays, shape (m,)
    column_sums, column_max : float64 arrays, shape (n,)
    """

    row_sums: Float64
    row_max: Float64
    column_sums: Float64
    column_max: Float64

    @property
    def norm_inf(self) -> float:
        """||A|| in the maximum norm; the largest float64 where it would overflow."""
        return min(float(self.row_sums.max(initial=0.0)), _LARGEST)

    @property
    def norm_one(self) -> float:
        """||A|| in the 1-norm: that of the transpose in the maximum norm."""
        return min(float(self.column_sums.max(initial=0.0)), _LARGEST)


def matrix_sizes(matrix: StoredMatrix) -> MatrixSizes:
    """Sizes of the entries of a matrix: one pass over it."""
    lines, length = matrix.shape[:: -1 if matrix.column_major else 1]
    sums, largest = np.zeros(lines), np.zeros(lines)

    def measure(stripes: Iterator[Stripe]) -> tuple[Float64, Float64]:
        across_sums, across_max = np.zeros(length), np.zeros(length)
        for rows, cols, stripe in stripes:
            place, block = (cols, stripe.T) if matrix.column_major else (rows, stripe)
            size = np.abs(block)
            size.sum(axis=1, out=sums[place])
            size.max(axis=1, initial=0.0, out=largest[place])
            across_sums += size.sum(axis=0)
            np.maximum(across_max, size.max(axis=0), out=across_max)
        return across_sums, across_max

    with np.errstate(over="ignore"):
        parts = over_stripes(matrix, measure)
        along = sums, largest
        across = combined([part[0] for part in parts]), _largest([p[1] for p in parts])
    if matrix.column_major:
        along, across = across, along
    return MatrixSizes(*along, *across)


def _largest(parts: list[Float64]) -> Float64:
    found: Float64 = np.max(parts, axis=0)
    return found


@dataclass(frozen=True)
class Equilibration:
    """Exponents of two by which the rows and columns of a matrix are multiplied.

    Attributes
    ----------
    rows : int array, shape (m,)
    columns : int array, shape (n,)
    """

    rows: Exponents
    columns: Exponents


def equilibration(matrix: StoredMatrix, sizes: MatrixSizes) -> Equilibration | None:
    """Scales that bring the largest entry of every row and column to about 1.

    First the rows, then the columns of what results, as in LAPACK's xGEEQUB. Rows and
    columns of zeros stay.

    Parameters
    ----------
    matrix : StoredMatrix
    sizes : MatrixSizes
        Its `matrix_sizes`.

    Returns
    -------
    Equilibration, or None where the entries are of even size and fit into float32; else
    one more pass over the matrix is made.
    """
    if _is_even(sizes.row_max) and _is_even(sizes.column_max):
        return None
    rows = -_exponents(sizes.row_max)
    largest = np.zeros(matrix.shape[1])
    for span, cols, block in matrix.stripes():
        size = np.ldexp(np.abs(block), rows[span, None])
        np.maximum(largest[cols], size.max(axis=0), out=largest[cols])
    return Equilibration(rows, -_exponents(largest))


def _is_even(largest: Float64) -> bool:
    used = largest[largest > 0.0]
    if used.size == 0:
        return True
    low, high = float(used.min()), float(used.max())
    least, most = _FLOAT32_RANGE
    return low >= _EVEN * high and least <= low and high <= most


def _exponents(sizes: Float64) -> Exponents:
    """Exponents e with 0.5 <= size / 2^e < 1; 0 for zeros."""
    return np.frexp(sizes)[1].astype(np.int64)


class EquilibratedMatrix(StoredMatrix):
    """A stored matrix, its rows and columns scaled as it is read, in float64.

    Parameters
    ----------
    base : StoredMatrix
    scales : Equilibration
    """

    def __init__(self, base: StoredMatrix, scales: Equilibration) -> None:
        super().__init__(
            base.shape, np.float64, base.stored_name, column_major=base.column_major
        )
        self.base, self.scales = base, scales

    def digest(self) -> str:
        """That of the base, which the scales follow from."""
        return self.base.digest()

    def fingerprint(self) -> str:
        """That of the base."""
        return self.base.fingerprint()

    def read(self, rows: slice, cols: slice, out: Array | None = None) -> Array:
        """Read a block and scale it."""
        block = self.base.read(rows, cols).astype(np.float64)
        exponents = self.scales.rows[rows, None] + self.scales.columns[None, cols]
        scaled: Float64 = np.ldexp(block, exponents)
        if out is None:
            return scaled
        cast(scaled, out)
        return out

    def _lines(self, count: int) -> Iterator[tuple[slice, Array]]:
        scales = self.scales
        outer, inner = scales.rows, scales.columns
        if self.column_major:
            outer, inner = inner, outer
        for span, block in self.base._lines(count):
            exponents = outer[span, None] + inner[None, :]
            yield span, np.ldexp(block.astype(np.float64), exponents)
