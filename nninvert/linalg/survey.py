"""What one pass over a matrix tells about its spectrum.

Norms of rows and columns, the diagonal, and products with random vectors; see
`nninvert.linalg.probe` for what is concluded from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.fused import (
    Pace,
    Products,
    Scaling,
    StripedProducts,
    products_of,
)
from nninvert.linalg.map import DenseMap, LinearMap
from nninvert.linalg.passes import combined, over_stripes
from nninvert.linalg.stored import StoredMatrix, Stripe

Float64 = NDArray[np.float64]

_VECTORS = 4
_STREAM = 0x5EED
"""Sets these random numbers apart from those that weights may have been drawn from."""

_TINY = 1e-150
"""Rows and columns below this norm are taken for zero: nothing is divided by it."""


@dataclass(frozen=True)
class Sizes:
    """Squared 2-norms of the rows and columns of a matrix, and its diagonal."""

    rows: Float64
    columns: Float64
    diagonal: Float64


@dataclass(frozen=True)
class Survey:
    """Deviations of a map from the easiest ones, and the scalings that may reduce them.

    Attributes
    ----------
    matrix : StoredMatrix or None
        None for maps that are known by their products only.
    shape : (int, int)
    start, reached, returned : float64 arrays
        Random v, B v and B^T B v, with B the map or its transpose.
    sizes : Sizes or None
        None where there is no matrix.
    """

    matrix: StoredMatrix | None
    shape: tuple[int, int]
    start: Float64
    reached: Float64
    returned: Float64
    sizes: Sizes | None

    @property
    def norm(self) -> float:
        """A lower bound of ||A|| in the 2-norm."""
        return max(
            float((_norms(self.reached) / _norms(self.start)).max()),
            float((_norms(self.returned) / np.maximum(_norms(self.reached), _TINY)).max()),
        )

    @property
    def deviation(self) -> float:
        """Relative standard deviation of the squared singular values, cautiously.

        The scatter of the vectors' own estimates is added once.
        """
        found = _deviations(self.shape, self.start, self.reached, self.returned)
        if not np.all(np.isfinite(found)):
            return float("inf")
        return float(np.sqrt(found.mean() + found.std() / np.sqrt(_VECTORS)))

    def gmres_options(self) -> list[tuple[float, Scaling]]:
        """Relative size of what A adds to a multiple of I, and of its diagonal."""
        if self.shape[0] != self.shape[1]:
            return []
        v, t = self.start, self.reached
        along = np.einsum("ij,ij->i", v, t) ** 2
        total = np.einsum("ij,ij->i", v, v) * np.einsum("ij,ij->i", t, t)
        excess = total / np.where(along > 0.0, along, np.nan) - 1.0
        plain = np.sqrt(max(float(np.mean(excess)), 0.0)) if np.all(along > 0) else np.inf
        options = [(float(plain), Scaling())]
        if self.sizes is not None and np.all(np.abs(self.sizes.diagonal) > _TINY):
            diagonal = self.sizes.diagonal
            excess = np.maximum(self.sizes.columns / diagonal**2 - 1.0, 0.0)
            options.append((float(np.sqrt(np.mean(excess))), Scaling(None, 1.0 / diagonal)))
        return options

    def lsmr_scalings(self) -> list[Scaling]:
        """Scalings of rows and columns that keep the question what it is."""
        if self.sizes is None:
            return []
        m, n = self.shape
        rows, columns = np.sqrt(self.sizes.rows), np.sqrt(self.sizes.columns)
        if min(rows.min(), columns.min()) <= _TINY:
            return []
        by_rows, by_columns = Scaling(1.0 / rows), Scaling(None, 1.0 / columns)
        if m != n:
            return [by_columns] if m > n else [by_rows]
        unit = float(np.sqrt(np.mean(self.sizes.rows)))
        return [
            by_columns,
            by_rows,
            Scaling(unit / rows, 1.0 / columns),
            Scaling(1.0 / np.sqrt(rows), 1.0 / np.sqrt(columns)),
        ]

    @property
    def least_scaled_deviation(self) -> float:
        """What is left of `deviation` when the sizes of rows and columns explain theirs.

        For D Q E with diagonal D and E and an orthogonal Q without pattern the squared
        singular values have 1 + deviation^2 = (1 + d^2) (1 + e^2), d and e being the
        deviations of D^2 and E^2. Other matrices have more left than this.
        """
        if self.sizes is None:
            return self.deviation
        m, n = self.shape
        by_rows = _relative_variance(self.sizes.rows) if m <= n else 0.0
        by_columns = _relative_variance(self.sizes.columns) if m >= n else 0.0
        left = (1.0 + self.deviation**2) / ((1.0 + by_rows) * (1.0 + by_columns)) - 1.0
        return float(np.sqrt(max(left, 0.0)))

    def deviations(self, scalings: Sequence[Scaling], pace: Pace) -> list[float]:
        """The deviation of R A C for several R and C, from one pass for all of them."""
        if self.matrix is None:
            raise ValueError("a map without a matrix is not scaled")
        m, n = self.shape
        ones_m, ones_n = np.ones(m), np.ones(n)
        each = Scaling(
            np.stack([ones_m if s.rows is None else s.rows for s in scalings]),
            np.stack([ones_n if s.columns is None else s.columns for s in scalings]),
        )
        products = StripedProducts(self.matrix, pace, each)
        start = np.repeat(self.start[:1], len(scalings), axis=0)
        reached, returned = products.there_and_back(
            start, np.zeros((len(scalings), self.reached.shape[1]))
        )
        found = _deviations(self.shape, start, reached, returned)
        return [float(np.sqrt(value)) for value in found]


def survey_of(linear_map: LinearMap, pace: Pace, seed: int) -> Survey:
    """Survey a map: one pass over the weights of a stored matrix.

    Raises
    ------
    PassInterrupted
        If the work shall stop.
    """
    if isinstance(linear_map, DenseMap):
        return _of_matrix(linear_map.matrix, pace, seed)
    products: Products = products_of(linear_map, pace)
    start = _random(linear_map.shape[1], seed)
    reached, returned = products.there_and_back(
        start, np.zeros((_VECTORS, products.shape[0]))
    )
    return Survey(None, linear_map.shape, start, reached, returned, None)


def _of_matrix(matrix: StoredMatrix, pace: Pace, seed: int) -> Survey:
    lines, length = matrix.shape[:: -1 if matrix.column_major else 1]
    start = _random(length, seed)
    reached = np.empty((_VECTORS, lines))
    along, diagonal = np.empty(lines), np.zeros(min(lines, length))

    def take(stripes: Iterator[Stripe]) -> tuple[Float64, Float64]:
        returned, across = np.zeros((_VECTORS, length)), np.zeros(length)
        for of_rows, of_columns, stripe in stripes:
            place, block = of_rows, stripe
            if matrix.column_major:
                place, block = of_columns, stripe.T
            reached[:, place] = start @ block.T
            returned += reached[:, place] @ block
            squares = block * block
            along[place] = squares.sum(axis=1)
            across += squares.sum(axis=0)
            on = np.arange(place.start, min(place.stop, length))
            diagonal[on] = block[on - place.start, on]
        return returned, across

    parts = over_stripes(matrix, take, _VECTORS, pace.check)
    returned = combined([part[0] for part in parts])
    across = combined([part[1] for part in parts])
    pace.count()
    rows, columns = (across, along) if matrix.column_major else (along, across)
    sizes = Sizes(rows, columns, diagonal)
    return Survey(matrix, matrix.shape, start, reached, returned, sizes)


def _random(n: int, seed: int) -> Float64:
    return np.random.default_rng([seed, _STREAM]).standard_normal((_VECTORS, n))


def _norms(rows: Float64) -> Float64:
    return np.asarray(np.linalg.norm(rows, axis=1))


def _deviations(
    shape: tuple[int, int], start: Float64, reached: Float64, returned: Float64
) -> Float64:
    """Relative variance of the squared nonzero singular values, for each vector.

    With random v, |B v|^2 estimates the sum of their squares and |B^T B v|^2 that of their
    fourth powers, each times |v|^2 / columns; only min(m, n) of them are not zero.
    """
    share = min(shape) / start.shape[1]
    middle = _norms(reached) ** 2
    ratio = (
        _norms(returned) ** 2 * _norms(start) ** 2 / np.where(middle > 0, middle, 1) ** 2
    )
    return np.where(middle > 0, np.maximum(share * ratio - 1.0, 0.0), np.inf)


def _relative_variance(values: Float64) -> float:
    mean = float(values.mean())
    return float(values.var()) / mean**2 if mean > 0.0 else 0.0
