"""The solver of linear programs, asked for multipliers and for nothing else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.certificates import LinearSystem

Float64 = NDArray[np.float64]


def multipliers_of(
    system: LinearSystem, objective: Float64, seconds: float
) -> Float64 | None:
    """Minimise ``objective @ v`` over a system and hand out the multipliers of its rows.

    They come from HiGHS and need not be believed: `certificates.least_value` makes a bound
    of them that holds whatever they are.

    Parameters
    ----------
    system : LinearSystem
    objective : float64 array, shape (n,)
    seconds : float
        After which the solver is to end.

    Returns
    -------
    float64 array, shape (m,), or None
        None where the solver found no optimum.
    """
    from scipy.optimize import linprog

    low, high = np.isfinite(system.row_lower), np.isfinite(system.row_upper)
    both = low & high
    above, below = np.flatnonzero(high & ~both), np.flatnonzero(low & ~both)
    equal = np.flatnonzero(both)
    matrix = system.matrix
    signed = np.concatenate([np.ones(above.size), -np.ones(below.size)])
    one_sided = np.concatenate([above, below])
    limit = np.concatenate([system.row_upper[above], -system.row_lower[below]])
    solved = linprog(
        objective,
        A_ub=matrix[one_sided].multiply(signed[:, None]).tocsr(),
        b_ub=limit,
        A_eq=matrix[equal],
        b_eq=0.5 * (system.row_lower[equal] + system.row_upper[equal]),
        bounds=np.column_stack([system.lower, system.upper]),
        method="highs",
        options={"time_limit": max(seconds, 0.0)},
    )
    if solved.status != 0:
        return None
    multipliers = np.zeros(both.size)
    multipliers[one_sided] = -signed * solved.ineqlin.marginals
    multipliers[equal] = -solved.eqlin.marginals
    # Of a row without a limit on one side only one sign is of use.
    multipliers = np.where(high, multipliers, np.minimum(multipliers, 0.0))
    return np.where(low, multipliers, np.maximum(multipliers, 0.0))
