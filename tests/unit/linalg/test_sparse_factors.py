"""Triangular factors of sparse matrices solve as dense ones do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from nninvert.linalg.sparse_factors import BandFactors, SuperLuFactors, most_rank
from nninvert.linalg.sparse_order import Band, Pattern
from nninvert.linalg.triangular import TriangularFactors
from tests.sparse_matrices import band, grid, map_of


def of_band(matrix: sparse.sparray) -> BandFactors:
    stored = map_of(matrix).matrix
    found = Pattern(stored).narrow_band()
    assert found is not None
    return BandFactors(stored, found)


def shuffled_band() -> sparse.csr_array:
    order = np.random.default_rng(0).permutation(500)
    return band(500, 2)[order][:, order]


CASES: dict[str, tuple[sparse.csr_array, TriangularFactors]] = {
    "band": (band(200, 4), of_band(band(200, 4))),
    "hidden band": (shuffled_band(), of_band(shuffled_band())),
    "lower": (
        sparse.csr_array(sparse.tril(grid(4))),
        of_band(sparse.csr_array(sparse.tril(grid(4)))),
    ),
    "grid": (grid(15), SuperLuFactors(map_of(grid(15)).matrix, symmetric=True)),
    "free pivots": (
        grid(15)[::-1],
        SuperLuFactors(map_of(grid(15)[::-1]).matrix, symmetric=False),
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("k", [1, 3])
def test_solutions_are_those_of_the_dense_matrix(
    name: str, transposed: bool, k: int
) -> None:
    matrix, factors = CASES[name]
    dense = matrix.toarray().T if transposed else matrix.toarray()
    x = np.asfortranarray(np.random.default_rng(1).standard_normal((factors.n, k)))
    columns = np.asfortranarray(dense @ x)
    factors.solve(columns, transposed)
    assert np.allclose(columns, x, rtol=1e-9, atol=1e-9)
    assert factors.zero_pivots == 0
    assert factors.nbytes > 0
    assert factors.dtype == np.float64


@pytest.mark.parametrize("kind", ["band", "superlu"])
def test_a_zero_pivot_is_replaced_and_counted(kind: str) -> None:
    matrix = band(60, 1).tolil()
    matrix[20, :] = 0.0
    stored = map_of(sparse.csr_array(matrix)).matrix
    factors: TriangularFactors = BandFactors(stored, Band(1, 1, None))
    if kind == "superlu":
        factors = SuperLuFactors(stored, symmetric=False)
    columns = np.asfortranarray(np.ones((60, 1)))
    factors.solve(columns)
    assert factors.zero_pivots == 1
    assert np.isfinite(columns).all()


def test_an_exactly_singular_matrix_without_empty_lines_is_shifted() -> None:
    matrix = sparse.csr_array(np.ones((4, 4)))
    factors = SuperLuFactors(map_of(matrix).matrix, symmetric=True)
    columns = np.asfortranarray(np.ones((4, 1)))
    factors.solve(columns)
    assert factors.zero_pivots == 1
    assert np.isfinite(columns).all()


def test_rows_and_columns_of_zeros_bound_the_rank() -> None:
    dense = np.eye(5)
    dense[:, 3] = dense[:, 4]
    stored = sparse.csr_array(dense)
    stored.data[0] = 0.0  # stored, but zero
    assert most_rank(map_of(stored).matrix) == 3
