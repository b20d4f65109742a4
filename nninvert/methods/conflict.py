"""Which inequalities between inputs cannot hold together."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nninvert.methods.domain import Constraints, Domain

Float64 = NDArray[np.float64]

SECONDS = 5.0
"""A search for whole numbers that takes longer than this decides nothing."""


@dataclass(frozen=True)
class Conflict:
    """A set that has no common point, and would have one without any of its members.

    Attributes
    ----------
    constraints : tuple of int
        Rows of ``Domain.constraints``.
    bounds : tuple of int
        Inputs whose bounds belong to it; empty where the inequalities conflict alone.
    whole : bool
        Whether there is a point, but none of whole numbers.
    """

    constraints: tuple[int, ...]
    bounds: tuple[int, ...]
    whole: bool


def find_conflict(domain: Domain) -> Conflict | None:
    """Find inequalities that leave no input; None where there is one.

    A point that keeps everything, found by projection, is a proof that there is no
    conflict. Otherwise HiGHS is believed that there is one; where it finds a point after
    all, or does not decide, None is returned. The set is made irreducible by leaving out
    one member after the other (the deletion filter of J. W. Chinneck, Feasibility and
    Infeasibility in Optimization, 2008, section 6.2), inequalities before bounds.
    """
    anywhere = np.where(np.isfinite(domain.lower), domain.lower, 0.0)
    found = domain.project(anywhere[None])
    if domain.contain(found)[0]:
        return None
    if domain.continuous().contain(found)[0] or not _is_empty(domain.continuous()):
        if not domain.integer.any() or not _is_empty(domain):
            return None
        return Conflict(_needed(domain), (), whole=True)
    relaxed = domain.continuous()
    rows = _needed(relaxed)
    left = replace(relaxed, constraints=_some(relaxed.constraints, rows))
    return Conflict(rows, _needed_bounds(left), whole=False)


def _needed(domain: Domain) -> tuple[int, ...]:
    """An irreducible set of rows that leaves nothing of the box."""
    kept = list(range(len(domain.constraints)))
    for k in range(len(domain.constraints)):
        fewer = tuple(j for j in kept if j != k)
        if _is_empty(replace(domain, constraints=_some(domain.constraints, fewer))):
            kept.remove(k)
    return tuple(kept)


def _needed_bounds(domain: Domain) -> tuple[int, ...]:
    """Inputs that must be bounded, in an irreducible set, for the rows to conflict."""
    used = (domain.constraints.matrix != 0.0).any(axis=0)
    bounded = np.isfinite(domain.lower) | np.isfinite(domain.upper)
    lower = np.where(used, domain.lower, -np.inf)
    upper = np.where(used, domain.upper, np.inf)
    needed = []
    for i in np.flatnonzero(used & bounded):
        low, high = lower.copy(), upper.copy()
        low[i], high[i] = -np.inf, np.inf
        if _is_empty(domain.narrowed(low, high)):
            lower, upper = low, high
        else:
            needed.append(int(i))
    return tuple(needed)


def _some(constraints: Constraints, rows: tuple[int, ...]) -> Constraints:
    chosen = list(rows)
    names = tuple(constraints.names[k] for k in chosen)
    return replace(
        constraints,
        matrix=constraints.matrix[chosen],
        limit=constraints.limit[chosen],
        names=names,
    )


def _is_empty(domain: Domain) -> bool:
    """Whether HiGHS says that no input is allowed, to its tolerance of 1e-6 or less."""
    from scipy import optimize

    if not len(domain.constraints):
        return False
    # The solver's tolerances are absolute: sizes of one are what they are made for.
    length = np.abs(domain.constraints.matrix).max(axis=1)
    length = np.where(length > 0.0, length, 1.0)
    limit = domain.constraints.limit / length
    unit = 1.0 if domain.integer.any() else _size(domain.lower, domain.upper, limit)
    answer = optimize.milp(
        np.zeros(domain.lower.size),
        constraints=optimize.LinearConstraint(
            domain.constraints.matrix / length[:, None], -np.inf, limit / unit
        ),
        bounds=optimize.Bounds(domain.lower / unit, domain.upper / unit),
        integrality=domain.integer.astype(np.int64),
        options={"time_limit": SECONDS},
    )
    return bool(answer.status == 2)


def _size(*parts: Float64) -> float:
    """The largest finite size among numbers; 1 where all are zero."""
    sizes = np.abs(np.concatenate(parts))
    largest = float(sizes[np.isfinite(sizes)].max(initial=0.0))
    return largest or 1.0
