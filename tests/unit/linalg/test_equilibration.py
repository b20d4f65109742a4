"""Sizes of entries, scales by powers of two, and rough solves with scaled factors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lapack_factors import rough

from nninvert.linalg.equilibration import (
    EquilibratedMatrix,
    equilibration,
    matrix_sizes,
)
from nninvert.linalg.stored import ArrayMatrix
from nninvert.linalg.triangular import RoughSolver


def uneven(rng, n=40, spread=300):
    """A well-conditioned matrix, its rows and columns scaled by any powers of two."""
    core = np.eye(n) * 4.0 + rng.uniform(-1.0, 1.0, (n, n)) / n
    rows, columns = (rng.integers(-spread, spread, n) for _ in range(2))
    return np.ldexp(core, rows[:, None] + columns[None, :]), core


@pytest.mark.parametrize("order", ["C", "F"])
def test_sizes_are_sums_and_maxima(order, rng):
    matrix = np.asarray(rng.standard_normal((7, 5)).astype(np.float32), order=order)
    sizes, a = matrix_sizes(ArrayMatrix(matrix)), np.abs(matrix.astype(float))
    assert sizes.row_sums == pytest.approx(a.sum(axis=1))
    assert sizes.column_sums == pytest.approx(a.sum(axis=0))
    assert (sizes.row_max == a.max(axis=1)).all()
    assert (sizes.column_max == a.max(axis=0)).all()
    assert sizes.norm_inf == pytest.approx(np.linalg.norm(matrix, np.inf))
    assert sizes.norm_one == pytest.approx(np.linalg.norm(matrix, 1))


def test_norms_that_overflow_are_the_largest_number():
    sizes = matrix_sizes(ArrayMatrix(np.full((3, 3), 1e308)))
    assert sizes.norm_inf == sizes.norm_one == np.finfo(float).max


@pytest.mark.parametrize(
    "matrix",
    [np.eye(3), np.zeros((2, 2)), np.array([[1.0, 0.0], [0.2, 0.5]]), 1e-10 * np.eye(2)],
)
def test_even_matrices_stay_as_they_are(matrix):
    stored = ArrayMatrix(matrix)
    assert equilibration(stored, matrix_sizes(stored)) is None


@given(st.integers(0, 2**32 - 1), st.sampled_from(["C", "F"]))
def test_scaled_entries_are_at_most_one_and_nothing_is_rounded(seed, order):
    matrix = np.asarray(uneven(np.random.default_rng(seed))[0], order=order)
    stored = ArrayMatrix(matrix)
    scales = equilibration(stored, matrix_sizes(stored))
    scaled = EquilibratedMatrix(stored, scales)
    whole = scaled.read(slice(None), slice(None))
    assert (np.abs(whole).max(axis=0) < 1.0).all()
    assert (np.abs(whole).max(axis=0) >= 0.5).all()
    assert (np.ldexp(whole, -(scales.rows[:, None] + scales.columns)) == matrix).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_scaled_matrix_reads_the_same_in_blocks_stripes_and_other_types(order, rng):
    stored = ArrayMatrix(np.asarray(uneven(rng)[0], order=order))
    scaled = EquilibratedMatrix(stored, equilibration(stored, matrix_sizes(stored)))
    whole = scaled.to_float64()
    assert scaled.column_major == (order == "F")
    part = np.empty((4, 6), dtype=np.float32, order="F")
    scaled.read(slice(3, 7), slice(10, 16), part)
    assert (part == whole[3:7, 10:16].astype(np.float32)).all()
    for rows, cols, block in scaled.stripes(nbytes=4096):
        assert (block == whole[rows, cols]).all()


def test_zero_rows_and_columns_stay():
    matrix = np.diag([1e30, 0.0, 1e-30])
    stored = ArrayMatrix(matrix)
    scales = equilibration(stored, matrix_sizes(stored))
    assert scales.rows[1] == scales.columns[1] == 0
    assert np.isfinite(EquilibratedMatrix(stored, scales).to_float64()).all()


def test_factors_of_the_scaled_matrix_solve_with_the_matrix(rng):
    matrix, _ = uneven(rng, spread=150)
    stored = ArrayMatrix(matrix)
    scales = equilibration(stored, matrix_sizes(stored))
    inverse = rough(EquilibratedMatrix(stored, scales).to_float64(), scales=scales)
    # x with entries such that the terms of each sum are of one size
    x = np.ldexp(rng.uniform(1.0, 2.0, (3, 40)), -np.frexp(np.abs(matrix).max(axis=0))[1])
    assert inverse.solve(x @ matrix.T) == pytest.approx(x, rel=1e-4)
    y = np.ldexp(rng.uniform(1.0, 2.0, (3, 40)), -np.frexp(np.abs(matrix).max(axis=1))[1])
    assert inverse.solve_transposed(y @ matrix) == pytest.approx(y, rel=1e-4)


@pytest.mark.parametrize("size", [1e-307, 1e-60, 1e-10, 1.0, 1e60, 1e307])
def test_rows_of_any_size_are_solved_as_well_as_rows_of_size_one(size, rng):
    matrix = np.eye(9) + 0.1 * rng.standard_normal((9, 9))
    inverse = rough(matrix)
    assert isinstance(inverse, RoughSolver)
    b = rng.standard_normal((2, 9))
    b[1] = 0.0
    truth = np.linalg.solve(matrix, b.T).T
    assert inverse.solve(size * b) / size == pytest.approx(truth, abs=2e-6)
    assert (inverse.solve(size * b)[1] == 0.0).all()
