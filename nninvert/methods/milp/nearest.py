"""The nearest input for one row: what to try in which order, and what can be said then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nninvert.methods.milp import split
from nninvert.methods.milp.ball import Ball
from nninvert.methods.milp.branch import minimised
from nninvert.methods.milp.encoding import Program, encode
from nninvert.methods.milp.pattern import approached, improved
from nninvert.methods.milp.polish import polish
from nninvert.methods.milp.relaxation import Range, ranges
from nninvert.methods.milp.row import Row
from nninvert.methods.milp.solve import FEASIBILITY, Ending, solve

Float64 = NDArray[np.float64]

MOST_BOXES = 40_000
"""Boxes that splitting may look at before the program is solved as a whole: about ten
seconds for nets of a hundred units."""

FEW_UNDECIDED = 40
"""Binary columns up to which the program as a whole comes before splitting."""

FIRST_SECONDS = 10.0
"""For that: most such programs are solved by then, and the others may never be."""

VERY_FEW_INPUTS = 2
"""Splitting comes before anything else up to here."""

MOST_UNDECIDED = 600
"""Binary columns up to which the program is solved as a whole: beyond, not even a first
relaxation is solved in reasonable time, and patterns are searched locally alone."""

RADII = (3.0, 30.0, 300.0)
"""Where inputs are unbounded and no answer is known: balls that are searched one after
another, radius in units of the inputs (in the 1-norm, as many for each input)."""

WORTH = 0.95
"""An answer nearer by this factor makes the ball so much smaller that all begins anew."""

MARGIN = 1e-6
"""What is nearer by less than this part is not looked for."""


@dataclass(frozen=True)
class Clock:
    """How long a row may take.

    Attributes
    ----------
    seconds_left : callable
        inf where nobody set a limit.
    should_stop : callable
    """

    seconds_left: Callable[[], float]
    should_stop: Callable[[], bool]


@dataclass(frozen=True)
class Nearest:
    """What is known of the nearest answer.

    Attributes
    ----------
    x : float64 array or None
        An answer.
    distance : float
        Its distance; inf where there is none.
    bound : float
        No answer is nearer, to `FEASIBILITY`; 0 where nothing is known, inf where there
        is none at all within `searched`.
    searched : float
        Radius around `near` that was searched; inf: all that is allowed.
    nodes, boxes : int
        Of the search trees.
    cut_short : str
        Why the search ended before all was known; "" where it did not.
    """

    x: Float64 | None
    distance: float
    bound: float
    searched: float
    nodes: int = 0
    boxes: int = 0
    cut_short: str = ""

    @property
    def is_optimal(self) -> bool:
        """Whether an answer is known and nothing nearer than `MARGIN` tells."""
        room = 10.0 * MARGIN * max(self.distance, 1.0)
        return self.x is not None and self.bound >= self.distance - room


def nearest(row: Row, candidates: Sequence[Float64], clock: Clock) -> Nearest:
    """Search the answer of a row that is nearest to `near`.

    The candidates, polished, give the radius of the ball in which a nearer one must lie;
    the smaller it is, the fewer units are undecided in it. Few inputs are split
    (`split`). Else, or where boxes become too many, and up to `MOST_UNDECIDED` binary
    columns, patterns like that of the best answer are tried and then the whole program
    is solved; with more, patterns only.

    Parameters
    ----------
    row : Row
    candidates : sequence of float64 arrays, shape (n_in,)
        Whatever may be an answer, or close to one.
    clock : Clock
    """
    known = Nearest(None, np.inf, row.ball.least_distance, np.inf)
    starts = [x for x in (row.ball.near, *candidates) if np.isfinite(x).all()]
    for x in starts:
        known = _with(known, row, polish(row, x))
    if known.is_optimal:
        return known
    if known.x is None and not row.ball.is_finite:
        return _growing(row, known, starts, clock)
    return _Search(row, known, starts, clock).run()


def _growing(row: Row, known: Nearest, starts: Sequence[Float64], clock: Clock) -> Nearest:
    """Unbounded inputs and no answer yet: larger and larger balls."""
    count = row.ball.near.size if row.ball.norm == "1" else 1
    nothing_nearer = known.bound
    for radius in RADII:
        reach = radius * count + row.ball.least_distance
        known = replace(known, bound=nothing_nearer, searched=reach)
        known = _Search(row, known, starts, clock).run()
        if known.x is not None or known.cut_short:
            break
        nothing_nearer = reach
    return known


def _with(known: Nearest, row: Row, x: Float64) -> Nearest:
    """The same, x being looked at as well."""
    distance = row.ball.distance(x)
    if distance < known.distance and row.accepts(x):
        return replace(known, x=x, distance=distance)
    return known


class _Search:
    """One ball: as far as the best answer, or as `searched` says."""

    def __init__(
        self, row: Row, known: Nearest, starts: Sequence[Float64], clock: Clock
    ) -> None:
        self.row, self.known, self.starts, self.clock = row, known, starts, clock

    def run(self) -> Nearest:
        inputs = self.row.ball.near.size
        if inputs <= split.MOST_INPUTS:
            if inputs > VERY_FEW_INPUTS and self._small():
                return self.known
            if self._split():
                return self.known
        return self._solve()

    def _small(self) -> bool:
        """The program as a whole, for a short time, if it is small; did that decide."""
        program = self._program()[0]
        if program is None:
            self.known = self._excluded()
            return True
        if program.undecided > FEW_UNDECIDED:
            return False
        found = self._whole(program, FIRST_SECONDS)
        self.known = replace(found, cut_short="")
        return not found.cut_short

    @property
    def radius(self) -> float:
        """Nothing farther away is of interest."""
        return min((1.0 - MARGIN) * self.known.distance, self.known.searched)

    def _split(self) -> bool:
        """Branch and bound on the inputs; whether that decided."""
        found = split.split(self.row, self.radius, MOST_BOXES, self.clock.should_stop)
        if found.x is not None:
            self.known = _with(self.known, self.row, found.x)
        bound = max(found.bound, self.known.bound)
        if found.complete:
            bound = np.inf if self.known.x is None else self.known.distance
        self.known = replace(self.known, bound=bound, boxes=self.known.boxes + found.boxes)
        return found.complete

    def _solve(self) -> Nearest:
        """The program as a whole, or patterns where it is too large."""
        program, known_ranges = self._program()
        if program is None or self._relaxed(program):
            return self._excluded()
        if self.known.is_optimal:
            return self.known
        if program.undecided > MOST_UNDECIDED:
            return self._patterns(program, known_ranges)
        if self.known.x is not None and program.undecided:
            before = self.known.distance
            self._improve(program, known_ranges)
            if self.known.distance < WORTH * before:
                return self._solve()
        return self._whole(program, np.inf)

    def _program(self) -> tuple[Program | None, list[Range]]:
        """The program of the ball; None where bounds alone exclude all that is in it."""
        row = self.row
        ball = row.ball.within(max(self.radius, row.ball.least_distance))
        found = ranges(row.chain.hidden, row.chain.last, ball)
        low, high = row.targets()
        if any((known.lower > known.upper).any() for known in found):
            return None, found
        if ((found[-1].upper < low) | (found[-1].lower > high)).any():
            return None, found
        program = encode(row.chain, found, ball, row.domain, low, high)
        return program, found

    def _relaxed(self, program: Program) -> bool:
        """The relaxation, for its bound or as an answer; whether it excludes the ball."""
        clock = self.clock
        found = solve(program.relaxed(), clock.seconds_left(), clock.should_stop)
        if found.columns is not None:
            if found.ending is Ending.OPTIMAL:
                bound = max(self.known.bound, min(found.value, self.known.distance))
                self.known = replace(self.known, bound=bound)
            x = polish(self.row, program.x_of(found.columns))
            self.known = _with(self.known, self.row, x)
        return found.ending is Ending.INFEASIBLE

    def _excluded(self) -> Nearest:
        """Nothing nearer: what is known is all there is."""
        bound = np.inf if self.known.x is None else self.known.distance
        return replace(self.known, bound=bound)

    def _improve(self, program: Program, known_ranges: list[Range]) -> None:
        assert self.known.x is not None
        x = improved(self.row, program, known_ranges, self.known.x, self.clock.should_stop)
        self.known = _with(self.known, self.row, x)

    def _patterns(self, program: Program, known_ranges: list[Range]) -> Nearest:
        for start in self.starts:
            if self.known.x is not None:
                break
            x = approached(self.row, program, known_ranges, start, self.clock.should_stop)
            if x is not None:
                self.known = _with(self.known, self.row, x)
        if self.known.x is not None:
            self._improve(program, known_ranges)
        why = (
            f"{program.undecided:,} undecided units, more than the {MOST_UNDECIDED:,} "
            "that are solved as a whole; patterns were searched locally"
        )
        return replace(self.known, cut_short=why)

    def _whole(self, program: Program, most_seconds: float) -> Nearest:
        """All patterns at once."""
        seconds = min(self.clock.seconds_left(), most_seconds)
        found = minimised(program, seconds, self.clock.should_stop)
        nodes = self.known.nodes + found.nodes
        self.known = replace(self.known, nodes=nodes)
        if found.columns is not None:
            x = polish(self.row, program.x_of(found.columns))
            self.known = _with(self.known, self.row, x)
        if found.ending is Ending.INFEASIBLE:
            return self._excluded()
        bound = max(min(found.bound, self.known.distance), self.known.bound)
        self.known = replace(self.known, bound=bound)
        if self.known.is_optimal:
            return self.known
        return replace(self.known, cut_short=_WHY[found.ending])


_WHY = {
    Ending.OPTIMAL: "the solver's answer could not be made exact where it is",
    Ending.LIMIT: "stopped early",
    Ending.FAILED: "the solver met numerical trouble",
}
"""What it means that a solve that ended so left more to know."""


def reason(found: Nearest, ball: Ball) -> str:
    """What can be said of a row, for people; distances are those of its ball."""
    effort = ", ".join(
        f"{count:,} {name if count > 1 else one}"
        for count, name, one in (
            (found.boxes, "boxes", "box"),
            (found.nodes, "nodes", "node"),
        )
        if count
    )
    after = f" ({effort})" if effort else ""
    measure = ball.measure
    if found.is_optimal:
        known = "no allowed input is nearer"
        return f"optimal: to {FEASIBILITY:.0e}, {known} in {measure}{after}"
    if found.x is not None:
        gap = 1.0 - found.bound / found.distance
        return (
            f"feasible, {found.cut_short}; a nearer one in {measure} may exist, "
            f"at most {gap:.2%} nearer{after}"
        )
    if found.cut_short:
        return f"undecided: {found.cut_short}{after}"
    if np.isfinite(found.searched):
        return (
            f"infeasible to {FEASIBILITY:.0e} within {found.searched:g} of --near in "
            f"{measure}: the solver's word, not a proof; farther out was not "
            f"searched{after}"
        )
    return f"infeasible to {FEASIBILITY:.0e}: the solver's word, not a proof{after}"
