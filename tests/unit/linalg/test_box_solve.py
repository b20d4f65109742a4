"""Solutions inside boxes: met, nearest, or told apart by a checked certificate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import with_singular_values

from nninvert.context import Context
from nninvert.linalg.box import Box, Units
from nninvert.linalg.box_solve import separated, solve_in_box
from nninvert.linalg.factor import factorise
from nninvert.linalg.map import DenseMap
from nninvert.linalg.qr import factor_qr
from nninvert.linalg.stored import ArrayMatrix

OPEN, CLOSED = True, False
KINDS = {
    "tanh": (-1.0, 1.0, OPEN, 0.1),
    "sigmoid": (0.0, 1.0, OPEN, 0.5),
    "softplus": (0.0, np.inf, OPEN, 0.7),
    "turned softplus": (-np.inf, 2.0, OPEN, 0.0),
    "hard_tanh": (-1.0, 1.0, CLOSED, 0.0),
    "relu": (0.0, np.inf, CLOSED, 0.2),
    "nothing": (-np.inf, np.inf, CLOSED, 3.0),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def box_of(kind, n):
    low, high, is_open, centre = KINDS[kind]
    ends = np.full(n, low), np.full(n, high)
    return Box(*ends, np.full(n, is_open), np.full(n, centre))


def inside(kind, shape, rng):
    """Random points of a box, in closed ones many on the edge."""
    low, high, is_open, _ = KINDS[kind]
    x = 1.2 * rng.standard_normal(shape)
    if not is_open:
        return np.clip(x, low, high)
    if np.isfinite(low) and np.isfinite(high):
        return low + (high - low) * (0.5 + 0.5 * np.tanh(x))
    return low + np.logaddexp(0.0, x) if np.isfinite(low) else high - np.logaddexp(0.0, x)


def stored(matrix):
    return DenseMap(ArrayMatrix(matrix))


def solve(matrix, z, box, factor=None):
    a = stored(matrix)
    factor = factor or factorise(a, Context())
    slack = np.full((len(z), a.shape[1]), 1e-12)
    return solve_in_box(a, factor, z, box, slack, lambda: False)


def certified(matrix, solution, z, box, radius=1e-9):
    return separated(stored(matrix), solution.multiplier, z, np.full(z.shape, radius), box)


def assert_inside(x, box):
    assert (x >= box.lower).all()
    assert (x <= box.upper).all()
    narrow = box.open_ends
    assert (x > box.lower)[:, narrow].all()
    assert (x < box.upper)[:, narrow].all()


@kinds
@pytest.mark.parametrize(("m", "n"), [(1, 2), (5, 40), (10, 20), (20, 30)])
def test_what_has_a_solution_is_solved(kind, m, n, rng):
    a = rng.standard_normal((m, n)) / np.sqrt(n)
    z = inside(kind, (12, n), rng) @ a.T
    found = solve(a, z, box_of(kind, n))
    assert found.met.all()
    np.testing.assert_allclose(found.x @ a.T, z, rtol=0.0, atol=1e-12 * np.abs(z).max())
    assert_inside(found.x, box_of(kind, n))
    assert not certified(a, found, z, box_of(kind, n), radius=0.0).any()


@pytest.mark.parametrize("kind", ["hard_tanh", "relu"])
def test_closed_ends_give_the_nearest_point_to_the_centre(kind, rng):
    """Karush, Kuhn and Tucker: x - centre = A^T w + forces that push off the ends."""
    from scipy.optimize import nnls

    a = rng.standard_normal((6, 15))
    box, z = box_of(kind, 15), inside(kind, (8, 15), rng) @ a.T
    found = solve(a, z, box)
    touched = (found.x == box.lower) | (found.x == box.upper)
    assert touched.any()
    for x in found.x:
        low, high = np.eye(15)[x == box.lower], np.eye(15)[x == box.upper]
        forces = np.concatenate([a, -a, low, -high]).T
        assert nnls(forces, x - box.centre)[1] <= 1e-9


def test_without_ends_it_is_the_projection_of_the_centre(rng):
    a, centre = rng.standard_normal((3, 7)), rng.standard_normal((4, 7))
    z = rng.standard_normal((4, 3))
    found = solve(a, z, Box.around(centre))
    expected = centre + (z - centre @ a.T) @ np.linalg.pinv(a).T
    np.testing.assert_allclose(found.x, expected, atol=1e-12)
    assert found.met.all()


def test_open_ends_are_kept_off(rng):
    """Least norm would leave (-1, 1); what is found needs no unit beyond tanh(4)."""
    a = rng.standard_normal((100, 200)) / 14.0
    z = np.tanh(1.5 * rng.standard_normal((5, 200))) @ a.T
    least = z @ np.linalg.pinv(a).T
    assert np.abs(least).max() > 1.0
    found = solve(a, z, box_of("tanh", 200))
    assert found.met.all()
    assert np.abs(found.x).max() < np.tanh(4.0)


def test_units_that_are_fixed_stay(rng):
    a = rng.standard_normal((2, 6))
    low, high = np.full(6, -1.0), np.full(6, 1.0)
    low[[1, 4]] = high[[1, 4]] = 0.3
    x = rng.uniform(low, high, (6, 6))
    box = Box(low, high, np.zeros(6, dtype=bool), np.zeros(6))
    found = solve(a, x @ a.T, box)
    assert found.met.all()
    np.testing.assert_array_equal(found.x[:, [1, 4]], 0.3)
    assert_inside(found.x, box)


@pytest.mark.parametrize("shape", [(8, 8), (12, 6)])
def test_of_low_rank_the_nearest_value_is_met(shape, rng):
    values = np.concatenate([[3.0, 2.0, 1.0, 0.5], np.zeros(min(shape) - 4)])
    a = with_singular_values(values, shape, rng)
    box = box_of("tanh", shape[1])
    x = 0.8 * inside("tanh", (6, shape[1]), rng)
    off = rng.standard_normal((6, shape[0]))
    off -= off @ np.linalg.pinv(a).T @ a.T
    found = solve(a, x @ a.T + off, box)
    assert found.met.all()
    np.testing.assert_allclose(found.x @ a.T, x @ a.T, atol=1e-11)
    assert_inside(found.x, box)


def test_scales_of_the_equations_do_not_matter(rng):
    a = rng.standard_normal((6, 18))
    z = inside("tanh", (5, 18), rng) @ a.T
    scale = np.array([1e6, 1.0, 1e3, 1e-3, 1e4, 1e-6])
    plain, scaled = (
        solve(a * s, z * s[:, 0], box_of("tanh", 18))
        for s in (
            np.ones((6, 1)),
            scale[:, None],
        )
    )
    assert scaled.met.all()
    np.testing.assert_allclose(scaled.x, plain.x, atol=0.02)


@pytest.mark.parametrize("kind", ["tanh", "sigmoid", "hard_tanh"])
def test_what_has_none_is_told_apart(kind, rng):
    a = rng.standard_normal((10, 16)) / 4.0
    box = box_of(kind, 16)
    middle, half = 0.5 * (box.upper + box.lower), 0.5 * (box.upper - box.lower)
    z = (middle + 1.5 * half * rng.choice([-1.0, 1.0], (9, 16))) @ a.T
    found = solve(a, z, box)
    proved = certified(a, found, z, box)
    assert not found.met.any()
    assert proved.sum() >= 8
    assert_inside(found.x, box)
    # A radius as large as the distance leaves room for a solution.
    far = np.abs(z - found.x @ a.T).max()
    assert not certified(a, found, z, box, radius=1.01 * far).any()


def test_the_nearest_point_is_nearest_to_the_solutions(rng):
    from scipy.optimize import lsq_linear

    a = rng.standard_normal((4, 9))
    box = box_of("hard_tanh", 9)
    z = 3.0 * np.sign(rng.standard_normal((6, 9))) @ a.T
    found = solve(a, z, box)
    rows = np.linalg.qr(a.T)[0].T
    for x, row in zip(found.x, z, strict=True):
        aim = rows @ np.linalg.pinv(a) @ row
        best = lsq_linear(rows, aim, (-1.0, 1.0), tol=1e-14)
        assert np.linalg.norm(rows @ x - aim) <= 1.01 * np.sqrt(2.0 * best.cost)


def test_a_cone_that_is_missed_is_told_apart(rng):
    """Sums of positive numbers are not negative, however large they may be."""
    a = np.abs(rng.standard_normal((3, 8))) + 0.1
    z, w = np.array([[-1.0, 2.0, 3.0]]), np.array([[-1.0, 0.0, 0.0]])
    for kind in ("relu", "softplus"):
        assert not solve(a, z, box_of(kind, 8)).met.any()
        assert separated(stored(a), w, z, np.full((1, 3), 0.99), box_of(kind, 8)).all()
        assert not separated(stored(a), w, z, np.ones((1, 3)), box_of(kind, 8)).any()


def test_signs_lost_in_rounding_prove_nothing():
    """A^T w is zero but for rounding: whether x may grow without bound is not known."""
    box = Box(np.zeros(2), np.full(2, np.inf), np.zeros(2, dtype=bool), np.ones(2))
    a, w = np.array([[0.1, 1.0], [0.3, 1.0]]), np.array([[-3.0, 1.0]])
    along = w @ a
    assert abs(along[0, 0]) < 1e-16
    assert along[0, 1] < 0.0
    z, radius = np.array([[-1.0, 0.0]]), np.zeros((1, 2))
    assert not separated(stored(a), w, z, radius, box)[0]
    assert separated(stored(a - [[0.0, 0.0], [0.01, 0.0]]), w, z, radius, box)[0]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(KINDS)))
def test_no_multiplier_ever_tells_apart_what_has_a_solution(seed, kind):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((4, 7))
    x = inside(kind, (50, 7), rng)
    z = x @ a.T
    w = rng.standard_normal((50, 4)) * 10.0 ** rng.uniform(-200, 200, (50, 1))
    radius = np.zeros(z.shape)
    assert not separated(stored(a), w, z, radius, box_of(kind, 7)).any()


def test_multipliers_without_a_direction_prove_nothing():
    box, z = box_of("tanh", 2), np.array([[9.0]] * 3)
    w = np.array([[0.0], [np.nan], [np.inf]])
    assert not separated(stored(np.ones((1, 2))), w, z, np.zeros((3, 1)), box).any()


def test_other_factorisations_serve_as_well(rng):
    a = rng.standard_normal((20, 60)) / 8.0
    z = inside("tanh", (4, 60), rng) @ a.T
    found = solve(a, z, box_of("tanh", 60), factor_qr(stored(a)))
    assert found.met.all()
    np.testing.assert_allclose(found.x @ a.T, z, atol=1e-12)


def test_it_stops_when_asked(rng):
    a = rng.standard_normal((10, 12))
    z = 0.99 * np.sign(rng.standard_normal((3, 12))) @ a.T
    asked = []

    def stop():
        asked.append(True)
        return True

    factor = factorise(stored(a), Context())
    slack = np.zeros((3, 12))
    found = solve_in_box(stored(a), factor, z, box_of("tanh", 12), slack, stop)
    assert not found.met.any()
    assert len(asked) == 2
    assert_inside(found.x, box_of("tanh", 12))


@kinds
def test_units_rise_from_their_centre(kind):
    units = Units.keeping_off(box_of(kind, 3), 1)
    s = np.linspace(-30.0, 30.0, 4001)[:, None] * np.ones(3)
    many = Units.keeping_off(box_of(kind, 3), len(s))
    value, slope = many.at(s)
    assert (np.diff(value, axis=0) >= 0.0).all()
    middle = np.abs(s[:, 0]) < 1.0
    numeric = np.gradient(value[:, 0], s[:, 0])
    smooth = np.abs(np.gradient(slope[:, 0])) < 0.1
    np.testing.assert_allclose(
        slope[middle & smooth, 0], numeric[middle & smooth], rtol=1e-3, atol=1e-5
    )
    np.testing.assert_allclose(units.at(np.zeros((1, 3)))[0], units.centre, atol=1e-15)


def test_centres_outside_are_moved_in():
    low, high = np.array([-1.0, 0.0, 0.0]), np.array([1.0, np.inf, 2.0])
    ends = np.array([True, True, False])
    box = Box(low, high, ends, np.array([[5.0, -3.0, 9.0], [0.0, 4.0, 1.0]]))
    centre = Units.keeping_off(box, 2).centre
    np.testing.assert_allclose(centre, [[0.9, 0.05, 2.0], [0.0, 4.0, 1.0]])
