"""What ``invert`` says of several answers and of families."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.outcome import RowStatus
from nninvert.report.numbers import count, decimal, plural
from nninvert.report.text import kept
from nninvert.result import Answers, Family, InversionResult

Cell = str | int | float | None

ANSWERS_HEADER = (
    "row",
    "answer",
    "status",
    "residual",
    "distance",
    "relative_residual",
    "digits",
    "unique",
    "free_dimensions",
    "method",
    "proof",
    "reason",
)
"""Columns of ``--rows FILE.csv`` with ``--answers``."""


def found_text(answers: Answers) -> str:
    """How many there are, and from how many starts."""
    searched = answers.starts > 0
    if not searched.any():
        return "none but x: no row can have another, or the time was up"
    given, found = answers.count[searched], answers.found[searched]
    starts = int(answers.starts[searched].max())
    rows = " in a row" if searched.sum() > 1 else ""
    return f"{_range(given)} of {_range(found)} found{rows}, from {plural(starts, 'start')}"


def answers_text(answers: Answers | None) -> str:
    """The same, whether more were asked for, and how far apart they lie."""
    if answers is None:
        return ""
    text, searched = found_text(answers), answers.starts > 0
    if not searched.any():
        return text
    given = answers.count[searched]
    fewer = int(np.count_nonzero(given < answers.most))
    if fewer:
        where = "" if searched.sum() == 1 else f" in {plural(fewer, 'row')}"
        text += f"; fewer than the {count(answers.most)} asked for{where}: "
        text += "the search ended at no others"
    apart = answers.apart[searched]
    if np.isfinite(apart).any():
        text += f"; the closest two are {decimal(float(np.nanmin(apart)))} apart"
    return text


def _range(values: NDArray[np.int64]) -> str:
    low, high = int(values.min()), int(values.max())
    return count(low) if low == high else f"{count(low)} to {count(high)}"


def family_text(result: InversionResult, names: tuple[str, ...], file: str = "") -> str:
    """How many directions keep y, and the longest interval among all rows.

    Parameters
    ----------
    result : InversionResult
    names : tuple of str
        Of the inputs.
    file : str, default ""
        That holds all of them.
    """
    if not result.families:
        return ""
    where = f"; all in {file}" if file else ""
    return _directions(result, names) + where


def free_text(result: InversionResult) -> str:
    """How many directions keep y."""
    free = _range(np.array([family.dimension for family in result.families]))
    text = f"{free} free direction" + ("" if free == "1" else "s")
    return text if len(result.status) == 1 else text + " in each row that is solved"


def _directions(result: InversionResult, names: tuple[str, ...]) -> str:
    families, text = result.families, free_text(result)
    one = len(result.status) == 1
    if not any(family.dimension for family in families):
        return text + ": no direction keeps y"
    longest = max(families, key=_longest)
    length = _longest(longest)
    if not length > 0.0:
        return text + (
            ", none of which x can follow on a straight line: it lies on bounds, or on "
            "the edge of the tolerance"
        )
    direction = int(np.argmax(longest.lengths))
    named = names[main_input(longest, direction)]
    where = "" if one else f" in {kept(f'row {longest.row}')}"
    text += f"; longest interval {decimal(length)}{where} along direction {direction}"
    points = int(longest.points[direction])
    return text + f" (mostly {named}), f recomputed at {count(points)} points [estimate]"


def _longest(family: Family) -> float:
    return float(family.lengths.max(initial=0.0))


def main_input(family: Family, direction: int) -> int:
    """The input that moves most along a direction."""
    return int(np.argmax(np.abs(family.basis[direction])))


def answers_table(result: InversionResult, rows: list[list[Cell]]) -> list[list[Cell]]:
    """One row for each answer under `ANSWERS_HEADER`.

    Parameters
    ----------
    result : InversionResult
        With answers.
    rows : list of lists
        What is known of each row, which is true of its first answer.
    """
    answers = result.answers
    assert answers is not None
    table: list[list[Cell]] = []
    for row, (_, status, residual, *rest) in enumerate(rows):
        distance = _known(answers.distance[row, 0])
        table.append([row, 0, status, residual, distance, *rest])
        unknown: list[Cell] = [None] * len(rest)
        for place in range(1, int(answers.count[row])):
            found = _known(answers.residual[row, place])
            distance = _known(answers.distance[row, place])
            solved = RowStatus.SOLVED.value
            table.append([row, place, solved, found, distance, *unknown])
    return table


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
