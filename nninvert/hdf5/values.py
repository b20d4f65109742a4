"""The values of a checked data set: read, located in the file, or mapped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nninvert.errors import MachineError
from nninvert.hdf5._failure import reading
from nninvert.hdf5.opening import Inside

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


def place(source: h5py.Dataset, inside: Inside | None = None) -> int | None:
    """Where in the file the values of a data set lie as one piece.

    Parameters
    ----------
    source : h5py.Dataset
        Checked by `dataset`.
    inside : Inside or None, default None
        As its file was opened with.

    Returns
    -------
    int or None
        The offset of the first value in bytes; the others follow in row order, as
        ``source.dtype`` (two opaque bytes: bfloat16). None for what has to go through
        the HDF5 library: chunks, filters, integers, floats that NumPy has no name for,
        a scalar or no values.
    """
    import h5py

    dtype = source.dtype
    if dtype.kind not in "fV" or source.ndim == 0 or source.size == 0:
        return None
    if inside is None and source.file.driver not in ("sec2", "windows"):
        return None
    with reading(source, ""):
        kind, offset = source.id.get_type(), source.id.get_offset()
        # NumPy has no name for some float layouts; h5py converts them while reading.
        if dtype.kind == "f" and not kind.equal(h5py.h5t.py_create(dtype)):
            return None
    if offset is None:  # compact or in chunks
        return None
    start, path = int(offset), source.file.filename
    if inside is not None:
        start += inside.start
    last = start + (source.size - 1) * dtype.itemsize
    with open(path, "rb", buffering=0) as stream:
        for at, corner in (
            (start, (0,) * source.ndim),
            (last, tuple(n - 1 for n in source.shape)),
        ):
            with reading(source, ""):
                value = np.asarray(source[corner]).astype(dtype)
            stream.seek(at)
            if stream.read(dtype.itemsize) != value.tobytes():
                return None
    return start


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
        what has no `place`, foreign byte order, bfloat16. It outlives the open file.
    """
    dtype = source.dtype
    if dtype.kind != "f" or not dtype.isnative:
        return None
    offset = place(source)
    if offset is None:
        return None
    return np.memmap(source.file.filename, dtype, "r", offset, source.shape)
