"""From what a person says to a problem: shapes, bounds, tolerances."""

from dataclasses import replace

import numpy as np
import pytest
from problems import network

from nninvert.errors import DataError, ShapeError, UsageError
from nninvert.layers import Reshape
from nninvert.methods.domain import Constraints
from nninvert.methods.question import as_rows, ask, percentage


@pytest.mark.parametrize(
    ("given", "shape", "rows"),
    [
        ((3,), (3,), 1),
        ((1, 3), (3,), 1),
        ((5, 3), (3,), 5),
        ((3, 3), (3,), 3),
        ((2, 3), (2, 3), 1),
        ((6,), (2, 3), 1),
        ((4, 2, 3), (2, 3), 4),
        ((4, 6), (2, 3), 4),
        ((5,), (1,), 5),
        ((1,), (1,), 1),
        ((5, 1), (1,), 5),
        ((1, 4), (1, 4), 1),
        ((1, 1, 4), (1, 4), 1),
    ],
)
def test_readings(given, shape, rows):
    values = np.arange(np.prod(given), dtype=np.float32).reshape(given)
    found = as_rows(values, shape, "y")
    assert found.shape == (rows, int(np.prod(shape)))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.ravel(), values.ravel())


@pytest.mark.parametrize(
    ("given", "shape"),
    [((4,), (3,)), ((3, 4), (3,)), ((3, 2), (2, 3)), ((2, 2, 3), (3,)), ((), (3,))],
)
def test_what_fits_no_way_is_refused(given, shape):
    with pytest.raises(ShapeError, match="y: got shape"):
        as_rows(np.zeros(given), shape, "y")


def test_the_reading_can_be_asked_for():
    assert as_rows(np.zeros((3,)), (3,), "y", single=True).shape == (1, 3)
    with pytest.raises(ShapeError, match="y"):
        as_rows(np.zeros((3,)), (3,), "y", single=False)
    with pytest.raises(ShapeError, match="y"):
        as_rows(np.zeros((2, 3)), (3,), "y", single=True)


def test_no_rows_and_no_numbers_are_refused():
    with pytest.raises(ShapeError, match="got no rows"):
        as_rows(np.zeros((0, 3)), (3,), "y")
    for values in (np.array(["a", "b", "c"]), np.zeros(3, dtype=complex), np.array([True])):
        with pytest.raises(DataError, match="expected real numbers"):
            as_rows(values, (3,), "X")


@pytest.fixture
def net():
    return network(np.ones((2, 3)), "tanh")


def test_a_plain_question(net):
    problem = ask(net, np.array([0.1, 0.2], dtype=np.float32))
    assert problem.rows == 1
    assert problem.within is None
    assert not problem.near_is_given
    assert problem.domain.is_open
    np.testing.assert_array_equal(problem.near, np.zeros((1, 3)))


def test_near_for_all_rows_and_for_each(net):
    y = np.zeros((2, 2))
    np.testing.assert_array_equal(ask(net, y, near=[1, 2, 3]).near, [[1, 2, 3]] * 2)
    each = np.arange(6.0).reshape(2, 3)
    assert ask(net, y, near=each).near_is_given
    np.testing.assert_array_equal(ask(net, y, near=each).near, each)
    with pytest.raises(ShapeError, match="near"):
        ask(net, y, near=[1, 2])
    with pytest.raises(DataError, match="NaN or infinity"):
        ask(net, y, near=[1, 2, np.nan])


def test_the_default_near_is_moved_into_the_bounds(net):
    problem = ask(net, np.zeros((1, 2)), lower=[1.0, -1.0, -1.0], upper=2.0)
    np.testing.assert_array_equal(problem.near, [[1.0, 0.0, 0.0]])


def test_tolerances_for_all_for_each_and_for_every_row(net):
    y = np.zeros((3, 2))
    np.testing.assert_array_equal(ask(net, y, within=0.1).within, np.full((3, 2), 0.1))
    np.testing.assert_array_equal(ask(net, y, within=[0.1, 0.2]).within, [[0.1, 0.2]] * 3)
    every = np.arange(1.0, 7.0).reshape(3, 2)
    np.testing.assert_array_equal(ask(net, y, within=every).within, every)


def test_a_percentage_is_of_each_outputs_size(net):
    np.testing.assert_allclose(ask(net, np.zeros((1, 2)), within="3%").within, 0.03)
    linear = network(np.ones((2, 3)))
    y = np.array([[3.0, 0.0], [4.0, 10.0]])
    typical = np.sqrt([12.5, 50.0])
    expected = 0.1 * np.maximum(np.abs(y), typical)
    np.testing.assert_allclose(ask(linear, y, within=" 10 % ").within, expected)


@pytest.mark.parametrize("within", [0.0, -1.0, np.nan, np.inf, [0.1, 0.2, 0.3]])
def test_impossible_tolerances_are_refused(net, within):
    with pytest.raises(UsageError, match="--within"):
        ask(net, np.zeros((2, 2)), within=within)


@pytest.mark.parametrize("text", ["3", "%", "x%", "-3%", "0%", "nan%", "inf%", ""])
def test_what_is_no_percentage(text):
    with pytest.raises(UsageError, match="expected a number, or a percentage"):
        percentage(text)


