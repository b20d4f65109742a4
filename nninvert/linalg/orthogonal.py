"""Maps whose rows, or columns, never meet: each other's zeros make them orthogonal.

Averages over windows that do not overlap, selections, repetitions and paddings are such
maps. Their singular values are the lengths of the rows, or columns, and their
pseudo-inverse is the transpose, scaled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg import condition
from nninvert.linalg.compressed import compressed
from nninvert.linalg.condition import Spectrum
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.map import IdentityMap, LinearMap
from nninvert.linalg.sparse import SparseMap, SparseMatrix

Float64 = NDArray[np.float64]
Places = NDArray[np.int64]


def gathering(places: Places, weights: Float64, size: int) -> LinearMap:
    """``y[i] = sum over k of weights[i, k] x[places[i, k]]``.

    Parameters
    ----------
    places : int array, shape (m, k)
        Which entries of x; those of -1 are left out. An entry may occur several times.
    weights : float64 array that broadcasts to (m, k)
    size : int
        How many entries x has.

    Returns
    -------
    IdentityMap where it is that, else SparseMap
    """
    m, width = places.shape
    full = np.broadcast_to(weights, places.shape)
    used = (places >= 0) & (full != 0.0)
    same = m == size and width == 1 and bool(used.all())
    if same and (places[:, 0] == np.arange(m)).all() and (full == 1.0).all():
        return IdentityMap(size)
    rows = np.broadcast_to(np.arange(m)[:, None], places.shape)
    parts = {"data": full[used], "row": rows[used], "col": places[used]}
    return SparseMap(compressed("coo", parts, (m, size)))


def row_lengths(linear_map: LinearMap) -> Float64 | None:
    """Lengths of the rows, shape (m,), if they are apart; None where some meet."""
    return _lengths(linear_map, 0)


def column_lengths(linear_map: LinearMap) -> Float64 | None:
    """Lengths of the columns, shape (n,), if they are apart; None where some meet."""
    return _lengths(linear_map, 1)


def _lengths(linear_map: LinearMap, axis: int) -> Float64 | None:
    if isinstance(linear_map, IdentityMap):
        return np.ones(linear_map.shape[0])
    if not isinstance(linear_map, SparseMap):
        return None
    lines = linear_map.matrix.triplets()
    met = np.bincount(lines[1 - axis], minlength=1)
    if met.max() > 1:
        return None
    values = linear_map.matrix.data.astype(np.float64)
    squares = np.bincount(lines[axis], values**2, minlength=linear_map.shape[axis])
    return np.sqrt(squares.astype(np.float64))


class OrthogonalFactor(Factorisation):
    """Of a map whose rows or columns are apart: its transpose, scaled.

    Parameters
    ----------
    linear_map : LinearMap
    lengths : float64 array
        Of the rows, shape (m,), or of the columns, shape (n,).
    by_rows : bool
        Which of both.
    """

    def __init__(self, linear_map: LinearMap, lengths: Float64, *, by_rows: bool) -> None:
        self._lengths, self._eps = lengths, linear_map.stored_eps
        self.shape = linear_map.shape
        self.rank = int(np.count_nonzero(lengths))
        self.nbytes = 8 * lengths.size
        self.reason = f"{'rows' if by_rows else 'columns'} that do not overlap"
        self._inverse = _inverse(linear_map, lengths, by_rows)

    def solve(self, y: Float64) -> Float64:
        """A^T (A A^T)^+ y, or (A^T A)^+ A^T y."""
        return self._inverse.apply(y)

    def solve_transposed(self, x: Float64) -> Float64:
        """The same with the transpose."""
        return self._inverse.adjoint(x)

    def spectrum(self) -> Spectrum:
        """The lengths; as many zeros as there are rows or columns too many fall away."""
        values = np.sort(self._lengths)[::-1][: min(self.shape)]
        found = condition.spectrum_of_values(self.shape, values, self._eps, "structure")
        return condition.with_rank(found, self.rank)

    def spread(self, radius: Float64) -> Float64:
        """Sizes in place of entries."""
        return self._inverse.magnitude(radius)


def _inverse(linear_map: LinearMap, lengths: Float64, by_rows: bool) -> LinearMap:
    """The pseudo-inverse: the transpose, entries over the squared length of their line."""
    if not isinstance(linear_map, SparseMap):
        return linear_map
    matrix = linear_map.matrix
    squares = lengths[matrix.triplets()[0 if by_rows else 1]] ** 2
    values = matrix.data.astype(np.float64) / squares
    made = SparseMatrix(
        values, matrix.indices, matrix.indptr, matrix.shape, matrix.column_major
    )
    return SparseMap(made.transposed)
