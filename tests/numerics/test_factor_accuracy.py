"""Solves are backward stable: ||b - A x|| <= c n eps (||A|| ||x|| + ||b||), hard A too."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import conditioned, hilbert, kahan, wilkinson, with_singular_values
from strategies import generators, matrices

from nninvert import tolerances
from nninvert.context import Context
from nninvert.linalg.factor import select_factorisation
from nninvert.linalg.lu import LuFactor, factor_lu
from nninvert.linalg.map import ComposedMap, DenseMap, RepeatedMap
from nninvert.linalg.stored import ArrayMatrix
from nninvert.linalg.svd import SvdFactor

EPS = tolerances.EPS64

HARD = {
    "hilbert 6": hilbert(6),
    "hilbert 10": hilbert(10),
    "wilkinson 10": wilkinson(10),
    "wilkinson 40": wilkinson(40),
    "kahan 20": kahan(20),
    "kahan 60": kahan(60),
    "graded": np.diag(10.0 ** -np.arange(0, 12, 2.0))
    @ conditioned(6, 10.0, np.random.default_rng(0)),
}


def dense_map(matrix):
    return DenseMap(ArrayMatrix(np.asarray(matrix)))


def backward_error(matrix, x, b):
    """Relative to the sizes that meet in the residual, row by row of x."""
    residual = np.linalg.norm(b - x @ matrix.T, axis=1)
    size = np.linalg.norm(matrix, 2) * np.linalg.norm(x, axis=1) + np.linalg.norm(b, axis=1)
    return residual / size


@pytest.mark.parametrize("name", HARD)
def test_backward_error_of_hard_systems(name, rng):
    matrix = HARD[name]
    n = matrix.shape[0]
    factor = select_factorisation(dense_map(matrix), Context())
    assert isinstance(factor, LuFactor)
    b = rng.standard_normal((5, n)) @ matrix.T
    assert (backward_error(matrix, factor.solve(b), b) <= 4 * n * EPS).all()
    transposed = factor.solve_transposed(b)
    assert (backward_error(matrix.T, transposed, b) <= 4 * n * EPS).all()


@pytest.mark.parametrize("name", HARD)
def test_solutions_of_hard_systems_lose_no_more_than_their_condition(name, rng):
    matrix = HARD[name]
    x = rng.standard_normal((5, matrix.shape[0]))
    factor = select_factorisation(dense_map(matrix), Context())
    found = factor.solve(x @ matrix.T)
    error = np.linalg.norm(found - x, axis=1) / np.linalg.norm(x, axis=1)
    n, limit = matrix.shape[0], np.linalg.cond(matrix)
    assert (error <= 4 * n * EPS * limit).all()


def test_refinement_serves_each_row_of_a_badly_scaled_system(rng):
    """Componentwise backward error: small equations are met to their own digits.

    LU alone leaves up to 200 eps here.
    """
    for _ in range(10):
        matrix = 10.0 ** rng.uniform(-6, 6, (10, 1)) * rng.standard_normal((10, 10))
        factor = factor_lu(dense_map(matrix))
        b = rng.standard_normal((3, 10)) @ matrix.T
        x = factor.solve(b)
        size = np.abs(x) @ np.abs(matrix).T + np.abs(b)
        assert (np.abs(b - x @ matrix.T) <= 4 * EPS * size).all()


@given(matrices())
def test_least_squares_residual_is_orthogonal_to_the_range(matrix):
    m, n = matrix.shape
    b = np.random.default_rng(0).standard_normal((3, m))
    x = select_factorisation(dense_map(matrix), Context()).solve(b)
    gradient = (b - x @ matrix.T) @ matrix
    bound = 40 * max(m, n) * EPS * (np.linalg.norm(b) + np.linalg.norm(x))
    assert np.abs(gradient).max() <= bound


@given(rng=generators(), n=st.integers(1, 15), cond=st.floats(0, 7))
def test_lu_and_svd_agree(rng, n, cond):
    matrix = conditioned(n, 10.0**cond, rng)
    b = rng.standard_normal((3, n))
    by_lu, by_svd = (
        f.solve(b) for f in (factor_lu(dense_map(matrix)), SvdFactor(dense_map(matrix), ""))
    )
    size = np.linalg.norm(by_svd)
    assert np.linalg.norm(by_lu - by_svd) <= 20 * n * EPS * 10.0**cond * size


@given(rng=generators(), rank=st.integers(0, 4), m=st.integers(4, 7), n=st.integers(4, 7))
def test_rank_deficient_matrices(rng, rank, m, n):
    values = np.append(np.geomspace(1.0, 0.1, rank), np.zeros(min(m, n) - rank))
    matrix = with_singular_values(values, (m, n), rng)
    factor = select_factorisation(dense_map(matrix), Context())
    assert factor.rank == rank
    assert factor.nullity == n - rank
    x = rng.standard_normal((2, n))
    found = factor.solve(x @ matrix.T)
    np.testing.assert_allclose(found @ matrix.T, x @ matrix.T, atol=1e-12)
    assert (np.linalg.norm(found, axis=1) <= np.linalg.norm(x, axis=1) + 1e-12).all()


def test_repeated_blocks_are_solved_as_one_matrix(rng):
    block = conditioned(3, 100.0, rng)
    linear_map = RepeatedMap(dense_map(block), 4)
    whole = np.kron(np.eye(4), block)
    b = rng.standard_normal((2, 12))
    found = select_factorisation(linear_map, Context()).solve(b)
    np.testing.assert_allclose(found, np.linalg.solve(whole, b.T).T, rtol=1e-11, atol=1e-12)


def test_widening_and_narrowing_is_one_square_map(rng):
    tall, wide = rng.standard_normal((64, 32)), rng.standard_normal((32, 64))
    factor = select_factorisation(
        ComposedMap([dense_map(tall), dense_map(wide)]), Context()
    )
    product = wide @ tall
    b = rng.standard_normal((4, 32))
    found = factor.solve(b)
    assert (backward_error(product, found, b) <= 1e-12).all()
    assert factor.spectrum().condition == pytest.approx(np.linalg.cond(product))


def test_narrowing_loses_whatever_widens_again(rng):
    narrow, wide = rng.standard_normal((16, 32)), rng.standard_normal((32, 16))
    factor = select_factorisation(
        ComposedMap([dense_map(narrow), dense_map(wide)]), Context()
    )
    assert (factor.rank, factor.nullity) == (16, 16)
