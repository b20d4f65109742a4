"""What to try next, when the answers say that the question was probably another."""

from __future__ import annotations

import numpy as np

from nninvert.analysis.outputs import output_sizes
from nninvert.methods.problem import Problem
from nninvert.outcome import RowStatus
from nninvert.result import InversionResult

_MISSED = (RowStatus.UNREACHABLE, RowStatus.NEAREST, RowStatus.STOPPED)

_MANY = 0.2
"""Share of rows out of reach from which on chance is no explanation."""

_CLOSE = 0.3
"""Nearest outputs within this share of their size look like outputs of this network."""

_FAR = 100.0
"""In units of the tolerance: what is nearer may be a solver's last digits."""


def measured_advice(problem: Problem, result: InversionResult) -> tuple[str, ...]:
    """Say so when targets look measured rather than computed by this network.

    The sign: with no tolerance and no bounds, more than a fifth of the rows are far from
    being met, yet the nearest outputs come within 30 % of them. How much the model knows,
    the targets alone cannot tell: the nearest outputs fit the noise, too.
    """
    if problem.within is not None or not problem.domain.is_open:
        return ()
    error = np.abs(result.fitted - problem.targets.values)
    error = np.where(problem.targets.wanted, error, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        far = (error / result.tolerance).max(axis=1) > _FAR
        share = (error / output_sizes(problem.network, problem.targets.values)).max(axis=1)
    missed = far & np.array([s in _MISSED for s in result.status])
    if np.mean(missed) <= _MANY or not np.median(share[missed]) < _CLOSE:
        return ()
    return (
        "the targets look measured, not computed by this network. Ask for as much as it "
        "knows, for example --within 3% --near TYPICAL.npy; how much that is: nninvert "
        "check MODEL --pairs X Y",
    )
