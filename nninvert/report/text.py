"""Prose and tables as lines of text, filled to a width.

Words are never broken, and nothing is ever left out: what does not fit makes its line
longer. Who has a narrow terminal shortens table cells on purpose, by `shortened`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

Lines = list[str]

_KEPT = "\u00a0"


def kept(text: str) -> str:
    """Mark a phrase, such as a command, that must stay on one line."""
    return text.replace(" ", _KEPT)


def fill(text: str, width: int, first: str = "", rest: str = "") -> Lines:
    """Fill `text` into lines; `first` and `rest` begin the first line and the others."""
    made = textwrap.wrap(
        text,
        width=max(width, len(rest) + 20),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_KEPT, " ") for line in made] or [first.rstrip()]


def labelled(
    items: Sequence[tuple[str, str]], width: int, indent: int = 0, label_width: int = 8
) -> Lines:
    """Fill texts behind their labels, aligned.

    Parameters
    ----------
    items : sequence of (label, text)
        An empty text leaves the item out.
    width : int
    indent : int, default 0
        Spaces before every label.
    label_width : int, default 8
        Least width of the labels.
    """
    shown = [(label, text) for label, text in items if text]
    column = max([label_width, *(len(label) for label, _ in shown)]) + 2
    lines: Lines = []
    for label, text in shown:
        first = " " * indent + label.ljust(column)
        lines += fill(text, width, first, " " * (indent + column))
    return lines


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: str = "") -> Lines:
    """Align columns by spaces, two between them, the header first.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequences of str
    right : str, default ""
        One letter for each column, "r" for right-aligned; missing ones are left-aligned.
    """
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(header))]
    sides = right.ljust(len(header), "l")
    return [
        "  ".join(
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        ).rstrip()
        for row in cells
    ]


def tab_separated(header: Sequence[str], rows: Sequence[Sequence[object]]) -> Lines:
    """A table for programs: tabs, no decoration, an empty cell for None."""
    lines = ["\t".join(header)]
    for row in rows:
        cells = ["" if cell is None else str(cell) for cell in row]
        lines.append("\t".join(cell.replace("\t", " ") for cell in cells))
    return lines


def shortened(text: str, width: int) -> str:
    """Leave out the middle of a long name: both ends tell names apart."""
    if len(text) <= width:
        return text
    kept_ends = max(width - 1, 2)
    head = (kept_ends + 1) // 2
    return f"{text[:head]}~{text[len(text) - (kept_ends - head) :]}"


def joined(names: Sequence[str], last: str = "and") -> str:
    """Names in a sentence: a, b and c."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {last} {names[-1]}"
