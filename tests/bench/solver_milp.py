"""ReLU nets: the nearest input with f(x) in a range, beside public MILP encodings."""

from __future__ import annotations

import time
from dataclasses import dataclass

import nets
import numpy as np
from milp_rivals import GAP, RIVALS, Answer, Parts, Question
from solver_settings import Settings, geometric_mean

import nninvert
from nninvert.analysis.starting_point import input_scale
from nninvert.context import Context
from nninvert.network import Network
from nninvert.outcome import RowStatus


@dataclass(frozen=True)
class Family:
    """Widths of a net, the radius of the box, the tolerance, the seconds given to each."""

    widths: tuple[int, ...]
    radius: float
    part: float
    limit: float


FAMILIES = {
    "2-20x3-2": Family((2, 20, 20, 20, 2), 0.5, 0.05, 300.0),
    "5-50x6-5": Family((5, 50, 50, 50, 50, 50, 50, 5), 0.01, 0.05, 300.0),
    "784-50-50-10": Family((784, 50, 50, 10), 0.01, 0.02, 300.0),
}
"""Radii at which the public encodings end within minutes; `part` is of the deviation of
each output over x ~ N(0, I)."""

QUESTIONS = 5
"""For each seed and family."""


def milp(settings: Settings) -> None:
    """`settings.rows` limits the questions, `settings.cap` scales the time limits."""
    print(
        f"gap {GAP:g}; seconds in all (in the solver); 1-norm distance in the units "
        "of the inputs"
    )
    warm_up()
    ratios, nobody, wrong = [], 0, 0
    for seed in settings.seeds:
        for name, family in FAMILIES.items():
            if settings.only not in name:
                continue
            limit = settings.cap * family.limit
            for k, asked in enumerate(questions(name, seed)[: settings.rows]):
                ratio, right = compare(f"{name} seed {seed} question {k}", asked, limit)
                ratios += [] if ratio is None else [ratio]
                nobody += ratio is None
                wrong += not right
    print(
        f"{len(ratios)} questions: time / the better of the two, geometric mean "
        f"{geometric_mean(ratios):.2f}, worst {max(ratios, default=np.nan):.2f}; nobody "
        f"ended: {nobody}; beaten although called optimal: {wrong}"
    )


def warm_up() -> None:
    """A tiny question, so that nobody's imports are timed."""
    parts = [(np.eye(2), np.zeros(2)), (np.ones((1, 2)), np.zeros(1))]
    low, high = np.array([2.1]), np.array([2.2])
    asked = Question(parts, np.ones(2), 0.5, np.ones(2), low, high)
    for solve in (mine, *RIVALS.values()):
        answer = solve(asked, 60.0)
        assert answer.x is not None
        assert abs(asked.distance(answer.x) - 0.1) < 1e-6


def compare(name: str, asked: Question, limit: float) -> tuple[float | None, bool]:
    """One question put to everybody.

    Returns
    -------
    ratio : float or None
        Our seconds by those of the fastest other that proved its optimum, or by the limit
        if none did. None: nobody proved any, we neither.
    stands : bool
        Whether nobody found better than what we call the optimum.
    """
    answers = {"nninvert": mine(asked, limit)}
    answers |= {rival: solve(asked, limit) for rival, solve in RIVALS.items()}
    for who, answer in answers.items():
        if answer.x is None:
            found = "nothing found"
        else:
            far, excess = asked.distance(answer.x), asked.excess(answer.x)
            found = f"{far:.8f}, outside by {excess:.0e}"
        state = "optimal" if answer.optimal else "ended by the limit"
        print(
            f"{name:30} {who:18} {answer.seconds:8.2f} ({answer.solving:8.2f}) "
            f"{state:18} {found}",
            flush=True,
        )
    ended = any(answer.optimal for answer in answers.values())
    ours = answers.pop("nninvert")
    best = min((a.seconds for a in answers.values() if a.optimal), default=limit)
    return ours.seconds / best if ended else None, stands(asked, ours, answers)


def stands(asked: Question, ours: Answer, others: dict[str, Answer]) -> bool:
    """Whether nobody found better than what we call the optimum.

    What others gain by leaving constraints by their feasibility tolerance is forgiven.
    """
    if ours.x is None:
        return not any(answer.optimal for answer in others.values())
    found = [asked.distance(a.x) for a in others.values() if a.x is not None]
    distance = asked.distance(ours.x)
    slack = 10.0 * GAP * max(1.0, distance)
    return not ours.optimal or distance <= min(found, default=np.inf) + slack


def mine(asked: Question, limit: float) -> Answer:
    """`nninvert.invert` by the method "milp", building included."""
    middle, tolerance = 0.5 * (asked.high + asked.low), 0.5 * (asked.high - asked.low)
    network = as_network(asked.parts)
    started = time.perf_counter()
    with Context(time_limit=limit) as context:
        result = nninvert.invert(
            network,
            middle[None],
            method="milp",
            within=tolerance,
            near=asked.near,
            lower=asked.near - asked.radius,
            upper=asked.near + asked.radius,
            context=context,
        )
    seconds = time.perf_counter() - started
    solved = result.status[0] is RowStatus.SOLVED
    optimal = solved and "optimal" in result.reason[0]
    return Answer(result.x[0] if solved else None, optimal, seconds, seconds)


def as_network(parts: Parts) -> Network:
    """The same net for us."""
    last = len(parts) - 1
    return nninvert.from_arrays(
        [(a, b, "relu" if k < last else None) for k, (a, b) in enumerate(parts)]
    )


def questions(name: str, seed: int) -> list[Question]:
    """Trained nets; targets that the edge of half the box reaches and `near` does not."""
    family = FAMILIES[name]
    parts = nets.WEIGHTS["trained"](f"{name}-{seed}", list(family.widths), "relu", "linear")
    parts = [(a.astype(np.float64), b.astype(np.float64)) for a, b in parts]
    rng = np.random.default_rng([seed, *family.widths])
    n = family.widths[0]
    unit, nothing = input_scale(as_network(parts)), np.zeros(0)
    free = Question(parts, np.zeros(n), family.radius, unit, nothing, nothing)
    spread = np.std([free.forward(x) for x in rng.standard_normal((500, n))], axis=0)
    found = []
    while len(found) < QUESTIONS:
        near = rng.standard_normal(n)
        weights = rng.standard_normal(family.widths[-1])
        ahead = near + 0.5 * family.radius * np.sign(_gradient(parts, near, weights))
        y = free.forward(ahead)
        low, high = y - family.part * spread, y + family.part * spread
        asked = Question(parts, near, family.radius, unit, low, high)
        if asked.excess(near) > 0.0:
            found.append(asked)
    return found


def _gradient(parts: Parts, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of the weighted sum of the outputs."""
    fired = []
    for matrix, bias in parts[:-1]:
        z = matrix @ x + bias
        fired.append(z > 0.0)
        x = np.maximum(z, 0.0)
    slope = weights @ parts[-1][0]
    for (matrix, _), on in zip(reversed(parts[:-1]), reversed(fired), strict=True):
        slope = (slope * on) @ matrix
    return np.asarray(slope)
