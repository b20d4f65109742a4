"""Re-simulation error: proposals from a surrogate, put through the true simulator.

r_T is the mean over the test targets of the least mean squared error between the target
and the simulator at the first T proposals.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch_surrogates
from passes import counted
from solver_settings import Settings

import nninvert
from nninvert.network import Network

POINTS = 10_000
COUNTS = (1, 10, 50)
RATES = (0.1, 0.03, 0.01, 0.003)
"""Learning rates that the neural adjoint is tried with; the one of the least r_1 counts."""

TUNING_TARGETS = 5

Simulator = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Task:
    """A simulator, and how its inputs are drawn.

    Attributes
    ----------
    simulate : callable
        (rows, n_in) to (rows, n_out).
    draw : callable
        From a generator and a number of rows.
    widths : list of int
        Of the surrogate.
    inside : float
        The share of the training inputs, of each, that lies within the bounds: where data
        are few, a surrogate is not to be trusted.
    """

    simulate: Simulator
    draw: Callable[[np.random.Generator, int], np.ndarray]
    widths: list[int]
    inside: float

    def bounds(self, x: np.ndarray) -> np.ndarray:
        """Least and largest input, shape (2, n_in)."""
        beyond = 0.5 * (1.0 - self.inside)
        return np.quantile(x, [beyond, 1.0 - beyond], axis=0)


def sine(x: np.ndarray) -> np.ndarray:
    """A wave in each of two inputs, added."""
    return np.sin(3 * np.pi * x[:, :1]) + np.cos(3 * np.pi * x[:, 1:])


def arm(x: np.ndarray) -> np.ndarray:
    """Where a robot's hand is: a rail and three joints, lengths 0.5, 0.5 and 1."""
    rail, t1, t2, t3 = x.T
    angles = np.stack([t1, t2 - t1, t3 - t2 - t1])
    lengths = np.array([[0.5], [0.5], [1.0]])
    return np.stack(
        [
            (lengths * np.cos(angles)).sum(axis=0),
            rail + (lengths * np.sin(angles)).sum(axis=0),
        ],
        axis=1,
    )


TASKS = {
    "sine": Task(
        sine, lambda rng, rows: rng.uniform(-1, 1, (rows, 2)), [2, *[500] * 4, 1], 1.0
    ),
    "arm": Task(
        arm,
        lambda rng, rows: rng.standard_normal((rows, 4)) * [0.25, 0.5, 0.5, 0.5],
        [4, *[500] * 4, 2],
        0.95,
    ),
}


@dataclass(frozen=True)
class Setting:
    """A task with its surrogate, test targets and bounds of its inputs."""

    name: str
    task: Task
    parts: torch_surrogates.Parts
    network: Network
    targets: np.ndarray
    box: np.ndarray

    @classmethod
    def of(cls, settings: Settings, name: str) -> Setting:
        """Train the surrogate, or take it from the folder."""
        task, rng = TASKS[name], np.random.default_rng(settings.seeds[0])
        x = task.draw(rng, POINTS)
        path = settings.folder / f"{name}-{settings.seeds[0]}.npz"
        started = time.perf_counter()
        parts = torch_surrogates.surrogate(
            path,
            x,
            task.simulate(x),
            task.widths,
            settings.seeds[0],
            settings.shrunk(torch_surrogates.EPOCHS),
        )
        last = len(parts) - 1
        network = nninvert.from_arrays(
            [(a, b, "relu" if k < last else None) for k, (a, b) in enumerate(parts)]
        )
        test = task.draw(rng, settings.rows)
        y = task.simulate(test)
        off = np.square(network.forward(test) - y).mean()
        print(
            f"{name}: surrogate's own mean squared error {off:.2e} "
            f"({time.perf_counter() - started:.0f} s)",
            flush=True,
        )
        return cls(name, task, parts, network, y, task.bounds(x))


def simulation(settings: Settings) -> None:
    """`settings.rows` targets for each task; 200 are usual."""
    print(f"{settings.rows} targets; one pass: a forward, jvp or vjp of one row")
    for name in TASKS:
        if settings.only not in name:
            continue
        setting = Setting.of(settings, name)
        adjoint(settings, setting)
        for most in COUNTS:
            ours(settings, setting, most)


