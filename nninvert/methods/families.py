"""The family of answers around each row that is solved."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis.family import free_directions, kept_intervals
from nninvert.analysis.sensitivity import dense_is_cheap
from nninvert.context import Progress
from nninvert.errors import UsageError
from nninvert.methods.domain import Domain
from nninvert.methods.problem import Problem
from nninvert.result import Family, InversionResult

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]

DIRECTIONS = 50
"""Most directions that are made for a row: each of them is followed by some 200 passes."""

MEMORY_SHARE = 0.25
"""Of the memory that bases of all rows together may take."""


def require_families(problem: Problem) -> None:
    """Refuse at once where no family can be described.

    Raises
    ------
    UsageError
        If the Jacobian is too large to be decomposed.
    """
    network = problem.network
    if not dense_is_cheap(network):
        raise UsageError(
            "--family",
            got=f"a Jacobian of {network.n_out:,} by {network.n_in:,} numbers",
            expected=f"one with n_out n_in min(n_out, n_in) <= {tolerances.SVD_WORK:.0e}",
            because="it is decomposed at each x",
        )


def families(problem: Problem, result: InversionResult) -> tuple[Family, ...]:
    """Describe the answers around x in each row that is SOLVED.

    Directions are those in which the wanted outputs stay, to first order, while fixed and
    whole inputs do not move; along each, f is recomputed by the plain forward pass and
    judged by the tolerances that the row was judged by, x by the domain.

    Parameters
    ----------
    problem : Problem
    result : InversionResult
        Its `x` are where Jacobians are looked at.

    Returns
    -------
    tuple of Family
        Rows are left out where the Jacobian is not finite, and from where the time limit
        or an interrupt ended the work.
    """
    found: list[Family] = []
    solved = np.flatnonzero(result.solved)
    most = _most_directions(problem, len(solved))
    for done, row in enumerate(solved):
        if problem.context.should_stop():
            break
        found += _family(problem, result, int(row), most)
        problem.context.emit(Progress("families", done + 1, len(solved)))
    return tuple(found)


def _most_directions(problem: Problem, rows: int) -> int:
    room = MEMORY_SHARE * problem.context.memory
    return int(np.clip(room / (8 * problem.network.n_in * max(rows, 1)), 1, DIRECTIONS))


def _family(
    problem: Problem, result: InversionResult, row: int, most: int
) -> Iterator[Family]:
    x = result.x[row].astype(np.float64)
    wanted = problem.targets.wanted[row]
    y, tol = problem.targets.values[row, wanted], result.tolerance[row, wanted]
    with np.errstate(all="ignore"):
        jacobian = problem.network.linearize(x[None]).dense()[0, wanted] / tol[:, None]
    if not np.isfinite(jacobian).all():
        return
    domain = problem.domain
    fixed = (domain.lower == domain.upper) | domain.integer
    kept = np.vstack([jacobian, _equations(domain, float(np.linalg.norm(jacobian)))])
    free = free_directions(kept, fixed, _at_bound(domain, x), _tight(domain, x), most)

    def meets(points: Float64) -> Mask:
        with np.errstate(all="ignore"):
            error = np.abs(problem.network.forward(points)[:, wanted] - y)
        return np.asarray((error <= tol).all(axis=1) & domain.contain(points))

    limits = line_limits(domain, x, free.basis)
    intervals, points = kept_intervals(x, free.basis, limits, meets)
    yield Family(row, x, free.dimension, free.basis, intervals, points)


def _at_bound(domain: Domain, x: Float64) -> Mask:
    """Inputs at a bound, or no farther from one than where solvers end their search.

    That is measured by the width of the interval, or where it is open by the size of x.
    """
    with np.errstate(invalid="ignore"):
        width = domain.upper - domain.lower
    size = np.where(np.isfinite(width), width, np.abs(x).max(initial=0.0))
    room = np.minimum(x - domain.lower, domain.upper - x)
    return np.asarray(room <= np.sqrt(tolerances.EPS64) * size)


def _equations(domain: Domain, size: float) -> Float64:
    """Normals of the equations between inputs, of this length: they are kept as y is."""
    matrix, lower, upper = domain.constraints.between_sides()
    normals = matrix[lower == upper]
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.asarray(normals / np.where(length > 0.0, length, 1.0) * (size or 1.0))


def _tight(domain: Domain, x: Float64) -> Float64:
    """Normals of the inequalities that x lies on, shape (c, n_in)."""
    constraints = domain.constraints
    size = constraints.slack(x[None])[0] / np.sqrt(tolerances.EPS64)
    return np.asarray(constraints.matrix[constraints.excess(x[None])[0] >= -size])


def line_limits(domain: Domain, x: Float64, directions: Float64) -> Float64:
    """Where the lines x + t v leave the box and the inequalities, shape (k, 2).

    A few spacings inside, so that rounding x + t v does not cross a bound.
    """
    edge = 4.0 * tolerances.EPS64
    ends = []
    for sign in (-1.0, 1.0):
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = sign * directions
            room = np.where(moved > 0.0, domain.upper - x, x - domain.lower)
            room = room - edge * np.abs(np.where(moved > 0.0, domain.upper, domain.lower))
            # An open side is inf - inf by now.
            room = np.where(np.isnan(room), np.inf, np.maximum(room, 0.0))
            box = np.where(moved == 0.0, np.inf, room / np.abs(moved))
            rise = moved @ domain.constraints.matrix.T
            # What rounding has left of a direction along an inequality.
            size = np.abs(moved) @ np.abs(domain.constraints.matrix.T)
            rise = np.where(rise > x.size * edge * size, rise, 0.0)
            slack = -domain.constraints.excess(x[None])[0]
            planes = np.where(rise > 0.0, np.maximum(slack, 0.0) / rise, np.inf)
        both = np.concatenate([box, planes], axis=1)
        ends.append(sign * both.min(axis=1, initial=np.inf))
    return np.stack(ends, axis=1)
