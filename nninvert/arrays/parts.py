"""Named parts of rows in one .npz: a network's several inputs, or outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import BinaryIO

import numpy as np

from nninvert.arrays.loaded import LoadedArray
from nninvert.arrays.numeric_types import check_type
from nninvert.arrays.place import NamedShape, Place
from nninvert.errors import ShapeError, shortlist
from nninvert.npz import NpzListing, list_npz


def read_parts(stream: BinaryIO, place: Place) -> LoadedArray | None:
    """Read one array for each part and put them one behind the other.

    Parameters
    ----------
    stream : BinaryIO
        An .npz; must be able to seek.
    place : Place
        It knows the parts.

    Returns
    -------
    LoadedArray of shape (rows, n), or None
        None if the file holds no array of one of their names.

    Raises
    ------
    FormatError, LimitError
        See `nninvert.npz.list_npz`.
    InputError
        If an array is missing, cannot be read, holds no numbers, or has another shape.
    """
    listing = list_npz(stream, file=place.file)
    if not any(name in listing.arrays for name, _ in place.parts):
        return None
    _require_all([*listing.arrays, *listing.refused], place)
    arrays = {name: _read(listing, name, place) for name, _ in place.parts}
    return join_parts(arrays, place, "npz")


def join_parts(arrays: Mapping[str, np.ndarray], place: Place, form: str) -> LoadedArray:
    """Put one array for each part behind the other.

    Parameters
    ----------
    arrays : mapping of str to array, shape (rows, *shape), (rows, size) or shape
    place : Place
        It knows the parts.
    form : str
        What they come from: the result's format.

    Raises
    ------
    InputError
        If an array is missing, holds no numbers, or has another shape.
    """
    _require_all(list(arrays), place)
    rows: list[np.ndarray] = []
    for name, shape in place.parts:
        values = arrays[name]
        check_type(values.dtype, _inside(place, name))
        count = _rows(values.shape, shape)
        if count == 0 or (rows and len(rows[0]) != count):
            wanted = (str(len(rows[0])) if rows else "rows", *map(str, shape))
            raise ShapeError(
                place.inside(place.role, name),
                got=f"shape {values.shape}",
                expected=f"({', '.join(wanted)})",
                file=place.file,
            )
        rows.append(values.reshape(count, -1))
    joined = np.concatenate(rows, axis=1)
    return LoadedArray(joined, None, None, place.file, form, _coarsest(rows))


def _read(listing: NpzListing, name: str, place: Place) -> np.ndarray:
    if name in listing.refused:
        raise listing.refused[name]
    member = listing.arrays[name]
    # Before the values are read: they may be many.
    check_type(member.header.dtype, _inside(place, name))
    return member.read()


def _inside(place: Place, name: str) -> Place:
    return Place(place.file, place.inside(place.role, name))


def _require_all(names: Sequence[str], place: Place) -> None:
    for wanted, _ in place.parts:
        if wanted not in names:
            raise ShapeError(
                place.inside(place.role, wanted),
                got=f"no array of this name among {shortlist(names)}",
                expected="one for each of " + ", ".join(name for name, _ in place.parts),
                file=place.file,
            )


def _rows(found: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """How many rows of a part an array of shape `found` holds; 0 if it does not fit."""
    if found == shape:
        return 1
    size = math.prod(shape)
    count = found[0] if found else 0
    ways = [(count, *shape), (count, size)] + ([(count,)] if size == 1 else [])
    return count if found in ways else 0


def _coarsest(rows: Sequence[np.ndarray]) -> np.dtype[np.generic] | None:
    """The least precise type of floats among several; whole numbers are exact."""
    types = {part.dtype for part in rows}
    if len(types) == 1:
        return None
    floats = [kind for kind in types if kind.kind == "f"]
    return min(floats, key=lambda kind: kind.itemsize, default=None)


def parts_of(values: np.ndarray, parts: Sequence[NamedShape]) -> dict[str, np.ndarray]:
    """Rows (..., n) taken apart: an array (..., *shape) for each name."""
    found, start = {}, 0
    for name, shape in parts:
        stop = start + math.prod(shape)
        found[name] = values[..., start:stop].reshape(*values.shape[:-1], *shape)
        start = stop
    return found
