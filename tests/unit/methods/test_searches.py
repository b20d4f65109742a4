"""What both searches for an x promise: the one for any, and the one for the nearest."""

from __future__ import annotations

import numpy as np
import pytest

from nninvert.analysis.starting_point import input_scale
from nninvert.layers import Normalization
from nninvert.methods import LeastSquares
from nninvert.methods.nearest import nearest_rows
from tests.problems import asked, network, random_net, wide_net


def _nearest(problem, start):
    return nearest_rows(problem, None if start is None else start[None])


@pytest.fixture(params=[LeastSquares().attempt, _nearest], ids=["lsq", "nearest"])
def attempt_of(request):
    return request.param


def test_reachable_targets_are_met_to_rounding(attempt_of, rng):
    net = random_net(rng, 8)
    x0 = rng.uniform(-0.5, 0.5, (4, 8))
    problem = asked(net, net.forward(x0))
    attempt = attempt_of(problem, None)
    np.testing.assert_allclose(attempt.x, x0, atol=1e-10)
    assert not attempt.stopped.any()
    assert attempt.reason == ("",) * 4


def test_within_is_used_up_to_its_edge_and_no_farther(attempt_of, rng):
    net = random_net(rng, 8)
    x0 = rng.uniform(-0.5, 0.5, (4, 8))
    y = net.forward(x0)
    tol = 0.03 * np.abs(y)
    attempt = attempt_of(asked(net, y, within=tol), None)
    off = np.abs(net.forward(attempt.x) - y)
    assert (off <= tol).all()
    assert (off.max(axis=1) > 0.0).all()
    assert ((off / tol).max(axis=1) > 1.0 - 1e-6).all()
    size = np.linalg.norm(attempt.x, axis=1)
    assert (size < np.linalg.norm(x0, axis=1)).all()


def test_the_nearest_of_a_family(attempt_of, rng):
    net, near = wide_net(rng), np.full(6, 0.2)
    x0 = rng.uniform(-1.0, 1.0, (3, 6))
    problem = asked(net, net.forward(x0), near=near)
    attempt = attempt_of(problem, None)
    np.testing.assert_allclose(net.forward(attempt.x), net.forward(x0), atol=1e-13)
    unit = input_scale(net)
    for x in attempt.x:
        # Nearest: the way to `near` is normal to the family, in the row space of J.
        jacobian = net.linearize(x[None]).dense()[0] * unit
        back = (near - x) / unit
        rest = back - np.linalg.lstsq(jacobian.T, back)[0] @ jacobian
        assert np.linalg.norm(rest) < 1e-4 * np.linalg.norm(back)


def test_bounds_hold_to_the_last_bit(attempt_of, rng):
    net = wide_net(rng)
    lower, upper = np.full(6, -0.3), np.full(6, 0.3)
    lower[2] = upper[2] = 0.1
    x0 = np.clip(rng.uniform(-0.5, 0.5, (4, 6)), lower, upper)
    problem = asked(net, net.forward(x0), lower=lower, upper=upper)
    attempt = attempt_of(problem, None)
    assert problem.domain.contain(attempt.x).all()
    assert (attempt.x[:, 2] == 0.1).all()
    np.testing.assert_allclose(net.forward(attempt.x), net.forward(x0), atol=1e-12)


def test_outputs_that_do_not_matter_do_not(attempt_of, rng):
    net = wide_net(rng)
    y = net.forward(rng.uniform(-1.0, 1.0, (1, 6)))
    wanted = np.array([[True, False, True]])
    spoiled = np.where(wanted, y, 1e6)
    attempt = attempt_of(asked(net, spoiled, wanted=wanted), None)
    np.testing.assert_allclose(net.forward(attempt.x)[wanted], y[wanted], atol=1e-13)
    every = attempt_of(asked(net, y), None)
    assert np.linalg.norm(attempt.x) < np.linalg.norm(every.x)


def test_an_unreachable_target_is_approached_and_named(attempt_of):
    net = network(np.eye(2), "tanh")
    problem = asked(net, [0.5, 2.0], lower=[-1.0, -1.0], upper=[1.0, 1.0])
    attempt = attempt_of(problem, None)
    np.testing.assert_allclose(attempt.x, [[np.arctanh(0.5), 1.0]], atol=1e-7)
    assert attempt.reason[0].startswith("best local least-squares point; |f(x) - y| = 1.24")
    assert attempt.reason[0].endswith("no proof")


def test_the_unit_of_distance_is_the_scalers_deviation(attempt_of):
    # The second input varies a thousandfold: it moves a thousand times as far.
    scaler = Normalization((2,), np.zeros(2), np.array([1.0, 1e6]), (0,), False)
    net = network(scaler, np.array([[1.0, 1.0]]))
    attempt = attempt_of(asked(net, [[2.0]]), None)
    np.testing.assert_allclose(attempt.x, [[1.0, 1e3]], rtol=1e-6)


def test_a_start_is_used_and_one_that_is_not_finite_is_not(attempt_of, rng):
    net = network(np.eye(1), "softsign")
    y = net.forward(np.array([[50.0], [50.0]]))
    start = np.array([[50.0], [np.nan]])
    attempt = attempt_of(asked(net, y), start)
    np.testing.assert_allclose(attempt.x, 50.0, rtol=1e-8)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu:0.1"])
def test_kinks_do_not_spoil_what_is_claimed(attempt_of, rng, activation):
    net = network(rng.normal(size=(9, 4)), activation, rng.normal(size=(2, 9)))
    y = net.forward(rng.uniform(-1.0, 1.0, (5, 4)))
    tol = 0.1 * np.abs(y)
    attempt = attempt_of(asked(net, y, within=tol), None)
    met = (np.abs(net.forward(attempt.x) - y) <= tol).all(axis=1)
    assert met.sum() >= 4
    told = np.array([reason.startswith("best local") for reason in attempt.reason])
    np.testing.assert_array_equal(told, ~met)
