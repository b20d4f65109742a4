"""Which inequalities between inputs cannot hold together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.analysis.bounds import conflicts
from nninvert.analysis.bounds.conflicts import Conflict
from nninvert.methods.domain import Domain

Float64 = NDArray[np.float64]

SECONDS = 5.0
"""A search for whole numbers that takes longer than this decides nothing."""


def find_conflict(domain: Domain) -> Conflict | None:
    """Find inequalities that leave no input, whole or not; None where there is one.

    An input that keeps them up to the rounding of their sums, found by projection, decides
    that there is no conflict; only where there is none a proof is looked for.
    """
    relaxed = domain.continuous()
    if relaxed.contain(relaxed.project(_somewhere(domain)))[0]:
        return None
    # A solver's tolerances are absolute; powers of two change units without rounding.
    unit = 2.0 ** np.round(np.log2(_size(domain)))
    return conflicts.find_conflict(
        domain.lower / unit,
        domain.upper / unit,
        domain.constraints.matrix,
        domain.constraints.limit / unit,
    )


def _size(domain: Domain) -> float:
    """The largest finite size of an input that bounds and inequalities speak of."""
    length = np.abs(domain.constraints.matrix).max(axis=1)
    usable = length > 0.0
    limit = domain.constraints.limit[usable] / length[usable]
    sizes = np.abs(np.concatenate([domain.lower, domain.upper, limit]))
    return float(sizes[np.isfinite(sizes)].max(initial=0.0)) or 1.0


def without_whole_numbers(domain: Domain) -> tuple[int, ...]:
    """Inequalities that leave no whole numbers, though they leave an input; () if none.

    That is the word of HiGHS, true to its tolerance of 1e-6. Without any one of them the
    others leave some.
    """
    if not domain.integer.any() or not len(domain.constraints):
        return ()
    if domain.contain(np.round(domain.project(_somewhere(domain))))[0]:
        return ()
    kept = list(range(len(domain.constraints)))
    if not _is_empty(domain, kept):
        return ()
    for k in list(kept):
        fewer = [j for j in kept if j != k]
        if _is_empty(domain, fewer):
            kept = fewer
    return tuple(kept)


def _somewhere(domain: Domain) -> Float64:
    """One row of inputs, for projections to begin at."""
    return domain.clip(np.zeros((1, domain.lower.size)))


def _is_empty(domain: Domain, rows: list[int]) -> bool:
    """Whether HiGHS says that no whole numbers keep these rows."""
    from scipy import optimize

    if not rows:
        return False
    matrix, limit = domain.constraints.matrix[rows], domain.constraints.limit[rows]
    # The solver's tolerance is an absolute one, made for sizes of about one.
    size = np.abs(matrix).max(axis=1)
    size = np.where(size > 0.0, size, 1.0)
    answer = optimize.milp(
        np.zeros(domain.lower.size),
        constraints=optimize.LinearConstraint(
            matrix / size[:, None], -np.inf, limit / size
        ),
        bounds=optimize.Bounds(domain.lower, domain.upper),
        integrality=domain.integer.astype(np.int64),
        options={"time_limit": SECONDS},
    )
    return bool(answer.status == 2)
