"""Tables of numbers in text: .csv and .txt."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import BinaryIO

import numpy as np

from nninvert.arrays.place import Place
from nninvert.arrays.text import (
    cells_of,
    decimal_comma,
    not_a_number,
    number_of,
    separator_of,
    text_lines,
)
from nninvert.errors import DataError, ShapeError, printable

# Digits that a written float shows at least, so that what is read back as "half the
# last decimal" lies below the rounding of its type; 17, 9 and 5 always suffice to give
# the same bits again, and the shortest such text often has one fewer.
_DIGITS = {8: 16, 4: 8, 2: 4}

# Longer ones belong to zeros, or to numbers as good as zero.
_LONGEST_EXPONENT = 9

# Starts like a word, and holds no separator, quote or comment sign.
_PLAIN = re.compile(r"""\w[^\s,;"#]*""")


def read_csv(
    stream: Iterable[bytes], place: Place
) -> tuple[np.ndarray, tuple[str, ...] | None, np.ndarray]:
    """Read a table: values, names, half the last written decimals.

    Parameters
    ----------
    stream : iterable of bytes
        Lines.
    place : Place
        For messages.

    Returns
    -------
    values : ndarray, shape (rows, columns), float64
    names : tuple of str or None
        The first line, if none of its cells is a number or all are quoted.
    half_step : ndarray, shape (rows, columns), float64

    Raises
    ------
    DataError
        Naming line and column.
    """
    lines = text_lines(stream, place)
    start = next(lines, None)
    if start is None:
        raise _no_rows(place, "no numbers")
    number, line = start
    separator = separator_of(line)
    first = cells_of(line, separator, place, number)
    names = _header(first, line, number, place)
    if names is None:
        lines = chain([start], lines)
    rows: list[np.ndarray] = []
    half_steps: list[np.ndarray] = []
    for number, line in lines:
        cells = cells_of(line, separator, place, number)
        if len(cells) != len(first):
            raise _ragged(cells, line, number, len(first), names, place)
        if names is not None and '"' in line and _numeric(names):
            raise _quoted_numbers(place)
        rows.append(_numbers(cells, line, number, names, place))
        half_steps.append(np.array([half_step_of(cell) for cell in cells]))
    if not rows:
        raise _no_rows(place, "a header and no rows")
    if names is None and _counts_columns(first) and np.any(half_steps):
        raise _column_numbers(place)
    return np.stack(rows), names, np.stack(half_steps)


def write_csv(
    stream: BinaryIO,
    values: np.ndarray,
    names: Sequence[str] | None = None,
    separator: str = ",",
    places: np.ndarray | None = None,
) -> None:
    """Write a table whose text gives the same bits when it is read again.

    Parameters
    ----------
    stream : BinaryIO
        Only ``write`` is used.
    values : ndarray, shape (rows, columns) or (columns,)
        Of numbers; a vector becomes one row.
    names : sequence of str or None, default None
        One for each column, quoted where needed; None writes no header.
    separator : str, default ","
        What stands between cells.
    places : int ndarray, shape (rows, k), default None
        Whole numbers that stand before the values of each row; `names` names them, too.

    Raises
    ------
    ShapeError
        If there are not as many names as columns.
    """
    table = np.atleast_2d(values)
    if places is None:
        places = np.zeros((len(table), 0), dtype=np.int64)
    columns = places.shape[1] + table.shape[1]
    if names is not None:
        if len(names) != columns:
            raise ShapeError(
                "header",
                got=f"{len(names)} names",
                expected=f"one for each of {columns} columns",
            )
        # A header with a number in it is told from a row by quotes around all names.
        quote = any(number_of(name) is not None for name in names)
        cells = [quoted(name, always=quote) for name in names]
        stream.write((separator.join(cells) + "\n").encode())
    for place, row in zip(places, table, strict=True):
        stream.write((separator.join([*_texts(place), *_texts(row)]) + "\n").encode())


def _texts(row: np.ndarray) -> list[str]:
    """Every value as the shortest text that gives the same bits, all digits shown."""
    if row.dtype.kind != "f":
        return [str(value) for value in row.tolist()]
    digits = _DIGITS[row.dtype.itemsize]
    if row.dtype == np.float64:
        return [_padded(repr(value), digits) for value in row.tolist()]
    # The shortest text of a float32 may lie so close to the middle between two of them
    # that reading it as float64 and rounding that ends at the wrong one (7.038531e-26).
    texts = [str(value) for value in row]
    wrong = np.array(texts, np.float64).astype(row.dtype) != row
    for index in np.flatnonzero(wrong & ~np.isnan(row)):
        texts[index] = repr(float(row[index]))
    return [_padded(text, digits) for text in texts]


