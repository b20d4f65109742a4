"""Least change: known nearest points, bands up to their edge, honest flags."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import optimize

from nninvert.rootfind._feasible_start import project
from nninvert.rootfind._hessian import DIRECTIONS, sketched
from nninvert.rootfind.least_change import (
    Band,
    Inequalities,
    Region,
    SmoothMap,
    least_change,
    least_misfit,
)
from nninvert.rootfind.quadratic import solve_quadratic


def region(near, lower=-np.inf, upper=np.inf, scale=1.0):
    near = np.asarray(near, dtype=np.float64)
    return Region(
        near,
        *(np.broadcast_to(np.float64(v), near.shape).copy() for v in (lower, upper, scale)),
    )


def with_inequalities(where, matrix, low, high):
    given = Inequalities(np.asarray(matrix), np.asarray(low), np.asarray(high))
    return replace(where, inequalities=given)


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


def test_equations_whose_rank_rises_on_the_way():
    """At x_0 = 0 the slope of the product has none of x_1: one row, then two."""
    product = SmoothMap(
        lambda x: np.array([x[0], x[0] * x[1]]),
        lambda x: np.array([[1.0, 0.0], [x[1], x[0]]]),
    )
    band = Band.exact(np.array([1.0, 2.0]), np.array([1e-9, 1e-9]))
    start = np.array([0.0, 1.0])
    found = project(product, band, region(start), start, lambda: False)
    np.testing.assert_allclose(found.x, [1.0, 2.0], rtol=1e-12)


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


def slsqp(smooth, y, tol, near, box=(-1.0, 1.0), total=None):
    """The reference solution in the box, or None where its point is not feasible."""
    sides = [
        {
            "type": "ineq",
            "fun": lambda x, s=s: (1.0 - 1e-7) * tol + s * (smooth.value(x) - y),
            "jac": lambda x, s=s: s * smooth.jacobian(x),
        }
        for s in (-1.0, 1.0)
    ]
    if total is not None:
        sides.append({"type": "eq", "fun": lambda x: x.sum() - total})
    x = optimize.minimize(
        lambda x: 0.5 * (x - near) @ (x - near),
        near,
        jac=lambda x: x - near,
        bounds=[box] * near.size,
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


@pytest.mark.parametrize("seed", range(4))
def test_inequalities_are_kept_on_the_way_to_the_nearest_point(seed):
    rng = np.random.default_rng(seed)
    A, walls = rng.normal(size=(2, 6)), rng.normal(size=(3, 6))
    inside, near = rng.uniform(-0.5, 0.5, 6), rng.normal(size=6)
    y, tol, box = A @ inside, np.full(2, 0.05), np.ones(6)
    low, high = walls @ inside - np.array([0.0, np.inf, 0.1]), walls @ inside + 0.05
    high[0] = low[0]
    where = with_inequalities(region(near, -box, box), walls, low, high)
    found = least_change(linear(A), Band.wide(y, tol), where)
    exact = solve_quadratic(
        -near,
        np.concatenate([A, walls]),
        np.concatenate([y - tol, low]),
        np.concatenate([y + tol, high]),
        -box,
        box,
    )
    assert found.feasible
    assert found.stationary
    np.testing.assert_allclose(found.x, exact.x, atol=1e-6)
    rounding = 1e-15 * (np.abs(walls) @ np.abs(found.x))
    assert (walls @ found.x >= low - rounding).all()
    assert (walls @ found.x <= high + rounding).all()


@pytest.mark.parametrize("seed", range(4))
def test_targets_out_of_reach_are_approached_inside_the_inequalities(seed):
    rng = np.random.default_rng(seed)
    A, walls = rng.normal(size=(4, 3)), np.ones((1, 3))
    y, box = 5.0 * rng.normal(size=4), np.ones(3)
    where = with_inequalities(region(np.zeros(3), -box, box), walls, [0.5], [0.5])
    band = Band.exact(y, np.full(4, 1e-9))
    exact = optimize.lsq_linear(
        np.concatenate([A, 1e6 * walls]), np.append(y, 5e5), (-box, box), tol=1e-14
    )
    for found in (
        least_change(linear(A), band, where, spare=spare_starts(3)),
        least_misfit(linear(A), band, where, np.full(3, 0.3)),
    ):
        assert not found.feasible
        assert abs(found.x.sum() - 0.5) <= 1e-15
        np.testing.assert_allclose(found.x, exact.x, atol=1e-5)


def test_inequalities_that_conflict_leave_nothing():
    walls = np.ones((2, 2))
    where = with_inequalities(region(np.zeros(2)), walls, [1.0, -np.inf], [np.inf, 0.5])
    found = least_change(linear(np.eye(2)), Band.exact(np.ones(2), np.full(2, 1e-9)), where)
    assert not found.feasible


def test_networks_inside_inequalities_beside_slsqp():
    compared = 0
    for seed in range(4):
        smooth, near = random_net(seed, (6, 12, 3), 1.3), np.full(6, 1.0 / 6.0)
        share = np.random.default_rng(seed).uniform(0.0, 1.0, 6)
        y = smooth.value(share / share.sum())
        tol = 0.02 * np.abs(y)
        where = with_inequalities(region(near, 0.0, 1.0), np.ones((1, 6)), [1.0], [1.0])
        found = least_change(smooth, Band.wide(y, tol), where, spare=spare_starts(6))
        assert found.feasible
        assert found.stationary
        assert abs(found.x.sum() - 1.0) <= 1e-15
        reference = slsqp(smooth, y, tol, near, box=(0.0, 1.0), total=1.0)
        if reference is not None:
            compared += 1
            assert found.distance <= distance(reference, near) * (1.0 + 1e-5)
    assert compared >= 2


def test_a_sketch_finds_all_curvature_of_few_directions():
    rng = np.random.default_rng(0)
    n = 4 * DIRECTIONS
    basis = np.linalg.qr(rng.normal(size=(n, 10)))[0]
    strength = np.linspace(-3.0, 0.9, 10)
    curvature = (basis * strength) @ basis.T
    found = sketched(lambda d: d @ curvature, n, None)
    np.testing.assert_allclose(found.dense(), np.eye(n) - curvature, atol=1e-10)
    few = sketched(lambda d: d @ curvature[:5, :5], 5, None)
    np.testing.assert_allclose(few.dense(), np.eye(5) - curvature[:5, :5], atol=1e-12)
    # Where the Hessian would not be convex, it is made so.
    steep = sketched(lambda d: 3.0 * d, 4, None)
    assert np.linalg.eigvalsh(steep.dense()).min() > 0.0
    assert sketched(lambda d: 0.0 * d, 4, None) is None


def test_directions_without_curvature_do_not_spoil_the_others():
    curvature = np.diag([0.5, -2.0, 0.25])

    def product(directions):
        image = directions @ curvature
        image[1] = np.nan
        return image

    found = sketched(product, 3, None)
    np.testing.assert_allclose(found.dense(), np.diag([0.5, 1.0, 0.75]), atol=1e-12)


def test_many_variables_need_no_matrix_of_their_own_order():
    n = 5000
    smooth = wide_tanh(n, 20, 3)
    y = smooth.value(np.full(n, 0.5))
    band, where = Band.wide(y, 0.02 * np.abs(y)), region(np.zeros(n), -1.0, 1.0)
    tracemalloc.start()
    found = least_change(smooth, band, where)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.feasible
    assert found.stationary
    # Nearest: what pulls to `near` is held by the outputs alone, off the bounds.
    free = np.abs(found.x) < 1.0
    jacobian = smooth.jacobian(found.x)[:, free]
    rest = found.x[free] - np.linalg.lstsq(jacobian.T, found.x[free])[0] @ jacobian
    assert np.linalg.norm(rest) < 1e-3 * found.distance
    assert peak < 8 * n * n / 4


def wide_tanh(n, hidden, m):
    """One hidden layer, with products of curvature that need no Jacobian."""
    rng = np.random.default_rng(n)
    A, B = rng.normal(size=(hidden, n)) / np.sqrt(n), rng.normal(size=(m, hidden))
    bias = rng.normal(size=hidden)

    def jacobian(x):
        return (B * (1.0 - np.tanh(A @ x + bias) ** 2)) @ A

    def bend(x, weights, directions):
        t = np.tanh(A @ x + bias)
        return directions @ A.T * (-2.0 * t * (1.0 - t**2) * (weights @ B)) @ A

    return SmoothMap(lambda x: B @ np.tanh(A @ x + bias), jacobian, bend)
