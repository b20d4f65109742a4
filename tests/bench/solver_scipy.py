"""lsq beside ``scipy.optimize.least_squares`` with exact Jacobians, the same residual."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import nets
import numpy as np
from plain_solvers import PlainNet, Race, least_squares
from solver_settings import Settings, geometric_mean, reached, tolerances_at

from nninvert.network import Network


@dataclass(frozen=True)
class Duel:
    """One net: rows that each reached, and seconds for each row reached."""

    name: str
    rows: int
    mine: int
    theirs: int
    my_seconds: float
    their_seconds: float
    how: str

    @property
    def ratio(self) -> float:
        """How many times faster we are, for each row reached."""
        if not self.theirs:
            return np.inf
        return (self.their_seconds / self.theirs) / (self.my_seconds / max(self.mine, 1))

    def line(self) -> str:
        """A row of the table."""
        return (
            f"{self.name:32} {self.mine:5} {self.theirs:6} /{self.rows:<5} "
            f"{1e3 * self.my_seconds / max(self.mine, 1):9.2f} "
            f"{1e3 * self.their_seconds / max(self.theirs, 1):9.2f} "
            f"{self.ratio:8.1f}  {self.how}"
        )


HEAD = f"{'net':32} {'ours':>5} {'theirs':>6} of rows ms a row: ours, theirs   ratio"


def plain_net(case: nets.Case) -> PlainNet:
    """The same net in plain arrays."""
    return PlainNet(nets.affine_parts(case.network), case.activation, case.output)


def starts(settings: Settings, case: nets.Case) -> np.ndarray:
    """Zero, then normal ones, for each row the same; shape (starts, n_in)."""
    made = case.rng.spawn(1)[0].standard_normal((settings.starts, case.network.n_in))
    made[0] = 0.0
    return made


def mine(
    settings: Settings, case: nets.Case, y: np.ndarray, tolerance: np.ndarray
) -> tuple[int, float]:
    """Rows that lsq reached, judged as the others are, and all of its seconds."""
    found, seconds = settings.invert(case.network, y, method="lsq")
    return int(reached(case.network, found.x, y, tolerance).sum()), seconds


def scipy(settings: Settings) -> None:
    """Both evaluations of f: hand-written numpy, and `Network.linearize(x).dense()`."""
    print(
        f"{settings.rows} rows, up to {settings.starts} starts, cap {settings.cap} s a row"
    )
    print(HEAD, flush=True)
    written, packaged = [], []
    for case in settings.cases():
        y, x0 = nets.targets(case, settings.rows)
        tolerance = tolerances_at(case.network, y, x0)
        ours = mine(settings, case, y, tolerance)
        net = plain_net(case)
        for duels, forward, jacobian, label in (
            (written, net.forward, net.jacobian, "numpy"),
            (packaged, *_through(case.network), "Network"),
        ):
            how, race = _best(settings, case, forward, jacobian, y, tolerance)
            theirs = int(race.reached.sum())
            how = f"{how}, f by {label}"
            duels.append(
                Duel(case.name, settings.rows, ours[0], theirs, ours[1], race.seconds, how)
            )
            print(duels[-1].line(), flush=True)
    for duels in (written, packaged):
        conclude(duels)


def _through(network: Network) -> tuple:
    return (
        lambda x: network.forward(x[None])[0],
        lambda x: network.linearize(x[None]).dense()[0],
    )


def _best(settings, case, forward, jacobian, y, tolerance) -> tuple[str, Race]:
    """The method of scipy that reaches more rows, then the faster one."""
    methods = ["trf"] if case.network.n_in > case.network.n_out else ["trf", "lm"]
    races = {}
    for method in methods:
        with np.errstate(all="ignore"):
            races[method] = least_squares(
                forward,
                jacobian,
                y,
                tolerance,
                starts(settings, case),
                method,
                settings.cap,
            )
    return max(races.items(), key=lambda item: (item[1].reached.sum(), -item[1].seconds))


def conclude(duels: list[Duel]) -> None:
    """All nets together."""
    ratios = [d.ratio for d in duels if np.isfinite(d.ratio)]
    print(
        f"{len(duels)} nets: rows reached {sum(d.mine for d in duels):,} and "
        f"{sum(d.theirs for d in duels):,} of {sum(d.rows for d in duels):,}; fewer than "
        f"theirs on {sum(d.mine < d.theirs for d in duels)} nets; times faster a row: "
        f"geometric mean {geometric_mean(ratios):.1f}, median {median(ratios):.1f}, "
        f"least {min(ratios):.1f}"
    )