def _padded(text: str, digits: int) -> str:
    """Turn 0.5 into 0.5000000000000000, and leave whole numbers exact: 1.0 into 1.

    The number of decimals of a table says how well a value is known.
    """
    if "n" in text:  # nan, inf
        return text
    if text.endswith(".0"):
        return text[:-2]
    mantissa, e, exponent = text.partition("e")
    if "." not in mantissa:
        mantissa += "."
    shown = len(mantissa.lstrip("-0.").replace(".", ""))
    return f"{mantissa}{'0' * (digits - shown)}{e}{exponent}"


def quoted(text: str, always: bool = False) -> str:
    """A cell that is read back as this text, never as several cells or a comment."""
    clean = printable(text, 10_000).strip()
    if _PLAIN.fullmatch(clean) and not always:
        return clean
    return '"' + clean.replace('"', '""') + '"'


def half_step_of(cell: str) -> float:
    """Half of the last decimal that was written; 0 for whole numbers, nan and inf."""
    mantissa, e, exponent = cell.lower().partition("e")
    whole, point, decimals = mantissa.partition(".")
    if not (point or e) or "n" in whole:
        return 0.0
    if len(exponent.lstrip("+-").lstrip("0")) > _LONGEST_EXPONENT:
        return 0.0
    half = float(f"5e{int(exponent or 0) - len(decimals) - 1}")
    return half if math.isfinite(half) else 0.0  # "0e999" is zero all the same


def _header(
    cells: list[str], line: str, number: int, place: Place
) -> tuple[str, ...] | None:
    """The names in the first line, or None if it is a row of numbers."""
    texts = [number_of(cell) is None for cell in cells]
    all_quoted = line.lstrip().startswith('"') and line.count('"') >= 2 * len(cells)
    if not any(texts) and not all_quoted:
        return None
    if not cells[0] and len(cells) > 1:
        raise DataError(
            place.inside(f"line {number}"),
            got="a first column without a name, as pandas writes its row numbers",
            expected="values only",
            next_step="Write it with to_csv(..., index=False).",
            file=place.file,
        )
    if not all(texts) and not all_quoted:
        column = texts.index(True)
        raise not_a_number(cells[column], line, number, f"column {column}", place)
    if all(decimal_comma(cell, line) for cell in cells):
        raise not_a_number(cells[0], line, number, "column 0", place)
    twice = [name for name, count in Counter(cells).items() if count > 1]
    if twice or "" in cells:
        raise DataError(
            place.inside(f"line {number}"),
            got=f"the name '{twice[0]}' twice" if twice else "an empty name",
            expected="one name for each column, all different",
            file=place.file,
        )
    return tuple(cells)


def _numbers(
    cells: list[str],
    line: str,
    number: int,
    names: tuple[str, ...] | None,
    place: Place,
) -> np.ndarray:
    values = np.empty(len(cells))
    for column, cell in enumerate(cells):
        value = number_of(cell)
        if value is None:
            label = f"column {column}" + (f" '{names[column]}'" if names else "")
            raise not_a_number(cell, line, number, label, place)
        values[column] = value
    return values


def _numeric(names: tuple[str, ...]) -> bool:
    return all(number_of(name) is not None for name in names)


def _counts_columns(cells: list[str]) -> bool:
    """Whether a row is 0, 1, 2, ...: how pandas names columns that have no names."""
    return len(cells) > 2 and cells == [str(column) for column in range(len(cells))]


def _no_rows(place: Place, got: str) -> DataError:
    return DataError(place.inside(), got=got, expected="at least one row", file=place.file)


def _ragged(
    cells: list[str],
    line: str,
    number: int,
    width: int,
    names: tuple[str, ...] | None,
    place: Place,
) -> DataError:
    if wrong := next((c for c in cells if decimal_comma(c, line)), None):
        return not_a_number(wrong, line, number, "column 0", place)
    return DataError(
        place.inside(f"line {number}"),
        got=f"{len(cells)} cells",
        expected=str(width),
        because="the header has as many names" if names else "the first row has them",
        file=place.file,
    )


def _quoted_numbers(place: Place) -> DataError:
    return DataError(
        place.inside(),
        got="numbers in quotes in the first line and in others",
        expected="quotes around names only",
        because="the first line may be a header or a row",
        file=place.file,
    )


def _column_numbers(place: Place) -> DataError:
    return DataError(
        place.inside("line 1"),
        got="0, 1, 2, ... above rows with decimals: column numbers as pandas writes",
        expected="values or names",
        next_step="Write it with to_csv(..., header=False, index=False); "
        "if it is a row, write 0.0.",
        file=place.file,
    )
