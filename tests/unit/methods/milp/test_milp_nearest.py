"""The nearest input against the enumeration of all patterns, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest
from scipy.optimize import linprog

from nninvert.methods import Domain, Problem, Targets
from nninvert.methods.domain import Constraints
from nninvert.methods.milp import nearest as search
from nninvert.methods.milp import split
from nninvert.methods.milp.chain import chain_of
from nninvert.methods.milp.nearest import Clock, nearest, reason
from nninvert.methods.milp.row import Row
from tests.problems import dense, network

UNHURRIED = Clock(lambda: np.inf, lambda: False)

PIECES = {
    "relu": [(-np.inf, 0.0, 0.0, 0.0), (0.0, np.inf, 1.0, 0.0)],
    "leaky_relu:0.3": [(-np.inf, 0.0, 0.3, 0.0), (0.0, np.inf, 1.0, 0.0)],
    "leaky_relu:-0.5": [(-np.inf, 0.0, -0.5, 0.0), (0.0, np.inf, 1.0, 0.0)],
    "hard_tanh": [
        (-np.inf, -1.0, 0.0, -1.0),
        (-1.0, 1.0, 1.0, 0.0),
        (1.0, np.inf, 0.0, 1.0),
    ],
}
"""Each piece: from, to, slope, value at zero."""


def weights(rng, sizes):
    return [
        (rng.normal(size=(m, n)) * np.sqrt(2.0 / n), 0.3 * rng.normal(size=m))
        for n, m in pairwise(sizes)
    ]


def built(parts, activation):
    layers = []
    for matrix, bias in parts:
        layers += [dense(matrix, bias), activation]
    return network(*layers[:-1])


def least(parts, activation, near, y, tolerance, box, norm):
    """The least distance of all patterns; inf where none has an answer."""
    best = np.inf
    n = near.size
    hidden = [matrix.shape[0] for matrix, _ in parts[:-1]]
    for pattern in product(PIECES[activation], repeat=sum(hidden)):
        slope, value = np.eye(n), np.zeros(n)
        rows, right = [], []
        units = iter(pattern)
        for matrix, bias in parts[:-1]:
            slope, value = matrix @ slope, matrix @ value + bias
            for k in range(matrix.shape[0]):
                begin, end, rise, at_zero = next(units)
                if np.isfinite(begin):
                    rows.append(-slope[k])
                    right.append(value[k] - begin)
                if np.isfinite(end):
                    rows.append(slope[k].copy())
                    right.append(end - value[k])
                slope[k], value[k] = rise * slope[k], rise * value[k] + at_zero
        slope, value = parts[-1][0] @ slope, parts[-1][0] @ value + parts[-1][1]
        rows += [*slope, *-slope]
        right += [*(y + tolerance - value), *(value - y + tolerance)]
        best = min(best, _distance(np.array(rows), np.array(right), near, box, norm))
    return best


def _distance(rows, right, near, box, norm):
    """min ||x - near|| with rows @ x <= right and |x| <= box, by columns x and t."""
    n = near.size
    count = n if norm == "1" else 1
    spread = np.eye(n) if norm == "1" else np.ones((n, 1))
    wide = np.block(
        [
            [rows, np.zeros((len(rows), count))],
            [np.eye(n), -spread],
            [-np.eye(n), -spread],
        ]
    )
    limits = np.concatenate([right, near, -near])
    cost = np.concatenate([np.zeros(n), np.ones(count)])
    bounds = [(-box, box)] * n + [(0.0, None)] * count
    found = linprog(cost, A_ub=wide, b_ub=limits, bounds=bounds)
    return found.fun if found.status == 0 else np.inf


def row_of(net, y, near, *, tolerance=0.01, norm="1", box=1.0, **domain):
    n = net.n_in
    allowed = replace(Domain.box(np.full(n, -box), np.full(n, box)), **domain)
    problem = Problem(
        net,
        Targets.of_array(y[None]),
        allowed,
        None if tolerance is None else np.full((1, y.size), tolerance),
        near[None],
        True,
    )
    return Row.of_problem(problem, 0, chain_of(net), np.ones(n), norm)


@pytest.fixture(params=["split", "whole"])
def way(request, monkeypatch):
    """Both ways to search: splitting inputs, and the program as a whole."""
    if request.param == "whole":
        monkeypatch.setattr(split, "MOST_INPUTS", 0)
    return request.param


@pytest.mark.parametrize(
    ("activation", "sizes"),
    [
        ("relu", (2, 4, 3, 2)),
        ("relu", (3, 4, 1)),
        ("leaky_relu:0.3", (2, 3, 2, 1)),
        ("leaky_relu:-0.5", (2, 4, 2)),
        ("hard_tanh", (2, 2, 2, 1)),
    ],
)
@pytest.mark.parametrize("norm", ["1", "max"])
def test_the_nearest_of_all_patterns(way, rng, activation, sizes, norm):
    parts = weights(rng, sizes)
    net = built(parts, activation)
    near = rng.uniform(-0.3, 0.3, sizes[0])
    y = net.forward(rng.uniform(-1.0, 1.0, (1, sizes[0])))[0]
    row = row_of(net, y, near, norm=norm)
    found = nearest(row, [], UNHURRIED)
    expected = least(parts, activation, near, y, 0.01, 1.0, norm)
    assert row.accepts(found.x)
    assert found.is_optimal
    assert found.distance == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_targets_are_met_to_rounding_by_default(way, rng):
    parts = weights(rng, (3, 6, 2))
    net = built(parts, "relu")
    y = net.forward(rng.uniform(-1.0, 1.0, (1, 3)))[0]
    row = row_of(net, y, np.zeros(3), tolerance=None)
    found = nearest(row, [], UNHURRIED)
    assert found.is_optimal
    np.testing.assert_allclose(row.value(found.x), y, rtol=1e-14, atol=1e-14)


def test_what_no_pattern_reaches_is_infeasible(way, rng):
    parts = weights(rng, (2, 4, 3, 2))
    net = built(parts, "relu")
    y = net.forward(rng.uniform(-1.0, 1.0, (200, 2))).max(axis=0) + 2.0
    near = np.zeros(2)
    assert least(parts, "relu", near, y, 0.01, 1.0, "1") == np.inf
    row = row_of(net, y, near)
    found = nearest(row, [], UNHURRIED)
    assert found.x is None
    assert not found.cut_short
    assert reason(found, row.ball).startswith(
        "infeasible to 1e-06: the solver's word, not a"
    )


def test_whole_numbers_against_all_of_them(way, rng):
    parts = weights(rng, (2, 5, 1))
    net = built(parts, "relu")
    grid = np.array(list(product(range(-4, 5), repeat=2)), dtype=np.float64)
    values = net.forward(grid)[:, 0]
    near = np.array([0.4, -1.3])
    y = values[7:8]
    row = row_of(net, y, near, tolerance=0.05, box=4.0, integer=np.array([True, True]))
    found = nearest(row, [], UNHURRIED)
    fits = np.abs(values - y) <= 0.05
    assert found.is_optimal
    assert (found.x == np.round(found.x)).all()
    distances = np.abs(grid[fits] - near).sum(axis=1)
    assert found.distance == pytest.approx(distances.min())


def test_a_whole_number_among_others(way, rng):
    net = built(weights(rng, (2, 5, 1)), "relu")
    near = np.array([0.4, -0.2])
    y = net.forward(np.array([[2.0, 0.7]]))[0]
    mixed = np.array([True, False])
    found = nearest(row_of(net, y, near, box=3.0, integer=mixed), [], UNHURRIED)
    single = [
        nearest(
            row_of(
                net,
                y,
                near,
                lower=np.array([k, -3.0]),
                upper=np.array([k, 3.0]),
            ),
            [],
            UNHURRIED,
        ).distance
        for k in range(-3, 4)
    ]
    assert found.x[0] == np.round(found.x[0])
    assert found.distance == pytest.approx(min(single), rel=1e-5)


def test_inequalities_between_inputs_hold(way, rng):
    parts = weights(rng, (3, 6, 1))
    net = built(parts, "relu")
    near = np.zeros(3)
    y = net.forward(np.array([[0.6, -0.5, 0.4]]))[0]
    free = nearest(row_of(net, y, near), [], UNHURRIED)
    matrix = np.sign(free.x)[None]
    half = Constraints(matrix, 0.5 * (matrix @ free.x), ("sum",))
    row = row_of(net, y, near, constraints=half)
    found = nearest(row, [], UNHURRIED)
    assert found.x is None or row.domain.contain(found.x[None]).all()
    # Of what is nearest in the 1-norm this sum is the distance.
    assert found.distance > free.distance


def test_unbounded_inputs_are_searched_as_far_as_is_said(way, rng):
    parts = weights(rng, (2, 4, 1))
    net = built(parts, "relu")
    y = net.forward(np.array([[1.5, -2.0]]))[0]
    row = row_of(net, y, np.zeros(2), box=np.inf)
    found = nearest(row, [], UNHURRIED)
    expected = least(parts, "relu", np.zeros(2), y, 0.01, 50.0, "1")
    assert found.is_optimal
    assert found.distance == pytest.approx(expected, rel=1e-5)
    beyond = network(dense(-np.eye(2)), "relu", dense(np.ones((1, 2))))
    row = row_of(beyond, np.array([-1.0]), np.zeros(2), box=np.inf)
    hopeless = nearest(row, [], UNHURRIED)
    assert hopeless.x is None
    assert "within 600 of --near in the 1-norm: the solver's" in reason(hopeless, row.ball)
    assert "farther out was not searched" in reason(hopeless, row.ball)


def test_what_an_empty_ball_told_is_not_said_of_the_next():
    rng = np.random.default_rng(3)
    parts = weights(rng, (2, 4, 1))
    net = built(parts, "relu")
    y = net.forward(np.array([[9.0, -8.0]]))[0]
    row = row_of(net, y, np.zeros(2), box=np.inf)
    expected = least(parts, "relu", np.zeros(2), y, 0.01, 60.0, "1")
    for looks in range(12):
        left = iter(range(looks))
        clock = Clock(lambda: np.inf, lambda left=left: next(left, None) is None)
        found = nearest(row, [], clock)
        assert found.bound <= expected * (1.0 + 1e-6)
        if found.is_optimal:
            assert found.distance == pytest.approx(expected, rel=1e-5)
        elif found.x is not None:
            # The first ball held nothing, and that was proved.
            assert found.bound >= 2.0 * search.RADII[0]
    assert nearest(row, [], UNHURRIED).is_optimal


def test_the_effort_for_all_balls_is_told():
    net = network(dense(-np.eye(2)), "relu", dense(np.ones((1, 2))))
    row = row_of(net, np.array([-1.0]), np.zeros(2), box=np.inf)
    found = nearest(row, [], UNHURRIED)
    assert found.boxes >= len(search.RADII)
    assert f"({found.boxes} boxes)" in reason(found, row.ball)


def test_near_itself_is_an_answer(rng):
    net = built(weights(rng, (2, 4, 1)), "relu")
    near = rng.uniform(-0.5, 0.5, 2)
    found = nearest(row_of(net, net.forward(near[None])[0], near), [], UNHURRIED)
    assert found.distance == 0.0
    assert found.boxes == found.nodes == 0


def test_a_known_answer_is_kept_when_there_is_no_time(rng):
    net = built(weights(rng, (4, 20, 20, 2)), "relu")
    x0 = rng.uniform(-1.0, 1.0, 4)
    row = row_of(net, net.forward(x0[None])[0], np.zeros(4))
    at_once = Clock(lambda: 0.0, lambda: True)
    found = nearest(row, [x0], at_once)
    np.testing.assert_array_equal(found.x, x0)
    assert found.cut_short
    assert not found.is_optimal
    assert reason(found, row.ball).startswith("feasible, stopped early")
    nothing = nearest(row, [], at_once)
    assert nothing.x is None
    assert reason(nothing, row.ball).startswith("undecided: stopped early")


def test_an_answer_that_cannot_be_made_exact_is_said_to_be_so(monkeypatch, rng):
    monkeypatch.setattr(split, "MOST_INPUTS", 0)
    net = built(weights(rng, (3, 6, 2)), "relu")
    x0 = rng.uniform(-1.0, 1.0, 3)
    row = row_of(net, net.forward(x0[None])[0], np.zeros(3), tolerance=None)
    monkeypatch.setattr(search, "polish", lambda row, x: x if (x == x0).all() else x + 0.1)
    monkeypatch.setattr(search, "improved", lambda row, program, ranges, x, stop: x)
    found = nearest(row, [x0], UNHURRIED)
    np.testing.assert_array_equal(found.x, x0)
    assert 0.0 < found.bound < found.distance
    why = "the solver's answer could not be made exact where it is"
    assert reason(found, row.ball).startswith(
        f"feasible, {why}; a nearer one in the 1-norm"
    )
    nothing = nearest(row, [], UNHURRIED)
    assert nothing.x is None
    assert reason(nothing, row.ball).startswith(f"undecided: {why}")


def test_more_undecided_units_than_are_solved_leave_patterns(monkeypatch, rng):
    monkeypatch.setattr(split, "MOST_INPUTS", 0)
    monkeypatch.setattr(search, "MOST_UNDECIDED", 3)
    net = built(weights(rng, (4, 12, 8, 2)), "relu")
    x0 = rng.uniform(-1.0, 1.0, 4)
    row = row_of(net, net.forward(x0[None])[0], np.zeros(4))
    from_answer = nearest(row, [x0], UNHURRIED)
    assert from_answer.distance < row.ball.distance(x0)
    assert "patterns were searched locally" in reason(from_answer, row.ball)
    found = nearest(row, [], UNHURRIED)
    assert found.x is None or row.accepts(found.x)
    assert not found.is_optimal


def test_units_of_inputs_are_told_where_they_are_not_one(rng):
    net = built(weights(rng, (2, 4, 1)), "relu")
    row = row_of(net, net.forward(np.full((1, 2), 0.5))[0], np.zeros(2))
    plain = reason(nearest(row, [], UNHURRIED), row.ball)
    assert "no allowed input is nearer in the 1-norm (" in plain
    ball = replace(row.ball, scale=np.array([1.0, 3.0]))
    scaled = reason(nearest(replace(row, ball=ball), [], UNHURRIED), ball)
    assert "nearer in the 1-norm, each input in its unit (" in scaled


def test_a_relu_at_the_end_is_a_linear_program(monkeypatch, rng):
    monkeypatch.setattr(split, "MOST_INPUTS", 0)
    matrix, bias = rng.normal(size=(5, 3)), rng.normal(size=5)
    net = network(dense(matrix, bias), "relu")
    y = net.forward(rng.uniform(-1.0, 1.0, (1, 3)))[0]
    row = row_of(net, y, np.zeros(3), tolerance=None)
    found = nearest(row, [], UNHURRIED)
    on = y > 0.0
    rows = np.concatenate([matrix[on], -matrix[on], matrix[~on]])
    right = np.concatenate([y[on] - bias[on], bias[on] - y[on], -bias[~on]])
    assert found.nodes <= 1
    expected = _distance(rows, right, np.zeros(3), 1.0, "1")
    assert found.distance == pytest.approx(expected, rel=1e-6)


def test_a_smooth_activation_at_the_end_is_undone(way, rng):
    parts = weights(rng, (2, 4, 1))
    inner = built(parts, "relu")
    net = network(dense(*parts[0]), "relu", dense(*parts[1]), "tanh")
    x0 = rng.uniform(-1.0, 1.0, (1, 2))
    y = net.forward(x0)[0]
    low, high = np.arctanh(y - 0.01), np.arctanh(y + 0.01)
    middle, half = 0.5 * (low + high), float(0.5 * (high - low)[0])
    found = nearest(row_of(net, y, np.zeros(2)), [], UNHURRIED)
    other = nearest(row_of(inner, middle, np.zeros(2), tolerance=half), [], UNHURRIED)
    assert found.is_optimal
    assert found.distance == pytest.approx(other.distance, rel=1e-6)
