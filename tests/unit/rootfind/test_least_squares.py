"""Bounded least squares: the last digit, bounds, fixed variables, stopping."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import optimize

from nninvert.rootfind.least_squares import gauss_newton, least_squares


def open_box(n):
    return np.full(n, -np.inf), np.full(n, np.inf)


def tanh_net(seed, sizes, gain=1.2):
    """A random tanh network as (value, jacobian)."""
    rng = np.random.default_rng(seed)
    layers = [
        (gain * rng.normal(size=(a, b)) / np.sqrt(a), 0.2 * rng.normal(size=b))
        for a, b in pairwise(sizes)
    ]

    def value(x):
        for kernel, bias in layers:
            x = np.tanh(x @ kernel + bias)
        return x

    def jacobian(x):
        product = np.eye(x.size)
        for kernel, bias in layers:
            x = np.tanh(x @ kernel + bias)
            product = (1.0 - x * x)[:, None] * (kernel.T @ product)
        return product

    return value, jacobian


@pytest.mark.parametrize("sizes", [(6, 6, 6), (4, 9, 12), (9, 8, 3)])
def test_reachable_targets_are_met_to_rounding(sizes):
    value, jacobian = tanh_net(1, sizes)
    target = value(np.random.default_rng(2).uniform(-0.5, 0.5, sizes[0]))
    n = sizes[0]
    found = least_squares(lambda x: value(x) - target, jacobian, np.zeros(n), *open_box(n))
    assert np.abs(found.residual).max() < 1e-14
    np.testing.assert_array_equal(found.residual, value(found.x) - target)
    assert not found.stopped


def test_a_solution_on_the_bounds_is_met_to_rounding():
    value, jacobian = tanh_net(1, (6, 6, 6))
    x = np.array([0.0, 0.5, 1.0, 1.0, 0.0, 0.3])
    target = value(x)
    found = least_squares(
        lambda x: value(x) - target, jacobian, np.full(6, 0.4), np.zeros(6), np.ones(6)
    )
    np.testing.assert_allclose(found.x, x, atol=1e-12)
    assert (found.x >= 0.0).all()
    assert (found.x <= 1.0).all()


def test_linear_residuals_agree_with_an_active_set_method():
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(8, 5)), rng.normal(size=8)
    box = np.full(5, 0.1)
    found = least_squares(lambda x: A @ x - b, lambda x: A, np.zeros(5), -box, box)
    reference = optimize.lsq_linear(A, b, (-box, box), method="bvls", tol=1e-14)
    np.testing.assert_allclose(found.cost, 2.0 * reference.cost, rtol=1e-10)
    np.testing.assert_allclose(found.x, reference.x, atol=1e-6)


def test_fixed_variables_stay():
    found = least_squares(
        lambda x: np.array([x[0] + x[1] - 3.0]),
        lambda x: np.array([[1.0, 1.0]]),
        np.array([9.0, 0.0]),
        np.array([1.25, -np.inf]),
        np.array([1.25, np.inf]),
    )
    assert found.x[0] == 1.25
    assert found.x[1] == pytest.approx(1.75, abs=1e-15)


def test_all_variables_fixed():
    one = np.ones(1)
    found = least_squares(lambda x: x - 3.0, lambda x: np.eye(1), 5.0 * one, one, one)
    assert found.x.tolist() == [1.0]
    assert found.residual.tolist() == [-2.0]


def test_no_success_is_made_of_a_minimum():
    # x^2 + 1 has no zero: the point is the minimum, and its residual says so.
    found = least_squares(
        lambda x: x**2 + 1.0, lambda x: np.diag(2.0 * x), np.array([1.0]), *open_box(1)
    )
    assert found.cost == pytest.approx(1.0, abs=1e-8)


def test_stopping_keeps_the_best_point():
    value, jacobian = tanh_net(1, (6, 6, 6))
    target, asked = value(np.full(6, 0.4)), []

    def should_stop():
        asked.append(None)
        return len(asked) > 3

    start = np.zeros(6)
    found = least_squares(
        lambda x: value(x) - target, jacobian, start, *open_box(6), should_stop=should_stop
    )
    assert found.stopped
    assert found.steps == 4
    first = float(np.sum((value(start) - target) ** 2))
    assert 1e-20 < found.cost < first


def test_a_start_without_a_finite_value_comes_back():
    found = least_squares(
        lambda x: np.full(1, np.nan), lambda x: np.eye(1), np.zeros(1), *open_box(1)
    )
    assert np.isnan(found.residual).all()
    assert found.x.tolist() == [0.0]


def test_gauss_newton_takes_the_last_digits():
    value, jacobian = tanh_net(1, (6, 6, 6))
    x = np.full(6, 0.3)
    target = value(x)
    found = gauss_newton(lambda x: value(x) - target, jacobian, x + 1e-4, *open_box(6))
    assert np.abs(found.residual).max() < 1e-15
    assert found.steps < 8


def test_gauss_newton_lets_bounds_hold_variables_back():
    # min (x0 + x1 - 1)^2 + (x1 - 3)^2 over x0 >= 0: x0 stays 0, and x1 becomes 2. A
    # step of both variables towards (-2, 3), cut at the bound, would end at (0, 3).
    A, b = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([1.0, 3.0])
    found = gauss_newton(
        lambda x: A @ x - b,
        lambda x: A,
        np.array([0.0, 3.5]),
        np.array([0.0, -10.0]),
        np.array([10.0, 10.0]),
    )
    np.testing.assert_allclose(found.x, [0.0, 2.0], atol=1e-14)
