"""How many rows are solved: reachable targets, and unreachable ones that must not be."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median

import nets
import numpy as np
from solver_settings import Settings, reached, tolerances_at

from nninvert.outcome import RowStatus


@dataclass(frozen=True)
class Score:
    """One net: rows of reachable targets, how many SOLVED, of them wrongly; and time."""

    name: str
    rows: int
    solved: int
    wrong: int
    statuses: str
    seconds: float
    unreachable: str
    false: int

    @property
    def share(self) -> float:
        """Of the reachable rows, those SOLVED."""
        return self.solved / self.rows

    def line(self) -> str:
        """A row of the table."""
        mark = " " if self.share >= 0.95 and not self.wrong and not self.false else "<"
        return (
            f"{self.name:32} {self.solved:5}/{self.rows:<5} "
            f"{1e3 * self.seconds / self.rows:9.2f} {self.statuses:28} "
            f"{self.unreachable} {mark}"
        )


def score(settings: Settings, case: nets.Case, method: str) -> Score:
    """Reachable targets, then as many unreachable ones as a fifth of them."""
    network = case.network
    y, x0 = nets.targets(case, settings.rows)
    found, seconds = settings.invert(network, y, method=method)
    solved = np.asarray(found.solved)
    # The terms at another x can be larger than at x0, and the tolerance with them.
    wide = np.maximum(found.tolerance, tolerances_at(network, y, x0))
    right = reached(network, found.x, y, wide)
    asked = nets.unreachable(case, max(2, settings.rows // 5))
    limits = {"lower": asked.lower, "upper": asked.upper}
    away, _ = settings.invert(network, asked.y, method=method, **limits)
    return Score(
        name=case.name,
        rows=settings.rows,
        solved=int(solved.sum()),
        wrong=int((solved & ~right).sum()),
        statuses=_counts(found.status),
        seconds=seconds,
        unreachable=_counts(away.status),
        false=sum(status is RowStatus.SOLVED for status in away.status),
    )


def _counts(statuses: tuple[RowStatus, ...]) -> str:
    counted = Counter(status.value for status in statuses)
    return " ".join(f"{name}:{count}" for name, count in sorted(counted.items()))


def success(settings: Settings, method: str = "auto") -> None:
    """Table of all nets, then what the worst, the slowest and all together are."""
    print(f"method {method}, {settings.rows} rows, cap {settings.cap} s a row", flush=True)
    print(f"{'net':32} {'solved':>11} {'ms a row':>9} reachable / unreachable")
    scores = []
    for case in settings.cases():
        scores.append(score(settings, case, method))
        print(scores[-1].line(), flush=True)
    total, solved = sum(s.rows for s in scores), sum(s.solved for s in scores)
    worst = min(scores, key=lambda s: s.share)
    below = [s.name for s in scores if s.share < 0.95]
    times = [s.seconds / s.rows for s in scores]
    print(
        f"{len(scores)} nets: {solved:,} of {total:,} rows SOLVED "
        f"({100.0 * solved / total:.2f} %); worst {worst.name} {100 * worst.share:.0f} %; "
        f"{len(below)} below 95 %; SOLVED wrongly: {sum(s.wrong for s in scores)}; "
        f"unreachable called SOLVED: {sum(s.false for s in scores)}; ms a row: median net "
        f"{1e3 * median(times):.2f}, slowest {1e3 * max(times):.1f}"
    )
    print("below 95 %:", " ".join(below) or "none")
