"""Stored matrices: one contract wherever the numbers lie, then what is special."""

import os

import h5py
import numpy as np
import pytest

from nninvert import tolerances
from nninvert.errors import FormatError, InputError
from nninvert.linalg import file_matrix, hdf5_matrix
from nninvert.linalg.file_matrix import FileMatrix
from nninvert.linalg.hdf5_matrix import Hdf5Matrix
from nninvert.linalg.stored import ArrayMatrix, NonFinite

SHAPE = (7, 5)


def in_file(tmp_path, array, offset=24):
    path = tmp_path / "weights.bin"
    path.write_bytes(bytes(offset) + array.tobytes() + b"tail")
    return FileMatrix(str(path), offset, array.shape, array.dtype, "kernel")


def in_chunks(tmp_path, array, chunks, **options):
    path = tmp_path / "weights.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset("kernel", data=array, chunks=chunks, **options)
        if array.dtype.kind == "V":
            made.attrs["dtype"] = "bfloat16"
    return Hdf5Matrix(str(path), "kernel")


def bfloat16(array):
    """The same numbers as two opaque bytes each; they must fit."""
    raw = (array.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return raw.view("V2")


PLACES = {
    "memory": lambda _, a: ArrayMatrix(a.astype("f4")),
    "float64 memory": lambda _, a: ArrayMatrix(a),
    "columns in memory": lambda _, a: ArrayMatrix(np.asfortranarray(a, "f4")),
    "strided memory": lambda _, a: ArrayMatrix(np.repeat(a, 2, axis=1)[:, ::2]),
    "big endian": lambda _, a: ArrayMatrix(a.astype(">f4")),
    "float16": lambda _, a: ArrayMatrix(a.astype("f2")),
    "integers": lambda _, a: ArrayMatrix(a.astype("i2")),
    "file": lambda path, a: in_file(path, a.astype("f4")),
    "float64 file": lambda path, a: in_file(path, a),
    "float16 file": lambda path, a: in_file(path, a.astype("f2")),
    "big endian file": lambda path, a: in_file(path, a.astype(">f8")),
    "bfloat16 file": lambda path, a: in_file(path, bfloat16(a)),
    "unaligned file": lambda path, a: in_file(path, a.astype("f4"), 3),
    "chunks": lambda path, a: in_chunks(path, a.astype("f4"), (2, 2), compression=1),
    "tall chunks": lambda path, a: in_chunks(path, a.astype("f4"), (len(a), 1)),
    "bfloat16 chunks": lambda path, a: in_chunks(path, bfloat16(a), (3, 2)),
    "contiguous": lambda path, a: in_chunks(path, a.astype("i4"), None),
}


@pytest.fixture
def array():
    rng = np.random.default_rng(3)
    return rng.permutation(np.arange(-17.0, 18.0)).reshape(SHAPE)


@pytest.fixture(params=PLACES)
def place(request):
    return PLACES[request.param]


@pytest.fixture(params=["as is", "transposed"])
def matrix(request, array, tmp_path, place):
    if request.param == "transposed":
        return place(tmp_path, np.ascontiguousarray(array.T)).transposed
    return place(tmp_path, array)


def test_every_block(matrix, array):
    assert matrix.shape == SHAPE
    assert matrix.dtype.isnative
    for rows in (slice(None), slice(2, 6), slice(6, 7), slice(3, 3)):
        for cols in (slice(None), slice(1, 4), slice(4, 5), slice(2, 2)):
            block = matrix.read(rows, cols)
            assert block.dtype == matrix.dtype
            np.testing.assert_array_equal(block, array[rows, cols])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reads_into_any_array(matrix, array, order, dtype):
    for rows, cols in ((slice(None), slice(None)), (slice(1, 6), slice(2, 4))):
        around = np.full((9, 9), 99.0, dtype, order=order)
        expected = array[rows, cols]
        out = around[1 : 1 + expected.shape[0], 2 : 2 + expected.shape[1]]
        assert matrix.read(rows, cols, out) is out
        np.testing.assert_array_equal(out, expected)
        assert np.count_nonzero(around == 99.0) == 81 - out.size
        whole = np.empty(expected.shape, dtype, order=order)
        np.testing.assert_array_equal(matrix.read(rows, cols, whole), expected)


def test_small_pieces_are_put_together(matrix, array, monkeypatch):
    for name in ("_CAST_BYTES", "_READ_BYTES", "_PIECE_BYTES"):
        monkeypatch.setattr(file_matrix, name, 7)
    out = np.empty((5, 3))
    matrix.read(slice(1, 6), slice(1, 4), out)
    np.testing.assert_array_equal(out, array[1:6, 1:4])
    np.testing.assert_array_equal(matrix.to_float64(), array)


@pytest.mark.parametrize("nbytes", [None, 1, 8 * 7 * 2, 10**6])
def test_stripes_are_whole_lines_in_storage_order(matrix, array, nbytes):
    found, places = np.full(SHAPE, np.nan), []
    for rows, cols, block in matrix.stripes(nbytes):
        assert block.dtype == np.float64
        whole, span = (rows, cols) if matrix.column_major else (cols, rows)
        assert whole == slice(0, SHAPE[0] if matrix.column_major else SHAPE[1])
        found[rows, cols] = block
        places += range(span.start, span.stop)
    np.testing.assert_array_equal(found, array)
    assert places == list(range(SHAPE[1] if matrix.column_major else SHAPE[0]))


def test_stripes_stay_within_the_budget(matrix, monkeypatch):
    monkeypatch.setattr(tolerances, "BLOCK_BYTES", 2 * 8 * 7)
    assert all(block.nbytes <= 2 * 8 * 7 for _, _, block in matrix.stripes(10**9))


def test_blocks_are_whole_rows_in_the_type_of_read(matrix, array, monkeypatch):
    monkeypatch.setattr(tolerances, "BLOCK_BYTES", 2 * 8 * 5)
    found = [(rows, block.copy()) for rows, block in matrix.blocks()]
    assert [rows.stop - rows.start for rows, _ in found] == [2, 2, 2, 1]
    assert all(block.dtype == matrix.dtype for _, block in found)
    np.testing.assert_array_equal(np.vstack([block for _, block in found]), array)


def test_transpose_reads_from_the_same_place(matrix, array):
    flipped = matrix.transposed
    assert flipped.shape == SHAPE[::-1]
    assert flipped.column_major != matrix.column_major
    assert flipped.transposed.identity == matrix.identity != flipped.identity
    np.testing.assert_array_equal(flipped.read(slice(1, 4), slice(0, 2)), array.T[1:4, :2])
    np.testing.assert_array_equal(flipped.to_float64(), array.T)


def test_whole_is_float64(matrix, array):
    assert matrix.to_float64().dtype == np.float64
    np.testing.assert_array_equal(matrix.to_float64(), array)


def test_what_is_known_finite_is_not_read_again(matrix, monkeypatch):
    assert matrix.first_non_finite() is None
    assert matrix.known_finite
    assert matrix.transposed.known_finite
    monkeypatch.setattr(type(matrix), "stripes", None)
    assert matrix.first_non_finite() is None


@pytest.mark.parametrize("place", sorted(set(PLACES) - {"integers", "contiguous"}))
def test_first_bad_number_and_how_many(place, array, tmp_path, monkeypatch):
    array[2, 3], array[4, 1], array[4, 0] = np.inf, np.nan, -np.inf
    monkeypatch.setattr(tolerances, "STRIPE_BYTES", 1)
    made = PLACES[place](tmp_path, array)
    assert made.first_non_finite() == NonFinite(3, 2, 3, np.inf)
    assert made.transposed.first_non_finite() == NonFinite(3, 0, 4, -np.inf)
    assert not made.known_finite


def test_sums_that_overflow_are_finite_numbers():
    matrix = ArrayMatrix(np.full((3, 4), 1.7e308))
    assert matrix.first_non_finite() is None
    assert matrix.known_finite


@pytest.mark.parametrize(
    ("place", "name", "eps", "nbytes"),
    [
        ("memory", "float32", 2.0**-23, 140),
        ("float16 file", "float16", 2.0**-10, 70),
        ("big endian file", "float64", 2.0**-52, 280),
        ("bfloat16 file", "bfloat16", 2.0**-7, 70),
        ("bfloat16 chunks", "bfloat16", 2.0**-7, 70),
        ("integers", "int16", 2.0**-52, 70),
    ],
)
def test_the_stored_type(place, name, eps, nbytes, array, tmp_path):
    made = PLACES[place](tmp_path, array)
    for matrix in (made, made.transposed):
        assert (matrix.stored_name, matrix.stored_eps) == (name, eps)
        assert (matrix.itemsize, matrix.nbytes) == (nbytes // 35, nbytes)


def test_identities_tell_matrices_apart(array):
    one, two = ArrayMatrix(array), ArrayMatrix(array)
    assert len({one.identity, two.identity, one.transposed.identity}) == 3
    assert one.transposed.identity == one.transposed.identity


# ---------------------------------------------------------------- digests


def test_digest_tells_values_types_shapes_and_orientation_apart(array):
    square = array[:5].astype(np.float32)
    variants = [
        ArrayMatrix(square),
        ArrayMatrix(square.astype(np.float64)),
        ArrayMatrix(square + np.float32(1e-6)),
        ArrayMatrix(square.reshape(1, 25)),
        ArrayMatrix(square).transposed,
        ArrayMatrix(square, "bfloat16"),
    ]
    assert len({variant.digest() for variant in variants}) == len(variants)
    assert len({variant.fingerprint() for variant in variants}) == len(variants)


def test_digest_ignores_where_and_how_the_values_lie(array, tmp_path, monkeypatch):
    single = array.astype(np.float32)
    expected = ArrayMatrix(single).digest()
    monkeypatch.setattr(tolerances, "BLOCK_BYTES", 1)
    for matrix in (
        ArrayMatrix(single),
        ArrayMatrix(np.asfortranarray(single)),
        ArrayMatrix(array.astype(">f4")),
        in_file(tmp_path, array.astype(">f4")),
        in_chunks(tmp_path, single, (2, 2)),
        in_chunks(tmp_path, single, (7, 1)),
    ):
        assert matrix.digest() == expected
        assert matrix.fingerprint() == expected  # small ones are taken whole
        assert matrix.transposed.digest() == expected + "T"


def test_fingerprints_of_large_matrices_are_samples(tmp_path, monkeypatch):
    values = np.zeros((70, 20_000), np.float32)
    expected = ArrayMatrix(values).fingerprint()
    assert expected != ArrayMatrix(values).digest()
    monkeypatch.setattr(tolerances, "BLOCK_BYTES", None)  # nothing is streamed
    assert in_file(tmp_path, values).fingerprint() == expected
    assert in_file(tmp_path, values).transposed.fingerprint() == expected + "T"
    assert ArrayMatrix(values.reshape(140, 10_000)).fingerprint() != expected
    for corner in ((0, 0), (-1, -1)):
        values[corner] = 1.0
        assert in_file(tmp_path, values).fingerprint() != expected
        values[corner] = 0.0
    values[:, 9000] = 1.0
    assert in_file(tmp_path, values).fingerprint() != expected


# ---------------------------------------------------------------- files that change


@pytest.mark.parametrize("cut", [1, 100])
def test_a_file_cut_off_since_is_an_input_error(array, tmp_path, cut):
    matrix = in_file(tmp_path, array)
    content = (tmp_path / "weights.bin").read_bytes()
    (tmp_path / "weights.bin").write_bytes(content[: -cut - 4])
    with pytest.raises(InputError, match=r"weights\.bin > 'kernel': got .* it ends before"):
        matrix.read(slice(6, 7), slice(None))
    with pytest.raises(InputError, match="changed"):
        list(matrix.transposed.stripes())


def test_a_file_written_to_while_it_is_read_is_an_input_error(array, tmp_path):
    matrix = in_file(tmp_path, array)
    stripes = matrix.stripes(1)
    next(stripes)
    path = tmp_path / "weights.bin"
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    with pytest.raises(InputError, match="changed while it was in use: another size, date"):
        list(stripes)
    with pytest.raises(InputError, match="changed"):
        matrix.read(slice(0, 1), slice(None))


def test_a_file_removed_since_is_an_input_error(array, tmp_path):
    matrix = in_file(tmp_path, array)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(InputError, match=r"weights\.bin: got no such file"):
        matrix.to_float64()


def test_other_dimensions_are_refused(tmp_path):
    with pytest.raises(ValueError, match="two dimensions, this array 1"):
        ArrayMatrix(np.ones(3))
    with h5py.File(tmp_path / "v.h5", "w") as file:
        file["v"] = np.ones(3)
    with pytest.raises(ValueError, match="two dimensions"):
        Hdf5Matrix(str(tmp_path / "v.h5"), "v")


# ---------------------------------------------------------------- chunks


@pytest.mark.parametrize("chunks", [(3, 64), (16, 16), (64, 5), (64, 64), (1, 1)])
@pytest.mark.parametrize("band", [1, 64 * 8 * 20, 10**9])
def test_a_pass_unpacks_every_chunk_once(tmp_path, monkeypatch, chunks, band):
    values = np.random.default_rng(0).normal(size=(64, 64))
    matrix = in_chunks(tmp_path, values, chunks, compression=1)
    monkeypatch.setattr(hdf5_matrix, "BAND_BYTES", band)
    spans, read_block = [], hdf5_matrix.Hdf5Matrix._read_band

    def seen(self, dataset, span, across):
        spans.append(span)
        return read_block(self, dataset, span, across)

    monkeypatch.setattr(hdf5_matrix.Hdf5Matrix, "_read_band", seen)
    for rows, cols, block in matrix.stripes(8 * 64 * 7):
        np.testing.assert_array_equal(block, values[rows, cols])
    depth = chunks[1] if matrix.column_major else chunks[0]
    assert depth == min(chunks[0], chunks[1])
    if depth * 64 * 8 <= band:
        assert all(span.start % depth == 0 for span in spans)
        assert all(span.stop % depth == 0 for span in spans[:-1])


@pytest.mark.parametrize("chunks", [(3, 64), (16, 16), (64, 5), (1, 1)])
@pytest.mark.parametrize(("limit", "most"), [(1, 16), (8 * 20 * 20, 20), (10**9, 48)])
def test_large_blocks_are_read_piece_by_piece(tmp_path, monkeypatch, chunks, limit, most):
    values = np.random.default_rng(0).normal(size=(64, 64))
    matrix = in_chunks(tmp_path, values, chunks)
    monkeypatch.setattr(hdf5_matrix, "READ_BYTES", limit)
    read_band, lines = hdf5_matrix.Hdf5Matrix._read_band, []
    depth = min(chunks)

    def seen(self, dataset, span, across):
        assert span.start % depth == 0 or span.start in (5, 7)
        lines.append(span.stop - span.start)
        return read_band(self, dataset, span, across)

    monkeypatch.setattr(hdf5_matrix.Hdf5Matrix, "_read_band", seen)
    for given, expected in ((matrix, values), (matrix.transposed, values.T)):
        out = np.empty((45, 20), np.float32)
        given.read(slice(5, 50), slice(7, 27), out)
        np.testing.assert_array_equal(out, expected[5:50, 7:27].astype(np.float32))
    assert max(lines) <= most


@pytest.fixture
def chunked(tmp_path):
    values = np.random.default_rng(0).normal(size=(64, 64))
    path = tmp_path / "weights.h5"
    matrix = in_chunks(tmp_path, values, (16, 64), compression=9)
    with h5py.File(path) as file:
        chunk = file["kernel"].id.get_chunk_info(2)
    return matrix, path, chunk


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