def resimulated(setting: Setting, proposals: list[np.ndarray]) -> dict[int, float]:
    """r_T; of each target's proposals, shape (k, n_in), those that exist count."""
    least = {most: [] for most in COUNTS}
    for wanted, x in zip(setting.targets, proposals, strict=True):
        error = np.square(setting.task.simulate(x) - wanted).mean(axis=1)
        for most, values in least.items():
            values.append(error[:most].min())
    return {most: float(np.mean(values)) for most, values in least.items()}


def tell(
    name: str, who: str, found: dict[int, float], passes: float, seconds: float
) -> None:
    """A row of the table."""
    table = "  ".join(f"r_{most} {value:.2e}" for most, value in found.items())
    print(
        f"{name:5} {who:26} {table:48} {passes:12,.0f} passes, {1e3 * seconds:,.0f} ms a "
        "target",
        flush=True,
    )


def adjoint(settings: Settings, setting: Setting) -> None:
    """The neural adjoint at its best learning rate; proposals are kept in the folder."""
    tuned = {}
    few = setting.targets[:TUNING_TARGETS]
    for rate in RATES:
        errors = []
        for k, wanted in enumerate(few):
            x, _ = _proposals(settings, setting, k, rate)
            errors.append(np.square(setting.task.simulate(x[:1]) - wanted).mean())
        tuned[rate] = float(np.mean(errors))
    rate = min(tuned, key=tuned.__getitem__)
    made = [_proposals(settings, setting, k, rate) for k in range(len(setting.targets))]
    starts, steps = settings.shrunk(torch_surrogates.STARTS), _steps(settings)
    who = f"neural adjoint, rate {rate:g}"
    seconds = float(np.mean([spent for _, spent in made]))
    found = resimulated(setting, [x for x, _ in made])
    tell(setting.name, who, found, starts * (2 * steps + 1), seconds)


def _steps(settings: Settings) -> int:
    return settings.shrunk(torch_surrogates.STEPS)


def _proposals(
    settings: Settings, setting: Setting, k: int, rate: float
) -> tuple[np.ndarray, float]:
    """The first proposals for one target and their seconds; kept in the folder."""
    seed = settings.seeds[0]
    inside = f"{100 * setting.task.inside:g}"
    path = Path(settings.folder, f"{setting.name}-{seed}-{inside}-adjoint-{rate:g}-{k}.npz")
    if not path.exists():
        rng = np.random.default_rng([seed, 1, k])
        starts = setting.task.draw(rng, settings.shrunk(torch_surrogates.STARTS))
        started = time.perf_counter()
        found = torch_surrogates.neural_adjoint(
            setting.parts, setting.targets[k], starts, setting.box, rate, _steps(settings)
        )
        seconds = time.perf_counter() - started
        np.savez(path, x=found[: max(COUNTS)], seconds=seconds)
    with np.load(path) as kept:
        return kept["x"], float(kept["seconds"])


def ours(settings: Settings, setting: Setting, most: int) -> None:
    """Up to `most` answers inside the bounds."""
    with counted(setting.network) as count:
        result, seconds = settings.invert(
            setting.network,
            setting.targets,
            lower=setting.box[0],
            upper=setting.box[1],
            answers=most,
        )
    if result.answers is None:
        proposals = list(result.x[:, None])
    else:
        rows = zip(result.answers.x, result.answers.count, strict=True)
        proposals = [x[: max(int(k), 1)] for x, k in rows]
    found = resimulated(setting, proposals)
    rows = len(proposals)
    shown = {count: value for count, value in found.items() if count <= most}
    who = f"nninvert, {most} answers"
    tell(setting.name, who, shown, count.passes / rows, seconds / rows)
    solved, given = int(np.sum(result.solved)), np.mean([len(x) for x in proposals])
    print(f"{'':5} {'':26} {solved} of {rows} SOLVED, {given:.1f} answers a target")
