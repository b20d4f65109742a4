"""Whether each target can be reached: what ``check --target`` answers."""

from __future__ import annotations

import numpy as np

from nninvert.analysis import reachability
from nninvert.methods import driver
from nninvert.methods.layerwise import Exact
from nninvert.methods.problem import Problem
from nninvert.outcome import Proof, RowStatus
from nninvert.result import InversionResult, TargetReport


def judge_targets(problem: Problem) -> tuple[TargetReport, InversionResult]:
    """Pull each target back, and recompute f where that found an input.

    Networks that are one-to-one layer by layer need no search: a row either comes back to
    its target or leaves a layer's range. Others are searched as ``invert`` would.

    Returns
    -------
    TargetReport
    InversionResult
        What the report was made from; its x are where the Jacobian is looked at.
    """
    plain = problem.within is None and bool(problem.targets.wanted.all())
    # What comes back through the layers is whole only to rounding.
    plain = plain and problem.domain.is_box
    layerwise = plain and not Exact().obstacle(problem)
    result = driver.invert(problem, method="exact" if layerwise else "auto")
    radius = np.where(problem.targets.wanted, result.tolerance, np.inf)
    reach = reachability.pull_back_boxes(
        problem.network, problem.targets.values, radius, problem.context
    ).preimage
    report = TargetReport(
        reachable=tuple(_reachable(result, row) for row in range(problem.rows)),
        status=result.status,
        layer=tuple(
            (
                problem.network.segments[int(place)].main.index,
                problem.network.segments[int(place)].main.name,
            )
            if count
            else None
            for place, count in zip(reach.place, reach.outside, strict=True)
        ),
        units=reach.outside,
        unit=reach.unit,
        overshoot=reach.overshoot,
        value=reach.value,
        residual=result.residual,
        digits=result.digits,
        proof=result.proof,
    )
    return report, result


def _reachable(result: InversionResult, row: int) -> bool | None:
    if result.status[row] is RowStatus.SOLVED:
        return True
    return None if result.proof[row] is Proof.NONE else False
