"""Triangular factors as seen by whoever solves with them, and solves with float64 rows.

The factors may be of float32, in memory, on disk or on another device. What is solved with
them alone is rough; `nninvert.linalg.refinement` makes it accurate.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.equilibration import Equilibration
from nninvert.linalg.norms import row_maxima

Float64 = NDArray[np.float64]
Floating = NDArray[np.floating]

_SAFE_EXPONENT = 1000


class TriangularFactors(Protocol):
    """P A = L U with partial pivoting, of a square matrix in (n_out, n_in) orientation.

    An exactly zero pivot is replaced by a number of the size of eps max|A|, so that solves
    stay finite; `zero_pivots` counts them.
    """

    @property
    def n(self) -> int:
        """Rows and columns."""
        ...

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """float32 or float64: the type of the factors and of what they solve."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes held in memory."""
        ...

    @property
    def zero_pivots(self) -> int:
        """How many pivots were exactly zero."""
        ...

    def solve(self, columns: Floating, transposed: bool = False) -> None:
        """Overwrite b by the solution of A x = b, or of A^T x = b.

        Parameters
        ----------
        columns : array of `dtype`, shape (n, k), F-ordered
        transposed : bool, default False
        """
        ...


class RoughSolver:
    """Solves rows of float64 with factors of a shorter type, whatever their magnitude.

    Each row is scaled by a power of two before it is rounded to the type of the factors,
    and back afterwards, so that small residuals do not vanish in it.

    Parameters
    ----------
    factors : TriangularFactors
        Of A, or of the equilibrated A.
    equilibration : Equilibration or None, default None
        How A was scaled before it was factored.
    """

    def __init__(
        self, factors: TriangularFactors, equilibration: Equilibration | None = None
    ) -> None:
        self.factors, self._scales = factors, equilibration

    def solve(self, rows: Float64) -> Float64:
        """Solve A x = b for each row b, shape (k, n); not finite where that overflows."""
        if self._scales is None:
            return self._scaled(rows, None, None, transposed=False)
        return self._scaled(rows, self._scales.rows, self._scales.columns, transposed=False)

    def solve_transposed(self, rows: Float64) -> Float64:
        """Solve A^T x = b for each row b."""
        if self._scales is None:
            return self._scaled(rows, None, None, transposed=True)
        return self._scaled(rows, self._scales.columns, self._scales.rows, transposed=True)

    def _scaled(
        self,
        rows: Float64,
        before: NDArray[np.int64] | None,
        after: NDArray[np.int64] | None,
        transposed: bool,
    ) -> Float64:
        rows, exponent = _normalised(rows)
        if before is not None:
            rows, second = _normalised(np.ldexp(rows, before))
            exponent = exponent + second
        work = rows.astype(self.factors.dtype, copy=False)
        self.factors.solve(work.T, transposed)
        with np.errstate(over="ignore"):
            solved = work.astype(np.float64, copy=False)
            if after is None:
                solved *= np.ldexp(1.0, exponent)[:, None]
                return solved
            return np.asarray(np.ldexp(solved, exponent[:, None] + after))


def _normalised(rows: Float64) -> tuple[Float64, NDArray[np.int64]]:
    """Rows times powers of two, their largest entry about 1, and the exponents taken."""
    _, exponent = np.frexp(row_maxima(rows))
    exponent = np.clip(exponent, -_SAFE_EXPONENT, _SAFE_EXPONENT).astype(np.int64)
    return rows * np.ldexp(1.0, -exponent)[:, None], exponent
