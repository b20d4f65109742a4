"""The last digits of a batched search: undamped steps, accurate ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nninvert.rootfind._lm_models import Model, model_of
from nninvert.rootfind._lm_rows import Rows
from nninvert.rootfind._lm_steps import step_inside

Index = NDArray[np.int64]
ShouldStop = Callable[[], bool]

MOST_STEPS = 12
"""Each squares the misfit of a reachable target."""

LENGTHS = (1.0, 0.5, 0.25, 0.125)
"""Parts of a step that are tried."""

WORTH = 0.25
"""Of the squares what may be left for a further step: slower is not quadratic."""


def polish(rows: Rows, chosen: Index, should_stop: ShouldStop) -> Index:
    """Undamped Gauss-Newton steps while they halve the misfit.

    Returns
    -------
    int array
        Those of `chosen` that were still gaining when it ended.
    """
    if not chosen.size:
        return chosen
    model = model_of(rows.function, rows.weights[chosen], rows.unit, rows.x[chosen])
    for _ in range(MOST_STEPS):
        if should_stop():
            break
        before = rows.cost[chosen]
        _one_step(rows, chosen, model)
        gaining = (rows.cost[chosen] <= WORTH * before) & ~rows.met(chosen)
        chosen = chosen[gaining]
        if not chosen.size:
            break
        model.keep(gaining)
        model.renew(np.arange(chosen.size), rows.x[chosen])
    return chosen


def _one_step(rows: Rows, chosen: Index, model: Model) -> None:
    """Take of each step the longest part that makes the row better, if any does."""
    residual = rows.residual(chosen)
    step = step_inside(
        model, residual, model.slope(residual), rows.box(chosen), model.shortest
    )
    for length in LENGTHS:
        x = rows.moved(chosen, length * step)
        value, cost = rows.judge(chosen, x)
        better = cost < rows.cost[chosen]
        rows.take(chosen[better], x[better], value[better], cost[better])
        chosen, step = chosen[~better], step[~better]
        if not chosen.size:
            break
