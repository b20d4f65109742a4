"""Arrays in a model file, before their values are read."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.casting import BFLOAT16, quiet
from nninvert.linalg.file_matrix import FileMatrix
from nninvert.linalg.hdf5_matrix import Hdf5Matrix
from nninvert.linalg.stored import ArrayMatrix, StoredMatrix

if TYPE_CHECKING:
    import h5py

    from nninvert.hdf5 import Inside
    from nninvert.npz import NpzMember

HELD_BYTES = 1 << 20
"""Larger matrices stay in the file; smaller ones are read once and held."""


class StoredArray(ABC):
    """An array of a file: its place, shape and type are known, its values not yet read.

    Attributes
    ----------
    where : str
        Its path or name in the file.
    shape : tuple of int
    dtype : numpy.dtype
    """

    where: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @abstractmethod
    def read(self) -> NDArray[np.generic]:
        """All values, in native byte order."""

    def matrix(self) -> StoredMatrix:
        """A two-dimensional array as a matrix; a large one stays in the file.

        It is one object, however many layers share the array.
        """
        return self._matrix

    @cached_property
    def _matrix(self) -> StoredMatrix:
        large = self.size * self.dtype.itemsize > HELD_BYTES
        found = self._in_file() if large and len(self.shape) == 2 else None
        if found is not None:
            return found
        return ArrayMatrix(self.read(), BFLOAT16 if self.dtype.kind == "V" else None)

    @abstractmethod
    def _in_file(self) -> StoredMatrix | None:
        """The matrix left where it is; None where it has to be unpacked as a whole."""


class Hdf5Array(StoredArray):
    """A data set from `nninvert.hdf5.dataset`, usable while its file is open.

    Parameters
    ----------
    source : h5py.Dataset
    inside : hdf5.Inside or None, default None
        Where its file lies inside another.
    """

    def __init__(self, source: h5py.Dataset, inside: Inside | None = None) -> None:
        self._source, self._inside = source, inside
        self.where = str(source.name)
        self.shape = tuple(int(n) for n in source.shape)
        self.dtype = np.dtype(source.dtype)

    def read(self) -> NDArray[np.generic]:
        """Read through the HDF5 library."""
        from nninvert import hdf5

        return quiet(hdf5.read(self._source))

    def _in_file(self) -> StoredMatrix | None:
        """Read in place if stored as one piece, through the HDF5 library otherwise."""
        from nninvert import hdf5

        if self._inside is None and self._source.file.driver == "fileobj":
            return None  # unpacked in memory
        path = self._source.file.filename
        offset = hdf5.place(self._source, self._inside)
        if offset is None:
            return Hdf5Matrix(path, self.where, self._inside)
        m, n = self.shape
        return FileMatrix(path, offset, (m, n), self.dtype, self.where)


class PieceArray(StoredArray):
    """An array that lies in a file as one piece, its rows one after another.

    Parameters
    ----------
    path : str
    offset : int
        Of the first value, in bytes; the reader has seen that all are there.
    shape : tuple of int
    dtype : numpy.dtype
        In the file's byte order; two opaque bytes stand for bfloat16.
    where : str
        Its name in the file.
    """

    def __init__(
        self,
        path: str,
        offset: int,
        shape: tuple[int, ...],
        dtype: np.dtype[np.generic],
        where: str,
    ) -> None:
        self._path, self._offset = path, offset
        self.shape, self.dtype, self.where = shape, dtype, where

    def read(self) -> NDArray[np.generic]:
        """Read it; bfloat16 becomes float32."""
        flat = FileMatrix(self._path, self._offset, (1, self.size), self.dtype, self.where)
        values = flat.read(slice(0, 1), slice(0, self.size))
        return quiet(values.astype(values.dtype.newbyteorder("=")).reshape(self.shape))

    def reshaped(self, shape: tuple[int, ...]) -> PieceArray:
        """The same numbers in the same place under another shape."""
        return PieceArray(self._path, self._offset, shape, self.dtype, self.where)

    def _in_file(self) -> StoredMatrix:
        """Where it is."""
        m, n = self.shape
        return FileMatrix(self._path, self._offset, (m, n), self.dtype, self.where)


class NpzArray(StoredArray):
    """A member of an .npz file."""

    def __init__(self, member: NpzMember) -> None:
        self._member = member
        self.where = member.name
        self.shape = member.header.shape
        self.dtype = member.header.dtype

    def read(self) -> NDArray[np.generic]:
        """Read the member."""
        return quiet(self._member.read())

    def _in_file(self) -> StoredMatrix | None:
        """Read in place if stored uncompressed, in either order."""
        offset = self._member.place()
        if offset is None or self.dtype.kind != "f":
            return None
        path, header = str(self._member.source), self._member.header
        m, n = self.shape
        if header.fortran_order:
            base = FileMatrix(path, offset, (n, m), self.dtype, self.where)
            return base.transposed
        return FileMatrix(path, offset, (m, n), self.dtype, self.where)
