"""lsq beside torch's Adam and L-BFGS from many starts, each at its best learning rate."""

from __future__ import annotations

from collections.abc import Callable

import nets
import numpy as np
import torch_solvers
from plain_solvers import Race
from solver_scipy import HEAD, Duel, conclude, mine, plain_net, starts
from solver_settings import Settings, tolerances_at

Solver = Callable[..., Race]

RIVALS: dict[str, tuple[Solver, tuple[float, ...], int]] = {
    "Adam": (torch_solvers.adam, (0.3, 0.1, 0.03, 0.01), 5000),
    "L-BFGS": (torch_solvers.lbfgs, (1.0, 0.3, 0.1), 500),
}
"""The solver, the learning rates that are tried, and the most steps from one start."""

TUNING_ROWS = 10
"""Rows by which the learning rate is chosen, for every net anew."""


def torch(settings: Settings) -> None:
    """Each rival on its own, then the better of the two on every net."""
    print(
        f"{settings.rows} rows, up to {settings.starts} starts, cap {settings.cap} s a row"
    )
    print(HEAD, flush=True)
    by_rival: dict[str, list[Duel]] = {name: [] for name in RIVALS}
    best = []
    for case in settings.cases():
        y, x0 = nets.targets(case, settings.rows)
        tolerance = tolerances_at(case.network, y, x0)
        ours = mine(settings, case, y, tolerance)
        pair = []
        for name in RIVALS:
            rate, race = _at_best_rate(settings, case, name, y, tolerance)
            theirs, how = int(race.reached.sum()), f"{name}, rate {rate}"
            pair.append(
                Duel(case.name, settings.rows, ours[0], theirs, ours[1], race.seconds, how)
            )
            by_rival[name].append(pair[-1])
            print(pair[-1].line(), flush=True)
        best.append(max(pair, key=lambda duel: (duel.theirs, -duel.their_seconds)))
    for name, duels in (*by_rival.items(), ("the better of the two", best)):
        print(f"{name}: ", end="")
        conclude(duels)


def _at_best_rate(
    settings: Settings, case: nets.Case, name: str, y: np.ndarray, tolerance: np.ndarray
) -> tuple[float, Race]:
    solver, rates, steps = RIVALS[name]
    net, begun = plain_net(case), starts(settings, case)

    def run(rate: float, rows: int) -> Race:
        return solver(net, y[:rows], tolerance[:rows], begun, rate, steps, settings.cap)

    tried = {rate: run(rate, TUNING_ROWS) for rate in rates}
    rate = max(tried, key=lambda r: (tried[r].reached.sum(), -tried[r].seconds))
    return rate, run(rate, settings.rows)
