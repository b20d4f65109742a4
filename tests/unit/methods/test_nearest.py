"""The nearest x, row by row: tolerances up to their edge, masks, kinks, honest reasons."""

from __future__ import annotations

import numpy as np
import pytest

from nninvert.analysis.starting_point import input_scale
from nninvert.context import Context, Progress
from nninvert.methods.domain import Constraints
from nninvert.methods.nearest import (
    MOST_ORDER,
    _Question,
    _RowSearch,
    nearest_rows,
    obstacle,
)
from tests.problems import asked, network, random_net, wide_net


def nearest_attempt(problem, start):
    return nearest_rows(problem, None if start is None else start[None])


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
