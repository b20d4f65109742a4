"""Where the entries of a sparse matrix stand, and what its LU factors will take.

Said before any factorisation starts: bandwidths, symmetry of the pattern, and a prediction
of the fill, the entries that elimination adds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.sparse import SparseMatrix

if TYPE_CHECKING:
    from scipy import sparse

Order = NDArray[np.signedinteger[Any]]

NARROW = 24
"""A band counts as narrow if LAPACK's storage of it is at most so many times as large as
the entries in it. Measured for 26 to 100 diagonals to each side: LAPACK then takes a
half to a twentieth of SuperLU's time."""

BYTES_PER_ENTRY = 12
"""Memory of one entry of SuperLU's factors: a float64 and its share of the indices."""

_DENSER = 50
"""A^T A is formed where it has at most about so many times the entries of A."""

_LEVELS = 8
_SMALL = 200
_ATTACHED = 4
"""A piece of a planar graph cut again and again touches about so many times as many
separating nodes as it is cut by itself (George, SIAM J. Numer. Anal. 10, 1973)."""


@dataclass(frozen=True)
class Band:
    """A matrix whose entries lie near the diagonal, rows and columns in `order`.

    Attributes
    ----------
    lower, upper : int
        Diagonals below and above the main one.
    order : int array, shape (n,), or None
        Position k of the reordered matrix is row and column ``order[k]``; None: as is.
    """

    lower: int
    upper: int
    order: Order | None

    def storage(self, n: int) -> int:
        """Numbers that LAPACK stores for its LU with partial pivoting."""
        return n * (2 * self.lower + self.upper + 1)


@dataclass(frozen=True)
class Fill:
    """What LU factors of a matrix will hold.

    Attributes
    ----------
    entries : float
        Of L and U together.
    work : float
        Floating-point operations.
    bound : bool
        Whether these are upper bounds for some order of elimination, of which SuperLU's
        is usually better; else estimates.
    """

    entries: float
    work: float
    bound: bool

    @property
    def nbytes(self) -> float:
        """Memory of the factors."""
        return BYTES_PER_ENTRY * self.entries


