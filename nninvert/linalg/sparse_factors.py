"""Triangular factors of sparse matrices: LAPACK's for bands, SuperLU's for all others.

Both are `nninvert.linalg.triangular.TriangularFactors` of float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.errors import MachineError
from nninvert.linalg.sparse import SparseMatrix
from nninvert.linalg.sparse_order import BYTES_PER_ENTRY, Band

if TYPE_CHECKING:
    from scipy.sparse.linalg import SuperLU

Float64 = NDArray[np.float64]
Floating = NDArray[np.floating]

PREFER_DIAGONAL = 0.1
"""With a symmetric pattern the diagonal entry is taken as pivot down to this part of the
largest one: the order that keeps the fill low then stays as it was planned. What that
costs in accuracy, refinement gives back (Li & Demmel, SuperLU users' guide, section 2)."""

_SHIFT = 64.0
"""An exactly singular matrix is factored with so many eps max|A| added to its diagonal."""


class BandFactors:
    """P A = L U of a band matrix by LAPACK's gbtrf.

    Parameters
    ----------
    matrix : SparseMatrix
        Square.
    band : Band
        Where its entries lie.

    Attributes
    ----------
    n : int
    dtype : numpy.dtype
    nbytes : int
    zero_pivots : int
        1 if a pivot was zero; it was replaced.
    """

    dtype = np.dtype(np.float64)

    def __init__(self, matrix: SparseMatrix, band: Band) -> None:
        from scipy.linalg import lapack

        self.n, self._band = matrix.shape[0], band
        stored = _band_storage(matrix, band)
        largest = float(np.abs(matrix.data).max(initial=0.0))
        lower, upper = band.lower, band.upper
        self._lu, self._pivots, info = lapack.dgbtrf(
            stored, lower, upper, overwrite_ab=True
        )
        self.zero_pivots = int(info > 0)
        if info > 0:
            diagonal = self._lu[lower + upper]
            tiny = tolerances.EPS64 * largest or 1.0
            diagonal[diagonal == 0.0] = tiny
        self.nbytes = self._lu.nbytes + self._pivots.nbytes

    def solve(self, columns: Floating, transposed: bool = False) -> None:
        """Overwrite b, shape (n, k), F-ordered, by the solution of A x = b or A^T x = b."""
        from scipy.linalg import lapack

        band, order = self._band, self._band.order
        work = columns if order is None else np.asfortranarray(columns[order])
        solved, _ = lapack.dgbtrs(
            self._lu,
            band.lower,
            band.upper,
            work,
            self._pivots,
            trans=int(transposed),
            overwrite_b=True,
        )
        if order is not None:
            columns[order] = solved
        elif solved is not columns:
            columns[...] = solved


def _band_storage(matrix: SparseMatrix, band: Band) -> Float64:
    """LAPACK's layout: entry (i, j) in row lower + upper + i - j of column j."""
    rows, columns = matrix.triplets()
    if band.order is not None:
        place = np.empty(matrix.shape[0], dtype=np.int64)
        place[band.order] = np.arange(matrix.shape[0])
        rows, columns = place[rows], place[columns]
    height = 2 * band.lower + band.upper + 1
    stored = np.zeros(height * matrix.shape[0])
    where = columns.astype(np.int64) * (height - 1) + rows
    where += band.lower + band.upper
    stored[where] = matrix.data
    return stored.reshape(matrix.shape[0], height).T


class SuperLuFactors:
    """P_r A P_c = L U by SuperLU.

    Parameters
    ----------
    matrix : SparseMatrix
        Square.
    symmetric : bool
        Whether its pattern is symmetric, or its diagonal dominates: elimination then
        follows the minimum degree order of A + A^T and prefers pivots on the diagonal.
        Else that of A^T A by COLAMD, for any choice of pivots (Davis, Gilbert, Larimore &
        Ng, ACM Trans. Math. Softw. 30, 2004).

    Attributes
    ----------
    n : int
    dtype : numpy.dtype
    nbytes : int
    zero_pivots : int
        How many pivots are zero at least; if any, the diagonal was shifted.

    Raises
    ------
    MachineError
        If there is not enough memory.
    """

    dtype = np.dtype(np.float64)

    def __init__(self, matrix: SparseMatrix, symmetric: bool) -> None:
        self.n = matrix.shape[0]
        self.zero_pivots = self.n - most_rank(matrix)
        if not self.zero_pivots:
            try:
                self._lu = _superlu(matrix, symmetric, shift=0.0)
            except RuntimeError:
                # SuperLU says so of a zero pivot, and keeps nothing of the factors; of
                # some structurally singular matrices it says that it failed.
                self.zero_pivots = 1
        if self.zero_pivots:
            largest = float(np.abs(matrix.data).max(initial=0.0))
            shift = _SHIFT * tolerances.EPS64 * (largest or 1.0)
            self._lu = _superlu(matrix, symmetric, shift)
        self.entries = int(self._lu.nnz)
        self.nbytes = BYTES_PER_ENTRY * self.entries

    def solve(self, columns: Floating, transposed: bool = False) -> None:
        """Overwrite b, shape (n, k), F-ordered, by the solution of A x = b or A^T x = b."""
        columns[...] = self._lu.solve(columns, trans="T" if transposed else "N")


def most_rank(matrix: SparseMatrix) -> int:
    """The smaller number of rows, or columns, that hold an entry other than zero.

    The rank is no larger. (SciPy's structural rank is often sharper, but takes minutes at
    10,000 rows whose diagonal is not full.)
    """
    used = matrix.data != 0
    return min(np.unique(lines[used]).size for lines in matrix.triplets())


def _superlu(matrix: SparseMatrix, symmetric: bool, shift: float) -> SuperLU:
    from scipy import sparse
    from scipy.sparse.linalg import splu

    whole = matrix.to_scipy().tocsc()
    if shift:
        whole = whole + shift * sparse.eye_array(matrix.shape[0], format="csc")
    try:
        if symmetric:
            return splu(
                whole,
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=PREFER_DIAGONAL,
                options={"SymmetricMode": True},
            )
        return splu(whole, permc_spec="COLAMD")
    except MemoryError as error:
        raise MachineError(
            "sparse LU",
            got=f"fill beyond the free memory at N = {matrix.shape[0]:,}",
            expected="enough memory for the factors",
            next_step="Choose another method, as --method pinv, or a larger machine.",
        ) from error
