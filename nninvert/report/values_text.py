"""Rows of numbers, x or y, as a table: small for people, whole for programs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.report.numbers import plural
from nninvert.report.text import Lines, joined, tab_separated, table


def values_lines(
    values: NDArray[np.floating], names: tuple[str, ...], width: int, most: int = 10
) -> Lines:
    """A small table of x or y for a terminal, with a note on what it leaves out.

    One row of numbers is written downwards, a name and a value in each line; several rows
    are written as they are, as many columns as fit.
    """
    rows, columns = values.shape
    if rows == 1:
        shown = min(columns, 4 * most)
        cells = [[names[k], f"{values[0, k]:.10g}"] for k in range(shown)]
        lines = table(["name", "value"], cells)
        return [*lines, *_left_out(0, columns - shown)]
    places = np.arange(min(rows, most))[:, None]
    return _some_columns(("row",), places, values, names, width)


def answers_lines(
    answers: NDArray[np.floating],
    places: NDArray[np.int64],
    names: tuple[str, ...],
    width: int,
    most: int = 10,
) -> Lines:
    """The same of several answers to each target.

    Parameters
    ----------
    answers : array, shape (rows, most, n)
    places : int array, shape (lines, 2)
        Row and answer of each x that there is.
    names : tuple of str
    width : int
    most : int, default 10
        Lines that are shown.
    """
    values = answers[places[:, 0], places[:, 1]]
    return _some_columns(("row", "answer"), places[:most], values, names, width)


def _some_columns(
    heads: tuple[str, ...],
    places: NDArray[np.int64],
    values: NDArray[np.floating],
    names: tuple[str, ...],
    width: int,
) -> Lines:
    """The first lines, each after its place, as many columns as fit."""
    rows, columns = values.shape
    shown = len(places)
    # No column is narrower than three characters with the two before it.
    fitting = min(columns, max(width // 3, 1))
    while True:
        cells = [
            [*map(str, place), *(f"{value:.6g}" for value in values[line, :fitting])]
            for line, place in enumerate(places.tolist())
        ]
        right = "r" * (fitting + len(heads))
        lines = table([*heads, *names[:fitting]], cells, right)
        if fitting == 1 or max(map(len, lines)) <= width:
            return [*lines, *_left_out(rows - shown, columns - fitting)]
        fitting -= 1


def values_plain(values: NDArray[np.floating], names: tuple[str, ...]) -> Lines:
    """All values for programs, every digit kept."""
    return tab_separated(names, values.tolist())


def answers_plain(
    answers: NDArray[np.floating], places: NDArray[np.int64], names: tuple[str, ...]
) -> Lines:
    """All answers for programs, every digit kept."""
    values = answers[places[:, 0], places[:, 1]].tolist()
    rows = [[*place, *row] for place, row in zip(places.tolist(), values, strict=True)]
    return tab_separated(["row", "answer", *names], rows)


def _left_out(rows: int, columns: int) -> Lines:
    missing = [
        plural(number, f"more {noun}")
        for number, noun in ((rows, "row"), (columns, "column"))
        if number
    ]
    return [f"({joined(missing)}: -o FILE, or --plain for all)"] if missing else []
