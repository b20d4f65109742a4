"""Lines of a text table: decoded, numbered from 1 as editors do, and cut into cells."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator

from nninvert.arrays.place import Place
from nninvert.errors import DataError

_BOM = b"\xef\xbb\xbf"
_QUOTED = re.compile(r'"[^"]*"')
_DECIMAL_COMMA = re.compile(r"[+-]?[\d.]*\d,\d+([eE][+-]?\d+)?")
_LINE_END = re.compile(r"\r\n|\r|\n")


def text_lines(stream: Iterable[bytes], place: Place) -> Iterator[tuple[int, str]]:
    """Every line that is neither blank nor a comment, with its number.

    A comment runs from ``#`` to the end of the line; in a line with quotes only a ``#``
    at its start begins one, for names may contain it.

    Raises
    ------
    DataError
        If a line is not UTF-8 text.
    """
    number = 0
    for raw in stream:
        if number == 0:
            raw = raw.removeprefix(_BOM)
        try:
            text = raw.decode()
        except UnicodeDecodeError as error:
            raise DataError(
                place.inside(f"line {number + 1}"),
                got=f"the byte 0x{raw[error.start]:02x}, which is not UTF-8",
                expected="a table of numbers in UTF-8",
                next_step="Save it as UTF-8.",
                file=place.file,
            ) from error
        # A file with bare carriage returns (old Mac) arrives as one line.
        for line in _LINE_END.split(text.removesuffix("\n").removesuffix("\r")):
            number += 1
            content = line
            if line.lstrip().startswith("#"):
                continue
            if '"' not in line:
                content = line.partition("#")[0]
            if content.strip():
                yield number, content


def separator_of(line: str) -> str:
    """The separator that a line shows outside quotes; a space stands for any blanks."""
    bare = _QUOTED.sub("", line)
    return next((s for s in ";\t," if s in bare), " ")


def cells_of(line: str, separator: str, place: Place, number: int) -> list[str]:
    """Cut a line into cells without blanks around them.

    Raises
    ------
    DataError
        If a quote is not closed.
    """
    if '"' in line:
        try:
            (cells,) = csv.reader(
                [line], delimiter=separator, skipinitialspace=True, strict=True
            )
        except csv.Error as error:
            raise DataError(
                place.inside(f"line {number}"),
                got=f"quotes that do not match ({error})",
                expected='cells such as 0.5 or "feed T"',
                file=place.file,
            ) from error
        if separator == " ":
            return [cell for cell in cells if cell] or [""]
        return [cell.strip() for cell in cells]
    if separator == " ":
        return line.split()
    return [cell.strip() for cell in line.split(separator)]


def by_column(
    header: list[str], cells: list[str], number: int, place: Place
) -> dict[str, str]:
    """The cells of a table's line under the names of their columns.

    Raises
    ------
    DataError
        If the line has more or fewer cells than the header.
    """
    if len(cells) != len(header):
        raise DataError(
            place.inside(f"line {number}"),
            got=f"{len(cells)} cells",
            expected=str(len(header)),
            because="the header has as many names",
            file=place.file,
        )
    return dict(zip(header, cells, strict=True))


def number_of(cell: str) -> float | None:
    """The number that a cell holds, ``nan`` and ``inf`` among them; None if none.

    Python's own reading is wider: ``1_000``, digits of other scripts, and ``1e999``,
    which it takes for infinity, are refused.
    """
    try:
        value = float(cell)
    except ValueError:
        return None
    if "_" in cell or not cell.isascii():
        return None
    if math.isinf(value) and "n" not in cell.lower():
        return None
    return value


def not_a_number(cell: str, line: str, number: int, column: str, place: Place) -> DataError:
    """The error for a cell that should have held a number."""
    got, expected, next_step = f"'{cell}'", "a number", ""
    if not cell:
        got = "an empty cell"
        next_step = "Write nan where a value is unknown; end no line in a separator."
    elif decimal_comma(cell, line):
        got = f"'{cell}', a decimal comma"
        expected = "a decimal point"
        next_step = "Write 0.5, not 0,5."
    return DataError(
        place.inside(f"line {number}", column),
        got=got,
        expected=expected,
        next_step=next_step,
        file=place.file,
    )


def decimal_comma(cell: str, line: str) -> bool:
    """Whether numbers here seem to be written like 0,5."""
    if _DECIMAL_COMMA.fullmatch(cell):
        return True
    words = line.split()
    return len(words) > 1 and all(_DECIMAL_COMMA.fullmatch(word) for word in words)
