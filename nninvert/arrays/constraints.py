"""The file of ``--constraints``: linear relations between inputs, by their names."""

from __future__ import annotations

import math
import re

from nninvert.arrays.linear import RELATION, LinearRelation, parse_relations
from nninvert.arrays.place import Place
from nninvert.arrays.text import by_column, cells_of, not_a_number, number_of, separator_of
from nninvert.arrays.text_file import lines_of
from nninvert.errors import DataError

SENSE, LIMIT, NAME = "sense", "limit", "name"

_COMPARISON = re.compile("[<>=]")


def read_constraints(path: str) -> tuple[LinearRelation, ...]:
    """Read linear relations, one on each line, or a table of their coefficients.

    Parameters
    ----------
    path : str
        Lines such as ``feed_T + 2*flow <= 30``, ``x0 - x1 >= 0``, ``a + b == 1`` or
        ``0 <= a - b <= 5`` (`nninvert.arrays.linear` has the grammar), or a table whose
        header names inputs and the columns ``sense`` (<=, >= or ==) and ``limit``, and
        perhaps ``name``. Separators as in other tables; an empty cell is 0. Comments
        begin with ``#``.

    Returns
    -------
    tuple of LinearRelation
        In the order of the lines. What their names mean is not known here.

    Raises
    ------
    InputError
        If the file cannot be read.
    DataError
        Naming line and character, or line and column, of what cannot be meant.
    """
    place = Place(path, "constraints")
    lines = lines_of(place, "relations or a table")
    if not lines:
        raise DataError(
            place.inside(),
            got="no relations",
            expected="at least one line such as feed_T + 2*flow <= 30",
            file=path,
        )
    header = _header(*lines[0], place)
    if header is None:
        return tuple(
            relation
            for number, text in lines
            for relation in parse_relations(text, number, place)
        )
    if len(lines) == 1:
        raise DataError(
            place.inside(), got="a header and no rows", expected="at least one", file=path
        )
    separator = separator_of(lines[0][1])
    return tuple(
        _row(header, cells_of(text, separator, place, number), text, number, place)
        for number, text in lines[1:]
    )


def _header(number: int, text: str, place: Place) -> list[str] | None:
    """The columns of a table; None where the first line is a relation."""
    if _COMPARISON.search(text) or SENSE not in text or LIMIT not in text:
        return None
    cells = cells_of(text, separator_of(text), place, number)
    if SENSE not in cells or LIMIT not in cells:
        return None
    twice = [name for name in cells if cells.count(name) > 1]
    inputs = [name for name in cells if name not in (SENSE, LIMIT, NAME)]
    got = ""
    if twice:
        got = f"the column '{twice[0]}' twice"
    elif "" in cells:
        got = "a column without a name"
    elif not inputs:
        got = "no column of an input"
    if got:
        raise DataError(
            place.inside(f"line {number}"),
            got=got,
            expected=f"columns of inputs, {SENSE}, {LIMIT} and perhaps {NAME}",
            file=place.file,
        )
    return cells


def _row(
    header: list[str], cells: list[str], text: str, number: int, place: Place
) -> LinearRelation:
    line = f"line {number}"
    given = by_column(header, cells, number, place)
    sense, name = given.pop(SENSE), given.pop(NAME, "")
    if sense not in ("<=", ">=", "=="):
        raise DataError(
            place.inside(line, SENSE), got=f"'{sense}'", expected=RELATION, file=place.file
        )
    limit = _number(LIMIT, given.pop(LIMIT), text, number, place)
    values = {
        column: _number(column, cell, text, number, place)
        for column, cell in given.items()
        if cell
    }
    terms = tuple((column, value) for column, value in values.items() if value != 0.0)
    if not terms:
        raise DataError(
            place.inside(line),
            got="no coefficient but zero",
            expected="at least one input",
            file=place.file,
        )
    return LinearRelation(
        name or _written(terms, sense, limit),
        number,
        terms,
        lower=-math.inf if sense == "<=" else limit,
        upper=math.inf if sense == ">=" else limit,
    )


def _number(column: str, cell: str, text: str, number: int, place: Place) -> float:
    value = number_of(cell)
    if value is None:
        raise not_a_number(cell, text, number, f"'{column}'", place)
    if not math.isfinite(value):
        raise DataError(
            place.inside(f"line {number}", f"'{column}'"),
            got=cell,
            expected="a finite number",
            next_step="Leave out the row of a relation that says nothing.",
            file=place.file,
        )
    return value


def _written(terms: tuple[tuple[str, float], ...], sense: str, limit: float) -> str:
    """A row of a table as a person would write it."""
    shown = " + ".join(
        name if value == 1.0 else f"{value:g}*{name}" for name, value in terms
    )
    return f"{shown} {sense} {limit:g}"
