"""Arrays in a model file, before their values are read."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.hdf5_matrix import Hdf5Matrix
from nninvert.linalg.stored import ArrayMatrix, StoredMatrix

if TYPE_CHECKING:
    import h5py

    from nninvert.npz import NpzMember

MAP_BYTES = 1 << 20
"""Larger matrices stay in the file: reading less than this costs no more than mapping."""


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

    @abstractmethod
    def matrix(self) -> StoredMatrix:
        """A two-dimensional array as a matrix; a large one stays in the file."""


class Hdf5Array(StoredArray):
    """A data set from `nninvert.hdf5.dataset`, usable while its file is open."""

    def __init__(self, source: h5py.Dataset) -> None:
        self._source = source
        self.where = str(source.name)
        self.shape = tuple(int(n) for n in source.shape)
        self.dtype = np.dtype(source.dtype)

    def read(self) -> NDArray[np.generic]:
        """Read through the HDF5 library."""
        from nninvert import hdf5

        return hdf5.read(self._source)

    def matrix(self) -> StoredMatrix:
        """Mapped if large and stored as one piece, read in blocks if large otherwise."""
        from nninvert import hdf5

        if self.size * self.dtype.itemsize > MAP_BYTES:
            view = hdf5.mapped(self._source)
            if view is not None:
                return ArrayMatrix(view)
            if self.dtype.kind != "V":  # bfloat16 has to be converted
                return Hdf5Matrix(self._source.file.filename, self.where)
        return ArrayMatrix(self.read())


class NpzArray(StoredArray):
    """A member of an .npz file."""

    def __init__(self, member: NpzMember) -> None:
        self._member = member
        self.where = member.name
        self.shape = member.header.shape
        self.dtype = member.header.dtype

    def read(self) -> NDArray[np.generic]:
        """Read the member."""
        return self._member.read()

    def matrix(self) -> StoredMatrix:
        """Mapped if large and stored uncompressed."""
        if self.size * self.dtype.itemsize > MAP_BYTES:
            view = self._member.mapped()
            if view is not None:
                return ArrayMatrix(view)
        return ArrayMatrix(self._member.read())
