"""Which answers are different ones."""

import numpy as np
import pytest

from nninvert.analysis.distinct import spread_out

TOL = 1e-3


def chosen(x, jacobian, first=0, rounding=1e-15, preferred=True):
    x = np.asarray(x, dtype=np.float64)
    slopes = np.asarray(jacobian, dtype=np.float64) / TOL
    preferred = np.broadcast_to(preferred, len(x))
    return spread_out(x, slopes, np.full(len(x), rounding), preferred, first).tolist()


def square(*roots):
    """Answers to x^2 = y: J = 2 x."""
    x = np.array(roots)[:, None]
    return x, 2.0 * x[:, :, None]


def test_two_roots_are_two_answers():
    assert chosen(*square(1.0, -1.0)) == [0, 1]


def test_ends_that_differ_by_the_tolerance_are_one():
    assert chosen(*square(1.0, 1.0004, 0.9996, -1.0)) == [0, 3]


def test_both_sides_of_a_double_root_are_one():
    # Of x^2 = 0 within tol, all between -sqrt(tol) and sqrt(tol) are answers.
    root = np.sqrt(TOL)
    assert chosen(*square(root, -root)) == [0]
    assert chosen(*square(3 * root, -3 * root)) == [0, 1]


def test_the_farthest_comes_next():
    x = np.array([[0.0], [1.0], [10.0], [6.0]])
    assert chosen(x, np.ones((4, 1, 1))) == [0, 2, 3, 1]
    assert chosen(x, np.ones((4, 1, 1)), first=2) == [2, 0, 3, 1]


def test_preferred_ones_come_before_farther_ones():
    x = np.array([[0.0], [1.0], [10.0], [6.0]])
    preferred = [True, True, False, False]
    assert chosen(x, np.ones((4, 1, 1)), preferred=preferred) == [0, 1, 2, 3]


def test_answers_along_a_family_are_different_ones():
    # y = x1 + x2: the kernel is (1, -1); along it nothing bounds an answer.
    x = np.array([[0.0, 0.0], [1.0, -1.0], [2.0, -2.0], [1e-4, 1e-4]])
    assert chosen(x, np.ones((4, 1, 2))) == [0, 2, 1]


def test_answers_along_a_family_closer_than_the_tolerance_are_one():
    x = np.array([[0.0, 0.0], [1e-3, -1e-3]])
    assert chosen(x, np.ones((2, 1, 2))) == [0]


@pytest.mark.parametrize("first", [0, 1])
def test_the_narrower_region_tells_two_along_a_family_apart(first):
    x = np.array([[0.0, 0.0], [0.05, -0.05]])
    slopes = np.array([[[1.0, 1.0]], [[0.01, 0.01]]])
    assert chosen(x, slopes, first) == [first, 1 - first]


def test_a_flat_place_does_not_swallow_another_answer():
    # Seen from where f is saturated, the tolerance explains any x; from there it does not.
    x = np.array([[9.0], [0.5]])
    jacobian = np.array([[[1e-7]], [[0.8]]])
    assert chosen(x, jacobian) == [0, 1]


def test_x_that_rounding_alone_moves_are_one():
    x = np.array([[1.0, 0.0], [1.0 + 1e-9, 1e-9]])
    flat = np.zeros((2, 1, 2))
    assert chosen(x, flat, rounding=1e-9) == [0]
    assert chosen(x, flat, rounding=1e-12) == [0, 1]


def test_where_a_jacobian_is_unknown_the_other_decides():
    x = np.array([[0.0], [5.0]])
    assert chosen(x, np.array([[[np.nan]], [[np.nan]]])) == [0]
    assert chosen(x, np.array([[[1.0]], [[np.nan]]])) == [0, 1]


@pytest.mark.parametrize("count", [1, 7])
def test_all_are_given_where_all_are_different(rng, count):
    x = rng.standard_normal((count, 3))
    order = chosen(x, np.tile(np.eye(3), (count, 1, 1)))
    assert sorted(order) == list(range(count))
