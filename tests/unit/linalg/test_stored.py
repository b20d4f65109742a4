"""Stored matrices: blocks, digests, transposes, places of bad numbers."""

import h5py
import numpy as np
import pytest

from nninvert import tolerances
from nninvert.errors import FormatError
from nninvert.linalg.hdf5_matrix import Hdf5Matrix
from nninvert.linalg.stored import ArrayMatrix, NonFinite


@pytest.fixture
def array():
    return np.arange(12, dtype=np.float32).reshape(3, 4)


@pytest.fixture(params=["memory", "big endian", "hdf5", "twice transposed"])
def matrix(request, array, tmp_path):
    if request.param == "hdf5":
        path = tmp_path / "weights.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("kernel", data=array, chunks=(2, 2), compression="gzip")
        return Hdf5Matrix(str(path), "kernel")
    if request.param == "big endian":
        return ArrayMatrix(array.astype(">f4"))
    if request.param == "twice transposed":
        return ArrayMatrix(np.ascontiguousarray(array.T)).transposed
    return ArrayMatrix(array)


def test_reads_blocks_in_the_stored_type(matrix, array):
    assert (matrix.shape, matrix.dtype, matrix.nbytes) == ((3, 4), np.dtype("=f4"), 48)
    block = matrix.read(slice(1, 3), slice(0, 2))
    np.testing.assert_array_equal(block, array[1:3, :2])
    assert block.dtype == np.dtype("=f4")


def test_reads_into_an_array(matrix, array):
    out = np.empty((2, 4))
    assert matrix.read(slice(0, 2), slice(None), out) is out
    np.testing.assert_array_equal(out, array[:2])


def test_blocks_cover_all_rows(matrix, array, monkeypatch):
    monkeypatch.setattr(tolerances, "BLOCK_BYTES", 2 * 8 * 4)
    blocks = list(matrix.blocks())
    assert [rows for rows, _ in blocks] == [slice(0, 2), slice(2, 3)]
    np.testing.assert_array_equal(np.vstack([block for _, block in blocks]), array)


def test_transpose_reads_from_the_same_place(matrix, array):
    flipped = matrix.transposed
    assert flipped.shape == (4, 3)
    np.testing.assert_array_equal(flipped.read(slice(1, 4), slice(0, 2)), array.T[1:4, :2])
    np.testing.assert_array_equal(flipped.to_float64(), array.T)
    out = np.empty((4, 3))
    np.testing.assert_array_equal(flipped.read(slice(None), slice(None), out), array.T)
    np.testing.assert_array_equal(flipped.transposed.to_float64(), array)


def test_whole_is_float64(matrix, array):
    assert matrix.to_float64().dtype == np.float64
    np.testing.assert_array_equal(matrix.to_float64(), array)


def test_digest_tells_values_types_shapes_and_orientation_apart(array):
    square = array[:, :3]
    variants = [
        ArrayMatrix(square),
        ArrayMatrix(square.astype(np.float64)),
        ArrayMatrix(square + np.float32(1e-6)),
        ArrayMatrix(square.reshape(1, 9)),
        ArrayMatrix(square).transposed,
    ]
    assert len({variant.digest() for variant in variants}) == len(variants)


def test_digest_ignores_how_the_values_lie_in_memory(array):
    expected = ArrayMatrix(array).digest()
    assert ArrayMatrix(np.asfortranarray(array)).digest() == expected
    assert ArrayMatrix(array.astype(">f4")).digest() == expected


def test_digest_does_not_depend_on_the_block_size(array, monkeypatch):
    expected = ArrayMatrix(array).digest()
    monkeypatch.setattr(tolerances, "BLOCK_BYTES", 1)
    assert ArrayMatrix(array).digest() == expected


def test_first_bad_number_and_how_many(array, monkeypatch):
    monkeypatch.setattr(tolerances, "BLOCK_BYTES", 1)
    array[1, 2], array[2, 0] = np.inf, np.nan
    assert ArrayMatrix(array).first_non_finite() == NonFinite(2, 1, 2, np.inf)
    flipped = ArrayMatrix(array).transposed.first_non_finite()
    assert (flipped.count, flipped.row, flipped.column) == (2, 0, 2)
    assert np.isnan(flipped.value)
    assert ArrayMatrix(np.eye(2)).first_non_finite() is None
    assert ArrayMatrix(np.eye(2)).transposed.first_non_finite() is None
    assert ArrayMatrix(np.eye(2, dtype=np.int8)).first_non_finite() is None


def test_other_dimensions_are_refused(tmp_path):
    with pytest.raises(ValueError, match="two dimensions, this array 1"):
        ArrayMatrix(np.ones(3))
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["v"] = np.ones(3)
    with pytest.raises(ValueError, match="two dimensions"):
        Hdf5Matrix(str(tmp_path / "v.h5"), "v")


@pytest.fixture
def chunked(tmp_path):
    path = tmp_path / "weights.h5"
    values = np.random.default_rng(0).normal(size=(64, 64))
    with h5py.File(path, "w") as file:
        made = file.create_dataset("kernel", data=values, chunks=(16, 64), compression=9)
        chunk = made.id.get_chunk_info(2)
    return Hdf5Matrix(str(path), "kernel"), path, chunk


def test_a_damaged_chunk_is_a_format_error_and_only_where_it_is_read(chunked):
    matrix, path, chunk = chunked
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + 40] = bytes(40)
    path.write_bytes(content)
    assert matrix.read(slice(0, 32), slice(None)).shape == (32, 64)
    with pytest.raises(FormatError, match=r"weights\.h5 > '/kernel': got damaged"):
        matrix.read(slice(32, 33), slice(None))
    with pytest.raises(FormatError, match="damaged"):
        matrix.transposed.first_non_finite()


def test_a_file_cut_off_since_it_was_opened_is_a_format_error(chunked):
    matrix, path, _ = chunked
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FormatError, match="a truncated HDF5 file"):
        matrix.to_float64()
