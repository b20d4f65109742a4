"""Which inequalities and bounds leave no input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import generators

from nninvert.analysis.bounds.conflicts import Conflict, find_conflict
from nninvert.analysis.bounds.inputs import allowed_inputs

INF = np.inf


def conflict(matrix, limit, lower=-INF, upper=INF):
    matrix, limit = np.atleast_2d(np.asarray(matrix, float)), np.asarray(limit, float)
    n = matrix.shape[1]
    low, high = np.broadcast_to(lower, n) * 1.0, np.broadcast_to(upper, n) * 1.0
    return find_conflict(low, high, matrix, limit)


def test_no_inequality_no_conflict():
    assert conflict(np.zeros((0, 2)), []) is None


def test_what_can_be_met_is_no_conflict():
    assert conflict([[1, 1], [-1, -1]], [1, -1]) is None
    assert conflict([[1, 0], [0, 1]], [0, 0], lower=0.0) is None


def test_inequalities_that_conflict_alone():
    found = conflict([[1, 0], [1, 1], [-1, -1], [0, 1]], [5, 1, -2, 5])
    assert found == Conflict((1, 2), ())
    assert found.alone


def test_inequalities_that_conflict_alone_with_any_numbers():
    # In float64 2.1 is not three times 0.7: the lines cross far out.
    found = conflict([[0.3, 0.7], [-0.9, -2.1]], [1.0, -3.3])
    assert found == Conflict((0, 1), ())
    three = conflict([[1.0, 0.1], [-0.7, 1.3], [-0.2, -1.9]], [-1.0, -1.0, -1.0])
    assert three == Conflict((0, 1, 2), ())


def test_bounds_that_take_part_are_named():
    found = conflict([[1, 1, 0], [0, 0, 1]], [1.0, 9.0], lower=[0.8, 0.7, 0.0])
    assert found == Conflict((0,), (0, 1))
    assert not found.alone


def test_an_inequality_without_inputs():
    assert conflict([[0.0, 0.0]], [-1.0]) == Conflict((0,), ())
    assert conflict([[0.0, 0.0]], [1.0]) is None


def test_large_inputs_are_no_conflict():
    assert conflict([[-1.0]], [-1e13]) is None
    assert conflict([[-1e-13]], [-1.0]) is None


def test_sizes_do_not_matter():
    found = conflict([[1e-9, 1e-9], [-1e6, -1e6]], [1e-9, -2e6])
    assert found == Conflict((0, 1), ())


@given(rng=generators(), c=st.integers(1, 6), n=st.integers(1, 4))
@settings(deadline=None, max_examples=60)
def test_what_an_input_meets_is_never_a_conflict(rng, c, n):
    matrix = np.round(rng.standard_normal((c, n)), 2)
    x = np.round(rng.standard_normal(n), 2)
    # Met by x, exactly or nearly so, whatever the rounding of the product is.
    limit = matrix @ x + 1e-12
    assert conflict(matrix, limit) is None
    assert conflict(matrix, limit, lower=x, upper=x) is None


def allowed(lower, upper, matrix, limit, integer=False):
    lower, upper = np.asarray(lower, float), np.asarray(upper, float)
    whole = np.broadcast_to(integer, lower.shape)
    matrix = np.asarray(matrix, float).reshape(-1, lower.size)
    return allowed_inputs(lower, upper, whole, matrix, np.asarray(limit, float))


def test_inequalities_bound_inputs():
    found = allowed([0.0, 0.0], [INF, INF], [[2.0, 1.0]], [4.0])
    assert found.box.upper == pytest.approx([2.0, 4.0])
    assert (found.box.upper >= [2.0, 4.0]).all()
    assert np.isfinite(found.inequalities.limit).all()


def test_whole_numbers_bound_inputs():
    found = allowed([-0.5, -0.5], [2.5, 2.5], np.zeros((0, 2)), [], [True, False])
    assert found.box.lower.tolist() == [0.0, -0.5]
    assert found.box.upper.tolist() == [2.0, 2.5]


def test_open_inputs_leave_nothing_to_say():
    found = allowed([-INF, 0.0], [INF, 1.0], [[1.0, 1.0]], [4.0])
    assert found.box.lower[0] == -INF
    assert found.box.upper[0] == pytest.approx(4.0)
    assert found.inequalities.limit[0] == INF


def test_an_empty_box_is_told():
    assert allowed([0.0], [INF], [[1.0]], [-1.0]).is_empty
    assert not allowed([0.0], [INF], [[1.0]], [0.0]).is_empty


@given(rng=generators(), c=st.integers(1, 4), n=st.integers(1, 4))
@settings(deadline=None, max_examples=80)
def test_allowed_inputs_are_kept(rng, c, n):
    matrix = rng.standard_normal((c, n)) * 10.0 ** rng.integers(-3, 4, (c, n))
    matrix[rng.uniform(size=(c, n)) < 0.3] = 0.0
    x = rng.standard_normal(n) * 10.0 ** rng.integers(-3, 4)
    # On the edge of every inequality, beyond it by what rounding may hide.
    size = np.abs(matrix) @ np.abs(x)
    limit = matrix @ x - 0.9 * n * np.finfo(float).eps * size
    lower = np.where(rng.uniform(size=n) < 0.5, x - 1.0, -INF)
    upper = np.where(rng.uniform(size=n) < 0.5, x, INF)
    found = allowed(lower, upper, matrix, limit)
    assert (found.box.lower <= x).all()
    assert (x <= found.box.upper).all()
    assert (matrix @ x <= found.inequalities.limit).all()
