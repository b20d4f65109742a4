"""Inputs and outputs by name: dicts in place of arrays, names in place of indices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from nninvert.arrays import LoadedArray
from nninvert.arrays.parts import join_parts
from nninvert.arrays.place import Place
from nninvert.errors import ShapeError, UsageError
from nninvert.layout import Layout
from nninvert.names import Names, input_names, output_names
from nninvert.network import Network

Rows = ArrayLike | LoadedArray
"""Whole rows of x, or of y."""

Values = Rows | Mapping[str, ArrayLike]
"""The same, or an array for each part by its name, where there are several."""

Bound = ArrayLike | Mapping[str, ArrayLike]
"""A bound of all inputs or of each; or by name those of some inputs, or parts."""

Tolerance = float | str | Sequence[float | str] | ArrayLike
"""How far outputs may be off: absolute, or "3%" of their size; one, or one for each."""

Within = Tolerance | Mapping[str, Tolerance]
"""The same, or such a thing for each output, or part, by its name."""

Fixed = Mapping[int | str, ArrayLike]
"""What inputs are held at, by index or name; the numbers of a part at one value or each."""


def whole_rows(values: Values, layout: Layout, field: str) -> Rows:
    """Parts put one behind the other; whole rows as they are."""
    if not isinstance(values, Mapping):
        return values
    parts = layout.named_shapes
    if not parts:
        raise ShapeError(
            field, got="a dict", expected="an array", because="there is only one part"
        )
    arrays = {name: np.asarray(given) for name, given in values.items()}
    return join_parts(arrays, Place("", field, parts), "arrays")


def bound_of(bound: Bound | None, network: Network, option: str) -> ArrayLike | None:
    """The bound of each input; infinite where a dict does not name it."""
    if not isinstance(bound, Mapping):
        return bound
    open_end = -math.inf if option == "--lower" else math.inf
    each = _each_number(bound, input_names(network), option)
    return [open_end if value is None else value for value in each]


def tolerances_of(within: Within | None, network: Network) -> Tolerance | None:
    """The tolerance of each output; a dict names all of them.

    Raises
    ------
    UsageError
        If it does not.
    """
    if not isinstance(within, Mapping):
        return within
    names = output_names(network)
    each = _each_number(within, names, "--within")
    if None in each:
        raise UsageError(
            "--within",
            got=f"nothing for the output '{names.single[each.index(None)]}'",
            expected="a tolerance for each output",
        )
    return each


def fixed_of(fix: Fixed | None, network: Network) -> Mapping[int, Any] | None:
    """The value of each input that is held, by index."""
    by_name = {name: one for name, one in (fix or {}).items() if isinstance(name, str)}
    if fix is None or not by_name:
        return fix  # type: ignore[return-value]
    names = input_names(network)
    each = _each_number(by_name, names, "--fix")
    found = {place: value for place, value in enumerate(each) if value is not None}
    for place, value in fix.items():
        if isinstance(place, str):
            continue
        if place in found:
            raise names.twice(place, "--fix")
        found[place] = value
    return found


def indices_of(
    inputs: Sequence[int | str] | None, network: Network
) -> Sequence[int] | None:
    """Which inputs these are."""
    if not any(isinstance(one, str) for one in inputs or ()):
        return inputs  # type: ignore[return-value]
    names, found = input_names(network), set[int]()
    for one in inputs or ():
        found.update(names.numbers(one, "--integer") if isinstance(one, str) else [one])
    return sorted(found)


def _each_number(values: Mapping[str, Any], names: Names, option: str) -> list[Any]:
    """What a dict gives each number of a row; None where it says nothing.

    Raises
    ------
    UsageError
        For an unknown name, or two values of one number.
    ShapeError
        If a part has another shape.
    """
    found: list[Any] = [None] * len(names.single)
    for name, given in values.items():
        places = names.numbers(name, option)
        array, shape = np.asarray(given, dtype=np.object_), names.shape(name)
        if array.size != 1 and array.shape not in (shape, (len(places),)):
            raise ShapeError(
                f"{option} > {name}",
                got=f"shape {array.shape}",
                expected=f"one number, or shape {shape}" if shape else "one number",
            )
        for place, value in zip(
            places, np.broadcast_to(array.reshape(-1), len(places)), strict=True
        ):
            if found[place] is not None:
                raise names.twice(place, option)
            found[place] = value
    return found
