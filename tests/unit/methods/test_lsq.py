"""lsq on networks: tolerances up to their edge, bounds, masks, honest reasons."""

from __future__ import annotations

import numpy as np
import pytest

from nninvert.analysis.starting_point import input_scale
from nninvert.context import Context, Progress
from nninvert.layers import Normalization
from nninvert.methods import Domain, LeastSquares, Problem, Targets
from tests.problems import dense, network, random_net


def wide_net(rng, n_in=6, hidden=12, n_out=3):
    """More inputs than outputs: a family of x for each y."""
    return network(
        dense(
            rng.normal(size=(hidden, n_in)) / np.sqrt(n_in), 0.1 * rng.normal(size=hidden)
        ),
        "tanh",
        dense(rng.normal(size=(n_out, hidden)) / np.sqrt(hidden)),
    )


def asked(
    net, y, *, near=None, within=None, lower=None, upper=None, wanted=None, context=None
):
    """A problem from plain arrays."""
    y = np.atleast_2d(np.asarray(y, dtype=np.float64))
    if wanted is not None:
        y = np.where(wanted, y, np.nan)
    open_ends = Domain.unlimited(net.n_in)
    bounds = Domain.box(
        open_ends.lower if lower is None else np.asarray(lower, dtype=np.float64),
        open_ends.upper if upper is None else np.asarray(upper, dtype=np.float64),
    )
    rows = y.shape[0]
    centre = np.zeros(net.n_in) if near is None else np.asarray(near, dtype=np.float64)
    return Problem(
        net,
        Targets.of_array(y, nan_is_free=True),
        bounds,
        None if within is None else np.broadcast_to(within, y.shape).copy(),
        np.tile(centre, (rows, 1)),
        near is not None,
        context or Context(),
    )


def test_reachable_targets_are_met_to_rounding(rng):
    net = random_net(rng, 8)
    x0 = rng.uniform(-0.5, 0.5, (4, 8))
    problem = asked(net, net.forward(x0))
    attempt = LeastSquares().attempt(problem, None)
    np.testing.assert_allclose(attempt.x, x0, atol=1e-10)
    assert not attempt.stopped.any()
    assert attempt.reason == ("",) * 4


def test_within_is_used_up_to_its_edge_and_no_farther(rng):
    net = random_net(rng, 8)
    x0 = rng.uniform(-0.5, 0.5, (4, 8))
    y = net.forward(x0)
    tol = 0.03 * np.abs(y)
    attempt = LeastSquares().attempt(asked(net, y, within=tol), None)
    off = np.abs(net.forward(attempt.x) - y)
    assert (off <= tol).all()
    assert (off.max(axis=1) > 0.0).all()
    assert ((off / tol).max(axis=1) > 1.0 - 1e-6).all()
    size = np.linalg.norm(attempt.x, axis=1)
    assert (size < np.linalg.norm(x0, axis=1)).all()


def test_the_nearest_of_a_family(rng):
    net, near = wide_net(rng), np.full(6, 0.2)
    x0 = rng.uniform(-1.0, 1.0, (3, 6))
    problem = asked(net, net.forward(x0), near=near)
    attempt = LeastSquares().attempt(problem, None)
    np.testing.assert_allclose(net.forward(attempt.x), net.forward(x0), atol=1e-13)
    unit = input_scale(net)
    for x in attempt.x:
        # Nearest: the way to `near` is normal to the family, in the row space of J.
        jacobian = net.linearize(x[None]).dense()[0] * unit
        back = (near - x) / unit
        rest = back - np.linalg.lstsq(jacobian.T, back)[0] @ jacobian
        assert np.linalg.norm(rest) < 1e-4 * np.linalg.norm(back)


def test_bounds_hold_to_the_last_bit(rng):
    net = wide_net(rng)
    lower, upper = np.full(6, -0.3), np.full(6, 0.3)
    lower[2] = upper[2] = 0.1
    x0 = np.clip(rng.uniform(-0.5, 0.5, (4, 6)), lower, upper)
    problem = asked(net, net.forward(x0), lower=lower, upper=upper)
    attempt = LeastSquares().attempt(problem, None)
    assert problem.domain.contain(attempt.x).all()
    assert (attempt.x[:, 2] == 0.1).all()
    np.testing.assert_allclose(net.forward(attempt.x), net.forward(x0), atol=1e-12)


