"""The nearest x, row by row: tolerances up to their edge, masks, kinks, honest reasons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nninvert.analysis.starting_point import input_scale
from nninvert.context import Context, Progress
from nninvert.layers import Normalization
from nninvert.methods import Domain, Problem, Targets
from nninvert.methods.domain import Constraints
from nninvert.methods.nearest import (
    MOST_ORDER,
    _Question,
    _RowSearch,
    nearest_rows,
    obstacle,
)
from tests.problems import dense, network, random_net


def nearest_attempt(problem, start):
    return nearest_rows(problem, None if start is None else start[None])


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
    net,
    y,
    *,
    near=None,
    within=None,
    lower=None,
    upper=None,
    constraints=None,
    wanted=None,
    context=None,
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
    if constraints is not None:
        bounds = replace(bounds, constraints=constraints)
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
    attempt = nearest_attempt(problem, None)
    np.testing.assert_allclose(attempt.x, x0, atol=1e-10)
    assert not attempt.stopped.any()
    assert attempt.reason == ("",) * 4


def test_within_is_used_up_to_its_edge_and_no_farther(rng):
    net = random_net(rng, 8)
    x0 = rng.uniform(-0.5, 0.5, (4, 8))
    y = net.forward(x0)
    tol = 0.03 * np.abs(y)
    attempt = nearest_attempt(asked(net, y, within=tol), None)
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
    attempt = nearest_attempt(problem, None)
    np.testing.assert_allclose(net.forward(attempt.x), net.forward(x0), atol=1e-13)
    for x in attempt.x:
        # Nearest: the way to `near` is normal to the family, in the row space of J.
        scale = input_scale(net)
        jacobian = net.linearize(x[None]).dense()[0] * scale
        back = (near - x) / scale
        rest = back - np.linalg.lstsq(jacobian.T, back)[0] @ jacobian
        assert np.linalg.norm(rest) < 1e-4 * np.linalg.norm(back)


def test_bounds_hold_to_the_last_bit(rng):
    net = wide_net(rng)
    lower, upper = np.full(6, -0.3), np.full(6, 0.3)
    lower[2] = upper[2] = 0.1
    x0 = np.clip(rng.uniform(-0.5, 0.5, (4, 6)), lower, upper)
    problem = asked(net, net.forward(x0), lower=lower, upper=upper)
    attempt = nearest_attempt(problem, None)
    assert problem.domain.contain(attempt.x).all()
    assert (attempt.x[:, 2] == 0.1).all()
    np.testing.assert_allclose(net.forward(attempt.x), net.forward(x0), atol=1e-12)


def test_outputs_that_do_not_matter_do_not(rng):
    net = wide_net(rng)
    y = net.forward(rng.uniform(-1.0, 1.0, (1, 6)))
    wanted = np.array([[True, False, True]])
    spoiled = np.where(wanted, y, 1e6)
    attempt = nearest_attempt(asked(net, spoiled, wanted=wanted), None)
    np.testing.assert_allclose(net.forward(attempt.x)[wanted], y[wanted], atol=1e-13)
    every = nearest_attempt(asked(net, y), None)
    assert np.linalg.norm(attempt.x) < np.linalg.norm(every.x)


def test_an_unreachable_target_is_approached_and_named():
    net = network(np.eye(2), "tanh")
    problem = asked(net, [0.5, 2.0], lower=[-1.0, -1.0], upper=[1.0, 1.0])
    attempt = nearest_attempt(problem, None)
    np.testing.assert_allclose(attempt.x, [[np.arctanh(0.5), 1.0]], atol=1e-7)
    assert attempt.reason[0].startswith("best local least-squares point; |f(x) - y| = 1.24")
    assert attempt.reason[0].endswith("no proof")


def test_the_unit_of_distance_is_the_scalers_deviation():
    # The second input varies a thousandfold: it moves a thousand times as far.
    scaler = Normalization((2,), np.zeros(2), np.array([1.0, 1e6]), (0,), False)
    net = network(scaler, np.array([[1.0, 1.0]]))
    attempt = nearest_attempt(asked(net, [[2.0]]), None)
    np.testing.assert_allclose(attempt.x, [[1.0, 1e3]], rtol=1e-6)


def test_a_start_is_used_and_one_that_is_not_finite_is_not(rng):
    net = network(np.eye(1), "softsign")
    y = net.forward(np.array([[50.0], [50.0]]))
    start = np.array([[50.0], [np.nan]])
    attempt = nearest_attempt(asked(net, y), start)
    np.testing.assert_allclose(attempt.x, 50.0, rtol=1e-8)


def test_progress_and_stopping(rng):
    net = random_net(rng, 5)
    y = net.forward(rng.uniform(-0.5, 0.5, (4, 5)))
    context = Context()
    events = []

    def listen(event):
        events.append(event)
        if len(events) == 2:
            context.interrupt()

    context.listener = listen
    start = np.full((4, 5), 0.25)
    attempt = nearest_attempt(asked(net, y, context=context), start)
    assert events == [Progress("least change", k, 4) for k in (1, 2)]
    assert attempt.stopped.tolist() == [False, False, True, True]
    np.testing.assert_array_equal(attempt.x[2:], start[2:])
    np.testing.assert_allclose(net.forward(attempt.x[:2]), y[:2], atol=1e-13)


def mixture(n_in, names=("sum", "-sum", "x0 - x1")):
    """Inputs that sum to 1, the first not above the second."""
    matrix = np.zeros((3, n_in))
    matrix[0], matrix[1], matrix[2, :2] = 1.0, -1.0, (1.0, -1.0)
    return Constraints(matrix, np.array([1.0, -1.0, 0.0]), names)


@pytest.mark.parametrize("within", [None, 0.02])
def test_inequalities_between_inputs_are_kept(rng, within):
    net = wide_net(rng)
    x0 = np.sort(rng.dirichlet(np.ones(6), 4), axis=1)
    box = {"lower": np.zeros(6), "upper": np.ones(6)}
    y, near = net.forward(x0), np.full(6, 1.0 / 6.0)
    problem = asked(net, y, near=near, within=within, constraints=mixture(6), **box)
    attempt = nearest_attempt(problem, None)
    assert problem.domain.contain(attempt.x).all()
    np.testing.assert_allclose(net.forward(attempt.x), y, atol=within or 1e-12)
    scale = input_scale(net)
    far = np.linalg.norm((x0 - near) / scale, axis=1)
    assert (np.linalg.norm((attempt.x - near) / scale, axis=1) <= far * (1 + 1e-9)).all()
    # Without them nearer points exist: they were in the way.
    free = nearest_attempt(asked(net, y, near=near, within=within, **box), None)
    assert not problem.domain.contain(free.x).all()


def test_out_of_reach_inside_the_inequalities(rng):
    net = wide_net(rng)
    y = net.forward(5.0 * rng.normal(size=(3, 6)))
    problem = asked(
        net, y, constraints=mixture(6), lower=np.zeros(6), upper=np.ones(6), near=np.ones(6)
    )
    attempt = nearest_attempt(problem, None)
    assert problem.domain.contain(attempt.x).all()
    assert all(reason.startswith("best local") for reason in attempt.reason)


def test_many_inputs(rng):
    net = wide_net(rng, n_in=3000, hidden=16, n_out=2)
    y = net.forward(rng.uniform(-1.0, 1.0, (1, 3000)))
    problem = asked(
        net, y, within=0.02 * np.abs(y), lower=np.full(3000, -1.0), upper=np.full(3000, 1.0)
    )
    attempt = nearest_attempt(problem, None)
    assert attempt.reason == ("",)
    assert problem.domain.contain(attempt.x).all()
    off = np.abs(net.forward(attempt.x) - y) / (0.02 * np.abs(y))
    assert 1.0 - 1e-6 < off.max() <= 1.0


def test_obstacles_name_their_number(rng):
    # Many inputs are none, many outputs beside them are.
    wide = network(np.ones((1, MOST_ORDER + 1)))
    assert obstacle(asked(wide, [[1.0]])) == ""
    large = network(np.ones((MOST_ORDER + 1, MOST_ORDER + 1)))
    assert "2,001" in obstacle(asked(large, np.zeros(MOST_ORDER + 1)))
    small = asked(random_net(rng, 4), np.zeros(4))
    assert obstacle(small) == ""
    small.context.memory = 100
    assert "GB" in obstacle(small)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu:0.1"])
def test_kinks_do_not_spoil_what_is_claimed(rng, activation):
    net = network(rng.normal(size=(9, 4)), activation, rng.normal(size=(2, 9)))
    y = net.forward(rng.uniform(-1.0, 1.0, (5, 4)))
    tol = 0.1 * np.abs(y)
    attempt = nearest_attempt(asked(net, y, within=tol), None)
    met = (np.abs(net.forward(attempt.x) - y) <= tol).all(axis=1)
    assert met.sum() >= 4
    told = np.array([reason.startswith("best local") for reason in attempt.reason])
    np.testing.assert_array_equal(told, ~met)


def test_curvature_agrees_with_differences_of_values(rng):
    net = random_net(rng, 3)
    search = _RowSearch(_Question(asked(net, np.zeros(3))), 0)
    x, weights, h = rng.normal(size=3), rng.normal(size=3), 1e-4
    directions = rng.normal(size=(2, 3))
    found = search.bend(x, weights, directions)
    for k, d in enumerate(directions):
        for j in range(3):
            a, b = h * d, h * np.eye(3)[j]
            corners = search.value(x + a + b) - search.value(x + a - b)
            corners -= search.value(x - a + b) - search.value(x - a - b)
            assert found[k, j] == pytest.approx(weights @ corners / (4 * h * h), abs=1e-6)
