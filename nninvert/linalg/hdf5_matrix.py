"""Matrices in HDF5 data sets that do not lie in the file as one piece of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from nninvert.linalg.casting import BFLOAT16, cast
from nninvert.linalg.stored import Array, StoredMatrix

if TYPE_CHECKING:
    import h5py

    from nninvert.hdf5 import Inside

BAND_BYTES = 256 * 2**20
"""Most bytes of unpacked chunks held at a time, in the stored type. A row of the chunks
that h5py proposes for 100,000 columns of float32 has 150 MiB."""

READ_BYTES = 16 * 2**20
"""Bytes read at a time, in the stored type, into an array that is there already; more
where a row of chunks holds more."""


class Hdf5Matrix(StoredMatrix):
    """A data set of chunks, compressed or not, or of integers.

    The file is opened for each block, or once for a pass through the whole matrix, and
    closed again, so that no handle outlives a read. A pass unpacks every chunk once: it
    takes whole rows of chunks, or whole columns where those hold less.

    Parameters
    ----------
    path : str
        The HDF5 file.
    name : str
        Path of the dataset inside it, verified by the reader.
    inside : hdf5.Inside or None, default None
        Where the HDF5 file lies in the one at `path`.
    """

    def __init__(self, path: str, name: str, inside: Inside | None = None) -> None:
        from nninvert import hdf5

        self.path, self.name, self._inside = path, name, inside
        with hdf5.open_hdf5(path, inside) as file:
            dataset = hdf5.dataset(file, name)
            if len(dataset.shape) != 2:
                raise ValueError(f"a matrix has two dimensions, not {dataset.shape}")
            m, n = (int(size) for size in dataset.shape)
            chunks = dataset.chunks or (1, n)
            opaque = np.dtype(dataset.dtype).kind == "V"
            dtype = np.dtype(np.float32 if opaque else dataset.dtype)
        tall = m * chunks[1] < chunks[0] * n
        self._depth = chunks[1] if tall else chunks[0]
        super().__init__((m, n), dtype, BFLOAT16 if opaque else None, column_major=tall)

    def read(self, rows: slice, cols: slice, out: Array | None = None) -> Array:
        """Read a block through the HDF5 library.

        Raises
        ------
        FormatError
            If the file was damaged or cut off since, or a chunk cannot be unpacked.
        """
        from nninvert import hdf5

        with hdf5.open_hdf5(self.path, self._inside) as file:
            dataset = hdf5.dataset(file, self.name)
            if out is None:
                return hdf5.read_block(dataset, rows, cols)
            along, across = (cols, rows) if self.column_major else (rows, cols)
            into = out.T if self.column_major else out
            lines, length = self.shape[:: -1 if self.column_major else 1]
            first, last, _ = along.indices(lines)
            width = len(range(*across.indices(length)))
            band = self._band(READ_BYTES // max(1, self.itemsize * width), width)
            for top in range(first - first % band, last, band):
                span = slice(max(top, first), min(top + band, last))
                held = self._read_band(dataset, span, across)
                cast(held, into[span.start - first : span.stop - first])
        return out

    def _lines(self, count: int) -> Iterator[tuple[slice, Array]]:
        from nninvert import hdf5

        lines, length = self.shape[:: -1 if self.column_major else 1]
        band = self._band(count, length)
        with hdf5.open_hdf5(self.path, self._inside) as file:
            dataset = hdf5.dataset(file, self.name)
            for top in range(0, lines, band):
                span = slice(top, min(top + band, lines))
                held = self._read_band(dataset, span, slice(0, length))
                for start in range(0, held.shape[0], count):
                    block = held[start : start + count]
                    yield slice(top + start, top + start + block.shape[0]), block

    def _read_band(self, dataset: h5py.Dataset, span: slice, across: slice) -> Array:
        from nninvert import hdf5

        if self.column_major:
            return hdf5.read_block(dataset, across, span).T
        return hdf5.read_block(dataset, span, across)

    def _band(self, count: int, length: int) -> int:
        """Lines read at a time: whole chunks as far as memory allows."""
        most = max(1, BAND_BYTES // max(1, self.itemsize * length))
        if most < self._depth:
            return most
        return min(most, max(count, self._depth)) // self._depth * self._depth
