"""Solutions by iteration: to rounding, from any start, and honest where they end early."""

import numpy as np
import pytest
from problems import conditioned, with_singular_values

from nninvert.linalg.fused import Pace, Scaling, StripedProducts, products_of
from nninvert.linalg.krylov import GOAL, gmres_inner, lsmr_inner, refine
from nninvert.linalg.lsmr import Correction
from nninvert.linalg.map import ComposedMap, DenseMap, DiagonalMap
from nninvert.linalg.stored import ArrayMatrix

MEMORY = 2**26


def products_with(matrix, pace=None):
    return StripedProducts(ArrayMatrix(matrix), pace or Pace(lambda: False))


def lsmr(products, b, x0=None, *, max_steps, norm=0.0):
    return refine(products, lsmr_inner(products, Scaling()), b, x0, max_steps, norm)


def near_identity(n, size=0.1, seed=1):
    generator = np.random.default_rng(seed)
    return np.eye(n) + size / np.sqrt(n) * generator.standard_normal((n, n))


def right_hand_sides(count, m):
    return np.random.default_rng(7).standard_normal((count, m))


def backward_errors(a, x, b):
    norm = np.linalg.norm(a, 2)
    scale = norm * np.linalg.norm(x, axis=1) + np.linalg.norm(b, axis=1)
    return np.linalg.norm(b - x @ a.T, axis=1) / scale


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_square_systems_are_solved_to_rounding(order, dtype):
    a = np.array(near_identity(120), dtype=dtype, order=order)
    b = right_hand_sides(3, 120) * np.array([[1.0], [1e200], [1e-200]])
    found = lsmr(products_with(a), b, max_steps=200)
    a = a.astype(np.float64)
    assert found.converged.all()
    unit = np.array([[1.0], [1e200], [1e-200]])
    assert backward_errors(a, found.x / unit, b / unit).max() <= GOAL
    np.testing.assert_allclose(found.x, np.linalg.solve(a, b.T).T, rtol=1e-11)


def test_reported_backward_error_is_that_of_the_solution():
    a = conditioned(60, 100.0, np.random.default_rng(3))
    b = right_hand_sides(4, 60)
    found = lsmr(products_with(a), b, max_steps=25)
    assert not found.converged.any()
    assert found.steps == 25
    # The norm is estimated from below: the report may be up to sqrt(n) too pessimistic.
    true = backward_errors(a, found.x, b)
    assert np.all(found.backward_error >= true * (1 - 1e-9))
    assert np.all(found.backward_error <= 20.0 * true)
    known = lsmr(products_with(a), b, max_steps=25, norm=np.linalg.norm(a, 2))
    np.testing.assert_allclose(known.backward_error, true, rtol=1e-9)


@pytest.mark.parametrize("order", "CF")
def test_least_squares_where_no_solution_exists(order):
    a = with_singular_values(np.linspace(1, 3, 30), (50, 30), np.random.default_rng(2))
    b = right_hand_sides(2, 50)
    found = lsmr(products_with(np.array(a, order=order)), b, max_steps=300)
    assert found.converged.all()
    np.testing.assert_allclose(found.x, b @ np.linalg.pinv(a).T, atol=1e-13)


@pytest.mark.parametrize("order", "CF")
def test_solution_nearest_to_the_start(order):
    a = with_singular_values(np.linspace(1, 3, 30), (30, 50), np.random.default_rng(2))
    b, x0 = right_hand_sides(2, 30), np.random.default_rng(8).standard_normal((2, 50))
    found = lsmr(products_with(np.array(a, order=order)), b, x0, max_steps=300)
    inverse = np.linalg.pinv(a)
    assert found.converged.all()
    np.testing.assert_allclose(found.x, x0 + (b - x0 @ a.T) @ inverse.T, atol=1e-13)


def test_a_singular_system_does_not_converge_where_it_cannot():
    a = near_identity(40)
    a[:, 5] = a[:, 6]
    b = right_hand_sides(2, 40)
    b[1] = a @ b[1]
    found = lsmr(products_with(a), b, max_steps=400)
    assert found.converged.tolist() == [False, True]
    assert found.backward_error[0] > 1e-3
    np.testing.assert_allclose(found.x[0], np.linalg.pinv(a) @ b[0], atol=1e-10)


