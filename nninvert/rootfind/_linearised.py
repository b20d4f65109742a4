"""The rows of a quadratic program at a point: equations orthonormal, the others as is."""

from __future__ import annotations

import numpy as np

from nninvert.rootfind._band import Band, Float64

RANK = 1e-12
"""Pivots of the equations' rows, each of length one, below this part of the largest are
zero: those rows depend on the others."""


class Linearised:
    """A band and the Jacobian of its values, as rows with sides.

    Orthonormal rows stand for the equations: their right-hand sides become the shortest
    way back to the targets, and none depends on another. Products of the Jacobian with
    itself would lose half of the digits.

    Parameters
    ----------
    jacobian : float64 array, shape (m, n)
        Of the values with regard to the program's variables; finite.
    band : Band
        About those m values.

    Attributes
    ----------
    rows : float64 array, shape (r, n)
    rank : int
        How many equations are independent; they come first in `rows`.
    """

    def __init__(self, jacobian: Float64, band: Band) -> None:
        self.band = band
        equation = band.equation
        equations = jacobian[equation]
        length = np.linalg.norm(equations, axis=1)
        used = np.flatnonzero(length > 0.0)
        self.rank = 0
        self._inverse = np.zeros((length.size, 0))
        if not used.size:
            self.rows = jacobian[~equation]
            return
        from scipy import linalg

        basis, triangle, order = linalg.qr(
            (equations[used] / length[used, None]).T,
            mode="economic",
            pivoting=True,
            check_finite=False,
        )
        pivots = np.abs(triangle.diagonal())
        self.rank = int(np.count_nonzero(pivots > RANK * pivots[0]))
        kept = used[order[: self.rank]]
        self._inverse = np.zeros((length.size, self.rank))
        self._inverse[kept] = (
            linalg.solve_triangular(
                triangle[: self.rank, : self.rank], np.eye(self.rank), check_finite=False
            )
            / length[kept, None]
        )
        self.rows = np.concatenate([basis[:, : self.rank].T, jacobian[~equation]])

    def sides(self, value: Float64) -> tuple[Float64, Float64]:
        """What the rows may be, so that value + J d lies in the band."""
        band, equation = self.band, self.band.equation
        back = -(self._inverse.T @ (value - band.high)[equation])
        low, high = band.low - value, band.high - value
        return (
            np.concatenate([back, low[~equation]]),
            np.concatenate([back, high[~equation]]),
        )

    def multipliers(self, y: Float64) -> Float64:
        """Those of the values, shape (m,), from those of the rows."""
        found = np.zeros(self.band.equation.size)
        found[self.band.equation] = self._inverse @ y[: self.rank]
        found[~self.band.equation] = y[self.rank :]
        return found
