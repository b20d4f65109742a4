"""What to try next, when the answers say that the question was probably another."""

from __future__ import annotations

import numpy as np

from nninvert.analysis.outputs import output_sizes, rounded_percent
from nninvert.methods.problem import Problem
from nninvert.outcome import RowStatus
from nninvert.result import InversionResult

_MANY = 0.2
_CLOSE = 0.3


def measured_advice(problem: Problem, result: InversionResult) -> tuple[str, ...]:
    """Say so when targets look measured rather than computed by this network.

    The sign: without a tolerance, more than a fifth of the rows cannot be met, yet the
    nearest outputs come within 30 % of them.
    """
    notes = []
    missed = np.array(
        [s in (RowStatus.UNREACHABLE, RowStatus.NEAREST) for s in result.status]
    )
    if problem.within is None and np.mean(missed) > _MANY:
        sizes = output_sizes(problem.network, problem.targets.values)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.abs(result.fitted - problem.targets.values) / sizes
        share = np.where(problem.targets.wanted, share, 0.0).max(axis=1)[missed]
        typical = float(np.median(share))
        if np.isfinite(typical) and typical < _CLOSE:
            notes.append(
                "the targets look measured, not computed by this network. Ask for as "
                f"much as it knows: --within {rounded_percent(typical)} "
                "--near TYPICAL.npy"
            )
    return tuple(notes)
