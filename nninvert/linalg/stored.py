"""Matrices as they are stored: mapped, in a file's chunks, or in memory.

Weights are exact numbers in their stored type and are never copied whole without need.
Whoever computes with them reads blocks and casts those.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances

Array = NDArray[np.generic]


@dataclass(frozen=True)
class NonFinite:
    """Where a matrix holds NaN or infinity."""

    count: int
    row: int
    column: int
    value: float


class StoredMatrix(ABC):
    """A two-dimensional array of weights that can be read in blocks.

    Attributes
    ----------
    shape : (int, int)
    dtype : numpy.dtype
        The stored type; `read` returns it unchanged, in native byte order.
    """

    shape: tuple[int, int]
    dtype: np.dtype[np.generic]

    @abstractmethod
    def read(self, rows: slice, cols: slice, out: Array | None = None) -> Array:
        """Return a block; into `out` where given, else possibly a view."""

    @property
    def nbytes(self) -> int:
        """Bytes in the stored type."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    @property
    def row_block(self) -> int:
        """How many rows of float64 make a block of modest size."""
        return max(1, tolerances.BLOCK_BYTES // max(1, 8 * self.shape[1]))

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Iterate over blocks of whole rows, in order."""
        step = self.row_block
        for start in range(0, self.shape[0], step):
            rows = slice(start, min(start + step, self.shape[0]))
            yield rows, self.read(rows, slice(None))

    def to_float64(self) -> NDArray[np.float64]:
        """Return the whole matrix as float64; a view where it is that already."""
        whole = self.read(slice(None), slice(None))
        return np.asarray(whole, dtype=np.float64)

    def digest(self) -> str:
        """SHA-256 of shape, type and values: one pass over the matrix."""
        made = hashlib.sha256(f"{self.shape} {self.dtype.str}".encode())
        for _, block in self.blocks():
            made.update(np.ascontiguousarray(block).tobytes())
        return made.hexdigest()

    def first_non_finite(self) -> NonFinite | None:
        """Look for NaN and infinity: one pass, stopped by nothing but the end."""
        count = 0
        first: tuple[int, int, float] | None = None
        for rows, block in self.blocks():
            bad = ~np.isfinite(block)
            here = int(np.count_nonzero(bad))
            if here and first is None:
                i, j = (int(k) for k in np.argwhere(bad)[0])
                first = (rows.start + i, j, float(block[i, j]))
            count += here
        return None if first is None else NonFinite(count, *first)

    @property
    def transposed(self) -> StoredMatrix:
        """The transpose, still reading from the same place."""
        return TransposedMatrix(self)


class ArrayMatrix(StoredMatrix):
    """A matrix in memory or mapped from a file.

    Parameters
    ----------
    array : ndarray, shape (m, n)
        Of a floating-point or integer type; not copied, not to be modified afterwards.
    """

    def __init__(self, array: Array) -> None:
        if array.ndim != 2:
            raise ValueError(f"a matrix has two dimensions, this array {array.ndim}")
        self.array = array
        self.shape = (array.shape[0], array.shape[1])
        self.dtype = array.dtype.newbyteorder("=")

    def read(self, rows: slice, cols: slice, out: Array | None = None) -> Array:
        """Return a view, or the block copied into `out`."""
        block = self.array[rows, cols]
        if out is None:
            return block.astype(self.dtype, copy=False)
        out[...] = block
        return out


class Hdf5Matrix(StoredMatrix):
    """A dataset that cannot be mapped: chunked, compressed or in foreign byte order.

    The file is opened for each block and closed again, so that no handle outlives a read.

    Parameters
    ----------
    path : str
        The HDF5 file.
    name : str
        Path of the dataset inside it, verified by the reader.
    """

    def __init__(self, path: str, name: str) -> None:
        from nninvert import hdf5

        self.path, self.name = path, name
        with hdf5.open_hdf5(path) as file:
            dataset = hdf5.dataset(file, name)
            if len(dataset.shape) != 2:
                raise ValueError(f"a matrix has two dimensions, not {dataset.shape}")
            self.shape = (int(dataset.shape[0]), int(dataset.shape[1]))
            self.dtype = np.dtype(dataset.dtype).newbyteorder("=")

    def read(self, rows: slice, cols: slice, out: Array | None = None) -> Array:
        """Read a block through the HDF5 library.

        Raises
        ------
        FormatError
            If the file was damaged or cut off since, or a chunk cannot be unpacked.
        """
        from nninvert import hdf5

        with hdf5.open_hdf5(self.path) as file:
            block = hdf5.read_block(hdf5.dataset(file, self.name), rows, cols)
        if out is None:
            return block
        out[...] = block
        return out


class TransposedMatrix(StoredMatrix):
    """The transpose of a stored matrix, without moving a number."""

    def __init__(self, base: StoredMatrix) -> None:
        self.base = base
        self.shape = (base.shape[1], base.shape[0])
        self.dtype = base.dtype

    def read(self, rows: slice, cols: slice, out: Array | None = None) -> Array:
        """Read the block of the base and hand out its transpose."""
        block = self.base.read(cols, rows).T
        if out is None:
            return block
        out[...] = block
        return out

    def digest(self) -> str:
        """Digest of the base, marked as transposed: read in its storage order."""
        return self.base.digest() + "T"

    def first_non_finite(self) -> NonFinite | None:
        """Search the base in its storage order; the place is given in this matrix."""
        found = self.base.first_non_finite()
        if found is None:
            return None
        return NonFinite(found.count, found.column, found.row, found.value)

    @property
    def transposed(self) -> StoredMatrix:
        """The base itself."""
        return self.base
