"""Whole numbers: all combinations, searches with each, rounding and branching."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from problems import dense, network

from nninvert.analysis.starting_point import input_scale
from nninvert.context import Context
from nninvert.methods import LeastSquares
from nninvert.methods import whole_numbers as module
from nninvert.methods.domain import Constraints
from nninvert.methods.question import ask
from nninvert.methods.whole_moves import changes
from nninvert.methods.whole_numbers import WholeNumbers
from nninvert.methods.whole_points import combination_blocks, combinations


def net_of(rng, n, m, width=12, activation="tanh"):
    first = dense(
        rng.standard_normal((width, n)) / np.sqrt(n), 0.3 * rng.standard_normal(width)
    )
    return network(first, activation, dense(rng.standard_normal((m, width)) / 3.0))


def meets(problem, x):
    """Which rows are solved, by the rule of the driver."""
    fitted, terms = problem.network.forward_with_terms(x)
    close = np.abs(fitted - problem.targets.values) <= problem.tolerance(terms)
    return close.all(axis=1) & problem.domain.contain(x)


def all_points(problem):
    """Every allowed x where nothing but whole numbers is free."""
    low, high = problem.domain.lower, problem.domain.upper
    ranges = [np.arange(a, b + 1.0) for a, b in zip(low, high, strict=True)]
    x = np.array(list(product(*ranges)))
    return x[problem.domain.contain(x)]


@pytest.fixture
def method():
    return WholeNumbers(LeastSquares())


class TestObstacles:
    def test_nothing_asked_for(self, rng, method):
        problem = ask(net_of(rng, 2, 2), np.zeros((1, 2)))
        assert (
            method.obstacle(problem) == "no input that must be a whole number (--integer)"
        )
        assert not method.obstacle(
            ask(problem.network, np.zeros((1, 2)), integer=[0], lower=0.0, upper=1.0)
        )

    def test_those_of_the_inner_method(self, rng, method):
        problem = ask(
            net_of(rng, 2, 2), np.zeros((1, 2)), integer=[0], context=Context(memory=1)
        )
        assert method.obstacle(problem) == method.inner.obstacle(
            replace(problem, domain=problem.domain.continuous())
        )


class TestAllPoints:
    def test_blocks_hold_every_combination_once(self, rng, monkeypatch):
        monkeypatch.setattr("nninvert.methods.whole_points.BLOCK", 5)
        problem = ask(
            net_of(rng, 3, 1),
            np.zeros((1, 1)),
            lower=[0, -1, 2],
            upper=[2, 1, 2.5],
            integer=[0, 1],
        )
        blocks = list(combination_blocks(problem.domain, np.array([0.9, 0.0, 0.0])))
        points = np.concatenate(blocks)
        assert [len(b) for b in blocks] == [5, 4]
        assert combinations(problem.domain) == 9.0
        assert {tuple(p) for p in points} == set(product((0, 1, 2), (-1, 0, 1)))
        np.testing.assert_array_equal(points[0], [1, 0])

    def test_the_inputs_are_found_again(self, rng, method):
        net = net_of(rng, 4, 2)
        x = rng.integers(-2, 3, (6, 4)).astype(float)
        problem = ask(net, net.forward(x), lower=-2.0, upper=2.0, integer=range(4))
        found = method.attempt(problem, None)
        assert meets(problem, found.x).all()
        assert not found.stopped.any()
        assert set(found.reason) == {""}

    def test_the_nearest_is_the_nearest(self, rng, method):
        net = net_of(rng, 3, 1)
        near = rng.uniform(-2, 2, (5, 3))
        y = net.forward(rng.integers(-2, 3, (5, 3)).astype(float))
        rows = Constraints(np.ones((1, 3)), np.ones(1), ("sum",))
        problem = ask(
            net,
            y,
            within=0.1,
            near=near,
            lower=-2.0,
            upper=2.0,
            integer=range(3),
            constraints=rows,
        )
        found = method.attempt(problem, None)
        points = all_points(problem)
        for row in range(5):
            part = problem.take(np.array([row]))
            good = points[meets(part, points)]
            if not good.size:
                assert "among all 125 combinations" in found.reason[row]
                continue
            scale = input_scale(net)
            distance = np.linalg.norm((good - problem.near[row]) / scale, axis=1)
            mine = np.linalg.norm((found.x[row] - problem.near[row]) / scale)
            assert mine == pytest.approx(distance.min(), rel=1e-12)
            assert found.reason[row].startswith("the nearest of all 125 combinations")

    def test_none_meets_the_target_and_the_best_is_given(self, rng, method):
        net = net_of(rng, 2, 1)
        problem = ask(net, np.array([[50.0]]), lower=0, upper=3, integer=[0, 1])
        found = method.attempt(problem, None)
        points = all_points(problem)
        best = net.forward(points).max()
        assert net.forward(found.x)[0, 0] == pytest.approx(best, rel=1e-12)
        assert found.reason[0].startswith("no whole numbers found that meet the target, |")
        assert found.reason[0].endswith(
            "among all 16 combinations of whole numbers that the bounds allow"
        )

    def test_no_allowed_point(self, rng, method):
        rows = Constraints(np.array([[1.0, 1.0]]), np.array([-1.0]), ("sum",))
        problem = ask(net_of(rng, 2, 1), np.zeros((1, 1)), lower=0, upper=3, integer=[0, 1])
        problem = replace(problem, domain=replace(problem.domain, constraints=rows))
        found = method.attempt(problem, None)
        assert np.isnan(found.x).all()
        assert found.reason == (
            "no allowed whole numbers found among all 16 combinations "
            "of whole numbers that the bounds allow",
        )

    def test_time_is_up(self, rng, method):
        context = Context(time_limit=1e-9)
        problem = ask(
            net_of(rng, 2, 1),
            np.zeros((1, 1)),
            lower=0,
            upper=3,
            integer=[0, 1],
            context=context,
        )
        assert method.attempt(problem, None).stopped.all()


class TestFewCombinations:
    def test_the_other_inputs_are_searched(self, rng, method):
        net = net_of(rng, 5, 3)
        x = rng.uniform(-1, 1, (8, 5))
        x[:, [1, 4]] = rng.integers(0, 4, (8, 2))
        problem = ask(
            net,
            net.forward(x),
            lower=[-2, 0, -2, -2, 0],
            upper=[2, 3, 2, 2, 3],
            integer=[1, 4],
        )
        found = method.attempt(problem, None)
        assert meets(problem, found.x).all()
        assert not found.stopped.any()

    def test_the_nearest_of_all_combinations(self, rng, method):
        net = net_of(rng, 3, 1)
        x = rng.uniform(-1, 1, (1, 3))
        x[0, 0] = 2.0
        problem = ask(
            net,
            net.forward(x),
            within=0.01,
            near=[0.2, 0.1, -0.3],
            lower=[0, -2, -2],
            upper=[3, 2, 2],
            integer=[0],
        )
        found = method.attempt(problem, None)
        assert meets(problem, found.x).all()
        distances = []
        for value in range(4):
            fixed = ask(
                net,
                net.forward(x),
                within=0.01,
                near=[0.2, 0.1, -0.3],
                lower=[0, -2, -2],
                upper=[3, 2, 2],
                fix={0: float(value)},
            )
            one = LeastSquares().attempt(fixed, None).x
            if meets(fixed, one).all():
                distances.append(
                    np.linalg.norm((one[0] - problem.near[0]) / input_scale(net))
                )
        mine = np.linalg.norm((found.x[0] - problem.near[0]) / input_scale(net))
        assert mine <= min(distances) * (1 + 1e-6)

    def test_out_of_reach(self, rng, method):
        problem = ask(
            net_of(rng, 2, 1), np.array([[50.0]]), lower=0, upper=1.0, integer=[0]
        )
        found = method.attempt(problem, None)
        assert "by a search with each of 2 combinations" in found.reason[0]
        assert problem.domain.contain(found.x).all()


class TestTree:
    def test_the_inputs_are_found_again(self, rng, method):
        net = net_of(rng, 6, 4)
        x = rng.uniform(-1, 1, (4, 6))
        x[:, :2] = rng.integers(-9, 10, (4, 2))
        problem = ask(
            net,
            net.forward(x),
            lower=[-9, -9, -2, -2, -2, -2],
            upper=[9, 9, 2, 2, 2, 2],
            integer=[0, 1],
        )
        found = method.attempt(problem, None)
        assert meets(problem, found.x).all()

    def test_open_bounds(self, rng, method):
        net = net_of(rng, 3, 2, activation="leaky_relu:0.1")
        x = np.array([[7.0, -3.0, 0.3]])
        problem = ask(net, net.forward(x), integer=[0, 1])
        found = method.attempt(problem, None)
        assert meets(problem, found.x).all()

    def test_many_flags_by_changing_pairs(self, rng, method, monkeypatch):
        monkeypatch.setattr("nninvert.methods.whole_points.MOST_POINTS", 1)
        monkeypatch.setattr("nninvert.methods.whole_tree.MOST_TRIES", 15)
        net = net_of(rng, 10, 2)
        x = rng.integers(0, 2, (2, 10)).astype(float)
        problem = ask(net, net.forward(x), within=0.05, lower=0, upper=1, integer=range(10))
        found = method.attempt(problem, None)
        assert meets(problem, found.x).all()

    def test_exhausted_boxes_are_told_from_the_limit(self, rng, method, monkeypatch):
        monkeypatch.setattr("nninvert.methods.whole_points.MOST_POINTS", 1)
        monkeypatch.setattr(module, "MOST_SEARCHES", 1)
        problem = ask(
            net_of(rng, 2, 1), np.array([[50.0]]), lower=0, upper=2.0, integer=[0, 1]
        )
        found = method.attempt(problem, None)
        assert not found.stopped.any()
        points = all_points(problem)
        assert problem.network.forward(found.x).max() == pytest.approx(
            problem.network.forward(points).max()
        )
        monkeypatch.setattr("nninvert.methods.whole_tree.FEW_TRIES", 3)
        found = method.attempt(problem, None)
        assert found.stopped.all()
        assert found.reason[0].endswith("tries; no proof")

    def test_constraints_are_kept(self, rng, method, monkeypatch):
        monkeypatch.setattr(module, "MOST_SEARCHES", 1)
        net = net_of(rng, 4, 1)
        sums = Constraints.between(
            np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 2.0, 0.0]]),
            np.array([3.0, -np.inf]),
            np.array([3.0, 2.5]),
            ("a", "b"),
        )
        x = np.array([[2.0, 1.0, 0.5, -0.4]])
        problem = ask(
            net,
            net.forward(x),
            within=0.02,
            lower=-3.0,
            upper=3.0,
            integer=[0, 1],
            constraints=sums,
        )
        found = method.attempt(problem, None)
        assert meets(problem, found.x).all()
        assert found.x[0, 0] + found.x[0, 1] == 3.0

    def test_time_is_up(self, rng, method):
        problem = ask(
            net_of(rng, 2, 1),
            np.zeros((1, 1)),
            integer=[0],
            context=Context(time_limit=1e-9),
        )
        assert method.attempt(problem, None).stopped.all()


def test_no_negative_zero_is_written(rng, method):
    net = net_of(rng, 2, 1)
    problem = ask(net, net.forward(np.zeros((1, 2))), lower=-1, upper=1, integer=[0, 1])
    found = method.attempt(problem, None)
    assert not np.signbit(found.x[found.x == 0.0]).any()


def test_changes_are_all_that_touch_one_number_or_two():
    found = {tuple(row) for row in changes(3)}
    expected = {
        p
        for p in product((-2, -1, 0, 1, 2), repeat=3)
        if 1 <= sum(map(abs, p)) <= 2 and max(map(abs, p)) == 1
    }
    assert found == expected
    assert len(changes(3)) == len(found)
    assert changes(100).shape == (200, 100)
