"""Domain: which inputs are allowed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nninvert import tolerances
from nninvert.rootfind.quadratic import ActiveSet, Outcome, solve_quadratic

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

CORRECTIONS = 4
"""Shortest steps back onto rows that a projection left by its rounding; one or two do."""


@dataclass(frozen=True)
class Constraints:
    """Linear inequalities between inputs, ``matrix @ x <= limit``.

    Attributes
    ----------
    matrix : float64 array, shape (c, n_in)
        An equation is two rows of opposite signs.
    limit : float64 array, shape (c,)
    names : tuple of str
        What people call each, for messages.
    eps : float, default that of float64
        Spacing at 1 of the type in which x is written: sums can hold no better.
    """

    matrix: Float64
    limit: Float64
    names: tuple[str, ...]
    eps: float = tolerances.EPS64

    @classmethod
    def none(cls, n_in: int) -> Constraints:
        """No inequality at all."""
        return cls(np.zeros((0, n_in)), np.zeros(0), ())

    @classmethod
    def between(
        cls, matrix: Float64, lower: Float64, upper: Float64, names: tuple[str, ...]
    ) -> Constraints:
        """From ``lower <= matrix @ x <= upper``; infinite where a side is open.

        Parameters
        ----------
        matrix : float64 array, shape (r, n_in)
        lower, upper : float64 arrays, shape (r,)
        names : tuple of str
            One for each row; both sides of a row have it.
        """
        above, below = np.isfinite(upper), np.isfinite(lower)
        # An equation's two rows stand together, and so do the sides of a range.
        order = np.argsort(
            np.concatenate([np.flatnonzero(above), np.flatnonzero(below)]), kind="stable"
        )
        rows = np.concatenate([matrix[above], -matrix[below]])[order]
        limit = np.concatenate([upper[above], -lower[below]])[order]
        sides = [*np.flatnonzero(above), *np.flatnonzero(below)]
        return cls(rows, limit, tuple(names[sides[k]] for k in order))

    def __len__(self) -> int:
        return self.limit.size

    def excess(self, x: Float64) -> Float64:
        """``matrix @ x - limit`` for rows x, shape (rows, c)."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(x @ self.matrix.T - self.limit)

    def slack(self, x: Float64) -> Float64:
        """How far the rounding of its own sum can hide an excess, shape (rows, c).

        ``n eps (|A| |x| + |b|)``, n the number of terms: Higham, Accuracy and Stability of
        Numerical Algorithms, 2nd ed., section 3.1.
        """
        terms = np.count_nonzero(self.matrix, axis=1) + 1
        with np.errstate(over="ignore", invalid="ignore"):
            size = np.abs(x) @ np.abs(self.matrix.T) + np.abs(self.limit)
            return np.asarray(terms * self.eps * size)

    def hold(self, x: Float64) -> Mask:
        """Which rows of x keep them all, up to the rounding of the sums."""
        if not len(self):
            return np.ones(len(x), dtype=np.bool_)
        return np.asarray((self.excess(x) <= self.slack(x)).all(axis=1))

    def between_sides(self) -> tuple[Float64, Float64, Float64]:
        """The rows, opposite ones joined: A, lower, upper with lower <= A x <= upper.

        An equation then has lower == upper. Of parallel rows only those are joined that
        are each other's negative to the last bit.
        """
        place: dict[bytes, int] = {}
        rows: list[Float64] = []
        lower: list[float] = []
        upper: list[float] = []
        for row, limit in zip(self.matrix, self.limit, strict=True):
            # Adding zero turns -0.0 into 0.0, which has other bytes.
            key, opposite = (row + 0.0).tobytes(), (0.0 - row).tobytes()
            if opposite in place:
                k = place[opposite]
                lower[k] = max(lower[k], -float(limit))
            elif key in place:
                k = place[key]
                upper[k] = min(upper[k], float(limit))
            else:
                place[key] = len(rows)
                rows.append(row)
                lower.append(-np.inf)
                upper.append(float(limit))
        matrix = np.array(rows).reshape(len(rows), self.matrix.shape[1])
        return matrix, np.array(lower), np.array(upper)


