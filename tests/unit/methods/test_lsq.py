"""lsq on networks: tolerances up to their edge, bounds, masks, honest reasons."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from nninvert.context import Context, Progress
from nninvert.methods import LeastSquares, nearest
from nninvert.methods._base import Attempt
from nninvert.methods.question import ask
from tests.problems import asked, dense, network, random_net


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


def test_rows_that_jam_at_kinks_are_walked_along_them(rng, monkeypatch):
    monkeypatch.setattr("nninvert.methods.search.STAGES", (4,))
    parts = []
    for n, m in pairwise([6, 10, 10, 10, 10, 4]):
        parts += [1.5 * rng.standard_normal((m, n)) / np.sqrt(n), "leaky_relu:0.05"]
    net = network(*parts[:-1])
    problem = asked(net, net.forward(rng.standard_normal((12, 6))))
    walked = LeastSquares().attempt(problem, None)
    monkeypatch.setattr("nninvert.methods.lsq.has_kinks", lambda network: False)
    jammed = LeastSquares().attempt(problem, None)
    met = [
        (np.abs(net.forward(a.x) - problem.targets.values).max(axis=1) < 1e-9).sum()
        for a in (jammed, walked)
    ]
    assert met[0] < met[1]
    assert walked.reason.count("") == met[1]


def test_distances_are_measured_from_near_itself_where_it_is_not_allowed():
    """Of x0 + x1 = 0 with x0 <= 1 the point nearest to (3, 0); from (1, 0) another is."""
    problem = ask(network(np.ones((1, 2))), np.zeros((1, 1)), near=[3.0, 0.0], upper=1.0)
    attempt = LeastSquares().attempt(problem, None)
    np.testing.assert_allclose(attempt.x, [[1.0, -1.0]], atol=1e-8)


def test_rows_that_a_limit_of_steps_ended_are_searched_for(rng, monkeypatch):
    net = random_net(rng, 4)
    problem = asked(net, net.forward(rng.uniform(-0.5, 0.5, (3, 4))), within=1e-3)
    real = nearest.nearest_rows

    def gives_up(problem, starts=None):
        if starts is not None:
            return real(problem, starts)
        ended = np.ones(problem.rows, dtype=bool)
        return Attempt(problem.near, ended, ("",) * problem.rows)

    monkeypatch.setattr(nearest, "nearest_rows", gives_up)
    attempt = LeastSquares().attempt(problem, None)
    assert (np.abs(net.forward(attempt.x) - problem.targets.values) <= 1e-3).all()
    assert not attempt.stopped.any()


def test_rows_that_time_does_not_suffice_for_hold_some_x_that_meets_the_target(rng):
    net = random_net(rng, 5)
    context = Context()

    def stop_after_the_first_row(event):
        if event.stage == "least change":
            context.interrupt()

    context.listener = stop_after_the_first_row
    y = net.forward(rng.uniform(-0.5, 0.5, (4, 5)))
    problem = asked(net, y, near=np.full(5, 0.1), context=context)
    attempt = LeastSquares().attempt(problem, None)
    np.testing.assert_allclose(net.forward(attempt.x), y, atol=1e-13)
    assert attempt.stopped.tolist() == [False, True, True, True]
    assert attempt.reason == ("", *3 * ("a nearer x may exist: time was up",))
