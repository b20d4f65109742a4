"""Sparse matrices in files: SciPy's NPZ, and groups of arrays in HDF5 or NPZ.

SciPy's `save_npz` writes the members format, shape, data and indices. In HDF5 the same
arrays stand in a group; its attributes, or data sets beside them, say shape and layout.
Seen in the wild: anndata (encoding-type, shape), h5sparse (h5sparse_format,
h5sparse_shape), 10x Genomics (a data set "shape"), MATLAB 7.3 (ir, jc, MATLAB_sparse).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError
from nninvert.formats._arrays import Hdf5Array, NpzArray, StoredArray
from nninvert.formats._options import OUT_IN
from nninvert.formats.bare import BareReader
from nninvert.formats.bare_names import TEXTBOOK, BareWeights, bare_layer, left_out_note
from nninvert.layers import Weights
from nninvert.linalg.compressed import PARTS, compressed
from nninvert.linalg.sparse import SparseMatrix
from nninvert.linalg.stored import StoredMatrix

if TYPE_CHECKING:
    import h5py

_ROOT_NAME = "W"
"""What a matrix is called whose file gives it no name."""

_COMPRESSED = frozenset(PARTS["csr"])
_MATLAB = {"data": "data", "ir": "indices", "jc": "indptr"}
_LAYOUT_ATTRIBUTES = ("encoding-type", "h5sparse_format", "format")
_SHAPE_ATTRIBUTES = ("shape", "h5sparse_shape")


class SparseArray(StoredArray):
    """A sparse matrix of a file: its layout, and the arrays that make it up.

    Parameters
    ----------
    where : str
        Its path or name in the file.
    layout : str
        A key of `nninvert.linalg.compressed.PARTS`.
    parts : mapping of str to StoredArray
    shape : tuple of int
        As claimed; checked when the matrix is made.

    Attributes
    ----------
    members : frozenset of str
        Paths that belong to it, as far as they exist.
    """

    def __init__(
        self,
        where: str,
        layout: str,
        parts: Mapping[str, StoredArray],
        shape: tuple[int, ...],
    ) -> None:
        if "data" not in parts:
            raise FormatError(f"'{where}'", got="no 'data'", expected="a sparse matrix")
        self.where, self.shape = where, shape
        self.dtype = parts["data"].dtype
        self._layout, self._parts = layout, dict(parts)
        self.members = frozenset(
            f"{where}/{name}".removeprefix("/")
            for name in ("shape", "format", *_COMPRESSED, *_MATLAB)
        )

    @property
    def size(self) -> int:
        """How many entries are stored."""
        return self._parts["data"].size

    def read(self) -> NDArray[np.generic]:
        """The entries alone."""
        return self.matrix().data

    def matrix(self) -> SparseMatrix:
        """Check the arrays and put them together; they are held in memory.

        Raises
        ------
        FormatError
            If they do not fit each other or the shape.
        """
        return self._matrix

    @cached_property
    def _matrix(self) -> SparseMatrix:
        return self._in_file()

    def _in_file(self) -> SparseMatrix:
        needed = PARTS.get(self._layout, ())
        arrays = {name: part.read() for name, part in self._parts.items() if name in needed}
        return compressed(self._layout, arrays, self.shape, f"'{self.where or _ROOT_NAME}'")


class SparseNpz(BareReader):
    """One sparse matrix in an .npz file."""

    name = "SciPy sparse NPZ"
    suffixes = (".npz",)
    reads = "one sparse matrix, as scipy.sparse.save_npz writes it"

    def sniff(self, head: bytes, path: str) -> bool:
        """A zip of .npy members, among them format, shape and data."""
        from nninvert.archive import ZIP_MAGIC, member_names
        from nninvert.npz import is_npz

        if not head.startswith(ZIP_MAGIC) or not is_npz(path):
            return False
        return {"format.npy", "shape.npy", "data.npy"} <= set(member_names(path))

    def collect(self, path: str) -> BareWeights:
        """The matrix as a layer without bias."""
        from nninvert.npz import list_npz, member_text

        layout = member_text(path, "format")
        members = list_npz(path).arrays
        if "data" not in members or "shape" not in members:
            raise FormatError("'data'", got="no numbers", expected="a sparse matrix")
        shape = whole_numbers(members["shape"].read(), "'shape'")
        parts = {name: NpzArray(member) for name, member in members.items()}
        return single_matrix(SparseArray("", layout, parts, shape), self.name, ())


def single_matrix(
    array: SparseArray, format_name: str, left_out: Sequence[str]
) -> BareWeights:
    """A file whose only matrix is sparse, as one layer without bias."""
    layer = bare_layer(array.where or _ROOT_NAME, [array])
    notes = left_out_note(left_out)
    return BareWeights(format_name, ((layer,),), OUT_IN, TEXTBOOK, notes)


def whole_numbers(values: NDArray[np.generic], field: str) -> tuple[int, ...]:
    """A shape that was stored as an array of a few whole numbers.

    Raises
    ------
    FormatError
        If it is something else.
    """
    if values.dtype.kind not in "iu" or values.ndim != 1 or values.size > 2:
        raise FormatError(
            field,
            got=f"an array of shape {values.shape} and type {values.dtype}",
            expected="two whole numbers: rows and columns",
        )
    return tuple(int(value) for value in values)


def sparse_groups(file: h5py.File, names: Sequence[str]) -> dict[str, SparseArray]:
    """Find the groups of an HDF5 file that hold sparse matrices.

    Parameters
    ----------
    file : h5py.File
    names : sequence of str
        Paths of its data sets.

    Returns
    -------
    dict of str to SparseArray
        By the path of the group, "" for the file itself.

    Raises
    ------
    FormatError
        If a group has the arrays but says no shape, or one that is none.
    """
    held: dict[str, set[str]] = {}
    for name in names:
        group, _, last = name.rpartition("/")
        held.setdefault(group, set()).add(last)
    found = {}
    for group, members in held.items():
        if members >= _COMPRESSED:
            found[group] = _hdf5_group(file, group, members)
        elif members >= set(_MATLAB):
            found[group] = _matlab_group(file, group)
    return found


def _hdf5_group(file: h5py.File, path: str, members: set[str]) -> SparseArray:
    from nninvert import hdf5

    group = hdf5.child(file, path)
    parts = {name: Hdf5Array(hdf5.dataset(group, name)) for name in PARTS["csr"]}
    shape = _shape(group, members)
    lines = parts["indptr"].size - 1
    layout = _layout(group)
    if not layout:
        # Where nothing says it, only columns fit, or rows are what is usual.
        layout = "csc" if shape[:1] != (lines,) and shape[1:] == (lines,) else "csr"
    return SparseArray(path, layout, parts, shape)


def _layout(group: h5py.Group) -> str:
    """What the group's attributes say; "" if nothing."""
    from nninvert import hdf5

    for name in _LAYOUT_ATTRIBUTES:
        text = hdf5.attribute_text(group, name)
        if text:
            return text.removesuffix("_matrix")
    return ""