@dataclass(frozen=True)
class Domain:
    """The inputs that are allowed: a box, whole numbers, linear inequalities.

    Attributes
    ----------
    lower, upper : float64 arrays, shape (n_in,)
        -inf and inf where open; equal where an input is fixed.
    integer : bool array, shape (n_in,)
        Inputs that must be whole numbers.
    constraints : Constraints
    """

    lower: Float64
    upper: Float64
    integer: Mask
    constraints: Constraints

    @classmethod
    def box(cls, lower: Float64, upper: Float64) -> Domain:
        """Bounds alone."""
        whole = np.zeros(lower.size, dtype=np.bool_)
        return cls(lower, upper, whole, Constraints.none(lower.size))

    @classmethod
    def unlimited(cls, n_in: int) -> Domain:
        """All inputs."""
        return cls.box(np.full(n_in, -np.inf), np.full(n_in, np.inf))

    @property
    def is_box(self) -> bool:
        """Whether bounds say it all."""
        return not len(self.constraints) and not bool(self.integer.any())

    @property
    def is_open(self) -> bool:
        """Whether every input is allowed."""
        bounded = np.isfinite(self.lower).any() or np.isfinite(self.upper).any()
        return self.is_box and not bool(bounded)

    @property
    def is_point(self) -> bool:
        """Whether all inputs are fixed."""
        return bool((self.lower == self.upper).all())

    def contain(self, x: Float64) -> Mask:
        """Which rows are allowed: bounds to the last bit, sums up to their rounding."""
        inside = ((x >= self.lower) & (x <= self.upper)).all(axis=1)
        whole = (x[:, self.integer] == np.round(x[:, self.integer])).all(axis=1)
        return np.asarray(inside & whole & self.constraints.hold(x))

    def clip(self, x: Float64) -> Float64:
        """The nearest inputs within the bounds."""
        return np.clip(x, self.lower, self.upper)

    def continuous(self) -> Domain:
        """The same without the demand for whole numbers."""
        return replace(self, integer=np.zeros_like(self.integer))

    def narrowed(self, lower: Float64, upper: Float64) -> Domain:
        """The same inside other bounds."""
        return replace(self, lower=lower, upper=upper)

    def in_type(self, dtype: DTypeLike) -> Domain:
        """The same for x written in another type.

        Bounds are narrowed to numbers of the type, whole ones to whole ones; an input that
        is fixed at a number which the type does not hold is fixed at the nearest one that
        it holds. Sums can be kept only up to the rounding of the type.
        """
        kind = np.dtype(dtype)
        with np.errstate(over="ignore"):
            low, high = self.lower.astype(kind), self.upper.astype(kind)
        infinity = np.asarray(np.inf, dtype=kind)
        inner_low = np.where(low < self.lower, np.nextafter(low, infinity), low)
        inner_high = np.where(high > self.upper, np.nextafter(high, -infinity), high)
        empty = inner_low > inner_high
        eps = max(self.constraints.eps, float(np.finfo(kind).eps))
        return replace(
            self,
            lower=np.where(empty, low, inner_low).astype(np.float64),
            upper=np.where(empty, low, inner_high).astype(np.float64),
            constraints=replace(self.constraints, eps=eps),
        )

    def project(self, x: Float64) -> Float64:
        """The nearest inputs that keep bounds and inequalities, whole or not.

        Parameters
        ----------
        x : float64 array, shape (rows, n_in)
            Finite.

        Returns
        -------
        float64 array, shape (rows, n_in)
            Inside the bounds to the last bit, and inside the inequalities as `contain`
            judges them, unless nothing is.

        Notes
        -----
        A row costs a quadratic program (`solve_quadratic`) where its bounds alone do not
        keep the inequalities.
        """
        found = self.clip(x)
        outside = np.flatnonzero(~self.constraints.hold(found))
        if outside.size:
            polyhedron = _Polyhedron(self)
            for row in outside:
                found[row] = polyhedron.nearest(x[row])
        return found


class _Polyhedron:
    """Rows with two sides and bounds; remembers which sides held the last point back."""

    def __init__(self, domain: Domain) -> None:
        self.lower, self.upper = domain.lower, domain.upper
        self.matrix, self.low, self.high = domain.constraints.between_sides()
        self.constraints = domain.constraints
        self.guess: ActiveSet | None = None

    def nearest(self, x: Float64) -> Float64:
        """The nearest point, shape (n_in,)."""
        start = np.clip(x, self.lower, self.upper)
        low, high = self._aimed(start)
        now = self.matrix @ x
        # The step is solved for, not the point: far from the origin it has more digits.
        solution = solve_quadratic(
            np.zeros_like(x),
            self.matrix,
            low - now,
            high - now,
            self.lower - x,
            self.upper - x,
            guess=self.guess,
        )
        if solution.outcome is Outcome.INFEASIBLE:
            return start
        self.guess = solution.active
        found = np.clip(x + solution.x, self.lower, self.upper)
        found = np.where(solution.active.variables < 0, self.lower, found)
        found = np.where(solution.active.variables > 0, self.upper, found)
        return self._corrected(found)

    def _aimed(self, x: Float64) -> tuple[Float64, Float64]:
        """The sides, drawn in by half of what rounding may hide; equations as they are."""
        terms = np.count_nonzero(self.matrix, axis=1) + 1
        limit = np.maximum(
            np.where(np.isfinite(self.low), np.abs(self.low), 0.0),
            np.where(np.isfinite(self.high), np.abs(self.high), 0.0),
        )
        size = np.abs(self.matrix) @ np.abs(x) + limit
        room = 0.5 * terms * self.constraints.eps * size
        room = np.where(self.high - self.low > 2.0 * room, room, 0.0)
        return self.low + room, self.high - room

    def _corrected(self, x: Float64) -> Float64:
        """Shortest steps of the variables that can move, onto the rows that are broken."""
        for _ in range(CORRECTIONS):
            if self.constraints.hold(x[None])[0]:
                break
            low, high = self._aimed(x)
            now = self.matrix @ x
            lacking = np.clip(now, low, high) - now
            broken = lacking != 0.0
            free = (x > self.lower) & (x < self.upper)
            step = np.linalg.lstsq(self.matrix[broken][:, free], lacking[broken])[0]
            x = x.copy()
            x[free] = np.clip(x[free] + step, self.lower[free], self.upper[free])
        return x