def test_gmres_solves_in_fewer_passes_than_lsmr():
    a, b = near_identity(150, 0.5), right_hand_sides(3, 150)
    spent = {}
    for name in ("gmres", "lsmr"):
        pace = Pace(lambda: False)
        products = products_with(a, pace)
        inner = (
            gmres_inner(products, Scaling(), MEMORY)
            if name == "gmres"
            else lsmr_inner(products, Scaling())
        )
        found = refine(products, inner, b, None, 500)
        assert found.converged.all()
        assert backward_errors(a, found.x, b).max() <= GOAL
        spent[name] = pace.passes
    assert spent["gmres"] < 0.8 * spent["lsmr"]


def test_gmres_within_little_memory_restarts():
    a, b = near_identity(100, 0.3), right_hand_sides(2, 100)
    products = products_with(a)
    found = refine(products, gmres_inner(products, Scaling(), 5 * 12 * 200), b, None, 500)
    assert found.converged.all()
    assert found.corrections > 4


@pytest.mark.parametrize("method", ["lsmr", "gmres"])
def test_scaling_changes_the_way_and_not_the_solution(method):
    generator = np.random.default_rng(4)
    rows, columns = (np.exp(generator.uniform(-5, 5, 80)) for _ in range(2))
    a = rows[:, None] * near_identity(80) * columns
    b = right_hand_sides(2, 80)
    scaling = Scaling(1.0 / rows, 1.0 / columns)
    products = products_with(a)
    if method == "lsmr":
        scaled = StripedProducts(ArrayMatrix(a), products.pace, scaling)
        inner = lsmr_inner(scaled, scaling)
    else:
        inner = gmres_inner(products, scaling, MEMORY)
    found = refine(products, inner, b, None, 300, np.linalg.norm(a, 2))
    assert found.converged.all()
    assert products.pace.passes < 60
    assert backward_errors(a, found.x, b).max() <= GOAL


def test_any_linear_map_will_do():
    a = near_identity(50)
    linear_map = ComposedMap([DenseMap(ArrayMatrix(a)), DiagonalMap(np.full(50, -3.0))])
    b = right_hand_sides(2, 50)
    found = lsmr(products_of(linear_map, Pace(lambda: False)), b, max_steps=200)
    assert found.converged.all()
    np.testing.assert_allclose(found.x, np.linalg.solve(-3.0 * a, b.T).T, atol=1e-12)


@pytest.mark.parametrize("method", ["lsmr", "gmres"])
def test_interrupted_in_a_pass_it_keeps_the_best_and_says_that_nobody_looked(
    method, monkeypatch
):
    monkeypatch.setattr("nninvert.tolerances.STRIPE_BYTES", 8 * 100 * 10)
    a, b = near_identity(100, 0.3), right_hand_sides(2, 100)
    asked = []

    def in_the_eighth_pass():
        asked.append(None)
        return len(asked) > 80

    products = products_with(a, Pace(in_the_eighth_pass))
    inner = (
        lsmr_inner(products, Scaling())
        if method == "lsmr"
        else gmres_inner(products, Scaling(), MEMORY)
    )
    found = refine(products, inner, b, None, 500)
    assert found.interrupted
    assert not found.converged.any()
    assert np.all(np.isnan(found.backward_error))
    assert 1e-12 < backward_errors(a, found.x, b).max() < 1e-2


def test_stopped_at_once_nothing_is_known():
    products = products_with(near_identity(10), Pace(lambda: True))
    found = lsmr(products, right_hand_sides(1, 10), max_steps=10)
    assert found.interrupted
    assert np.all(found.x == 0.0)
    assert found.backward_error.tolist() == [1.0]


def test_a_target_of_zero_needs_no_work():
    products = products_with(near_identity(10))
    found = lsmr(products, np.zeros((2, 10)), max_steps=10)
    assert found.converged.all()
    assert products.pace.passes == 0
    assert np.all(found.x == 0.0)


def test_no_rows():
    found = lsmr(products_with(near_identity(10)), np.empty((0, 10)), max_steps=10)
    assert found.x.shape == (0, 10)


def test_a_correction_that_makes_it_worse_is_not_taken():
    a, b = near_identity(40), right_hand_sides(2, 40)
    x0 = np.linalg.solve(a, b.T).T + 1e-3
    products = products_with(a)

    def astray(residual, demand):
        return Correction(np.full((2, 40), 100.0), 1, False, ())

    found = refine(products, astray, b, x0, 10)
    np.testing.assert_array_equal(found.x, x0)
    assert found.corrections == 1
    np.testing.assert_allclose(found.backward_error, backward_errors(a, x0, b), rtol=0.2)
