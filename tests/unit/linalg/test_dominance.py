"""Diagonal dominance, and Jacobi's iteration with its bounds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from nninvert import tolerances
from nninvert.context import Context
from nninvert.linalg.dominance import DominantFactor, dominance, predicted_steps
from tests.sparse_matrices import dominant, grid, map_of


def factor_of(matrix: sparse.sparray, context: Context | None = None) -> DominantFactor:
    made = map_of(matrix)
    return DominantFactor(made, dominance(made.matrix), context or Context())


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_dominance_is_measured_by_rows_and_by_columns(share: float) -> None:
    matrix = dominant(200, share=share)
    found, turned = (dominance(map_of(m).matrix) for m in (matrix, matrix.T))
    assert found.by_rows == pytest.approx(share)
    assert turned.by_columns == pytest.approx(share)
    assert turned.by_rows == pytest.approx(found.by_columns)
    assert found.is_strict
    assert turned.is_strict
    assert np.array_equal(found.diagonal, matrix.diagonal())


def test_a_zero_on_the_diagonal_is_never_dominant() -> None:
    matrix = sparse.csr_array(np.diag([1.0, 0.0, 2.0]))
    assert not dominance(map_of(matrix).matrix).is_strict
    assert not dominance(map_of(grid(10)).matrix).is_strict


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_solutions_have_the_backward_error_of_rounding(
    turned: bool, shape: tuple[int, ...]
) -> None:
    matrix = dominant(500, share=0.8)
    matrix = sparse.csr_array(matrix.T) if turned else matrix
    factor, dense = factor_of(matrix), matrix.toarray()
    x = np.random.default_rng(1).standard_normal((*shape, 500))
    for b, solve, a in (
        (x @ dense.T, factor.solve, dense),
        (x @ dense, factor.solve_transposed, dense.T),
    ):
        found = solve(b)
        size = np.abs(found) @ np.abs(a).T + np.abs(b)
        assert (np.abs(b - found @ a.T) <= 8 * tolerances.EPS64 * size).all()
        assert np.abs(found - x).max() <= 1e-13
    rough = factor.solve_roughly(x @ dense.T)
    assert 0.0 < np.abs(rough - x).max() <= 1e-2


def test_a_diagonal_takes_one_step() -> None:
    factor = factor_of(sparse.csr_array(np.diag([2.0, -4.0])))
    assert factor.solve(np.array([2.0, 4.0])).tolist() == [1.0, -1.0]
    assert predicted_steps(0.0, tolerances.EPS64) == 1
    assert predicted_steps(0.5, tolerances.EPS64) == 52


@pytest.mark.parametrize("turned", [False, True])
def test_spread_bounds_the_inverse_unit_by_unit(turned: bool) -> None:
    matrix = dominant(150, share=0.7)
    matrix = sparse.csr_array(matrix.T) if turned else matrix
    radius = np.abs(np.random.default_rng(2).standard_normal((3, 150)))
    exact = radius @ np.abs(np.linalg.inv(matrix.toarray())).T
    bound = factor_of(matrix).spread(radius)
    assert (bound >= exact * (1.0 - 1e-12)).all()
    assert (bound <= 1e3 * exact).all()


@pytest.mark.parametrize("turned", [False, True])
def test_spread_bounds_also_what_equals_its_series(turned: bool) -> None:
    # Of an M-matrix |A^-1| is the limit of the series: its end must not be left out.
    matrix = dominant(150, share=0.9)
    matrix.data = -np.abs(matrix.data)
    matrix.setdiag(-matrix.diagonal())
    matrix = sparse.csr_array(matrix.T) if turned else matrix
    exact = np.abs(np.linalg.inv(matrix.toarray())).sum(axis=1)
    bound = factor_of(matrix).spread(np.ones((1, 150)))[0]
    assert (bound >= exact * (1.0 - 1e-12)).all()
    assert (bound <= 1.1 * exact.max()).all()


@pytest.mark.parametrize("n", [300, 2500])
def test_the_spectrum_is_that_of_the_matrix(n: int) -> None:
    matrix = dominant(n)
    values = np.linalg.svd(matrix.toarray(), compute_uv=False)
    found = factor_of(matrix).spectrum()
    assert found.full_rank
    assert found.largest == pytest.approx(values[0], rel=0.1)
    assert found.smallest == pytest.approx(values[-1], rel=0.3)


def test_it_stops_when_asked() -> None:
    context = Context()
    context.interrupt()
    b = np.ones(100)
    matrix = dominant(100)
    assert np.array_equal(factor_of(matrix, context).solve(b), b / matrix.diagonal())
