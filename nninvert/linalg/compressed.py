"""From the arrays that people store sparse matrices in to one checked form.

What comes from a file is believed nowhere: sizes must agree, indices lie inside the shape,
and a shape must be in proportion to what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, LimitError
from nninvert.linalg.sparse import SparseMatrix

Array = NDArray[np.generic]
Wholes = NDArray[np.int64]

PARTS: dict[str, tuple[str, ...]] = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr"),
    "coo": ("data", "row", "col"),
    "dia": ("data", "offsets"),
}
"""The arrays of each layout, by SciPy's names."""

MOST_LINES = 2**31 - 1
"""Largest number of rows or columns: SuperLU counts in 32 bits."""

MOST_EMPTY = 1000
"""Rows and columns may be so many times as many as entries: a layer has at least about
one weight for each of its inputs and outputs."""

_FEW = 1000
"""Entries that are granted to every matrix in that comparison."""


def compressed(
    layout: str, parts: Mapping[str, Array], shape: tuple[int, ...], field: str = "weights"
) -> SparseMatrix:
    """Check the arrays of a sparse matrix and bring them into compressed lines.

    Parameters
    ----------
    layout : str
        A key of `PARTS`.
    parts : mapping of str to array
        At least the arrays of that layout.
    shape : tuple of int
        (rows, columns), as claimed.
    field : str, default "weights"
        What messages call the matrix.

    Returns
    -------
    SparseMatrix
        Indices ascending; entries that share a place are summed in float64. Compressed
        columns for "csc", else rows.

    Raises
    ------
    FormatError
        If the arrays do not fit each other, or an index lies outside the shape.
    LimitError
        If the shape is out of proportion to what is stored.
    """
    if layout not in PARTS:
        raise FormatError(
            field, got=f"sparse layout {layout!r}", expected=" or ".join(PARTS)
        )
    missing = [name for name in PARTS[layout] if name not in parts]
    if missing:
        raise FormatError(field, got=f"no {missing[0]!r}", expected=f"a {layout} matrix")
    checked = {name: parts[name] for name in PARTS[layout]}
    for name, array in checked.items():
        _check_type(name, array, field)
    size = _checked_shape(shape, checked["data"].size, field)
    return _BUILDERS[layout](checked, size, field)


def _check_type(name: str, array: Array, field: str) -> None:
    kinds = "iuf" if name == "data" else "iu"
    if array.dtype.kind not in kinds:
        raise FormatError(
            field,
            got=f"{name} of type {array.dtype}",
            expected="real numbers" if name == "data" else "whole numbers",
        )


def _checked_shape(shape: tuple[int, ...], count: int, field: str) -> tuple[int, int]:
    if len(shape) != 2 or min(shape) < 1:
        raise FormatError(field, got=f"shape {shape}", expected="rows and columns")
    most = min(MOST_LINES, MOST_EMPTY * max(count, _FEW))
    if max(shape) > most:
        raise LimitError(
            field,
            got=f"shape {shape} with {count:,} entries",
            expected=f"at most {most:,} rows and columns",
            because="nearly all of them would be empty",
        )
    return shape[0], shape[1]


def _lines(parts: Mapping[str, Array], shape: tuple[int, int], field: str) -> SparseMatrix:
    """Compressed rows."""
    pointers = _pointers(parts, shape[0], field)
    count = int(pointers[-1])
    data, places = parts["data"], parts["indices"]
    if data.ndim != 1 or places.ndim != 1 or data.size < count or places.size < count:
        raise FormatError(
            field,
            got=f"data {data.shape}, indices {places.shape}, indptr ending in {count}",
            expected="as many entries and indices as indptr ends in",
        )
    data, places = data[:count], places[:count]
    _check_range(places, shape[1], "indices", field)
    index = _index_type(shape, count)
    if _ascending(places, pointers):
        return SparseMatrix(data, places.astype(index), pointers.astype(index), shape)
    rows = np.repeat(np.arange(shape[0]), np.diff(pointers))
    return _triplets(data, rows, places.astype(np.int64), shape)


def _columns(
    parts: Mapping[str, Array], shape: tuple[int, int], field: str
) -> SparseMatrix:
    """Compressed columns are the compressed rows of the transpose."""
    return _lines(parts, (shape[1], shape[0]), field).transposed


def _coordinates(
    parts: Mapping[str, Array], shape: tuple[int, int], field: str
) -> SparseMatrix:
    data, rows, columns = (parts[name] for name in PARTS["coo"])
    if not (data.ndim == rows.ndim == columns.ndim == 1):
        raise FormatError(field, got=f"data {data.shape}", expected="vectors")
    if not (data.size == rows.size == columns.size):
        raise FormatError(
            field,
            got=f"{data.size} entries, {rows.size} rows, {columns.size} columns",
            expected="as many of each",
        )
    _check_range(rows, shape[0], "row", field)
    _check_range(columns, shape[1], "col", field)
    return _triplets(data, rows.astype(np.int64), columns.astype(np.int64), shape)


