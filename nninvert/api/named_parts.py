"""Dicts of arrays, one for each part of a row: several inputs, or outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nninvert.arrays import LoadedArray
from nninvert.arrays.parts import join_parts
from nninvert.arrays.place import NamedShape, Place
from nninvert.errors import ShapeError, UsageError
from nninvert.layout import Layout

Rows = ArrayLike | LoadedArray
"""Whole rows of x, or of y."""

Values = Rows | Mapping[str, ArrayLike]
"""The same, or an array for each part by its name, where there are several."""

Bound = ArrayLike | Mapping[str, ArrayLike]
"""A bound of all inputs or of each; or by name those of some parts."""

Tolerance = float | str | Sequence[float | str] | ArrayLike
"""How far outputs may be off: absolute, or "3%" of their size; one, or one for each."""

Within = Tolerance | Mapping[str, Tolerance]
"""The same, or such a thing for each part by its name."""


def whole_rows(values: Values, layout: Layout, field: str) -> Rows:
    """Parts put one behind the other; whole rows as they are."""
    if not isinstance(values, Mapping):
        return values
    parts = _several_parts(layout, field)
    arrays = {name: np.asarray(given) for name, given in values.items()}
    return join_parts(arrays, Place("", field, parts), "arrays")


def _each_number(values: Mapping[str, Any], layout: Layout, field: str) -> list[Any]:
    """What a dict gives each number of a row: None where it does not name the part.

    Raises
    ------
    ShapeError
        If there are not several parts, none has this name, or it has another shape.
    """
    shapes = dict(_several_parts(layout, field))
    found: dict[str, list[Any]] = {
        name: [None] * math.prod(shapes[name]) for name in shapes
    }
    for name, given in values.items():
        if name not in shapes:
            raise ShapeError(
                field, got=f"a part named {name!r}", expected=f"names among {[*shapes]}"
            )
        array, shape = np.asarray(given, dtype=np.object_), shapes[name]
        if array.size != 1 and array.shape not in (shape, (math.prod(shape),)):
            raise ShapeError(
                f"{field} > {name}",
                got=f"shape {array.shape}",
                expected=f"one number, or shape {shape}",
            )
        found[name] = np.broadcast_to(array.reshape(-1), len(found[name])).tolist()
    return [value for name in shapes for value in found[name]]


def bound_of(bound: Bound | None, layout: Layout, field: str) -> ArrayLike | None:
    """The bound of each input; infinite in parts that a dict does not name."""
    if not isinstance(bound, Mapping):
        return bound
    open_end = -math.inf if field == "lower" else math.inf
    each = _each_number(bound, layout, field)
    return [open_end if value is None else value for value in each]


def tolerances_of(within: Within | None, layout: Layout) -> Tolerance | None:
    """The tolerance of each output; a dict names every part.

    Raises
    ------
    UsageError
        If it does not.
    """
    if not isinstance(within, Mapping):
        return within
    each = _each_number(within, layout, "within")
    missing = [name for name, _ in layout.named_shapes if name not in within]
    if missing:
        raise UsageError(
            "within",
            got=f"nothing for the output {missing[0]!r}",
            expected="a tolerance for each output",
        )
    return each


def _several_parts(layout: Layout, field: str) -> Sequence[NamedShape]:
    """Names and shapes of the parts; a dict speaks of nothing else."""
    if not layout.named_shapes:
        raise ShapeError(
            field, got="a dict", expected="an array", because="there is only one part"
        )
    return layout.named_shapes
