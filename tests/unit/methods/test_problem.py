"""Targets, bounds, and the problem they make."""

import numpy as np
import pytest
from problems import network

from nninvert.errors import DataError, ShapeError
from nninvert.methods.domain import Domain
from nninvert.methods.problem import Problem, Targets


def test_targets_keep_the_precision_of_their_type():
    targets = Targets.of_array(np.array([[0.5, 1.0]], dtype=np.float32))
    assert targets.values.dtype == np.float64
    assert targets.precision.label == "float32"
    assert targets.wanted.all()
    assert targets.rows == 1


def test_infinite_targets_are_refused_by_place():
    with pytest.raises(DataError, match=r"row 1 > output 0: got -inf \(2 infinite"):
        Targets.of_array(np.array([[0.0, 1.0], [-np.inf, np.inf]]), nan_is_free=True)


def test_nan_is_refused_unless_it_is_free():
    stored = np.array([[0.5, np.nan]], dtype=np.float32)
    with pytest.raises(DataError, match=r"row 0 > output 1: got NaN .*--nan-is-free"):
        Targets.of_array(stored)
    targets = Targets.of_array(stored, nan_is_free=True)
    np.testing.assert_array_equal(targets.wanted, [[True, False]])
    np.testing.assert_array_equal(targets.values, [[0.5, 0.0]])
    assert np.isfinite(targets.precision.half_step).all()
    assert targets.precision.label == "float32"


def test_a_row_of_nan_is_always_refused():
    with pytest.raises(DataError, match="row 1: got NaN only"):
        Targets.of_array(np.array([[0.5], [np.nan]]), nan_is_free=True)


def test_integers_are_targets():
    targets = Targets.of_array(np.array([[1, 2]], dtype=np.int32))
    np.testing.assert_array_equal(targets.values, [[1.0, 2.0]])


def test_bounds_contain_to_the_last_bit():
    bounds = Domain.box(np.zeros(2), np.ones(2))
    above = np.nextafter(1.0, 2.0)
    x = np.array([[0.0, 1.0], [0.5, above], [-5e-324, 0.5], [np.nan, 0.5]])
    np.testing.assert_array_equal(bounds.contain(x), [True, False, False, False])
    np.testing.assert_array_equal(bounds.clip(x[:3]), [[0, 1], [0.5, 1.0], [0, 0.5]])
    assert not bounds.is_open
    assert Domain.unlimited(3).is_open
    assert Domain.unlimited(3).contain(np.full((1, 3), 1e300))[0]


@pytest.fixture
def problem():
    net = network(np.ones((2, 3)))
    targets = Targets.of_array(np.arange(6.0).reshape(3, 2))
    near = np.arange(9.0).reshape(3, 3)
    within = np.arange(1.0, 7.0).reshape(3, 2)
    return Problem(net, targets, Domain.unlimited(3), within, near, True)


def test_some_rows_of_a_problem(problem):
    part = problem.take(np.array([2, 0]))
    assert part.rows == 2
    np.testing.assert_array_equal(part.targets.values, [[4, 5], [0, 1]])
    np.testing.assert_array_equal(part.near, [[6, 7, 8], [0, 1, 2]])
    np.testing.assert_array_equal(part.within, [[5, 6], [1, 2]])
    np.testing.assert_array_equal(part.targets.precision.half_step.shape, (2, 2))
    assert part.context is problem.context


def test_within_is_the_tolerance_if_given(problem):
    np.testing.assert_array_equal(problem.tolerance(np.full((3, 2), 1e9)), problem.within)


def test_widths_must_fit(problem):
    net, near = problem.network, problem.near
    with pytest.raises(ShapeError, match="got 3 numbers in a row, expected 2"):
        Problem(net, Targets.of_array(np.ones((3, 3))), problem.domain, None, near, False)
    with pytest.raises(ShapeError, match=r"near: got shape \(2, 3\)"):
        Problem(net, problem.targets, problem.domain, None, near[:2], False)