def test_percentages_and_numbers_may_stand_beside_each_other(net):
    y = np.array([[0.5, 0.5], [-0.5, 0.0]])
    mixed = ask(net, y, within=["3%", 0.2]).within
    alone = ask(net, y, within="3%").within
    np.testing.assert_array_equal(mixed, [[alone[0, 0], 0.2], [alone[1, 0], 0.2]])
    np.testing.assert_array_equal(ask(net, y, within=("3%",)).within, alone)
    with pytest.raises(UsageError, match="got 3 tolerances, expected one, or 2"):
        ask(net, y, within=["3%", 0.2, 0.1])
    with pytest.raises(UsageError, match="zero, negative or NaN"):
        ask(net, y, within=["3%", 0.0])


def test_decimals_are_a_precision(net):
    y = np.array([[0.25, np.nan]])
    problem = ask(net, y, decimals=np.array([[0.005, np.nan]]), nan_is_free=True)
    assert problem.targets.precision.decimal
    assert problem.targets.precision.half_step[0, 0] == 0.005
    assert np.isfinite(problem.targets.precision.half_step).all()


def test_images_are_flattened_in_row_major_order():
    net = network(Reshape((2, 3), (3, 2)))
    y = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(ask(net, y).targets.values, [np.arange(6.0)])


class TestNearOutsideTheDomain:
    def test_stays_and_searches_begin_inside_the_bounds(self, net):
        problem = ask(net, np.zeros((2, 2)), near=[5.0, 0.0, 0.0], upper=1.0)
        np.testing.assert_array_equal(problem.near, [[5, 0, 0]] * 2)
        np.testing.assert_array_equal(problem.begin, [[1, 0, 0]] * 2)
        assert problem.notes == (
            "near lies outside the bounds: distances are measured from it, searches begin "
            "inside (input 0 at 1, not 5)",
        )

    def test_names_are_told(self, net):
        named = replace(net, input_names=("feed", "heat", "flow"))
        problem = ask(named, np.zeros((1, 2)), near=[0.0, 5.0, 0.0], upper=1.0)
        assert "input 1 'heat' at 1" in problem.notes[0]
        parts = replace(net, input_names=("all",))
        problem = ask(parts, np.zeros((1, 2)), near=[0.0, 5.0, 0.0], upper=1.0)
        assert "input 1 at 1" in problem.notes[0]

    def test_row_by_row(self, net):
        near = [[0.0, 0.0, 0.0], [0.0, -3.0, 0.0]]
        problem = ask(net, np.zeros((2, 2)), near=near, lower=-1.0)
        np.testing.assert_array_equal(problem.begin, [[0, 0, 0], [0, -1, 0]])
        assert "outside the bounds in 1 of 2 rows: " in problem.notes[0]
        assert problem.notes[0].endswith("inside (row 1, input 1 at -1, not -3)")

    def test_or_inside_the_constraints(self, net):
        sum_is_one = Constraints(np.ones((1, 3)), np.ones(1), ("sum <= 1",))
        problem = ask(net, np.zeros((1, 2)), near=[1, 1, 1], constraints=sum_is_one)
        np.testing.assert_allclose(problem.begin, 1 / 3, atol=1e-14)
        assert problem.domain.contain(problem.begin).all()
        assert "near lies outside the constraints" in problem.notes[0]

    def test_the_default_one_silently(self, net):
        least = Constraints(-np.ones((1, 3)), -np.ones(1), ("sum >= 1",))
        problem = ask(net, np.zeros((2, 2)), constraints=least)
        np.testing.assert_allclose(problem.near, 1 / 3, atol=1e-14)
        assert problem.notes == ()

    def test_what_lies_inside_stays(self, net):
        problem = ask(net, np.zeros((1, 2)), near=[1, 1, 1], upper=1.0, integer=[0])
        assert problem.notes == ()


def test_all_inputs_fixed_is_said(net):
    problem = ask(net, np.zeros((1, 2)), fix={0: 1.0, 1: 2.0, 2: 3.0})
    assert problem.domain.is_point
    assert problem.notes == (
        "all inputs are fixed: nothing is searched, f(x) is compared with y",
    )


def test_notes_stay_with_some_of_the_rows(net):
    problem = ask(net, np.zeros((2, 2)), near=5.0 * np.ones(3), upper=1.0)
    assert problem.take(np.array([1])).notes == problem.notes


def test_messages_call_inputs_and_outputs_by_their_names(net):
    named = replace(net, input_names=("a", "b[0]", "b[1]"), output_names=("T", "p"))
    y = np.array([[0.5, np.nan]])
    with pytest.raises(DataError, match="y > row 0 > output 1 'p': got NaN"):
        ask(named, y)
    y = np.zeros((1, 2))
    with pytest.raises(UsageError, match=r"--lower, --upper > input 2 'b\[1\]': got lower"):
        ask(named, y, lower=[0, 0, 2], upper=1)
    with pytest.raises(UsageError, match="--fix > input 0 'a': got 3"):
        ask(named, y, upper=1, fix={0: 3.0})
    with pytest.raises(UsageError, match=r"--integer > input 1 'b\[0\]': got the fixed"):
        ask(named, y, fix={1: 0.5}, integer=[1])
    with pytest.raises(UsageError, match=r"got inf for input 2 'b\[1\]'"):
        ask(named, y, lower=[0, 0, np.inf])
    sums = Constraints.between(
        np.array([[1.0, 0.0, 1.0]]), np.array([3.0]), np.array([np.inf]), ("a + b",)
    )
    with pytest.raises(
        UsageError, match=r"input 0 'a' in \[-inf, 1\], input 2 'b\[1\]' in"
    ):
        ask(named, y, upper=1, constraints=sums)
