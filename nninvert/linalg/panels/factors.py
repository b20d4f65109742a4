"""Solving with panelled LU factors, wherever they live."""

from __future__ import annotations

from typing import Any

import numpy as np

from nninvert.linalg.panels.kernels import Block, Kernels
from nninvert.linalg.panels.store import PanelStore


class PanelFactors:
    """The factors of a square matrix A, ready for solves in their own precision.

    Parameters
    ----------
    store : PanelStore
        All blocks finished.
    kernels : Kernels
    flipped : bool
        Whether what was factored is the transpose of A.
    """

    def __init__(self, store: PanelStore, kernels: Kernels, flipped: bool) -> None:
        self._store, self._kernels, self._flipped = store, kernels, flipped
        self.n = store.cuts.n
        self.dtype: np.dtype[np.floating[Any]] = store.dtype
        self.zero_pivots = len(store.zero_pivots)

    @property
    def nbytes(self) -> int:
        """Memory held."""
        return self._store.nbytes

    def solve(self, columns: Block, transposed: bool = False) -> None:
        """Solve A x = b, or A^T x = b, in place.

        Parameters
        ----------
        columns : array, shape (n, k), column-major, of the factors' dtype
        transposed : bool, default False

        Raises
        ------
        ValueError
            For an array of another shape, type or order.
        """
        if (
            columns.dtype != self.dtype
            or len(columns) != self.n
            or not columns.flags.f_contiguous
            or not columns.flags.writeable
        ):
            raise ValueError(f"not {self.n} rows of {self.dtype}, column-major")
        if transposed == self._flipped:
            self._forward(columns)
            self._backward(columns)
        else:
            self._forward_transposed(columns)
            self._backward_transposed(columns)

    def _forward(self, x: Block) -> None:
        """``x <- L^-1 P x``, block by block as the factorisation did."""
        cuts, kernels = self._store.cuts, self._kernels
        for k, lower in enumerate(self._store.lowers(range(len(cuts)))):
            start, stop = cuts.start(k), cuts.stop(k)
            kernels.swap_rows(x[start:], self._store.pivots[k])
            kernels.solve_lower(lower[: stop - start], x[start:stop])
            kernels.subtract(lower[stop - start :], x[start:stop], x[stop:])

    def _backward(self, x: Block) -> None:
        """``x <- U^-1 x``."""
        cuts, kernels = self._store.cuts, self._kernels
        blocks = range(len(cuts) - 1, -1, -1)
        for k, upper in zip(blocks, self._store.uppers(blocks), strict=True):
            start, stop = cuts.start(k), cuts.stop(k)
            kernels.solve_upper(upper[start:], x[start:stop])
            kernels.subtract(upper[:start], x[start:stop], x[:start])

    def _forward_transposed(self, x: Block) -> None:
        """``x <- U^-T x``."""
        cuts, kernels = self._store.cuts, self._kernels
        blocks = range(len(cuts))
        for k, upper in zip(blocks, self._store.uppers(blocks), strict=True):
            start, stop = cuts.start(k), cuts.stop(k)
            kernels.subtract(upper[:start], x[:start], x[start:stop], transposed=True)
            kernels.solve_upper(upper[start:], x[start:stop], transposed=True)

    def _backward_transposed(self, x: Block) -> None:
        """``x <- P^T L^-T x``."""
        cuts, kernels = self._store.cuts, self._kernels
        blocks = range(len(cuts) - 1, -1, -1)
        for k, lower in zip(blocks, self._store.lowers(blocks), strict=True):
            start, stop = cuts.start(k), cuts.stop(k)
            width = stop - start
            kernels.subtract(lower[width:], x[stop:], x[start:stop], transposed=True)
            kernels.solve_lower(lower[:width], x[start:stop], transposed=True)
            kernels.unswap_rows(x[start:], self._store.pivots[k])