def _shape(group: h5py.Group, members: set[str]) -> tuple[int, ...]:
    from nninvert import hdf5

    for name in _SHAPE_ATTRIBUTES:
        numbers = hdf5.attribute_numbers(group, name)
        if numbers is not None:
            return numbers
    if "shape" in members:
        field = f"'{group.name}/shape'"
        source = hdf5.dataset(group, "shape")
        if source.size <= 2:
            return whole_numbers(hdf5.read(source), field)
    raise FormatError(
        f"'{group.name}'",
        got="data, indices and indptr without a shape",
        expected="an attribute or a data set 'shape': rows and columns",
    )


def _matlab_group(file: h5py.File, path: str) -> SparseArray:
    """Compressed columns: ir are rows, jc pointers, the attribute counts the rows."""
    from nninvert import hdf5

    group = hdf5.child(file, path)
    parts = {new: Hdf5Array(hdf5.dataset(group, old)) for old, new in _MATLAB.items()}
    rows = hdf5.attribute_numbers(group, "MATLAB_sparse")
    if rows is None or len(rows) != 1:
        raise FormatError(
            f"'{group.name}'",
            got="data, ir and jc without a number of rows",
            expected="the attribute MATLAB_sparse, as MATLAB writes it",
        )
    shape = rows[0], parts["indptr"].size - 1
    return SparseArray(path, "csc", parts, shape)


def layout_of(matrix: SparseMatrix) -> str:
    """How the arrays of a matrix lie: "csr" or "csc"."""
    return "csc" if matrix.column_major else "csr"


def separated(weights: Weights) -> Weights:
    """Weights with the arrays of each sparse matrix in its place, named below it."""
    found: dict[str, StoredMatrix | NDArray[np.generic]] = {}
    for name, values in weights.items():
        if isinstance(values, SparseMatrix):
            for part in PARTS["csr"]:
                found[f"{name}/{part}"] = getattr(values, part)
        else:
            found[name] = values
    return found


def with_sparse(
    arrays: Mapping[str, StoredArray], described: Mapping[str, Mapping[str, Any]]
) -> dict[str, StoredArray]:
    """Undo `separated`, by what a file says of its sparse matrices.

    Parameters
    ----------
    arrays : mapping of str to StoredArray
        As in the file.
    described : mapping of str to mapping
        For each sparse matrix its "layout" and "shape".
    """
    found = dict(arrays)
    for name, entry in described.items():
        parts = {part: found.pop(f"{name}/{part}") for part in PARTS["csr"]}
        shape = tuple(int(n) for n in entry["shape"])
        found[name] = SparseArray(name, str(entry["layout"]), parts, shape)
    return found