def _blocks(parts: Mapping[str, Array], shape: tuple[int, int], field: str) -> SparseMatrix:
    """Dense blocks in compressed rows of blocks; zeros in them are left out."""
    data, places = parts["data"], parts["indices"]
    if data.ndim != 3 or min(data.shape[1:]) < 1:
        raise FormatError(field, got=f"data {data.shape}", expected="blocks")
    high, wide = data.shape[1:]
    pointers = _pointers(parts, -(-shape[0] // high), field)
    count = int(pointers[-1])
    if shape[0] % high or shape[1] % wide or places.ndim != 1 or count > len(data):
        raise FormatError(
            field,
            got=f"blocks {data.shape} in shape {shape}, {count} of them used",
            expected="blocks that divide the shape",
        )
    if places.size < count:
        raise FormatError(field, got=f"{places.size} indices", expected=str(count))
    data, places = data[:count], places[:count].astype(np.int64)
    _check_range(places, shape[1] // wide, "indices", field)
    rows = np.repeat(np.arange(len(pointers) - 1), np.diff(pointers))
    block, i, j = np.nonzero(data)
    return _triplets(
        data[block, i, j], rows[block] * high + i, places[block] * wide + j, shape
    )


def _diagonals(
    parts: Mapping[str, Array], shape: tuple[int, int], field: str
) -> SparseMatrix:
    """``data[k, j]`` is the entry in row ``j - offsets[k]``, column j."""
    data, offsets = parts["data"], parts["offsets"]
    if data.ndim != 2 or offsets.shape != data.shape[:1]:
        raise FormatError(
            field,
            got=f"data {data.shape}, offsets {offsets.shape}",
            expected="one row of data for each offset",
        )
    diagonal, columns = np.nonzero(data[:, : shape[1]])
    if offsets.size and int(np.abs(offsets.astype(np.float64)).max()) > MOST_LINES:
        raise FormatError(field, got="an offset beyond all rows", expected="offsets")
    rows = columns - offsets.astype(np.int64)[diagonal]
    inside = (rows >= 0) & (rows < shape[0])
    diagonal, rows, columns = diagonal[inside], rows[inside], columns[inside]
    return _triplets(data[diagonal, columns], rows, columns, shape)


_Builder = Callable[[Mapping[str, Array], tuple[int, int], str], SparseMatrix]
_BUILDERS: dict[str, _Builder] = {
    "csr": _lines,
    "csc": _columns,
    "bsr": _blocks,
    "coo": _coordinates,
    "dia": _diagonals,
}


def _pointers(parts: Mapping[str, Array], lines: int, field: str) -> Wholes:
    """A checked indptr."""
    given = parts["indptr"]
    if given.shape != (lines + 1,):
        raise FormatError(
            field,
            got=f"indptr of shape {given.shape}",
            expected=f"({lines + 1},), one more than lines",
        )
    pointers = given.astype(np.int64)
    if pointers[0] != 0 or (np.diff(pointers) < 0).any():
        raise FormatError(
            field,
            got="an indptr that falls, or does not begin with 0",
            expected="places that ascend from 0",
        )
    return pointers


def _check_range(indices: Array, end: int, name: str, field: str) -> None:
    if not indices.size:
        return
    low, high = int(indices.min()), int(indices.max())
    if low < 0 or high >= end:
        raise FormatError(
            field,
            got=f"{name} from {low} to {high}",
            expected=f"0 to {end - 1}, as the shape says",
        )


def _ascending(indices: Array, pointers: Wholes) -> bool:
    """Whether the indices of each line ascend without repetition."""
    # Compared, not subtracted: unsigned numbers have no negative differences.
    rising = np.greater(indices[1:], indices[:-1])
    starts = pointers[1:-1]
    rising[starts[(starts > 0) & (starts < indices.size)] - 1] = True
    return bool(rising.all())


def _triplets(
    data: Array, rows: Wholes, columns: Wholes, shape: tuple[int, int]
) -> SparseMatrix:
    """Compressed rows of entries in any order, those of one place summed."""
    order = np.lexsort((columns, rows))
    data, rows, columns = data[order], rows[order], columns[order]
    new = np.ones(data.size, dtype=np.bool_)
    new[1:] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
    if not new.all():
        data = np.add.reduceat(data.astype(np.float64), np.flatnonzero(new))
        rows, columns = rows[new], columns[new]
    index = _index_type(shape, data.size)
    pointers = np.zeros(shape[0] + 1, dtype=index)
    np.cumsum(np.bincount(rows, minlength=shape[0]), out=pointers[1:])
    return SparseMatrix(data, columns.astype(index), pointers, shape)


def _index_type(shape: tuple[int, int], count: int) -> type[np.signedinteger[Any]]:
    return np.int32 if max(*shape, count) <= MOST_LINES else np.int64
