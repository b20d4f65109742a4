"""Searches from many starts: hard nets, honest ends, limits, memory."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from problems import dense, network

from nninvert.context import Context
from nninvert.layers import Softmax
from nninvert.methods import search as module
from nninvert.methods.question import ask
from nninvert.methods.search import search, solutions


def relu_square(rng, n=12):
    """Square relu layers, a quarter of the units dead around the origin."""
    shift = np.where(np.arange(n) % 4 == 0, -2.0, 0.2)
    first = dense(rng.standard_normal((n, n)) / np.sqrt(n), shift)
    second = dense(rng.standard_normal((n, n)) / np.sqrt(n), shift)
    return network(first, "relu", second, "relu", rng.standard_normal((n, n)))


def deep(rng, activation, widths=(7, 12, 12, 12, 12, 5)):
    layers = []
    for a, b in pairwise(widths):
        layers += [dense(1.2 * rng.standard_normal((b, a)) / np.sqrt(a)), activation]
    return network(*layers[:-1])


NETS = {
    "square relu": relu_square,
    "deep tanh": lambda rng: deep(rng, "tanh"),
    "deep leaky relu": lambda rng: deep(rng, "leaky_relu:0.05"),
    "square gelu": lambda rng: deep(rng, "gelu", (8, 8, 8, 8)),
    "tall relu": lambda rng: deep(rng, "relu", (4, 14, 14, 12)),
}


@pytest.mark.parametrize("name", NETS)
def test_reachable_targets_are_reached_to_rounding(name, rng):
    net = NETS[name](rng)
    y = net.forward(rng.standard_normal((10, net.n_in)))
    problem = ask(net, y)
    found = search(problem, [problem.near])
    assert found.solved.mean() >= 0.9
    assert not found.stopped[found.solved].any()
    off = np.abs(net.forward(found.x) - y).max(axis=1)
    np.testing.assert_allclose(found.error, off, atol=1e-14)
    assert np.median(off) < 1e-14


def test_what_is_called_solved_meets_the_tolerances(rng):
    net = network(3.0 * rng.standard_normal((6, 3)), Softmax((6,), -1))
    y = net.forward(2.0 * rng.standard_normal((8, 3)))
    y[6:] = y[6:, ::-1]
    problem = ask(net, y)
    found = search(problem, [problem.near])
    value, terms = net.forward_with_terms(found.x)
    met = (np.abs(value - y) <= problem.tolerance(terms)).all(axis=1)
    np.testing.assert_array_equal(found.solved, met)
    assert found.solved[:6].all()
    assert not found.solved[6:].any()


def test_bounds_are_kept_and_used(rng):
    net = deep(rng, "tanh", (9, 12, 4))
    x0 = rng.uniform(-0.4, 0.4, (6, 9))
    lower, upper = np.full(9, -0.4), np.full(9, 0.4)
    lower[3], upper[3], lower[5] = 0.1, 0.1, -np.inf
    x0[:, 3] = 0.1
    problem = ask(net, net.forward(x0), lower=lower, upper=upper)
    found = search(problem, [problem.near])
    assert problem.domain.contain(found.x).all()
    assert found.solved.all()


def test_the_nearest_solution_of_a_batch_is_kept(rng):
    """x^2-like: both ends solve; the one nearer to `near` is given."""
    net = network(dense(np.array([[1.0], [-1.0]])), "relu", np.array([[1.0, 1.0]]))
    problem = ask(net, np.array([[2.0]]), near=np.array([0.5]))
    for starts in ([[5.0], [-5.0]], [[-5.0], [5.0]]):
        found = search(problem, [np.array([start]) for start in starts])
        assert found.x.tolist() == [[2.0]]


def test_what_is_out_of_reach_ends_at_a_point_of_least_squares(rng):
    net = deep(rng, "tanh", (3, 10, 9))
    y = net.forward(rng.standard_normal((5, 3))) + 0.1 * rng.standard_normal((5, 9))
    problem = ask(net, y)
    found = search(problem, [problem.near])
    assert not found.solved.any()
    assert not found.stopped.any()
    assert (found.starts < sum(module.STAGES)).any()
    near = net.linearize(found.x)
    size = module._Search(problem).ways.views.outer.weights
    off, jacobian = size * (near.y - y), size[:, :, None] * near.dense()
    slope = np.linalg.norm(np.einsum("kmn,km->kn", jacobian, off), axis=1)
    size = np.linalg.norm(jacobian, axis=(1, 2)) * np.linalg.norm(off, axis=1)
    assert (slope < 1e-3 * size).all()


def test_rows_proved_out_of_reach_get_the_first_starts_only(rng):
    from dataclasses import replace

    net = network(rng.standard_normal((2, 2)), "tanh")
    problem = ask(net, np.array([[0.5, 1.5], [0.3, 0.2]]))
    problem = replace(problem, unreachable=np.array([True, False]))
    found = search(problem, [problem.near])
    assert found.starts.tolist() == [1, 1]
    assert found.solved.tolist() == [False, True]


def test_outputs_that_do_not_matter_do_not(rng):
    net = deep(rng, "tanh", (5, 9, 4))
    y = net.forward(rng.standard_normal((3, 5)))
    y[:, 1] = np.nan
    problem = ask(net, y, nan_is_free=True)
    found = search(problem, [problem.near])
    assert found.solved.all()
    kept = [0, 2, 3]
    np.testing.assert_allclose(net.forward(found.x)[:, kept], y[:, kept], atol=1e-14)


def test_sizes_far_apart_need_no_help(rng):
    """Targets of 1e6 beside 1e33, inputs of 1e-4 beside 1e5."""
    units = np.array([1e-4, 1e5, 1.0])
    net = network(
        dense(rng.standard_normal((8, 3)) / units),
        "tanh",
        dense(np.array([[1e6], [1e33]]) * rng.standard_normal((2, 8))),
    )
    y = net.forward(0.5 * units * rng.standard_normal((10, 3)))
    problem = ask(net, y)
    found = search(problem, [problem.near])
    assert found.solved.all()
    np.testing.assert_allclose(net.forward(found.x), y, rtol=1e-9)


def test_starts_that_are_not_finite_begin_at_near(rng):
    net = network(np.eye(1), "softsign")
    y = net.forward(np.array([[3.0], [-4.0]]))
    problem = ask(net, y)
    found = search(problem, [np.array([[np.nan], [-3.0]])])
    np.testing.assert_allclose(found.x, [[3.0], [-4.0]], rtol=1e-8)


def test_nothing_finite_is_no_success():
    net = network("exponential", np.eye(1), shape=(1,))
    problem = ask(net, np.array([[0.5]]), lower=1e10, upper=2e10)
    found = search(problem, [problem.near])
    assert not found.solved.any()
    assert not np.isfinite(found.error).any()


def test_an_interrupt_keeps_the_start(rng):
    net = deep(rng, "tanh")
    context = Context()
    context.interrupt()
    problem = ask(net, net.forward(rng.standard_normal((2, 7))), context=context)
    start = rng.standard_normal((2, 7))
    found = search(problem, [start])
    np.testing.assert_array_equal(found.x, start)
    assert found.stopped.all()


def test_time_is_limited_by_the_rows_that_are_open(rng, monkeypatch):
    monkeypatch.setattr(module, "SECONDS_PER_ROW", 0.0)
    net = deep(rng, "tanh", (3, 10, 9))
    problem = ask(net, net.forward(rng.standard_normal((4, 3))) + 0.3)
    found = search(problem, [problem.near])
    assert found.starts.tolist() == [1] * 4


def test_starts_are_made_in_parts(rng, monkeypatch):
    monkeypatch.setattr(module, "STARTS_BYTES", 1000)
    monkeypatch.setattr(module, "BATCH_BYTES", 1000)
    net = relu_square(rng, 6)
    problem = ask(net, net.forward(rng.standard_normal((5, 6))))
    assert search(problem, [problem.near]).solved.mean() >= 0.8


def test_the_same_seed_gives_the_same_x(rng):
    net = relu_square(rng, 6)
    y = net.forward(rng.standard_normal((5, 6)))
    first, second = (search(ask(net, y), [np.zeros((5, 6))]) for _ in range(2))
    np.testing.assert_array_equal(first.x, second.x)


def test_solutions_tells_where_every_start_ends(rng):
    net = network(dense(np.array([[1.0], [-1.0]])), "relu", np.array([[1.0, 1.0]]))
    problem = ask(net, np.array([[2.0], [3.0], [-1.0]]))
    starts = np.array([5.0, -5.0])[:, None, None] * np.ones((2, 3, 1))
    ends = solutions(problem, starts)
    np.testing.assert_allclose(ends.x[:, :2, 0], [[2.0, 3.0], [-2.0, -3.0]])
    assert ends.solved.tolist() == [[True, True, False]] * 2
    assert (ends.misfit[:, :2] <= 1.0).all()
    assert (ends.misfit[:, 2] > 0.1).all()
