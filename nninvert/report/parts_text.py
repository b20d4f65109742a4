"""The parts of x and y where there are several: in a headline, in tables, in messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nninvert.report.numbers import count, shape
from nninvert.report.text import Lines, table

if TYPE_CHECKING:
    from nninvert.formats import PartDescription

PartialShape = tuple[int | None, ...]
"""None where the file leaves a length open."""

NamedShape = tuple[str, tuple[int, ...]]

_SPELLED_OUT = 4
"""Parts whose shapes a headline lists; more are counted."""


def partial_shape(lengths: PartialShape | None) -> str:
    """A shape of which the file may leave lengths open: 28x28x1, ?x16, ?."""
    if lengths is None:
        return "?"
    return "x".join("?" if n is None else str(n) for n in lengths) or "1"


def shapes_text(shapes: Sequence[str], size: int | None) -> str:
    """The shapes of all parts in a headline: 2x2 + 3, or how many there are."""
    if len(shapes) <= _SPELLED_OUT:
        return " + ".join(shapes)
    return f"{'?' if size is None else count(size)} in {len(shapes)} parts"


def end_text(whole: tuple[int, ...], parts: Sequence[NamedShape]) -> str:
    """One end of a network: the shape of a row, or the shapes of its parts."""
    if not parts:
        return shape(whole)
    return shapes_text([shape(lengths) for _, lengths in parts], whole[0])


def parts_lines(end: str, row: str, parts: Sequence[PartDescription]) -> Lines:
    """A table of the parts and where they lie in a row, and a blank line behind it.

    There is none where there is one part.

    Parameters
    ----------
    end : str
        "input" or "output".
    row : str
        "x" or "y".
    parts : sequence of PartDescription
    """
    if len(parts) < 2:
        return []
    rows = [[part.name, partial_shape(part.shape), _place(row, part)] for part in parts]
    made = table([end, "shape", f"numbers of {row}"], rows)
    return [*(f" {line}" for line in made), ""]


def _place(row: str, part: PartDescription) -> str:
    """Where a part lies, ends included."""
    if part.start is None or part.size is None:
        return "?"
    last = part.start + part.size - 1
    return f"{row}{part.start}" + ("" if last == part.start else f" to {row}{last}")


def written_text(values_shape: tuple[int, ...], parts: Sequence[NamedShape]) -> str:
    """The shapes of the arrays in a file that holds one for each part.

    Parameters
    ----------
    values_shape : tuple of int
        Of the rows, (..., n).
    parts : sequence of (name, shape)
    """
    lead = values_shape[:-1]
    return ", ".join(f"{name} {(*lead, *lengths)}" for name, lengths in parts)
