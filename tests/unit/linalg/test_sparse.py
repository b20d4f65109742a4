"""Sparse matrices: dense blocks of them, places of bad values, products."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from nninvert.linalg.compressed import compressed
from nninvert.linalg.sparse import SparseMap, SparseMatrix


def random_matrix(m: int, n: int, seed: int = 0, dtype: str = "float64") -> SparseMatrix:
    rng = np.random.default_rng(seed)
    made = sparse.random_array((m, n), density=0.3, rng=rng, format="csr")
    made.data = rng.standard_normal(made.data.size)
    parts = {"data": made.data.astype(dtype), "indices": made.indices}
    return compressed("csr", {**parts, "indptr": made.indptr}, (m, n))


@settings(deadline=None, max_examples=40)
@given(st.data(), st.booleans())
def test_blocks_are_those_of_the_dense_matrix(data: st.DataObject, turned: bool) -> None:
    matrix = random_matrix(7, 5, seed=data.draw(st.integers(0, 5)))
    matrix = matrix.transposed if turned else matrix
    dense = matrix.to_scipy().toarray()
    i, j = (sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in dense.shape)
    rows, cols = slice(*i), slice(*j)
    out = np.full(dense[rows, cols].shape, np.nan, dtype=np.float32)
    matrix.read(rows, cols, out)
    assert np.array_equal(matrix.read(rows, cols), dense[rows, cols])
    assert np.array_equal(out, dense[rows, cols].astype(np.float32))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8"])
def test_stripes_and_blocks_run_through_the_whole_matrix(dtype: str) -> None:
    matrix = random_matrix(40, 30, dtype=dtype)
    for each in (matrix, matrix.transposed):
        whole = np.zeros(each.shape)
        for rows, cols, block in each.stripes(8 * 3 * max(each.shape)):
            whole[rows, cols] += block
        assert np.array_equal(whole, each.to_float64())
        assert np.array_equal(np.vstack([b for _, b in each.blocks()]), whole)


def test_a_transpose_shares_its_arrays_and_says_so() -> None:
    matrix = random_matrix(6, 4)
    turned = matrix.transposed
    assert turned.shape == (4, 6)
    assert turned.column_major
    assert turned.identity == (*matrix.identity, "T")
    assert turned.transposed.identity == matrix.identity
    assert turned.data is matrix.data
    assert np.array_equal(turned.to_float64(), matrix.to_float64().T)
    assert matrix.identity != random_matrix(6, 4).identity


def test_its_memory_is_that_of_its_entries() -> None:
    eye = np.arange(100_000)
    parts = {"data": np.ones(100_000), "row": eye, "col": eye}
    matrix = compressed("coo", parts, (100_000, 100_000))
    assert matrix.size == 100_000
    assert matrix.nbytes < 2_000_000


def test_the_first_bad_value_is_the_first_by_row() -> None:
    parts = {"data": np.array([np.inf, 1.0, np.nan]), "row": np.array([4, 0, 1])}
    matrix = compressed("coo", {**parts, "col": np.array([0, 0, 3])}, (5, 5))
    for each, place in ((matrix, (1, 3)), (matrix.transposed, (0, 4))):
        found = each.first_non_finite()
        assert found is not None
        assert (found.row, found.column, found.count) == (*place, 2)
    assert random_matrix(5, 5).first_non_finite() is None


def test_digests_tell_values_places_and_shapes_apart() -> None:
    def digests(data: float, row: int, n: int) -> tuple[str, str]:
        parts = {"data": np.array([data]), "row": np.array([row]), "col": np.array([0])}
        made = compressed("coo", parts, (3, n))
        return made.digest(), made.fingerprint()

    cases = [digests(1.0, 0, 3), digests(2.0, 0, 3), digests(1.0, 1, 3), digests(1.0, 0, 4)]
    assert len({d for d, _ in cases}) == len({f for _, f in cases}) == 4
    assert digests(1.0, 0, 3) == cases[0]


def test_a_fingerprint_is_a_sample_with_both_ends() -> None:
    n = 2_000_000
    data = np.ones(n)
    eye = np.arange(n)
    parts = {"data": data, "indices": eye, "indptr": np.arange(n + 1)}
    whole = compressed("csr", parts, (n, n)).fingerprint()
    for place in (0, n - 1):
        changed = data.copy()
        changed[place] = 2.0
        other = compressed("csr", {**parts, "data": changed}, (n, n))
        assert other.fingerprint() != whole


@pytest.mark.parametrize("lead", [(), (1,), (3,), (2, 3)])
def test_products_are_those_of_the_dense_matrix(lead: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    matrix = random_matrix(6, 4)
    dense = matrix.to_float64()
    for each, a in ((SparseMap(matrix), dense), (SparseMap(matrix.transposed), dense.T)):
        x = rng.standard_normal((*lead, a.shape[1]))
        y = rng.standard_normal((*lead, a.shape[0]))
        assert np.allclose(each.apply(x), x @ a.T, rtol=1e-14)
        assert np.allclose(each.adjoint(y), y @ a, rtol=1e-14)
        assert np.allclose(each.magnitude(x), np.abs(x) @ np.abs(a).T, rtol=1e-14)
        assert each.apply(x).shape == (*lead, a.shape[0])
        assert np.array_equal(each.dense(), a)


def test_keys_and_precision_are_those_of_the_weights() -> None:
    matrix = random_matrix(4, 4, dtype="float32")
    made = SparseMap(matrix)
    assert made.key == SparseMap(matrix).key
    assert made.key != SparseMap(matrix.transposed).key
    assert made.stored_eps == np.finfo(np.float32).eps


def test_terms_are_the_most_entries_of_a_row() -> None:
    matrix = np.array([[1.0, 0.0, 2.0, 3.0], [0.0, 0.0, 0.0, 0.0], [4.0, 0.0, 0.0, 5.0]])
    for layout in ("csr", "csc"):
        parts = sparse.coo_array(matrix).asformat(layout)
        arrays = {name: getattr(parts, name) for name in ("data", "indices", "indptr")}
        linear_map = SparseMap(compressed(layout, arrays, matrix.shape))
        assert (linear_map.terms, linear_map.transposed.terms) == (3, 2)
