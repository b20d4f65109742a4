"""Least change: known nearest points, bands up to their edge, honest flags."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import optimize

from nninvert.rootfind._band import Band, Region, SmoothMap
from nninvert.rootfind.least_change import least_change
from nninvert.rootfind.quadratic import solve_quadratic


def region(near, lower=-np.inf, upper=np.inf, scale=1.0):
    near = np.asarray(near, dtype=np.float64)
    return Region(
        near,
        *(np.broadcast_to(np.float64(v), near.shape).copy() for v in (lower, upper, scale)),
    )


def linear(A):
    return SmoothMap(lambda x: A @ x, lambda x: A)


SPHERE = SmoothMap(
    lambda x: np.array([x @ x]),
    lambda x: 2.0 * x[None],
    lambda x, w, d: 2.0 * w[0] * d,
)


def random_net(seed, sizes, gain, activation="tanh"):
    """A random network; its curvature by central differences of the gradient."""
    rng = np.random.default_rng(seed)
    layers = [
        (gain * rng.normal(size=(a, b)) / np.sqrt(a), 0.2 * rng.normal(size=b))
        for a, b in pairwise(sizes)
    ]

    def units(z):
        if activation == "tanh":
            return np.tanh(z), 1.0 - np.tanh(z) ** 2
        return np.maximum(z, 0.0), (z > 0.0).astype(np.float64)

    def value(x):
        for kernel, bias in layers[:-1]:
            x = units(x @ kernel + bias)[0]
        return x @ layers[-1][0] + layers[-1][1]

    def jacobian(x):
        product = np.eye(x.size)
        for kernel, bias in layers[:-1]:
            x, slope = units(x @ kernel + bias)
            product = slope[:, None] * (kernel.T @ product)
        return layers[-1][0].T @ product

    def bend(x, weights, directions):
        steps = 1e-5 * directions
        rows = [weights @ (jacobian(x + d) - jacobian(x - d)) for d in steps]
        return np.array(rows) / 2e-5

    return SmoothMap(value, jacobian, bend if activation == "tanh" else None)


def spare_starts(n):
    """Four points of the unit box, for where `near` leads nowhere."""
    return list(np.random.default_rng(99).uniform(-1.0, 1.0, (4, n)))


def distance(found, near):
    return float(np.linalg.norm(found - near))


def test_a_band_is_judged_at_its_very_edge():
    band = Band.wide(np.array([1.0]), np.array([0.25]))
    assert band.contains(np.array([1.25]))
    assert not band.contains(np.nextafter(np.array([1.25]), 2.0))
    assert band.room < 0.25
    assert band.room > 0.25 * (1.0 - 1e-7)


def test_rounding_of_the_terms_leaves_room():
    # Outputs near 0 that are differences of large terms are not known to an ulp of 0.
    small, large = np.array([1e-9]), np.array([1e6])
    band = Band.wide(small, np.array([1e-6]), large)
    assert band.room[0] < 1e-6 - 1e-9


def test_steps_end_inside_the_bounds_to_the_last_bit():
    where = region([0.0, 0.0], -0.3, 0.3, scale=[0.7, 3.0])
    x = np.array([0.1, -0.1])
    moved = where.moved(x, np.array([1.0, -1.0]))
    assert moved.tolist() == [0.3, -0.3]


@pytest.mark.parametrize("n", [2, 5])
def test_nearest_point_of_a_sphere(n):
    near = np.linspace(1.0, 2.0, n)
    band = Band.exact(np.array([1.0]), np.array([1e-9]))
    found = least_change(SPHERE, band, region(near))
    np.testing.assert_allclose(found.x, near / np.linalg.norm(near), atol=1e-9)
    assert found.feasible
    assert found.stationary
    assert abs(found.value[0] - 1.0) < 1e-15


def test_nearest_point_of_a_shell_is_its_edge():
    near = np.array([3.0, 4.0])
    band = Band.wide(np.array([1.0]), np.array([0.21]))
    found = least_change(SPHERE, band, region(near))
    np.testing.assert_allclose(found.x, np.sqrt(1.21) * near / 5.0, atol=1e-7)
    assert abs(found.value[0] - 1.0) <= 0.21
    assert found.stationary


def test_curvature_is_not_needed_only_faster():
    near = np.array([0.5, 0.7])
    plain = SmoothMap(SPHERE.value, SPHERE.jacobian)
    band = Band.exact(np.array([1.0]), np.array([1e-9]))
    found = least_change(plain, band, region(near))
    np.testing.assert_allclose(found.x, near / np.linalg.norm(near), atol=1e-4)
    assert found.feasible


def test_scale_makes_an_ellipse():
    # Stretched by the scale the nearest point of a line is found by hand.
    A, scale = np.array([[1.0, 1.0]]), np.array([1.0, 10.0])
    band = Band.exact(np.array([2.0]), np.array([1e-9]))
    found = least_change(linear(A), band, region([0.0, 0.0], scale=scale))
    np.testing.assert_allclose(found.x, 2.0 * scale**2 / (scale @ scale), rtol=1e-10)
    assert found.distance == pytest.approx(np.linalg.norm(found.x / scale))


@pytest.mark.parametrize(("m", "n"), [(2, 5), (5, 5), (7, 4)])
def test_linear_maps_agree_with_the_quadratic_program(m, n):
    rng = np.random.default_rng(m)
    A, near = rng.normal(size=(m, n)), rng.normal(size=n)
    box = np.full(n, 0.8)
    y, tol = A @ rng.uniform(-0.8, 0.8, n), np.full(m, 0.1)
    found = least_change(linear(A), Band.wide(y, tol), region(near, -box, box))
    exact = solve_quadratic(-near, A, y - tol, y + tol, -box, box)
    assert found.feasible
    assert found.stationary
    np.testing.assert_allclose(found.x, exact.x, atol=1e-6)
    assert (np.abs(A @ found.x - y) <= tol).all()


def test_near_is_the_answer_where_it_is_good_enough():
    near = np.array([0.6, 0.8])
    found = least_change(SPHERE, Band.wide(np.ones(1), np.array([0.1])), region(near))
    np.testing.assert_array_equal(found.x, near)
    assert found.distance == 0.0
    assert found.stationary


def test_bounds_and_fixed_variables_hold_to_the_last_bit():
    near = np.array([0.1, 0.7, 0.3])
    lower, upper = np.array([0.0, 0.7, 0.1]), np.array([0.4, 0.7, 0.9])
    band = Band.exact(np.ones(1), np.array([1e-9]))
    found = least_change(SPHERE, band, region(near, lower, upper))
    assert found.feasible
    assert (found.x >= lower).all()
    assert (found.x <= upper).all()
    assert found.x[1] == 0.7
    # x0 at its bound would need x2 = 0.592; free it is (0.1, 0.3) stretched.
    direction = near[[0, 2]] / np.linalg.norm(near[[0, 2]])
    np.testing.assert_allclose(found.x[[0, 2]], direction * np.sqrt(0.51), atol=1e-8)


def test_nothing_feasible_gives_the_least_squares_point():
    # The sphere around 0 never comes below 0.
    band = Band.wide(np.array([-1.0]), np.array([0.5]))
    found = least_change(SPHERE, band, region([0.3, 0.4]))
    assert not found.feasible
    assert not found.stationary
    assert np.isnan(found.decrease)
    np.testing.assert_allclose(found.x, 0.0, atol=1e-4)


def test_infeasible_by_bounds():
    found = least_change(
        linear(np.eye(2)),
        Band.exact(np.array([2.0, 0.5]), np.full(2, 1e-9)),
        region([0.0, 0.0], 0.0, 1.0),
    )
    assert not found.feasible
    np.testing.assert_allclose(found.x, [1.0, 0.5], atol=1e-9)


@pytest.mark.parametrize("sizes", [(6, 12, 3), (8, 16, 16, 8), (5, 20, 8)])
@pytest.mark.parametrize("bounded", [False, True])
def test_reachable_targets_of_networks_are_met(sizes, bounded):
    for seed in range(4):
        smooth, n = random_net(seed, sizes, 1.3), sizes[0]
        x0 = np.random.default_rng(seed).uniform(-1.0, 1.0, n)
        y = smooth.value(x0)
        box = 1.0 if bounded else np.inf
        where = region(np.zeros(n), -box, box)
        tol = 1e-9 * np.maximum(np.abs(y), 1.0)
        found = least_change(smooth, Band.exact(y, tol), where, spare=spare_starts(n))
        assert found.feasible
        assert found.stationary
        assert (np.abs(smooth.value(found.x) - y) <= 1e-13).all()
        assert found.distance <= distance(x0, where.near) * (1.0 + 1e-9)


@pytest.mark.parametrize("sizes", [(6, 12, 3), (8, 16, 16, 8), (3, 8, 5)])
@pytest.mark.parametrize("part", [1e-4, 0.03, 0.3])
def test_no_farther_than_slsqp(sizes, part):
    compared = 0
    for seed in range(4):
        smooth, n = random_net(seed, sizes, 1.3), sizes[0]
        x0 = np.random.default_rng(seed).uniform(-1.0, 1.0, n)
        y, near = smooth.value(x0), np.zeros(n)
        tol = part * np.abs(y)
        found = least_change(
            smooth,
            Band.wide(y, tol),
            region(near, -1.0, 1.0),
            spare=spare_starts(n),
        )
        assert found.feasible
        assert found.stationary
        assert (np.abs(found.value - y) <= tol).all()
        assert found.distance <= distance(x0, near) * (1.0 + 1e-9)
        reference = slsqp(smooth, y, tol, near)
        if reference is not None:
            compared += 1
            assert found.distance <= distance(reference, near) * (1.0 + 1e-6)
    assert compared >= 2


def slsqp(smooth, y, tol, near):
    """The reference solution in the box, or None where its point is not feasible."""
    sides = [
        {
            "type": "ineq",
            "fun": lambda x, s=s: (1.0 - 1e-7) * tol + s * (smooth.value(x) - y),
            "jac": lambda x, s=s: s * smooth.jacobian(x),
        }
        for s in (-1.0, 1.0)
    ]
    x = optimize.minimize(
        lambda x: 0.5 * (x - near) @ (x - near),
        near,
        jac=lambda x: x - near,
        bounds=[(-1.0, 1.0)] * near.size,
        constraints=sides,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 300},
    ).x
    return x if (np.abs(smooth.value(x) - y) <= tol).all() else None


@pytest.mark.parametrize("curved", [True, False])
def test_exact_aims_at_the_target_however_wide_the_tolerance(curved):
    smooth = random_net(1, (6, 12, 3), 1.3)
    if not curved:
        smooth = SmoothMap(smooth.value, smooth.jacobian)
    y = smooth.value(np.full(6, 0.4))
    found = least_change(smooth, Band.exact(y, np.full(3, 1e-2)), region(np.zeros(6)))
    assert found.stationary
    np.testing.assert_allclose(found.value, y, atol=1e-14)


def test_a_feasible_start_of_another_piece_is_used():
    # x^2 = 1 has two pieces; from near = -0.1 Newton goes to -1, and 0.9 is feasible
    # too but farther; with the near piece forbidden only the start helps.
    square = SmoothMap(lambda x: x**2, lambda x: np.diag(2.0 * x))
    band = Band.wide(np.ones(1), np.array([0.2]))
    both = least_change(square, band, region([-0.1]), starts=[np.array([1.0])])
    assert both.x[0] == pytest.approx(-np.sqrt(0.8), rel=1e-7)
    right = least_change(square, band, region([-0.1], -0.5), starts=[np.array([1.0])])
    assert right.x[0] == pytest.approx(np.sqrt(0.8), rel=1e-7)


def test_spare_starts_are_the_last_resort():
    # Between -0.5 and 0.5 nothing moves: only a start beyond sees a slope.
    flat = SmoothMap(
        lambda x: np.maximum(np.abs(x) - 0.5, 0.0),
        lambda x: np.diag(np.sign(x) * (np.abs(x) > 0.5)),
    )
    band = Band.exact(np.ones(1), np.array([1e-9]))
    assert not least_change(flat, band, region([0.0])).feasible
    found = least_change(flat, band, region([0.0]), spare=[np.array([2.0])])
    assert found.feasible
    assert found.x[0] == pytest.approx(1.5)


def test_at_a_kink_nothing_is_claimed():
    # The nearest point of the corner of |x0| = x1 - 1 above 0 is (0, 1), a kink.
    corner = SmoothMap(
        lambda x: np.array([x[1] - abs(x[0] - 0.01 * x[1])]),
        lambda x: np.array(
            [[-np.sign(x[0] - 0.01 * x[1]), 1.0 + 0.01 * np.sign(x[0] - 0.01 * x[1])]]
        ),
    )
    band = Band.wide(np.array([2.0]), np.array([1.0]))
    found = least_change(corner, band, region([0.0, 0.0]))
    assert found.feasible
    np.testing.assert_allclose(found.x, [0.01, 1.0], atol=1e-3)
    assert not found.stationary


def test_stopping_keeps_the_best_feasible_point():
    smooth, n = random_net(3, (10, 20, 20, 4), 2.0), 10
    y = smooth.value(np.full(n, 0.5))
    band, where = Band.wide(y, 0.03 * np.abs(y)), region(np.zeros(n))
    full = least_change(smooth, band, where)
    distances = []
    for count in (4, 8, 12):
        answers = iter([False] * count)
        found = least_change(
            smooth, band, where, should_stop=lambda a=answers: next(a, True)
        )
        if found.feasible:
            assert (np.abs(smooth.value(found.x) - y) <= band.tolerance).all()
            distances.append(found.distance)
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > full.distance * (1.0 + 1e-6)


def test_a_stopped_search_for_exact_targets_meets_them_to_rounding():
    smooth = random_net(3, (10, 20, 20, 4), 2.0)
    y = smooth.value(np.full(10, 0.5))
    band, met = Band.exact(y, np.full(4, 1e-2)), 0
    for count in range(3, 40):
        answers = iter([False] * count)
        found = least_change(
            smooth,
            band,
            region(np.zeros(10)),
            should_stop=lambda a=answers: next(a, True),
        )
        if found.feasible:
            met += 1
            np.testing.assert_allclose(found.value, y, atol=1e-13)
    assert met > 5


def test_stopped_before_anything_was_found():
    smooth, n = random_net(3, (10, 20, 20, 4), 2.0), 10
    y = smooth.value(np.full(n, 0.5))
    found = least_change(
        smooth,
        Band.wide(y, 0.03 * np.abs(y)),
        region(np.zeros(n)),
        should_stop=lambda: True,
    )
    assert found.stopped
    assert not found.feasible
    np.testing.assert_array_equal(found.x, np.zeros(n))


def test_a_family_of_solutions_behind_dependent_outputs():
    # Two outputs that say the same, one twice as loud: five inputs, rank one.
    A = np.outer([1.0, 2.0], np.arange(1.0, 6.0))
    near = np.ones(5)
    band = Band.exact(A @ np.zeros(5), np.full(2, 1e-9))
    found = least_change(linear(A), band, region(near))
    row = A[0] / np.linalg.norm(A[0])
    np.testing.assert_allclose(found.x, near - row * (row @ near), atol=1e-12)
    assert found.stationary
