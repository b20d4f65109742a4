"""One correction by LSMR: against scipy's, against the pseudo-inverse, row by row."""

import numpy as np
import pytest
from scipy.sparse.linalg import lsmr

from nninvert.linalg.bidiagonal import extreme_values
from nninvert.linalg.fused import Pace, StripedProducts
from nninvert.linalg.lsmr import Demand, lsmr_correction
from nninvert.linalg.stored import ArrayMatrix

SHAPES = [(40, 40), (60, 35), (30, 55)]


def products_with(matrix, order="C", should_stop=lambda: False):
    stored = np.array(matrix, dtype=np.float64, order=order)
    return StripedProducts(ArrayMatrix(stored), Pace(should_stop))


def until(reduction):
    return Demand(reduction, 0.0, 300)


def well_conditioned(shape, seed=1):
    generator = np.random.default_rng(seed)
    return generator.standard_normal(shape) / 8 + 2.0 * np.eye(*shape)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_steps_are_those_of_scipy(shape, order, steps):
    a = well_conditioned(shape)
    b = np.random.default_rng(2).standard_normal((3, shape[0]))
    products = products_with(a, order)
    found = lsmr_correction(products, b, Demand(np.full(3, 1e-30), 0.0, steps))
    expected = [lsmr(a, row, maxiter=steps, atol=0, btol=0, conlim=0)[0] for row in b]
    np.testing.assert_allclose(found.x, expected, atol=1e-13)
    assert found.steps == steps
    assert products.pace.passes == steps + 1


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("shape", SHAPES)
def test_limit_is_the_least_squares_solution_of_minimum_norm(shape, order):
    a = well_conditioned(shape)
    b = np.random.default_rng(2).standard_normal((4, shape[0]))
    found = lsmr_correction(products_with(a, order), b, until(np.full(4, 1e-14)))
    np.testing.assert_allclose(found.x, b @ np.linalg.pinv(a).T, atol=1e-12)
    assert found.history[-1] <= 1e-14
    assert all(np.diff(found.history) <= 0.0)


def test_each_row_ends_at_its_own_reduction():
    a = well_conditioned((50, 50))
    b = np.random.default_rng(2).standard_normal((3, 50))
    b[1] = 0.0
    wanted = np.array([1e-2, 1e-2, 1e-10])
    found = lsmr_correction(products_with(a), b, until(wanted))
    gradient = np.linalg.norm((b - found.x @ a.T) @ a, axis=1)
    start = np.linalg.norm(b @ a, axis=1)
    assert 1e-4 * start[0] < gradient[0] <= 1e-2 * start[0]
    assert np.all(found.x[1] == 0.0)
    assert gradient[2] <= 1.01e-10 * start[2]


def test_interrupted_it_hands_out_what_it_has():
    a = well_conditioned((50, 50))
    b = np.random.default_rng(2).standard_normal((1, 50))
    passes = []
    pace = Pace(lambda: len(passes) > 4, passes.append)
    products = StripedProducts(ArrayMatrix(a), pace)
    found = lsmr_correction(products, b, until(np.full(1, 1e-14)))
    assert found.interrupted
    assert found.steps == 4
    left = np.linalg.norm((b - found.x @ a.T) @ a) / np.linalg.norm(b @ a)
    assert left == pytest.approx(found.history[-1], rel=1e-6)


def test_interrupted_at_once_it_has_nothing():
    products = products_with(well_conditioned((5, 5)), should_stop=lambda: True)
    found = lsmr_correction(products, np.ones((1, 5)), until(np.full(1, 1e-14)))
    assert found.interrupted
    assert np.all(found.x == 0.0)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("shape", SHAPES)
def test_extreme_values_are_bounds_and_close(shape, order):
    a = well_conditioned(shape)
    values = np.linalg.svd(a, compute_uv=False)
    found = extreme_values(products_with(a, order), 0, 60)
    assert 0.9 * values[0] <= found.largest <= values[0] * (1 + 1e-12)
    assert values[-1] * (1 - 1e-12) <= found.smallest <= 1.2 * values[-1]


@pytest.mark.parametrize("order", "CF")
def test_extreme_values_of_an_orthogonal_matrix(order):
    q = np.linalg.qr(np.random.default_rng(5).standard_normal((30, 30)))[0]
    found = extreme_values(products_with(3.0 * q, order), 0, 60)
    assert found.largest == pytest.approx(3.0)
    assert found.smallest == pytest.approx(3.0)
    assert found.steps == 1


@pytest.mark.parametrize("order", "CF")
def test_extreme_values_leave_out_zeros_that_the_shape_brings(order):
    a = well_conditioned((12, 40))
    for matrix in (a, a.T):
        found = extreme_values(products_with(matrix, order), 0, 60)
        values = np.linalg.svd(a, compute_uv=False)
        assert found.smallest == pytest.approx(values[-1], rel=0.2)
        assert found.smallest >= values[-1] * (1 - 1e-12)


def test_what_rounding_leaves_of_a_gradient_is_not_solved_for():
    a = np.eye(200) - np.full((200, 200), 1.0 / 200)
    lost = np.ones((1, 200))
    assert np.any(lost @ a != 0.0)
    demand = Demand(np.full(1, 1e-10), 1.0, 50)
    assert np.abs(lsmr_correction(products_with(a), lost, demand).x).max() < 1e-12


def test_a_direction_that_is_there_by_rounding_only_is_not_solved_for():
    a, lost = np.diag([1.0, 1e-17]), np.array([[0.0, 1.0]])
    known = Demand(np.full(1, 1e-10), 1.0, 50)
    assert np.all(lsmr_correction(products_with(a), lost, known).x == 0.0)
    unknown = Demand(np.full(1, 1e-10), 0.0, 50)
    assert lsmr_correction(products_with(a), lost, unknown).x[0, 1] == pytest.approx(1e17)
