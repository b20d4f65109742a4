"""The table of ``--bounds``: what is known beforehand about single inputs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nninvert.arrays.place import Place
from nninvert.arrays.text import (
    by_column,
    cells_of,
    not_a_number,
    number_of,
    separator_of,
)
from nninvert.arrays.text_file import lines_of
from nninvert.errors import DataError

COLUMNS = ("name", "lower", "upper", "fixed", "near")


@dataclass(frozen=True, slots=True)
class BoundsRow:
    """What one line says about one input; None where the cell is empty.

    Parameters
    ----------
    name : str
        The input.
    lower, upper : float or None
        May be infinite; lower <= upper.
    fixed : float or None
        Finite, and within the bounds.
    near : float or None
        Finite: a value that the input should stay close to.
    """

    name: str
    lower: float | None
    upper: float | None
    fixed: float | None
    near: float | None


def read_bounds(path: str) -> tuple[BoundsRow, ...]:
    """Read a CSV with the columns name, lower, upper, fixed, near, in any order.

    Parameters
    ----------
    path : str
        Separators and comments as in other tables. All columns but the name may be
        missing, and all their cells empty; ``inf`` and ``-inf`` are bounds.

    Returns
    -------
    tuple of BoundsRow
        In the order of the lines; each name occurs once.

    Raises
    ------
    InputError
        If the file cannot be read.
    DataError
        Naming line and column of what cannot be meant.
    """
    place = Place(path, "bounds")
    lines = lines_of(place, "CSV")
    number, text = lines[0] if lines else (1, "")
    separator = separator_of(text)
    header = cells_of(text, separator, place, number)
    _check_header(header, number, place)
    rows: dict[str, BoundsRow] = {}
    for number, text in lines[1:]:
        cells = cells_of(text, separator, place, number)
        row = _row(header, cells, text, number, place)
        if row.name in rows:
            raise DataError(
                place.inside(f"line {number}"),
                got=f"'{row.name}' once more",
                expected="one line for each input",
                file=path,
            )
        rows[row.name] = row
    if not rows:
        raise DataError(
            place.inside(), got="no rows", expected="at least one input", file=path
        )
    return tuple(rows.values())


def _check_header(header: list[str], number: int, place: Place) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    twice = [name for name in header if header.count(name) > 1]
    got = ""
    if "name" not in header:
        got = f"the header '{','.join(header)}' without the column 'name'"
    elif unknown:
        got = f"an unknown column '{unknown[0]}'"
    elif twice:
        got = f"the column '{twice[0]}' twice"
    if got:
        raise DataError(
            place.inside(f"line {number}"),
            got=got,
            expected=f"a header of {', '.join(COLUMNS)}",
            because="only the name is needed, and the order is free",
            file=place.file,
        )


def _row(
    header: list[str], cells: list[str], text: str, number: int, place: Place
) -> BoundsRow:
    line = f"line {number}"
    given = by_column(header, cells, number, place)
    name = given.pop("name")
    if not name:
        raise DataError(
            place.inside(line), got="no name", expected="an input", file=place.file
        )
    values: dict[str, float | None] = dict.fromkeys(COLUMNS[1:])
    for column, cell in given.items():
        if cell:
            values[column] = _value(column, cell, text, number, place)
    row = BoundsRow(name, **values)
    _check_order(row, place.inside(line, f"'{name}'"), place)
    return row


def _value(column: str, cell: str, text: str, number: int, place: Place) -> float:
    value = number_of(cell)
    if value is None:
        raise not_a_number(cell, text, number, column, place)
    if math.isnan(value) or (math.isinf(value) and column in ("fixed", "near")):
        raise DataError(
            place.inside(f"line {number}", column),
            got=cell,
            expected="a finite number, or an empty cell",
            file=place.file,
        )
    return value


def _check_order(row: BoundsRow, field: str, place: Place) -> None:
    lower = -math.inf if row.lower is None else row.lower
    upper = math.inf if row.upper is None else row.upper
    if lower > upper or lower == math.inf or upper == -math.inf:
        raise DataError(
            field,
            got=f"lower {lower} and upper {upper}",
            expected="lower <= upper, with a number between them",
            file=place.file,
        )
    if row.fixed is not None and not lower <= row.fixed <= upper:
        raise DataError(
            field,
            got=f"fixed {row.fixed}",
            expected=f"a value within its bounds, {lower} to {upper}",
            file=place.file,
        )
