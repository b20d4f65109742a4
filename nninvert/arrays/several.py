"""Several named arrays in one file: HDF5 or NPZ, with the same names in both."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np

from nninvert.arrays.atomic import atomic_output
from nninvert.arrays.npy import write_bytes, write_npy
from nninvert.arrays.writing import suffix_of

SEVERAL_SUFFIXES = (".h5", ".hdf5", ".npz")

Arrays = Mapping[str, np.ndarray]


def write_arrays(target: str, arrays: Arrays) -> None:
    """Write named arrays into one file, whole or not at all.

    Parameters
    ----------
    target : str
        Ends in .h5, .hdf5 or .npz.
    arrays : mapping of str to ndarray
        Floats or integers; "a/b" is the data set b in the group a, in NPZ the member of
        this name.

    Raises
    ------
    UsageError
        If the suffix is another.
    OutputError
        If it cannot be written; the old file is untouched.
    """
    write = _write_npz if suffix_of(target, SEVERAL_SUFFIXES) == ".npz" else _write_hdf5
    with atomic_output(target) as stream:
        write(stream, arrays)


def _write_hdf5(stream: BinaryIO, arrays: Arrays) -> None:
    """In memory first, for the reasons of `nninvert.arrays.dataset.write_hdf5`."""
    import h5py

    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    write_bytes(stream, image.getbuffer())


def _write_npz(stream: BinaryIO, arrays: Arrays) -> None:
    with zipfile.ZipFile(stream, "w") as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                write_npy(member, values)  # type: ignore[arg-type]
