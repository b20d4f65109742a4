"""Which targets of a problem are proved to be out of reach."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.analysis import reachability
from nninvert.methods.problem import Problem
from nninvert.outcome import Proof

Float64 = NDArray[np.float64]


def proofs(problem: Problem, tolerance: Float64) -> tuple[Proof, ...]:
    """Look for a proof that no allowed input meets a row's tolerance.

    Parameters
    ----------
    problem : Problem
    tolerance : float64 array, shape (rows, n_out)
        What "meets" means.

    Returns
    -------
    tuple of Proof
        NONE where nothing is proved, which says nothing.
    """
    if not problem.rows:
        return ()
    radius = np.where(problem.targets.wanted, tolerance, np.inf)
    reach = reachability.pull_back_boxes(
        problem.network, problem.targets.values, radius, problem.context
    )
    missed = reachability.outside_bounds(reach, problem.domain.lower, problem.domain.upper)
    missed &= ~reach.proved
    if not missed.any():
        return reach.proof
    if not reachability.radii_are_trusted(problem.network, problem.context):
        return reach.proof
    return tuple(
        Proof.BOUNDS if outside else proof
        for proof, outside in zip(reach.proof, missed, strict=True)
    )
