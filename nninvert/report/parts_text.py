"""The parts of x and y where there are several: in a headline, in tables, in messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nninvert.report.numbers import count, shape
from nninvert.report.text import Lines, joined, table

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


def written_text(
    file: str, values: NDArray[np.generic], parts: Sequence[NamedShape] = ()
) -> str:
    """A file that was written, with the shapes and the type of what it holds.

    Parameters
    ----------
    file : str
    values : array, shape (..., n)
    parts : sequence of (name, shape), default ()
        Where the file holds an array for each.
    """
    kind = values.dtype.name
    if not parts:
        return f"{file} {values.shape} {kind}"
    if len(parts) > _SPELLED_OUT:
        return f"{file} {values.shape} {kind} in {len(parts)} parts"
    lead = values.shape[:-1]
    held = [f"{name} {(*lead, *lengths)}" for name, lengths in parts]
    return f"{file} with {joined(held)}, {kind}"
