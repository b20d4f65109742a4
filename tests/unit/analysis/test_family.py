"""Directions that keep y, and how far they may be followed."""

import numpy as np
import pytest

from nninvert.analysis.family import LONGEST, POINTS, free_directions, kept_intervals

NOTHING = np.zeros((0, 5))
FREE = np.zeros(5, dtype=bool)


def test_the_kernel_and_nothing_else(rng):
    jacobian = rng.standard_normal((2, 5))
    found = free_directions(jacobian, FREE, FREE, NOTHING, 50)
    assert found.dimension == 3
    np.testing.assert_allclose(found.basis @ found.basis.T, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(jacobian @ found.basis.T, 0.0, atol=1e-14)


def test_rank_is_counted_not_the_number_of_outputs(rng):
    row = rng.standard_normal((1, 5))
    twice = np.vstack([row, 3.0 * row, np.zeros((1, 5))])
    assert free_directions(twice, FREE, FREE, NOTHING, 50).dimension == 4


def test_each_direction_is_mostly_one_input_the_freest_first():
    # Output 0 reads input 0 alone, output 1 the sum of 1 and 2: inputs 3 and 4 are free.
    jacobian = np.array([[1.0, 0, 0, 0, 0], [0, 1.0, 1.0, 0, 0]])
    found = free_directions(jacobian, FREE, FREE, NOTHING, 50)
    np.testing.assert_allclose(found.basis[:2], np.eye(5)[3:], atol=1e-15)
    last = np.array([0, 1, -1, 0, 0]) / np.sqrt(2)
    np.testing.assert_allclose(found.basis[2], last, atol=1e-15)


def test_some_of_many_directions_are_orthonormal_too(rng):
    n = 2000
    none = np.zeros(n, dtype=bool)
    jacobian = rng.standard_normal((3, n))
    found = free_directions(jacobian, none, none, np.zeros((0, n)), 10)
    assert found.dimension == n - 3
    assert found.basis.shape == (10, n)
    np.testing.assert_allclose(found.basis @ found.basis.T, np.eye(10), atol=1e-13)
    np.testing.assert_allclose(jacobian @ found.basis.T, 0.0, atol=1e-12)


def test_fixed_inputs_do_not_move(rng):
    fixed = np.array([True, False, False, True, False])
    jacobian = rng.standard_normal((1, 5))
    found = free_directions(jacobian, fixed, FREE, NOTHING, 50)
    assert found.dimension == 2
    assert (found.basis[:, fixed] == 0.0).all()


def test_everything_fixed_leaves_no_direction(rng):
    found = free_directions(rng.standard_normal((1, 5)), ~FREE, FREE, NOTHING, 50)
    assert (found.dimension, found.basis.shape) == (0, (0, 5))


def test_inputs_at_a_bound_stay_as_long_as_possible(rng):
    at_bound = np.array([True, True, False, False, False])
    jacobian = rng.standard_normal((1, 5))
    found = free_directions(jacobian, FREE, at_bound, NOTHING, 50)
    assert found.dimension == 4
    assert (found.basis[:2, at_bound] == 0.0).all()
    assert (found.basis[2:, at_bound] != 0.0).any(axis=1).all()
    np.testing.assert_allclose(found.basis @ found.basis.T, np.eye(4), atol=1e-14)
    np.testing.assert_allclose(jacobian @ found.basis.T, 0.0, atol=1e-14)


def test_directions_along_an_inequality_come_first(rng):
    held = np.array([[1.0, 1.0, 0.0, 0.0, 0.0]])
    found = free_directions(rng.standard_normal((1, 5)), FREE, FREE, held, 50)
    assert found.dimension == 4
    np.testing.assert_allclose(held @ found.basis[:3].T, 0.0, atol=1e-14)
    assert abs(held @ found.basis[3]) > 0.1


def intervals(meets, limits=(-np.inf, np.inf), x=(0.0, 0.0)):
    basis = np.array([[1.0, 0.0]])
    return kept_intervals(np.array(x), basis, np.array([limits]), meets)


def test_an_interval_ends_where_points_stop_to_meet():
    found, points = intervals(lambda p: (p[:, 0] >= -0.3) & (p[:, 0] <= 2.0))
    np.testing.assert_allclose(found, [[-0.3, 2.0]], rtol=1e-4)
    assert found[0, 0] >= -0.3
    assert found[0, 1] <= 2.0
    assert points.tolist() == [2 * POINTS]


def test_an_interval_ends_at_the_domain():
    found, _ = intervals(lambda p: np.ones(len(p), dtype=bool), (-1.5, 0.0))
    assert found.tolist() == [[-1.5, 0.0]]


def test_a_line_that_never_leaves_is_followed_so_far():
    found, _ = intervals(lambda p: np.ones(len(p), dtype=bool), x=(0.0, 20.0))
    assert found.tolist() == [[-20.0 * LONGEST, 20.0 * LONGEST]]


def test_an_x_that_cannot_move_has_an_empty_interval():
    found, points = intervals(lambda p: p[:, 0] == 0.0)
    assert found.tolist() == [[0.0, 0.0]]
    assert points.tolist() == [0]


def test_a_gap_that_doubling_jumped_over_is_seen_by_the_points():
    # 1 and 2 are good as powers of two times the first step are; 1.2 to 1.6 is not.
    def meets(p):
        t = np.abs(p[:, 0])
        return (t <= 2.0) & ~((t > 1.2) & (t < 1.6))

    found, points = intervals(meets, x=(0.0, 1.0))
    assert (np.abs(found) <= 1.2).all()
    assert (np.abs(found) > 1.1).all()
    assert points[0] < 2 * POINTS


@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12])
def test_the_size_of_x_is_no_obstacle(size):
    found, _ = intervals(lambda p: np.abs(p[:, 0] - size) <= 0.1 * size, x=(size, 0.0))
    np.testing.assert_allclose(found, [[-0.1 * size, 0.1 * size]], rtol=1e-4)