class Pattern:
    """The places of the entries of a square sparse matrix, without their values."""

    def __init__(self, matrix: SparseMatrix) -> None:
        self.n = matrix.shape[0]
        self.size = matrix.size
        self._rows, self._columns = matrix.triplets()
        self._matrix = matrix

    def narrow_band(self) -> Band | None:
        """The band that all entries lie in, as they stand or reordered, if narrow.

        The order is that of Cuthill and McKee, reversed (Proc. 24th ACM Conf., 1969).
        """
        band = self._band(None)
        if band.storage(self.n) <= NARROW * self.size:
            return band
        # A band of the symmetric pattern is as wide as the widest row is long, or wider.
        longest = int(np.bincount(self._rows).max(initial=0))
        if self.n * (3 * (longest // 2) + 1) > NARROW * self.size:
            return None
        band = self._band(self._narrowing)
        return band if band.storage(self.n) <= NARROW * self.size else None

    def _band(self, order: Order | None) -> Band:
        below = self._rows - self._columns
        if order is not None:
            place = np.empty(self.n, dtype=order.dtype)
            place[order] = np.arange(self.n, dtype=order.dtype)
            below = place[self._rows] - place[self._columns]
        lower, upper = int(below.max(initial=0)), int(-below.min(initial=0))
        return Band(max(lower, 0), max(upper, 0), order)

    @cached_property
    def graph(self) -> sparse.csr_array:
        """Which unknowns share an equation: the pattern of A + A^T."""
        from scipy import sparse

        ones = np.ones(self.size, dtype=np.int8)
        parts = (ones, self._matrix.indices, self._matrix.indptr)
        half = sparse.csr_array(parts, shape=(self.n, self.n))
        return (half + half.T).tocsr()

    @cached_property
    def _narrowing(self) -> Order:
        return _cuthill_mckee(self.graph)

    @cached_property
    def is_symmetric(self) -> bool:
        """Whether most entries have a partner across the diagonal, which is full."""
        diagonal = int(np.count_nonzero(self._rows == self._columns))
        return diagonal == self.n and 4 * self.size >= 3 * self.graph.nnz

    @cached_property
    def _row_graph(self) -> sparse.csr_array | None:
        """Which unknowns occur in one equation, the pattern of A^T A; None if too dense.

        It bounds the fill whichever rows are chosen as pivots (George & Ng, SIAM J. Sci.
        Stat. Comput. 8, 1987), and does not depend on the order of the rows.
        """
        from scipy import sparse

        lengths = np.bincount(self._rows, minlength=self.n).astype(np.float64)
        if (lengths**2).sum() > _DENSER * self.size:
            return None
        rows = sparse.csr_array(self._matrix.to_scipy())
        rows.data = np.ones(self.size)
        return (rows.T @ rows).tocsr()

    def fill(self, enough: float, *, symmetric: bool) -> Fill:
        """Predict the fill of LU with an order that keeps it low.

        A bound by the envelope of the reversed Cuthill-McKee order comes first; where it
        exceeds `enough` operations, an estimate by repeated bisection (George & Liu,
        Computer Solution of Large Sparse Positive Definite Systems, 1981, chapters 4 and
        8), within a factor of about 4 of SuperLU's fill.

        Parameters
        ----------
        enough : float
            Operations up to which the bound will do.
        symmetric : bool
            Whether pivots stay on the diagonal, so that A + A^T bounds the fill.
        """
        graph, order = self.graph, None
        certain = symmetric
        if not symmetric and self._row_graph is not None:
            graph, certain = self._row_graph, True
        if graph is self.graph:
            order = self._narrowing
        widths = _widths(graph, _cuthill_mckee(graph) if order is None else order)
        entries, work = _envelope(*widths)
        if 2.0 * work <= enough:
            return Fill(2.0 * entries, 2.0 * work, bound=certain)
        entries, work = _dissected(graph, 0, _LEVELS)
        return Fill(2.0 * entries, 2.0 * work, bound=False)


def _cuthill_mckee(graph: sparse.csr_array) -> Order:
    from scipy import sparse
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    found: Order = reverse_cuthill_mckee(sparse.csr_matrix(graph), symmetric_mode=True)
    return found


def _widths(graph: sparse.csr_array, order: Order) -> tuple[Order, Order]:
    """For each position its first and its last neighbour's, itself included."""
    n = order.size
    place = np.empty(n, dtype=np.int64)
    place[order] = np.arange(n)
    here = np.repeat(place, np.diff(graph.indptr))
    there = place[graph.indices]
    first, last = np.arange(n), np.arange(n)
    np.minimum.at(first, here, there)
    np.maximum.at(last, here, there)
    return first, last


def _envelope(first: Order, last: Order) -> tuple[float, float]:
    """Entries of L between the first entry of each row and the diagonal, and work."""
    width = (np.arange(first.size) - first + 1).astype(np.float64)
    return float(width.sum()), float((width**2).sum())


def _dissected(graph: sparse.csr_array, attached: int, levels: int) -> tuple[float, float]:
    """Entries of L and work, the graph cut in two again and again.

    The separating nodes of each cut, eliminated last, become a dense triangle; `attached`
    is how many separating nodes of the cuts before this piece touches.
    """
    n = graph.shape[0]
    order = _cuthill_mckee(graph)
    first, last = _widths(graph, order)
    entries, work = _envelope(first, last)
    whole = entries + n * attached, work + float(n) * attached**2
    if levels == 0 or n < _SMALL:
        return whole
    cut, separates = _narrowest(last)
    k = int(np.count_nonzero(separates))
    total = np.array([k * (0.5 * k + attached), k * (k / 3 * k + k * attached)])
    total[1] += float(k) * attached**2
    beyond = min(attached + k, _ATTACHED * k)
    for piece in (order[:cut][~separates], order[cut:]):
        if piece.size:
            total += _dissected(graph[piece][:, piece], beyond, levels - 1)
    return min(whole[0], float(total[0])), min(whole[1], float(total[1]))


def _narrowest(last: Order) -> tuple[int, NDArray[np.bool_]]:
    """Where in the middle third fewest nodes have neighbours beyond, and which have."""
    n = last.size
    change = np.bincount(np.arange(1, n + 1), minlength=n + 2)
    change -= np.bincount(np.minimum(last + 1, n), minlength=n + 2)
    crossing = np.cumsum(change)[:n]
    cut = n // 3 + int(np.argmin(crossing[n // 3 : 2 * n // 3]))
    return cut, last[:cut] >= cut
