"""Pieces, bounds, programs and the two ways to solve them; the method as a whole."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest

from nninvert.context import Context
from nninvert.layers import PReLU
from nninvert.layers.activations import activation_from_text
from nninvert.methods import Domain, Problem, Targets
from nninvert.methods.milp import MixedInteger
from nninvert.methods.milp import solve as solving
from nninvert.methods.milp.ball import Ball
from nninvert.methods.milp.branch import branch
from nninvert.methods.milp.chain import chain_of, first_at_least, last_at_most, obstacle
from nninvert.methods.milp.encoding import encode
from nninvert.methods.milp.pieces import pieces_of
from nninvert.methods.milp.planes import Planes
from nninvert.methods.milp.relaxation import ranges
from nninvert.methods.milp.row import Row
from nninvert.methods.milp.solve import NOTHING, Ending, solve
from tests.problems import dense, network

STRAIGHT = (
    "relu",
    "relu6",
    "leaky_relu:0.2",
    "leaky_relu:-0.5",
    "hard_tanh",
    "hard_sigmoid:0.2",
    "soft_shrink",
    "linear",
)


def small_net(rng, activation, sizes=(3, 6, 5, 2)):
    layers = []
    for n, m in pairwise(sizes):
        layers += [dense(rng.normal(size=(m, n)), 0.5 * rng.normal(size=m)), activation]
    return network(*layers[:-1])


def ball_of(n, radius=np.inf, norm="1", box=1.0):
    sides = np.full(n, box)
    return Ball(np.full(n, 0.2), np.linspace(0.5, 2.0, n), -sides, sides, radius, norm)


def points_in(ball, rng, count=400):
    """Random points of a ball, many of them far out."""
    x = rng.uniform(ball.lower, ball.upper, (count, ball.near.size))
    if not np.isfinite(ball.radius):
        return x
    away = np.array([ball.distance(one) for one in x])
    shrink = np.minimum(1.0, ball.radius / away) * rng.uniform(0.8, 1.0, count)
    return ball.near + shrink[:, None] * (x - ball.near)


@pytest.mark.parametrize("text", STRAIGHT)
def test_pieces_are_the_activation(text):
    net = network(np.eye(3), text)
    pieces = pieces_of(net.segments[-1].layer)
    z = np.linspace(-9.0, 9.0, 181)[:, None] * np.ones(3)
    expected = activation_from_text(text).forward(z)
    np.testing.assert_allclose(pieces.at(z), expected, atol=1e-14)


def test_a_slope_for_every_unit():
    layer = PReLU((3,), np.array([0.1, 0.0, -2.0]))
    z = np.linspace(-2.0, 2.0, 9)[:, None] * np.ones(3)
    np.testing.assert_array_equal(pieces_of(layer).at(z), layer.forward(z))


@pytest.mark.parametrize("text", ["hard_shrink", "tanh", "thresholded_relu", "silu"])
def test_what_bends_or_jumps_is_an_obstacle(text):
    net = network(np.eye(2), text, np.eye(2))
    assert obstacle(net).startswith("layer 1 'layer_1' does not consist of straight pieces")


def test_only_rising_activations_may_end_a_network():
    assert obstacle(network(np.eye(2), "sigmoid")) == ""
    assert obstacle(network(np.eye(2), "silu")) != ""


def test_bounds_of_origins():
    relu, tanh = activation_from_text("relu"), activation_from_text("tanh")
    assert first_at_least(relu, -1.0) == -np.inf
    assert first_at_least(relu, 2.0) == 2.0
    assert last_at_most(relu, 0.0) == 0.0
    assert last_at_most(relu, -0.1) == -np.inf
    assert first_at_least(tanh, 1.0) == np.inf
    assert last_at_most(tanh, 1.5) == np.inf
    assert last_at_most(tanh, 0.5) == pytest.approx(np.arctanh(0.5))


@pytest.mark.parametrize("norm", ["1", "max"])
@pytest.mark.parametrize("text", ["relu", "leaky_relu:-0.5", "hard_tanh", "soft_shrink"])
def test_ranges_and_planes_hold_everywhere_in_the_ball(rng, text, norm):
    net = small_net(rng, text)
    chain = chain_of(net)
    for radius in (0.3, 2.0, np.inf):
        ball = ball_of(3, radius, norm)
        x = points_in(ball, rng)
        found = ranges(chain.hidden, chain.last, ball)
        entering = [*chain.pre_activations(x), net.forward(x)]
        for known, z in zip(found, entering, strict=True):
            assert (z >= known.lower).all()
            assert (z <= known.upper).all()
        boxes = x.min(axis=0)[None], x.max(axis=0)[None]
        planes, _ = Planes.over(chain, boxes)
        low = x @ planes.low[:, 0].T + planes.low_offset[:, 0]
        high = x @ planes.high[:, 0].T + planes.high_offset[:, 0]
        assert (entering[-1] >= low - 1e-9).all()
        assert (entering[-1] <= high + 1e-9).all()


@pytest.mark.parametrize("norm", ["1", "max"])
def test_the_largest_value_over_a_ball_is_that_of_a_program(rng, norm):
    from scipy.optimize import linprog

    rows = rng.normal(size=(4, 5))
    ball = ball_of(5, 0.9, norm)
    n = 5
    up_down = np.concatenate([ball.scale, -ball.scale])
    for row, found in zip(rows, ball.largest(rows), strict=True):
        cost = -np.concatenate([row, row]) * up_down
        low, high = ball.moves
        bounds = [(0.0, h) for h in high] + [(0.0, -one) for one in low]
        budget = (np.ones((1, 2 * n)), [0.9]) if norm == "1" else (None, None)
        told = linprog(cost, A_ub=budget[0], b_ub=budget[1], bounds=bounds)
        assert found == pytest.approx(row @ ball.near - told.fun)


def test_both_ways_to_solve_agree(rng):
    net = small_net(rng, "relu", (4, 8, 6, 2))
    chain, ball = chain_of(net), ball_of(4)
    found = ranges(chain.hidden, chain.last, ball)
    y = net.forward(rng.uniform(-1.0, 1.0, (3, 4)))
    allowed = Domain.box(ball.lower, ball.upper)
    for low, high in ((y[0] - 0.05, y[0] + 0.05), (y[1] - 0.01, y[1] + 0.2)):
        program = encode(chain, found, ball, allowed, low, high)
        one = solve(program, np.inf, lambda: False)
        other = branch(program, np.inf, lambda: False)
        assert one.ending is other.ending is Ending.OPTIMAL
        assert other.value == pytest.approx(one.value, rel=1e-5)
        assert other.nodes > 0
    beyond = found[-1].upper - 1e-3
    program = encode(chain, found, ball, allowed, beyond, beyond + 1.0)
    assert solve(program, np.inf, lambda: False).ending is Ending.INFEASIBLE
    assert branch(program, np.inf, lambda: False).ending is Ending.INFEASIBLE
    assert branch(program, 0.0, lambda: False).ending is Ending.LIMIT


def test_a_solve_is_left_behind_when_it_is_to_end(monkeypatch, rng):
    net = small_net(rng, "relu")
    chain, ball = chain_of(net), ball_of(3)
    found = ranges(chain.hidden, chain.last, ball)
    allowed = Domain.box(ball.lower, ball.upper)
    low, high = np.full(2, -1.0), np.full(2, 1.0)
    program = encode(chain, found, ball, allowed, low, high)
    go_on = threading.Event()
    monkeypatch.setattr(solving, "_minimise", lambda program, seconds: go_on.wait(10.0))
    asked = iter([False, False])
    assert solve(program, np.inf, lambda: next(asked, True)) is NOTHING
    # HiGHS may see its own limit late.
    monkeypatch.setattr(solving, "GRACE", 0.1)
    assert solve(program, 0.1, lambda: False) is NOTHING
    go_on.set()


def problem_of(net, y, near, context=None, within=0.01):
    n = net.n_in
    return Problem(
        net,
        Targets.of_array(np.atleast_2d(y)),
        Domain.box(-np.ones(n), np.ones(n)),
        np.full(np.atleast_2d(y).shape, within),
        np.tile(near, (np.atleast_2d(y).shape[0], 1)),
        True,
        context or Context(),
    )


def test_the_method_row_by_row(rng):
    net = small_net(rng, "relu", (2, 6, 5, 1))
    x0 = rng.uniform(-1.0, 1.0, (2, 2))
    y = np.concatenate([net.forward(x0), [[1e3]]])
    method = MixedInteger()
    problem = problem_of(net, y, np.zeros(2))
    assert method.obstacle(problem) == ""
    attempt = method.attempt(problem, None)
    assert (np.abs(net.forward(attempt.x) - y) <= 0.01)[:2].all()
    assert attempt.reason[0].startswith("optimal: to 1e-06, no allowed input is nearer")
    assert attempt.reason[2].startswith("infeasible to 1e-06")
    assert np.isfinite(attempt.x).all()
    assert not attempt.stopped.any()


def test_an_answer_that_does_not_stand_is_said_to_be_so(monkeypatch, rng):
    net = small_net(rng, "relu", (2, 6, 5, 1))
    near = rng.uniform(-1.0, 1.0, 2)
    y = net.forward(near[None]) + np.array([[0.0], [1e3]])
    monkeypatch.setattr(Row, "accepts", lambda row, x: True)
    attempt = MixedInteger().attempt(problem_of(net, y, near), None)
    assert attempt.reason[0].startswith("optimal")
    assert attempt.reason[1].startswith("an x was found that meets the tolerance or misses")


@pytest.mark.parametrize(("error", "stands"), [(1e-3, True), (1e-2, False)])
def test_tolerances_are_those_at_the_answer(error, stands):
    # 1e6 + 1 less 1e6: the terms that cancel are what the tolerance is relative to.
    net = network(dense(np.array([[1.0, -1.0]])), "relu")
    large = np.array([1e6 + 1.0 + error, 1e6])
    small = np.array([1.0 + 1e-6, 0.0])
    for near in (np.zeros(2), np.full(2, 1e6)):
        asked = Problem(
            net,
            Targets.of_array(np.ones((1, 1))),
            Domain.unlimited(2),
            None,
            near[None],
            True,
        )
        row = Row.of_problem(asked, 0, chain_of(net), np.ones(2), "1")
        assert row.accepts(large) is stands
        assert not row.accepts(small)


def test_an_interrupt_keeps_what_is_known(rng):
    net = small_net(rng, "relu", (5, 20, 20, 5))
    x0 = rng.uniform(-1.0, 1.0, (1, 5))
    context = Context()
    context.interrupt()
    problem = problem_of(net, net.forward(x0), np.zeros(5), context)
    attempt = MixedInteger().attempt(problem, x0)
    assert attempt.stopped.all()
    assert np.abs(net.forward(attempt.x) - net.forward(x0)).max() <= 0.01
    assert "stopped early" in attempt.reason[0]
