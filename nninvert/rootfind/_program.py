"""The quadratic program that is really solved: nothing fixed, no open row, unit rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.rootfind._hessian import Hessian

Float64 = NDArray[np.float64]
Sides = NDArray[np.int8]


@dataclass(frozen=True)
class ActiveSet:
    """Which sides hold the solution back: -1 the lower, 1 the upper, 0 none.

    Attributes
    ----------
    variables : int8 array, shape (n,)
    rows : int8 array, shape (m,)
        For an equation, whatever sign its multiplier has.
    """

    variables: Sides
    rows: Sides


@dataclass(frozen=True)
class Program:
    """min g^T x + x^T H x / 2, l <= A x <= u, lower <= x <= upper, in reduced form.

    Attributes
    ----------
    gradient : float64 array, shape (k,)
    hessian : Hessian or None
        Of the variables that are not fixed; None for the identity.
    rows : float64 array, shape (r, k)
        The rows with a finite side, each of length one.
    low, high : float64 arrays, shape (k + r,)
        Bounds of the variables, then of the rows.
    equation : bool array, shape (r,)
        Whether the two sides of a row are equal.
    """

    gradient: Float64
    hessian: Hessian | None
    rows: Float64
    low: Float64
    high: Float64
    equation: NDArray[np.bool_]
    has_impossible_row: bool
    _fixed: Float64
    _kept: NDArray[np.intp]
    _used: NDArray[np.intp]
    _length: Float64
    _row_count: int

    @classmethod
    def of_arrays(
        cls,
        gradient: Float64,
        rows: Float64,
        row_lower: Float64,
        row_upper: Float64,
        lower: Float64,
        upper: Float64,
        hessian: Hessian | None,
    ) -> Program:
        """Take fixed variables and open rows out; scale the others to length one."""
        kept = np.flatnonzero(lower < upper)
        fixed = np.where(lower < upper, 0.0, lower)
        closed = np.isfinite(row_lower) | np.isfinite(row_upper)
        shift = rows @ fixed
        length = np.linalg.norm(rows[:, kept], axis=1)
        # A row of fixed variables only is either true, to rounding, or impossible.
        slack = 1e-12 * (np.abs(rows) @ np.abs(fixed))
        constant = closed & (length == 0.0)
        broken = (row_lower > shift + slack) | (row_upper < shift - slack)
        used = np.flatnonzero(closed & (length > 0.0))
        inner = gradient[kept]
        if hessian is not None:
            inner = inner + hessian.apply(fixed)[kept]
            hessian = hessian.of_variables(kept)
        low = (row_lower - shift)[used] / length[used]
        high = (row_upper - shift)[used] / length[used]
        return cls(
            gradient=inner,
            hessian=hessian,
            rows=rows[np.ix_(used, kept)] / length[used, None],
            low=np.concatenate([lower[kept], low]),
            high=np.concatenate([upper[kept], high]),
            equation=row_lower[used] == row_upper[used],
            has_impossible_row=bool((constant & broken).any()),
            _fixed=fixed,
            _kept=kept,
            _used=used,
            _length=length[used],
            _row_count=rows.shape[0],
        )

    @property
    def variables(self) -> int:
        """How many are not fixed."""
        return self._kept.size

    def values(self, x: Float64) -> Float64:
        """The variables and the rows at x, shape (k + r,)."""
        return np.concatenate([x, self.rows @ x])

    def slope(self, x: Float64) -> Float64:
        """Gradient of the objective at x, g + H x."""
        if self.hessian is None:
            return self.gradient + x
        return self.gradient + self.hessian.apply(x)

    def reduced_sides(self, active: ActiveSet) -> Sides:
        """The sides in the order of `low` and `high`; an open side holds nothing back."""
        sides = np.concatenate([active.variables[self._kept], active.rows[self._used]])
        held = np.where(sides < 0, self.low, self.high)
        return np.where(np.isfinite(held), sides, 0).astype(np.int8)

    def full_sides(self, sides: Sides) -> ActiveSet:
        """The sides in the caller's order; fixed variables count as inactive."""
        variables = np.zeros(self._fixed.size, dtype=np.int8)
        rows = np.zeros(self._row_count, dtype=np.int8)
        variables[self._kept] = sides[: self.variables]
        rows[self._used] = sides[self.variables :]
        return ActiveSet(variables, rows)

    def full_x(self, x: Float64) -> Float64:
        """All variables, inside their bounds to the last bit."""
        k = self.variables
        full = self._fixed.copy()
        full[self._kept] = np.clip(x, self.low[:k], self.high[:k])
        return full

    def full_multipliers(self, y: Float64) -> Float64:
        """The multipliers of the rows as the caller scaled them."""
        full = np.zeros(self._row_count)
        full[self._used] = y / self._length
        return full