def test_outputs_that_do_not_matter_do_not(rng):
    net = wide_net(rng)
    y = net.forward(rng.uniform(-1.0, 1.0, (1, 6)))
    wanted = np.array([[True, False, True]])
    spoiled = np.where(wanted, y, 1e6)
    attempt = LeastSquares().attempt(asked(net, spoiled, wanted=wanted), None)
    np.testing.assert_allclose(net.forward(attempt.x)[wanted], y[wanted], atol=1e-13)
    every = LeastSquares().attempt(asked(net, y), None)
    assert np.linalg.norm(attempt.x) < np.linalg.norm(every.x)


def test_an_unreachable_target_is_approached_and_named():
    net = network(np.eye(2), "tanh")
    problem = asked(net, [0.5, 2.0], lower=[-1.0, -1.0], upper=[1.0, 1.0])
    attempt = LeastSquares().attempt(problem, None)
    np.testing.assert_allclose(attempt.x, [[np.arctanh(0.5), 1.0]], atol=1e-7)
    assert attempt.reason[0].startswith("best local least-squares point; |f(x) - y| = 1.24")
    assert attempt.reason[0].endswith("no proof")


def test_the_unit_of_distance_is_the_scalers_deviation():
    # The second input varies a thousandfold: it moves a thousand times as far.
    scaler = Normalization((2,), np.zeros(2), np.array([1.0, 1e6]), (0,), False)
    net = network(scaler, np.array([[1.0, 1.0]]))
    attempt = LeastSquares().attempt(asked(net, [[2.0]]), None)
    np.testing.assert_allclose(attempt.x, [[1.0, 1e3]], rtol=1e-6)


def test_a_start_is_used_and_one_that_is_not_finite_is_not(rng):
    net = network(np.eye(1), "softsign")
    y = net.forward(np.array([[50.0], [50.0]]))
    start = np.array([[50.0], [np.nan]])
    attempt = LeastSquares().attempt(asked(net, y), start)
    np.testing.assert_allclose(attempt.x, 50.0, rtol=1e-8)


def test_progress_and_stopping(rng):
    net = random_net(rng, 5)
    y = net.forward(rng.uniform(-0.5, 0.5, (4, 5)))
    context = Context()
    events = []
    context.listener = events.append
    attempt = LeastSquares().attempt(asked(net, y, context=context), None)
    assert events[-1] == Progress("least squares", 4, 4)
    assert not attempt.stopped.any()
    context.interrupt()
    start = np.full((4, 5), 0.25)
    attempt = LeastSquares().attempt(asked(net, y, context=context), start)
    assert attempt.stopped.all()
    np.testing.assert_array_equal(attempt.x, start)


def test_what_does_not_fit_is_an_obstacle(rng):
    small = asked(random_net(rng, 4), np.zeros(4))
    assert LeastSquares().obstacle(small) == ""
    small.context.memory = 100
    assert "GB" in LeastSquares().obstacle(small)
    small.context.memory = 10**9
    nearest = asked(network(np.ones((3000, 3000))), np.zeros(3000), near=np.zeros(3000))
    assert "3,000" in LeastSquares().obstacle(nearest)


def test_many_inputs_are_no_obstacle(rng):
    large = network(rng.normal(size=(2, 20_000)) / 100.0, "tanh")
    x0 = rng.normal(size=(2, 20_000))
    problem = asked(large, large.forward(x0))
    assert LeastSquares().obstacle(problem) == ""
    attempt = LeastSquares().attempt(problem, None)
    np.testing.assert_allclose(large.forward(attempt.x), large.forward(x0), atol=1e-14)


def test_a_tolerance_is_met_where_only_the_search_finds_a_way():
    """From zero the slope is nought; relu(x - 3) = 2 lies behind that."""
    net = network(dense(np.eye(1), np.array([-3.0])), "relu")
    attempt = LeastSquares().attempt(asked(net, [[2.0]], within=0.1), None)
    np.testing.assert_allclose(attempt.x, [[4.9]], atol=1e-6)
    assert attempt.reason == ("",)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu:0.1"])
def test_kinks_do_not_spoil_what_is_claimed(rng, activation):
    net = network(rng.normal(size=(9, 4)), activation, rng.normal(size=(2, 9)))
    y = net.forward(rng.uniform(-1.0, 1.0, (5, 4)))
    tol = 0.1 * np.abs(y)
    attempt = LeastSquares().attempt(asked(net, y, within=tol), None)
    met = (np.abs(net.forward(attempt.x) - y) <= tol).all(axis=1)
    assert met.sum() >= 4
    told = np.array([reason.startswith("best local") for reason in attempt.reason])
    np.testing.assert_array_equal(told, ~met)
