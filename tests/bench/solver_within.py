"""The nearest x that meets the target within a tolerance: beside SLSQP, trust-constr."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import nets
import numpy as np
import plain_solvers
from solver_scipy import plain_net
from solver_settings import Settings, geometric_mean, reached

from nninvert.analysis.starting_point import input_scale

LIMIT = 4.0
"""Bounds of every input."""

AWAY = 0.5
"""How far `near` lies from an x that meets the target, in each input, on average."""

PART = 0.02
"""The tolerance, as a part of each output's root mean square."""

ROUNDING = 1e-7
"""By how much of the tolerance rivals may leave it: they stop at such errors."""

MOST_INPUTS = 100
"""Larger nets are left out for the rivals: they factor matrices of n_in at every step."""


@dataclass(frozen=True)
class Found:
    """Which rows keep the tolerance, and how far from `near`, in the inputs' units."""

    kept: np.ndarray
    distance: np.ndarray
    seconds: float


def within(settings: Settings) -> None:
    """Distances against the least that anybody found; rows that keep the tolerance."""
    print(
        f"{settings.rows} rows, tolerance {PART:.0%}, inputs within +-{LIMIT}, near {AWAY} "
        "away; rivals start from near, and where that fails from our x"
    )
    print(
        f"{'net':32} {'who':12} {'kept':>9} {'ms a row':>9} {'distance / best: mean':>22} "
        f"{'worst':>8} {'best':>6}"
    )
    gathered: dict[str, list[tuple[float, float, float]]] = {}
    for case in settings.cases():
        y, near, tolerance = _question(settings, case)
        ours, x = _mine(settings, case, y, near, tolerance)
        found = {"nninvert": ours}
        if case.network.n_in <= MOST_INPUTS:
            for name in ("SLSQP", "trust-constr"):
                found[name] = _theirs(case, RIVALS[name], y, near, tolerance, x)
        best = np.min(
            [np.where(f.kept, f.distance, np.inf) for f in found.values()], axis=0
        )
        for name, one in found.items():
            _tell(case.name, name, one, best)
            share = one.kept.mean()
            worse = _excess(one, best)
            mean = worse.mean() if worse.size else np.nan
            gathered.setdefault(name, []).append((share, one.seconds, mean))
    for name, rows in gathered.items():
        kept, seconds, worse = np.transpose(rows)
        print(
            f"{name}: {len(rows)} nets, {100 * kept.mean():.2f} % of rows kept; distance / "
            f"best, geometric mean {geometric_mean(worse[np.isfinite(worse)]):.4f}; "
            f"ms a row: median net {1e3 * median(seconds) / settings.rows:.1f}"
        )


def _question(
    settings: Settings, case: nets.Case
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets of an x within the bounds, a `near` close to it, and the tolerances."""
    rng = case.rng.spawn(2)[1]
    x = np.clip(rng.standard_normal((settings.rows, case.network.n_in)), -LIMIT, LIMIT)
    y = case.network.forward(x)
    near = np.clip(x + AWAY * rng.standard_normal(x.shape), -LIMIT, LIMIT)
    return y, near, PART * np.sqrt(np.square(y).mean(axis=0))


def _mine(
    settings: Settings,
    case: nets.Case,
    y: np.ndarray,
    near: np.ndarray,
    tolerance: np.ndarray,
) -> tuple[Found, np.ndarray]:
    result, seconds = settings.invert(
        case.network, y, within=tolerance, near=near, lower=-LIMIT, upper=LIMIT
    )
    return _judged(case, result.x, y, near, tolerance, seconds), result.x


def _theirs(
    case: nets.Case,
    solver: Callable[..., np.ndarray],
    y: np.ndarray,
    near: np.ndarray,
    tolerance: np.ndarray,
    spare: np.ndarray,
) -> Found:
    """Row by row, from `near`; if that does not keep the tolerance, from our x."""
    net, rows, unit = plain_net(case), [], input_scale(case.network)
    allowed = tolerance * (1.0 + ROUNDING)
    started = time.perf_counter()
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for k in range(y.shape[0]):
            x = solver(net, y[k], tolerance, near[k], unit, near[k], LIMIT)
            if not (np.abs(net.forward(x) - y[k]) <= allowed).all():
                x = solver(net, y[k], tolerance, near[k], unit, spare[k], LIMIT)
            rows.append(x)
    seconds = time.perf_counter() - started
    return _judged(case, np.clip(rows, -LIMIT, LIMIT), y, near, allowed, seconds)


def _judged(
    case: nets.Case,
    x: np.ndarray,
    y: np.ndarray,
    near: np.ndarray,
    tolerance: np.ndarray,
    seconds: float,
) -> Found:
    unit = input_scale(case.network)
    kept = reached(case.network, x, y, np.broadcast_to(tolerance, y.shape))
    return Found(kept, np.linalg.norm((x - near) / unit, axis=1), seconds)


def _excess(one: Found, best: np.ndarray) -> np.ndarray:
    """Distance by the least of all, in the rows that are kept."""
    rows = one.kept
    return np.asarray((one.distance[rows] + 1e-12) / (best[rows] + 1e-12))


def _tell(name: str, who: str, one: Found, best: np.ndarray) -> None:
    excess = _excess(one, best)
    if excess.size:
        text = f"{excess.mean():22.4f} {excess.max():8.3f} {(excess < 1.001).mean():6.0%}"
    else:
        text = f"{'nothing':>22}"
    print(
        f"{name:32} {who:12} {one.kept.sum():4}/{one.kept.size:<4} "
        f"{1e3 * one.seconds / one.kept.size:9.1f} {text}",
        flush=True,
    )


RIVALS: dict[str, Callable[..., np.ndarray]] = {
    "SLSQP": plain_solvers.slsqp,
    "trust-constr": plain_solvers.trust_constr,
}
