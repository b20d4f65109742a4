"""Matrices as they are stored: in a file as one piece, in its chunks, or in memory.

Weights are exact numbers in their stored type and are never copied whole without need.
Whoever computes with them reads blocks or streams stripes, which are cast on the way.
"""

from __future__ import annotations

import hashlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import DTypeLike, NDArray

from nninvert import tolerances
from nninvert.linalg.casting import BFLOAT16, BFLOAT16_EPS, cast
from nninvert.linalg.passes import over_stripes

Array = NDArray[np.generic]
Float64 = NDArray[np.float64]
Stripe = tuple[slice, slice, Float64]

_numbers = itertools.count()

_SAMPLES = 64
_SAMPLE_BYTES = 1 << 16
_GOLDEN = 0.6180339887498949
"""Multiples of it, modulo 1, spread evenly however many are taken."""


@dataclass(frozen=True)
class NonFinite:
    """Where a matrix holds NaN or infinity."""

    count: int
    row: int
    column: int
    value: float


class StoredMatrix(ABC):
    """A two-dimensional array of weights that can be read in blocks.

    Parameters
    ----------
    shape : (int, int)
    dtype : dtype
        The type in which `read` hands out numbers.
    stored_name : str, default the name of `dtype`
        The type in which they are stored; "bfloat16" is read as float32, without loss.
    column_major : bool, default False

    Attributes
    ----------
    shape : (int, int)
    dtype : numpy.dtype
        In native byte order.
    stored_name : str
    column_major : bool
        Whether whole columns lie together in storage, so that they, and not whole rows,
        are what is read cheaply. A Keras kernel, transposed, is column-major.
    identity : tuple of str
        Tells this matrix from all others of the process; a transpose has its base's and
        "T". Weights do not change while a process holds them.
    """

    shape: tuple[int, int]
    dtype: np.dtype[np.generic]
    stored_name: str
    column_major: bool
    identity: tuple[str, ...]

    def __init__(
        self,
        shape: tuple[int, int],
        dtype: DTypeLike,
        stored_name: str | None = None,
        column_major: bool = False,
    ) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype).newbyteorder("=")
        self.stored_name = stored_name or self.dtype.name
        self.column_major = column_major
        self.identity = (str(next(_numbers)),)
        self._finite = self.dtype.kind != "f"

    @abstractmethod
    def read(self, rows: slice, cols: slice, out: Array | None = None) -> Array:
        """Return a block; into `out` where given, else possibly a view.

        Parameters
        ----------
        rows, cols : slice
            Without steps.
        out : array of any float type, in either order, or None
            Of the block's shape; values are cast into it.
        """

    @abstractmethod
    def _lines(self, count: int) -> Iterator[tuple[slice, Array]]:
        """Once through the matrix in storage order, `count` lines or fewer at a time.

        Lines are rows, or columns of a column-major matrix; a block has one line in each
        of its rows and is of type `dtype`. It is valid until the next step.
        """

    def part(self, lines: slice) -> StoredMatrix | None:
        """Some whole lines, for a pass that several threads share.

        None where one thread reads best. Values, stripes and nothing else are meant to be
        asked of a part: its identity is that of no other matrix.
        """
        return None

    @property
    def itemsize(self) -> int:
        """Bytes of one number in the stored type."""
        return 2 if self.stored_name == BFLOAT16 else self.dtype.itemsize

    @property
    def size(self) -> int:
        """How many numbers are stored."""
        return self.shape[0] * self.shape[1]

    @property
    def nbytes(self) -> int:
        """Bytes in the stored type."""
        return self.size * self.itemsize

    @property
    def stored_eps(self) -> float:
        """Spacing at 1 of the stored type; that of float64 for integers."""
        if self.stored_name == BFLOAT16:
            return BFLOAT16_EPS
        return tolerances.stored_eps(self.dtype)

    def stripes(self, nbytes: int | None = None) -> Iterator[Stripe]:
        """Iterate once through the matrix in storage order, in float64.

        Parameters
        ----------
        nbytes : int or None
            Of float64 in a stripe; at least one line is taken. Default:
            `tolerances.STRIPE_BYTES`, which stays in a processor's cache.

        Yields
        ------
        rows, cols : slice
            Whole rows, or whole columns of a column-major matrix.
        block : float64 array
            Valid until the next step and not to be written to.
        """
        lines, length = self.shape[:: -1 if self.column_major else 1]
        wanted = nbytes or tolerances.STRIPE_BYTES
        step = max(1, min(wanted, tolerances.BLOCK_BYTES) // max(1, 8 * length))
        buffer: Float64 | None = None
        for span, values in self._lines(step):
            if values.dtype == np.float64:
                block = values
            else:
                if buffer is None:
                    buffer = np.empty((min(step, lines), length))
                block = buffer[: values.shape[0]]
                cast(values, block)
            if self.column_major:
                yield slice(0, length), span, block.T  # type: ignore[misc]
            else:
                yield span, slice(0, length), block  # type: ignore[misc]

    def blocks(self) -> Iterator[tuple[slice, Array]]:
        """Iterate over blocks of whole rows in order, in the type that `read` gives.

        A block is valid until the next step.
        """
        step = max(1, tolerances.BLOCK_BYTES // max(1, 8 * self.shape[1]))
        if not self.column_major:
            yield from self._lines(step)
            return
        for start in range(0, self.shape[0], step):
            rows = slice(start, min(start + step, self.shape[0]))
            yield rows, self.read(rows, slice(None))

    def to_float64(self) -> Float64:
        """Return the whole matrix as float64; a view where it is that already."""
        out = np.empty(self.shape, order="F" if self.column_major else "C")
        self.read(slice(None), slice(None), out)
        return out

    def digest(self) -> str:
        """SHA-256 of shape, type and values in row order: one pass over the matrix."""
        made = self._hash_of_type()
        for _, block in self.blocks():
            made.update(_as_bytes(block))
        return made.hexdigest()

    def fingerprint(self) -> str:
        """SHA-256 of shape, type and a sample of the values.

        The sample is 64 pieces of at most 64 KiB, evenly spread and always the same, the
        first and the last values among them; a matrix that is no larger is taken whole.
        """
        if self.nbytes <= _SAMPLES * _SAMPLE_BYTES:
            return self.digest()
        made = self._hash_of_type()
        m, n = self.shape
        width = min(n, _SAMPLE_BYTES // self.itemsize)
        for k in range(_SAMPLES):
            row = k * (m - 1) // (_SAMPLES - 1)
            place = 1.0 if k == _SAMPLES - 1 else k * _GOLDEN % 1.0
            start = int(place * (n - width))
            piece = self.read(slice(row, row + 1), slice(start, start + width))
            made.update(_as_bytes(piece))
        return made.hexdigest()

    def first_non_finite(self) -> NonFinite | None:
        """Look for NaN and infinity: one pass, or none where it is known already."""
        if self.known_finite:
            return None
        found = [each for part in over_stripes(self, _non_finite) for each in part]
        if found:
            first = min(found, key=lambda each: (each.row, each.column))
            return replace(first, count=sum(each.count for each in found))
        self.mark_finite()
        return None

    @property
    def known_finite(self) -> bool:
        """Whether all values were found to be finite, or are integers."""
        return self._finite

    def mark_finite(self) -> None:
        """Remember that all values are finite, for whoever has seen them all."""
        self._finite = True

    @property
    def transposed(self) -> StoredMatrix:
        """The transpose, still reading from the same place."""
        return TransposedMatrix(self)

    @property
    def columns_together(self) -> StoredMatrix:
        """The matrix or its transpose, whichever is column-major."""
        return self if self.column_major else self.transposed

    def _hash_of_type(self) -> hashlib._Hash:
        return hashlib.sha256(f"{self.shape} {self.stored_name}".encode())


class ArrayMatrix(StoredMatrix):
    """A matrix in memory or mapped from a file.

    Parameters
    ----------
    array : ndarray, shape (m, n)
        Of a floating-point or integer type; not copied, not to be modified afterwards.
    stored_name : str, default the name of its type
        "bfloat16" if the values come from there.
    """

    def __init__(self, array: Array, stored_name: str | None = None) -> None:
        if array.ndim != 2:
            raise ValueError(f"a matrix has two dimensions, this array {array.ndim}")
        flags = array.flags
        super().__init__(
            (array.shape[0], array.shape[1]),
            array.dtype,
            stored_name,
            column_major=flags.f_contiguous and not flags.c_contiguous,
        )
        self.array = array

    def read(self, rows: slice, cols: slice, out: Array | None = None) -> Array:
        """Return a view, or the block copied into `out`."""
        block = self.array[rows, cols]
        if out is None:
            return block.astype(self.dtype, copy=False)
        cast(block, out)
        return out

    def to_float64(self) -> Float64:
        """Return the whole matrix as float64; the array itself where it is that."""
        if self.array.dtype == np.float64:
            return self.read(slice(None), slice(None))  # type: ignore[return-value]
        return super().to_float64()

    def part(self, lines: slice) -> StoredMatrix:
        """A view."""
        if self.column_major:
            return ArrayMatrix(self.array.T[lines], self.stored_name).transposed
        return ArrayMatrix(self.array[lines], self.stored_name)

    def _lines(self, count: int) -> Iterator[tuple[slice, Array]]:
        array = self.array.T if self.column_major else self.array
        for start in range(0, array.shape[0], count):
            block = array[start : start + count]
            span = slice(start, start + block.shape[0])
            yield span, block.astype(self.dtype, copy=False)


class TransposedMatrix(StoredMatrix):
    """The transpose of a stored matrix, without moving a number."""

    def __init__(self, base: StoredMatrix) -> None:
        super().__init__(
            (base.shape[1], base.shape[0]),
            base.dtype,
            base.stored_name,
            column_major=not base.column_major,
        )
        self.base = base
        self.identity = (*base.identity, "T")

    def read(self, rows: slice, cols: slice, out: Array | None = None) -> Array:
        """Read the block of the base and hand out its transpose."""
        if out is None:
            return self.base.read(cols, rows).T
        self.base.read(cols, rows, out.T)
        return out

    def part(self, lines: slice) -> StoredMatrix | None:
        """The transpose of the base's."""
        part = self.base.part(lines)
        return None if part is None else part.transposed

    def to_float64(self) -> Float64:
        """Return the transpose of the base's."""
        return self.base.to_float64().T

    def digest(self) -> str:
        """Digest of the base, marked as transposed: read in its storage order."""
        return self.base.digest() + "T"

    def fingerprint(self) -> str:
        """Fingerprint of the base, marked as transposed."""
        return self.base.fingerprint() + "T"

    @property
    def known_finite(self) -> bool:
        """Whether the base is known to be finite."""
        return self.base.known_finite

    def mark_finite(self) -> None:
        """Remember it for the base."""
        self.base.mark_finite()

    @property
    def transposed(self) -> StoredMatrix:
        """The base itself."""
        return self.base

    def _lines(self, count: int) -> Iterator[tuple[slice, Array]]:
        return self.base._lines(count)


def _non_finite(stripes: Iterator[Stripe]) -> list[NonFinite]:
    """One for each stripe that holds any."""
    found = []
    for rows, cols, block in stripes:
        # A sum is finite if all its terms are, unless it overflows.
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(block.sum()):
                continue
        bad = np.argwhere(~np.isfinite(block))
        if bad.size:
            i, j = (int(k) for k in bad[0])
            place = rows.start + i, cols.start + j
            found.append(NonFinite(len(bad), *place, float(block[i, j])))
    return found


def _as_bytes(block: Array) -> memoryview:
    """Values in row order, little-endian on every machine."""
    little = block.astype(block.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little).data
