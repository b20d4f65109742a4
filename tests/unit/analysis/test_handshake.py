"""Pairs computed by a framework, pairs measured in the world, readings that are tried."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import network, random_net
from strategies import generators

from nninvert.analysis.handshake import agreement, best_reading, compare_pairs
from nninvert.analysis.outputs import output_sizes
from nninvert.errors import ShapeError


@pytest.fixture
def net(rng):
    return random_net(rng, n=4, depth=2)


def test_computed_pairs_are_the_same(net, rng):
    x = rng.standard_normal((5, 4))
    for stored in (np.float64, np.float32, np.float16):
        found = compare_pairs(net, x.astype(stored), net.forward(x).astype(stored))
        assert found.same
        assert found.within == ""
        assert found.rows == 5
        assert found.largest < agreement(x.astype(stored), x)


def test_what_counts_as_the_same_depends_on_the_stored_type(net, rng):
    x = rng.standard_normal((5, 4))
    y = net.forward(x) * (1.0 + 1e-5)
    assert compare_pairs(net, x, y.astype(np.float32)).same
    assert compare_pairs(net, x.astype(np.float32), y).same
    found = compare_pairs(net, x, y)
    assert not found.same
    assert found.median == pytest.approx(1e-5, rel=1e-3)


def test_figures_of_measured_pairs():
    net = network(np.eye(2))
    x = np.array([[3.0, 4.0], [6.0, 8.0], [0.0, 2.0]])
    error = np.array([[0.0, 0.5], [-1.0, 0.0], [0.0, 0.0]])
    found = compare_pairs(net, x + error, x)
    assert found.largest == pytest.approx(0.1)
    assert found.median == pytest.approx(0.1)
    assert found.largest_absolute == 1.0
    np.testing.assert_allclose(found.per_output, [np.sqrt(1 / 3), np.sqrt(0.25 / 3)])
    assert not found.same


def test_different_numbers_of_rows_are_refused(net):
    with pytest.raises(ShapeError, match="got 2 inputs and 3 outputs, expected as many"):
        compare_pairs(net, np.zeros((2, 4)), np.zeros((3, 4)))


@pytest.mark.parametrize("last", [True, False])
@given(rng=generators(), rows=st.integers(1, 60), noise=st.floats(1e-4, 0.5))
def test_the_proposal_covers_nineteen_of_twenty_pairs(last, rng, rows, noise):
    net = random_net(rng, n=3, depth=2, last=last)
    x = rng.standard_normal((rows, 3))
    heavy = rng.standard_normal((rows, 3)) * 10.0 ** rng.uniform(-2, 0, (rows, 1))
    y = net.forward(x) + noise * heavy
    found = compare_pairs(net, x, y)
    assert found.within.endswith("%")
    share = float(found.within[:-1]) / 100.0
    close = np.abs(net.forward(x) - y) <= share * output_sizes(net, y) * (1 + 1e-5)
    assert np.count_nonzero(close.all(axis=1)) >= 0.95 * rows


def test_outliers_do_not_make_the_proposal(rng):
    net = random_net(rng, n=3, depth=1)
    x = rng.standard_normal((100, 3))
    y = net.forward(x)
    y[:4] += 0.9
    y[4:] += 0.0173
    assert compare_pairs(net, x, y).within == "2%"


def test_overflow_is_a_large_error_not_a_crash():
    net = network(np.eye(1), "exponential")
    found = compare_pairs(net, np.array([[1e4], [0.0]]), np.array([[1.0], [1.0]]))
    assert found.largest == np.inf
    assert not found.same
    assert found.within == ""


def test_targets_of_zero_divide_nothing(rng):
    net = network(np.zeros((2, 2)))
    found = compare_pairs(net, np.ones((3, 2)), np.zeros((3, 2)))
    assert found.same


# Readings.


def readings(*nets):
    return [(f"reading {k}", net) for k, net in enumerate(nets)]


def test_the_reading_that_fits_is_found_and_ends_the_search(rng):
    a = rng.standard_normal((3, 3))
    x = rng.standard_normal((6, 3))
    right = network(a, "tanh")
    tried = readings(network(a.T, "tanh"), right, network(a, "sigmoid"))
    net, found = best_reading(tried, x, right.forward(x))
    assert net is right
    assert found.same
    assert found.reading == "reading 1"
    assert found.tried == 2


def test_of_readings_that_do_not_fit_the_nearest_is_given(rng):
    a = rng.standard_normal((3, 3))
    x = rng.standard_normal((20, 3))
    y = network(a, "tanh").forward(x) + 0.01
    near = network(a, "tanh")
    net, found = best_reading(readings(network(a.T, "tanh"), near), x, y)
    assert net is near
    assert found.tried == 2
    assert not found.same


def test_other_widths_are_no_readings(rng):
    assert best_reading(readings(network(np.eye(2))), np.ones((1, 3)), np.ones((1, 3))) is (
        None
    )


def test_rows_that_agree_do_not_hide_the_reading_that_fits_all():
    """Where most values are positive, relu and leaky_relu have the same median."""
    x = np.array([[1.0], [2.0], [3.0], [4.0], [-5.0]])
    relu, leaky = network("relu", shape=(1,)), network("leaky_relu:0.1", shape=(1,))
    net, found = best_reading(readings(relu, leaky), x, leaky.forward(x))
    assert net is leaky
    assert found.same
