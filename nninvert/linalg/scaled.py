"""Factorisations of small matrices whose rows or columns differ much in size.

Outputs of 1e33 beside outputs of 1e6, or inputs in units of 1e9 beside 1e-6, make singular
values that differ as much; next to the largest one the others look like zeros. Scaled by
powers of two, which rounds nothing, rows and columns have one size, and the rank is that of
the relations between them.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg import condition
from nninvert.linalg.condition import Spectrum
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.map import LinearMap

Float64 = NDArray[np.float64]

UNEVEN = 1e6
"""Rows, or columns, whose largest entries differ by more than this factor are scaled:
units of measurement differ by that, weights of one unit seldom do."""


class ScaledFactor(Factorisation):
    """Of A, from a factorisation of R A C with diagonal R and C.

    Solutions are those of least ``||R (A x - y)||`` and then least ``||x / C||``.

    Parameters
    ----------
    linear_map : LinearMap
        A, shape (m, n).
    base : Factorisation
        Of R A C.
    rows, columns : float64 arrays, shapes (m,) and (n,)
        The diagonals of R and C.
    """

    def __init__(
        self, linear_map: LinearMap, base: Factorisation, rows: Float64, columns: Float64
    ) -> None:
        self._map, self._base = linear_map, base
        self._rows, self._columns = rows, columns
        self.shape, self.rank = linear_map.shape, base.rank
        self.nbytes = base.nbytes
        self.reason = f"{base.reason}, rows and columns scaled to one size"

    @property
    def residual_scale(self) -> Float64:
        """R."""
        return self._rows

    def solve(self, y: Float64) -> Float64:
        """C (R A C)^+ R y."""
        return self._columns * self._base.solve(self._rows * y)

    def solve_transposed(self, x: Float64) -> Float64:
        """R (R A C)^+T C x."""
        return self._rows * self._base.solve_transposed(self._columns * x)

    def spectrum(self) -> Spectrum:
        """The singular values of A itself, and the rank as it is used here."""
        return self._spectrum

    @cached_property
    def _spectrum(self) -> Spectrum:
        found = condition.dense_spectrum(self._map.dense(), self._map.stored_eps)
        return condition.with_rank(found, self.rank)

    def spread(self, radius: Float64) -> Float64:
        """C |(R A C)^+| R radius."""
        return self._columns * self._base.spread(self._rows * radius)


def uneven_scales(matrix: Float64) -> tuple[Float64, Float64] | None:
    """Powers of two that bring rows and columns to one size; None where they have one.

    First the rows, then the columns of what results, as in LAPACK's xGEEQUB; each only
    where they differ much, as scaled columns change what "least norm" means. Rows and
    columns of zeros stay.
    """
    size = np.abs(matrix)
    rows = _powers(size.max(axis=1))
    columns = _powers((rows[:, None] * size).max(axis=0))
    if (rows == 1.0).all() and (columns == 1.0).all():
        return None
    return rows, columns


def _powers(largest: Float64) -> Float64:
    """What brings these to one size, if they differ much."""
    used = largest[largest > 0.0]
    if not used.size or float(used.max()) <= UNEVEN * float(used.min()):
        return np.ones(largest.size)
    return np.ldexp(1.0, -np.frexp(largest)[1])
