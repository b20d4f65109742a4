"""The family of answers at an x: directions that keep y, and how far each may be followed.

Near an x at which the rank of the Jacobian is constant, the inputs with the same output
form a manifold of dimension n_in - rank, and the kernel of J is its tangent space (constant
rank theorem; J. M. Lee, Introduction to Smooth Manifolds, 2nd ed., theorem 4.12). Of all
orthonormal bases of the kernel the one is taken that people can read: each direction is
the projection of one input's axis, the freest input first. This is QR with column pivoting
of the projector onto the kernel (Golub & Van Loan, Matrix Computations, 4th ed., section
5.4.2), made without forming it, so that some of very many directions cost no more than
these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

POINTS = 32
"""Evenly spaced points at which f is recomputed on each side of x."""

LONGEST = 1e6
"""Rays are followed up to this many times the size of x (at least 1): what changes nothing
so far off, changes nothing."""

_SHORTEST = 2.0**-40
"""First step along a ray, relative to the size of x: a few thousand spacings of it."""

_HALVINGS = 14
"""The end of an interval is found to four digits."""

_CHUNK = 2**22
"""Numbers in the points that are looked at together."""


@dataclass(frozen=True)
class FreeDirections:
    """The kernel of a Jacobian, as far as inputs may move.

    Attributes
    ----------
    dimension : int
    basis : float64 array, shape (k, n_in)
        Orthonormal rows, k <= dimension.
    """

    dimension: int
    basis: Float64


def free_directions(
    jacobian: Float64, fixed: Mask, at_bound: Mask, held: Float64, most: int
) -> FreeDirections:
    """Directions in which x may move while y stays, to first order.

    Parameters
    ----------
    jacobian : float64 array, shape (m, n_in)
        At x; its rows measured in the tolerances of the outputs, so that the rank does
        not depend on their units.
    fixed : bool array, shape (n_in,)
        Inputs that cannot move.
    at_bound : bool array, shape (n_in,)
        Inputs that can move one way only. Directions in which they stay come first.
    held : float64 array, shape (c, n_in)
        Normals of the inequalities that x lies on; so do directions along them.
    most : int
        Largest number of directions to make.
    """
    moving, inner = ~fixed, ~(fixed | at_bound)
    rows = _row_space(jacobian[:, moving])
    dimension = int(moving.sum()) - len(rows)
    basis = np.zeros((min(most, dimension), fixed.size))
    length = np.linalg.norm(held, axis=1, keepdims=True)
    normals = held / np.where(length > 0.0, length, 1.0)
    tied = _row_space(np.vstack([_row_space(jacobian[:, inner]), normals[:, inner]]))
    both_ways = min(len(basis), int(inner.sum()) - len(tied))
    basis[:both_ways, inner] = _projected_axes(tied, both_ways)
    taken = np.vstack([rows, basis[:both_ways, moving]])
    basis[both_ways:, moving] = _projected_axes(taken, len(basis) - both_ways)
    return FreeDirections(dimension, basis)


def _row_space(matrix: Float64) -> Float64:
    """An orthonormal basis of the span of the rows, shape (rank, n)."""
    if not matrix.size:
        return np.zeros((0, matrix.shape[1]))
    _, values, rows = np.linalg.svd(matrix, full_matrices=False)
    counted = values > tolerances.singular_threshold(matrix.shape, float(values[0]))
    return np.asarray(rows[counted])


def _projected_axes(taken: Float64, count: int) -> Float64:
    """Orthonormal rows orthogonal to `taken`, each nearest to the freest axis left."""
    first, n = taken.shape
    every = np.vstack([taken, np.zeros((count, n))])
    # Squared length of what is left of each axis.
    left = 1.0 - np.einsum("ij,ij->j", taken, taken)
    for k in range(first, first + count):
        freest = int(np.argmax(left))
        direction = -every[:k].T @ every[:k, freest]
        direction[freest] += 1.0
        # Once more: what rounding has left of the others (twice is enough, Kahan).
        direction -= every[:k].T @ (every[:k] @ direction)
        every[k] = direction / np.linalg.norm(direction)
        left -= every[k] ** 2
    return every[first:]


def kept_intervals(
    x: Float64,
    basis: Float64,
    limits: Float64,
    meets: Callable[[Float64], Mask],
) -> tuple[Float64, NDArray[np.int64]]:
    """How far each direction may be followed, both ways, on a straight line.

    Steps are doubled until one fails, and the failure is closed in by bisection; then
    `POINTS` points on the way are looked at, too, and the interval ends before the first
    that fails. What lies between two points is not looked at: an estimate.

    Parameters
    ----------
    x : float64 array, shape (n_in,)
    basis : float64 array, shape (k, n_in)
    limits : float64 array, shape (k, 2)
        Where each line leaves the domain, (<= 0, >= 0); may be infinite.
    meets : callable
        Which of the points, shape (p, n_in), are as good as x.

    Returns
    -------
    intervals : float64 array, shape (k, 2)
        Its ends and all points that were looked at in between meet.
    points : int array, shape (k,)
        How many evenly spaced points in it were looked at.
    """
    rays = np.concatenate([-basis, basis])
    reach = np.concatenate([-limits[:, 0], limits[:, 1]])
    size = float(np.abs(x).max(initial=0.0))
    search = _RaySearch(x, rays, np.minimum(reach, LONGEST * max(1.0, size)), meets)
    search.grow(_SHORTEST * (size or 1.0))
    search.close_in()
    points = search.sample()
    k = len(basis)
    intervals = np.stack([-search.good[:k], search.good[k:]], axis=1)
    return intervals + 0.0, points[:k] + points[k:]


class _RaySearch:
    """For each ray from x the farthest point known to be good, and the nearest bad one."""

    def __init__(
        self, x: Float64, rays: Float64, reach: Float64, meets: Callable[[Float64], Mask]
    ) -> None:
        self._x, self._rays, self._reach, self._meets = x, rays, reach, meets
        self.good = np.zeros(len(rays))
        self._bad = np.full(len(rays), np.inf)

    def grow(self, first: float) -> None:
        """Double the step until it fails or the end of the ray is reached."""
        step = np.minimum(first, self._reach)
        active = np.flatnonzero(step > 0.0)
        while active.size:
            fine = self._look(active, step[active])
            self.good[active[fine]] = step[active[fine]]
            self._bad[active[~fine]] = step[active[~fine]]
            active = active[fine & (step[active] < self._reach[active])]
            step[active] = np.minimum(2.0 * step[active], self._reach[active])

    def close_in(self) -> None:
        """Halve the distance between what is good and what is bad."""
        open_ends = np.flatnonzero(np.isfinite(self._bad))
        for _ in range(_HALVINGS):
            middle = 0.5 * (self.good[open_ends] + self._bad[open_ends])
            fine = self._look(open_ends, middle)
            self.good[open_ends[fine]] = middle[fine]
            self._bad[open_ends[~fine]] = middle[~fine]

    def sample(self) -> NDArray[np.int64]:
        """Look at points on the way; an interval ends before the first that fails."""
        active = np.flatnonzero(self.good > 0.0)
        steps = self.good[active, None] * np.arange(1, POINTS + 1) / POINTS
        fine = self._look(np.repeat(active, POINTS), steps.ravel()).reshape(-1, POINTS)
        count = np.where(fine.all(axis=1), POINTS, np.argmin(fine, axis=1))
        ends = np.take_along_axis(steps, np.maximum(count - 1, 0)[:, None], axis=1)[:, 0]
        self.good[active] = np.where(count > 0, ends, 0.0)
        points = np.zeros(len(self._rays), dtype=np.int64)
        points[active] = count
        return points

    def _look(self, rays: NDArray[np.int64], steps: Float64) -> Mask:
        """Whether x + step * ray is good, in chunks that fit into memory."""
        most = max(1, _CHUNK // max(1, self._x.size))
        found = np.zeros(len(rays), dtype=np.bool_)
        for at in range(0, len(rays), most):
            part = slice(at, at + most)
            moved = steps[part, None] * self._rays[rays[part]]
            found[part] = self._meets(self._x + moved)
        return found
