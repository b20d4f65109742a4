"""Matrices of which only the entries that are not zero are stored, and maps by them."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.casting import cast
from nninvert.linalg.map import Float64, LinearMap
from nninvert.linalg.stored import Array, NonFinite, StoredMatrix

if TYPE_CHECKING:
    from scipy import sparse

Indices = NDArray[np.signedinteger[Any]]

_SAMPLES = 64
_SAMPLE_BYTES = 1 << 16


class SparseMatrix(StoredMatrix):
    """A sparse matrix in compressed rows, or columns, held in memory.

    `read` and what is built on it hand out dense blocks, zeros included; whoever can use
    the entries alone takes `data`, `indices` and `indptr`.

    Parameters
    ----------
    data : array, shape (k,)
        Entries line by line, in their stored type; not copied, not to be modified.
    indices : int array, shape (k,)
        The place of each entry in its line, ascending and without duplicates.
    indptr : int array, shape (lines + 1,)
        Line i has the entries ``indptr[i]`` to ``indptr[i + 1] - 1``.
    shape : (int, int)
    column_major : bool, default False
        Lines are columns, not rows.

    Notes
    -----
    Nothing is checked here: `nninvert.linalg.compressed.compressed` makes such arrays of
    what a file holds.
    """

    def __init__(
        self,
        data: Array,
        indices: Indices,
        indptr: Indices,
        shape: tuple[int, int],
        column_major: bool = False,
    ) -> None:
        super().__init__(shape, data.dtype, column_major=column_major)
        self.data, self.indices, self.indptr = data, indices, indptr

    @property
    def size(self) -> int:
        """How many entries are stored."""
        return self.data.size

    @property
    def nbytes(self) -> int:
        """Bytes of entries and indices."""
        return self.data.nbytes + self.indices.nbytes + self.indptr.nbytes

    @property
    def transposed(self) -> SparseMatrix:
        """The transpose, over the same arrays."""
        turned = copy.copy(self)
        turned.shape = (self.shape[1], self.shape[0])
        turned.column_major = not self.column_major
        own = self.identity
        turned.identity = own[:-1] if own[-1] == "T" else (*own, "T")
        return turned

    def read(self, rows: slice, cols: slice, out: Array | None = None) -> Array:
        """Return a dense block."""
        turned = self.column_major
        block = self._block(cols, rows).T if turned else self._block(rows, cols)
        if out is None:
            return block
        cast(block, out)
        return out

    def _block(self, lines: slice, places: slice) -> Array:
        """Some places of some lines, one line in each row."""
        across, along = self.shape[:: -1 if self.column_major else 1]
        first, last, _ = lines.indices(across)
        start, stop, _ = places.indices(along)
        bounds = self.indptr[first : last + 1]
        here = slice(int(bounds[0]), int(bounds[-1]))
        place = self.indices[here]
        line = np.repeat(np.arange(last - first), np.diff(bounds))
        inside = (place >= start) & (place < stop)
        block = np.zeros((last - first, stop - start), dtype=self.dtype)
        block[line[inside], place[inside] - start] = self.data[here][inside]
        return block

    def _lines(self, count: int) -> Iterator[tuple[slice, Array]]:
        across = self.indptr.size - 1
        for start in range(0, across, count):
            span = slice(start, min(start + count, across))
            yield span, self._block(span, slice(None))

    def entry_lines(self) -> Indices:
        """The line of each entry, shape (k,)."""
        lines = np.arange(self.indptr.size - 1, dtype=self.indptr.dtype)
        return np.repeat(lines, np.diff(self.indptr))

    def triplets(self) -> tuple[Indices, Indices]:
        """Row and column of each entry, each of shape (k,)."""
        lines = self.entry_lines()
        return (self.indices, lines) if self.column_major else (lines, self.indices)

    def digest(self) -> str:
        """SHA-256 of shape, type, indices and entries."""
        made = self._hash_of_layout()
        for array in (self.indptr, self.indices, self.data):
            made.update(_little(array))
        return made.hexdigest()

    def fingerprint(self) -> str:
        """SHA-256 of shape, type and at most 64 pieces of each array."""
        made = self._hash_of_layout()
        for array in (self.indptr, self.indices, self.data):
            piece = _SAMPLE_BYTES // array.itemsize
            last = max(array.size - piece, 0)
            for k in range(_SAMPLES if last else 1):
                start = k * last // (_SAMPLES - 1)
                made.update(_little(array[start : start + piece]))
        return made.hexdigest()

    def _hash_of_layout(self) -> hashlib._Hash:
        lines = "columns" if self.column_major else "rows"
        text = f"sparse {lines} {self.shape} {self.size} {self.stored_name}"
        return hashlib.sha256(text.encode())

    def first_non_finite(self) -> NonFinite | None:
        """Look for NaN and infinity among the entries; the first by row, then column."""
        bad = np.flatnonzero(~np.isfinite(self.data))
        if not bad.size:
            return None
        rows, columns = (which[bad] for which in self.triplets())
        first = np.lexsort((columns, rows))[0]
        value = float(self.data[bad[first]])
        return NonFinite(bad.size, int(rows[first]), int(columns[first]), value)

    def to_scipy(self) -> sparse.csr_array | sparse.csc_array:
        """The same as a SciPy array of float64; the entries are shared if they are that."""
        from scipy import sparse

        parts = (self.data.astype(np.float64, copy=False), self.indices, self.indptr)
        if self.column_major:
            return sparse.csc_array(parts, shape=self.shape)
        return sparse.csr_array(parts, shape=self.shape)


class SparseMap(LinearMap):
    """A sparse matrix A (m, n); products cost as much as it has entries."""

    def __init__(self, matrix: SparseMatrix) -> None:
        self.matrix = matrix
        self.shape = matrix.shape

    @property
    def transposed(self) -> SparseMap:
        """The transpose, over the same weights."""
        return SparseMap(self.matrix.transposed)

    @cached_property
    def scipy(self) -> sparse.csr_array | sparse.csc_array:
        """A as a SciPy array of float64."""
        return self.matrix.to_scipy()

    def apply(self, x: Float64) -> Float64:
        """Multiply in float64."""
        return _product(self.scipy, x)

    def adjoint(self, y: Float64) -> Float64:
        """Multiply by the transpose in float64."""
        return _product(self.scipy.T, y)

    def magnitude(self, x: Float64) -> Float64:
        """Multiply |x| by |A|."""
        return _product(abs(self.scipy), np.abs(x))

    @cached_property
    def terms(self) -> int:
        """The most entries of a row."""
        rows = self.matrix.triplets()[0]
        return max(1, int(np.bincount(rows, minlength=1).max()))

    def dense(self) -> Float64:
        """The matrix with all its zeros: for small ones."""
        return self.matrix.to_float64()

    @property
    def key(self) -> tuple[str, ...]:
        """Kind and identity of the weights."""
        return ("sparse", *self.matrix.identity)

    @property
    def stored_eps(self) -> float:
        """That of the stored type."""
        return self.matrix.stored_eps


def _product(matrix: sparse.sparray, rows: Float64) -> Float64:
    """Multiply each row, (..., n) to (..., m)."""
    m, n = matrix.shape
    if rows.size == n:
        return np.asarray(matrix @ rows.reshape(n)).reshape(*rows.shape[:-1], m)
    columns = np.asarray(matrix @ rows.reshape(-1, n).T)
    return np.ascontiguousarray(columns.T).reshape(*rows.shape[:-1], m)


def _little(array: Array) -> memoryview:
    """Values in order, little-endian on every machine, indices all of one width."""
    kind = np.dtype(np.int64) if array.dtype.kind in "iu" else array.dtype
    return np.ascontiguousarray(array.astype(kind.newbyteorder("<"), copy=False)).data
