"""One data set of an HDF5 file as an array."""

from __future__ import annotations

import io
from typing import BinaryIO

import numpy as np

from nninvert import hdf5
from nninvert.arrays.npy import MAP_FROM, write_bytes
from nninvert.arrays.place import Place
from nninvert.errors import InputError

_MOST_LISTED = 8


def read_hdf5(path: str, key: str | None, place: Place) -> np.ndarray:
    """Read a data set by its path, or the only one there is.

    MATLAB (``save -v7.3``) stores its arrays with their axes reversed and marks each by
    the attribute ``MATLAB_class``; these are turned back.

    Raises
    ------
    FormatError, LimitError
        See `nninvert.hdf5`.
    InputError
        If there is no data set, or several and no key.
    """
    hdf5.screen(path)
    with hdf5.open_hdf5(path) as file:
        if key is None:
            found = hdf5.datasets(file, _MOST_LISTED + 1)
            if len(found) != 1:
                raise _ambiguous(found, hdf5.tree(file, _MOST_LISTED), place)
            key = found[0]
        source = hdf5.dataset(file, key)
        mapped = hdf5.mapped(source) if source.nbytes >= MAP_FROM else None
        values = hdf5.read(source) if mapped is None else mapped
        kind = hdf5.attribute_text(source, "MATLAB_class")
        if kind == "char":
            raise InputError(
                place.inside(f"'{key}'"),
                got="text, as MATLAB stores it",
                expected="numbers",
                file=place.file,
            )
        return values if kind is None else values.T


def write_hdf5(stream: BinaryIO, values: np.ndarray) -> None:
    """Write one data set, ``x``.

    The HDF5 library wants to seek, and tells of a full disk in ways that cannot be
    caught cleanly; so the file is made in memory and then written like all others.
    """
    import h5py

    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        file["x"] = values
    write_bytes(stream, image.getbuffer())


def _ambiguous(found: list[str], inside: list[str], place: Place) -> InputError:
    if not found:
        return InputError(
            place.inside(),
            got="an HDF5 file without a data set",
            expected="one array",
            next_step=f"It holds: {'; '.join(inside)}." if inside else "It is empty.",
            file=place.file,
        )
    return place.ambiguous("several data sets", found)
