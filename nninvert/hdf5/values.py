"""The values of a checked data set: read, or mapped where that is the same."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from nninvert.errors import MachineError
from nninvert.hdf5._failure import reading

if TYPE_CHECKING:
    import h5py


def read(source: h5py.Dataset) -> np.ndarray:
    """All values of a data set from `dataset`, in this machine's byte order.

    Parameters
    ----------
    source : h5py.Dataset
        Checked by `dataset`.

    Returns
    -------
    ndarray, shape of the data set
        In the stored type; bfloat16 (two opaque bytes with the attribute
        ``dtype = "bfloat16"``, as Keras 3 writes it) becomes float32 without loss.

    Raises
    ------
    FormatError
        If the values cannot be read: cut off, or a wrong checksum.
    MachineError
        If there is not enough memory.
    """
    return _native(_selected(source, ()))


def read_block(source: h5py.Dataset, rows: slice, cols: slice) -> np.ndarray:
    """A block of a two-dimensional data set from `dataset`; errors as for `read`.

    Parameters
    ----------
    source : h5py.Dataset
        Checked by `dataset`.
    rows, cols : slice

    Returns
    -------
    ndarray
        As of `read`.
    """
    return _native(_selected(source, (rows, cols)))


def _native(values: np.ndarray) -> np.ndarray:
    """In this machine's byte order; bfloat16, the upper half of a float32, as that."""
    if values.dtype.kind == "V":
        values = (values.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _selected(source: h5py.Dataset, selection: tuple[slice, ...]) -> np.ndarray:
    try:
        with reading(source, ""):
            return np.asarray(source[selection])
    except MemoryError as error:
        raise MachineError(
            f"'{source.name}'",
            got=f"{source.nbytes:,} bytes to read",
            expected="enough free memory for them",
            file=source.file.filename,
        ) from error


def mapped(source: h5py.Dataset) -> np.memmap | None:
    """The values of a data set from `dataset` as a read-only map of the file.

    Parameters
    ----------
    source : h5py.Dataset
        Checked by `dataset`.

    Returns
    -------
    numpy.memmap or None
        None where the bytes in the file are not the array as this machine has it:
        chunks, filters, foreign byte order, integers, bfloat16, a scalar or no values.
        It outlives the open file.
    """
    import h5py

    dtype = source.dtype
    if dtype.kind != "f" or not dtype.isnative or source.ndim == 0 or source.size == 0:
        return None
    if source.file.driver not in ("sec2", "windows"):
        return None
    # NumPy has no name for some float layouts; h5py converts them while reading.
    if not source.id.get_type().equal(h5py.h5t.py_create(dtype)):
        return None
    offset = source.id.get_offset()
    if offset is None:  # compact or in chunks
        return None
    path = source.file.filename
    if offset + source.size * dtype.itemsize > os.path.getsize(path):
        return None
    view = np.memmap(path, dtype, "r", offset, source.shape)
    for corner in ((0,) * source.ndim, tuple(n - 1 for n in source.shape)):
        with reading(source, ""):
            value = np.asarray(source[corner])
        if view[corner].tobytes() != value.tobytes():
            return None
    return view
