"""ReLU nets: the nearest input with f(x) in a range, beside public MILP encodings."""

from __future__ import annotations

import time
from dataclasses import dataclass

import nets
import numpy as np
from milp_rivals import GAP, RIVALS, Answer, Question
from solver_settings import Settings, geometric_mean

import nninvert
from nninvert.context import Context
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
    "5-50x6-5": Family((5, 50, 50, 50, 50, 50, 50, 5), 0.02, 0.05, 300.0),
    "784-50-50-10": Family((784, 50, 50, 10), 0.02, 0.02, 300.0),
}
"""Radii at which the public encodings end within minutes; `part` is of the deviation of
each output over x ~ N(0, I)."""

QUESTIONS = 5
"""For each seed and family."""


def milp(settings: Settings) -> None:
    """`settings.rows` limits the questions, `settings.cap` scales the time limits."""
    print(f"gap {GAP:g}; seconds in all (in the solver); 1-norm distance")
    ratios, wrong = [], 0
    for seed in settings.seeds:
        for name, family in FAMILIES.items():
            if settings.only not in name:
                continue
            limit = settings.cap * family.limit
            for k, asked in enumerate(questions(name, seed)[: settings.rows]):
                ratio, same = compare(f"{name} seed {seed} question {k}", asked, limit)
                ratios.append(ratio)
                wrong += not same
    print(
        f"{len(ratios)} questions: time / the better of the two, geometric mean "
        f"{geometric_mean(ratios):.2f}, worst {max(ratios):.2f}; another optimum: {wrong}"
    )


def compare(name: str, asked: Question, limit: float) -> tuple[float, bool]:
    """One question put to everybody; the ratio of times, and whether the optima agree."""
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
    ours = answers.pop("nninvert")
    return ours.seconds / min(a.seconds for a in answers.values()), agree(
        asked, ours, answers
    )


def agree(asked: Question, ours: Answer, others: dict[str, Answer]) -> bool:
    """Whether nobody who claims an optimum is beaten by somebody else.

    Solvers leave constraints by their own feasibility tolerance, 1e-6; what they gain by
    that is forgiven.
    """
    found = {name: a for name, a in others.items() if a.x is not None}
    if ours.x is None:
        return not found
    distance = asked.distance(ours.x)
    slack = 10.0 * GAP * max(1.0, distance)
    least = min((asked.distance(a.x) for a in found.values()), default=np.inf)
    claimed = [asked.distance(a.x) for a in found.values() if a.optimal]
    return distance <= least + slack and all(d <= distance + slack for d in claimed)


def mine(asked: Question, limit: float) -> Answer:
    """`nninvert.invert` by the method "milp", building included."""
    middle, tolerance = 0.5 * (asked.high + asked.low), 0.5 * (asked.high - asked.low)
    last = len(asked.parts) - 1
    network = nninvert.from_arrays(
        [(a, b, "relu" if k < last else None) for k, (a, b) in enumerate(asked.parts)]
    )
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


def questions(name: str, seed: int) -> list[Question]:
    """Trained nets; targets that the edge of half the box reaches and `near` does not."""
    family = FAMILIES[name]
    parts = nets.WEIGHTS["trained"](f"{name}-{seed}", list(family.widths), "relu", "linear")
    parts = [(a.astype(np.float64), b.astype(np.float64)) for a, b in parts]
    rng = np.random.default_rng([seed, *family.widths])
    n = family.widths[0]
    nothing = np.zeros(0)
    free = Question(parts, np.zeros(n), family.radius, nothing, nothing)
    spread = np.std([free.forward(x) for x in rng.standard_normal((500, n))], axis=0)
    found = []
    while len(found) < QUESTIONS:
        near = rng.standard_normal(n)
        weights = rng.standard_normal(family.widths[-1])
        ahead = near + 0.5 * family.radius * np.sign(_gradient(parts, near, weights))
        y = free.forward(ahead)
        low, high = y - family.part * spread, y + family.part * spread
        asked = Question(parts, near, family.radius, low, high)
        if asked.excess(near) > 0.0:
            found.append(asked)
    return found


def _gradient(parts, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
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
