"""Named parts of rows in one .npz: a network's several inputs, or outputs."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

import numpy as np

from nninvert.arrays.loaded import LoadedArray
from nninvert.arrays.numeric_types import check_type
from nninvert.arrays.place import Place
from nninvert.errors import ShapeError
from nninvert.npz import is_npz, list_npz

NamedShape = tuple[str, tuple[int, ...]]


def read_parts(path: str, parts: Sequence[NamedShape], field: str) -> LoadedArray | None:
    """Read one array for each part and put them one behind the other.

    Parameters
    ----------
    path : str
    parts : sequence of (name, shape)
    field : str
        The part that the rows play, for messages.

    Returns
    -------
    LoadedArray of shape (rows, n), or None
        None if the file is no .npz, or holds no array of one of these names.

    Raises
    ------
    InputError
        If an array cannot be read, holds no numbers, or has another shape.
    """
    # What is read from a pipe to see what it holds is lost for who reads it next.
    if not os.path.isfile(path) or not is_npz(path):
        return None
    listing = list_npz(path)
    if not any(name in listing.arrays for name, _ in parts):
        return None
    rows: list[np.ndarray] = []
    for name, shape in parts:
        place = Place(path, f"{field} > {name}")
        if name in listing.refused:
            raise listing.refused[name]
        if name not in listing.arrays:
            raise ShapeError(
                f"{field} > {name}",
                got="no array of this name",
                expected="one for each of " + ", ".join(other for other, _ in parts),
                file=path,
            )
        member = listing.arrays[name]
        check_type(member.header.dtype, place)
        values = member.read()
        count = 1 if values.shape == shape else len(values) if values.ndim else 0
        fits = values.shape in (shape, (count, *shape), (count, math.prod(shape)))
        if not fits or (rows and len(rows[0]) != count):
            wanted = f"({len(rows[0]) if rows else 'rows'}, {', '.join(map(str, shape))})"
            raise ShapeError(
                f"{field} > {name}", got=f"shape {values.shape}", expected=wanted, file=path
            )
        rows.append(values.reshape(count, -1))
    return LoadedArray(np.concatenate(rows, axis=1), None, None, path, "npz")


def parts_of(values: np.ndarray, parts: Sequence[NamedShape]) -> dict[str, np.ndarray]:
    """Rows (rows, n) taken apart: an array (rows, *shape) for each name."""
    found, start = {}, 0
    for name, shape in parts:
        stop = start + math.prod(shape)
        found[name] = values[:, start:stop].reshape(len(values), *shape)
        start = stop
    return found
