"""What searches are made of: starts, rounded kinks, deeper equations, the pool."""

from __future__ import annotations

import numpy as np
import pytest
from problems import network

from nninvert.layers.activations import activation_from_text
from nninvert.methods.deep_equations import deep_equations
from nninvert.methods.domain import Domain
from nninvert.methods.pool import KEPT, Pool
from nninvert.methods.question import ask
from nninvert.methods.smoothing import Kinks, RoundedNetwork, entering_sizes, has_kinks
from nninvert.methods.starts import SPREADS, random_starts
from nninvert.methods.tail import Tail
from nninvert.methods.views import Views


def central(function, x, step=1e-6):
    """Jacobians (k, m, n) by central differences."""
    columns = [
        (function.forward(x + step * e) - function.forward(x - step * e)) / (2.0 * step)
        for e in np.eye(x.shape[1])
    ]
    return np.stack(columns, axis=2)


def assert_products_fit(function, x):
    near = function.linearize(x)
    jacobian = near.dense()
    np.testing.assert_allclose(near.y, function.forward(x), atol=1e-14)
    np.testing.assert_allclose(jacobian, central(function, x), atol=1e-7)
    dx, dy = np.ones(x.shape), np.ones(near.y.shape)
    np.testing.assert_allclose(near.jvp(dx), jacobian.sum(axis=2), atol=1e-12)
    np.testing.assert_allclose(near.vjp(dy), jacobian.sum(axis=1), atol=1e-12)


class TestStarts:
    def test_closed_intervals_are_covered_evenly(self, rng):
        domain = Domain.box(np.array([-1.0, 0.0]), np.array([1.0, 1e3]))
        found = random_starts(domain, np.zeros((3, 2)), np.ones(2), 10, rng)
        assert found.shape == (10, 3, 2)
        cells = np.floor((found - domain.lower) / (domain.upper - domain.lower) * 10.0)
        np.testing.assert_array_equal(
            np.sort(cells, axis=0),
            np.broadcast_to(np.arange(10.0)[:, None, None], (10, 3, 2)),
        )

    def test_open_inputs_lie_around_near_at_several_scales(self, rng):
        near, unit = np.array([[5.0] * 400]), np.full(400, 2.0)
        found = random_starts(Domain.unlimited(400), near, unit, len(SPREADS), rng)
        spread = ((found - 5.0) / 2.0).std(axis=2)[:, 0]
        np.testing.assert_allclose(spread, SPREADS, rtol=0.2)

    def test_bounds_are_kept_and_the_widest_do_not_overflow(self, rng):
        huge = 1.7e308
        domain = Domain.box(np.array([-huge, 0.0, 2.0]), np.array([huge, np.inf, 2.0]))
        found = random_starts(domain, np.zeros((2, 3)), np.ones(3), 20, rng)
        assert np.isfinite(found).all()
        assert domain.contain(found.reshape(-1, 3)).all()


class TestRoundedKinks:
    @pytest.mark.parametrize(
        ("text", "places"),
        [
            ("relu", (0.0,)),
            ("leaky_relu:0.1", (0.0,)),
            ("relu6", (0.0, 6.0)),
            ("hard_tanh", (-1.0, 1.0)),
            ("tanh", ()),
            ("gelu", ()),
            ("elu", ()),
        ],
    )
    def test_kinks_are_found(self, text, places):
        assert Kinks.of(activation_from_text(text)).places == pytest.approx(places)

    def test_where_the_value_jumps_nothing_is_rounded(self):
        assert Kinks.of(activation_from_text("thresholded_relu:1.0")).places == ()

    def test_far_from_a_kink_nothing_changes(self):
        kinks = Kinks.of(activation_from_text("relu"))
        value, slope = kinks.rounding(np.array([-1e3, 0.0, 1e3]), 1e-3)
        np.testing.assert_allclose(value, [0.0, 5e-4, 0.0], atol=1e-9)
        np.testing.assert_allclose(slope, [0.0, 0.0, 0.0], atol=1e-9)

    def test_products_belong_to_the_rounded_values(self, rng):
        net = network(
            rng.standard_normal((6, 3)), "relu", rng.standard_normal((2, 6)), "hard_tanh"
        )
        assert has_kinks(net)
        x = rng.standard_normal((4, 3))
        rounded = RoundedNetwork(net, entering_sizes(net, x), 0.3)
        assert_products_fit(rounded, x)

    def test_with_no_width_it_is_the_network(self, rng):
        net = network(rng.standard_normal((6, 3)), "leaky_relu:0.2", np.ones((1, 6)))
        x = rng.standard_normal((5, 3))
        gaps = [
            np.abs(RoundedNetwork(net, (1.0,) * 3, w).forward(x) - net.forward(x)).max()
            for w in (1e-1, 1e-2, 1e-3)
        ]
        assert gaps[0] > gaps[1] > gaps[2]
        assert gaps[2] < 1e-2


class TestDeepEquations:
    def net(self, rng, activation="relu", outputs=5):
        return network(
            rng.standard_normal((5, 3)), activation, rng.standard_normal((outputs, 5))
        )

    def test_the_origin_solves_them(self, rng):
        net = self.net(rng)
        x0 = rng.standard_normal((6, 3))
        deep = deep_equations(ask(net, net.forward(x0)))
        assert deep.usable.all()
        off = np.where(deep.counts, deep.function.forward(x0) - deep.target, 0.0)
        np.testing.assert_allclose(off, 0.0, atol=1e-10)
        dead = net.graph.nodes[0].layer.forward(x0) < -1e-6
        np.testing.assert_array_equal(deep.counts[:, 5:][dead], True)
        assert (deep.counts.sum(axis=1) == 5).all()

    def test_products(self, rng):
        net = self.net(rng, "gelu")
        x0 = rng.standard_normal((3, 3))
        assert_products_fit(deep_equations(ask(net, net.forward(x0))).function, x0)

    def test_none_where_the_last_layer_loses_something(self, rng):
        net = self.net(rng, outputs=3)
        assert deep_equations(ask(net, np.zeros((1, 3)))) is None

    def test_targets_off_the_range_are_not_used(self, rng):
        net = self.net(rng, "tanh", outputs=9)
        y = net.forward(rng.standard_normal((2, 3)))
        y[1] += rng.standard_normal(9)
        assert deep_equations(ask(net, y)).usable.tolist() == [True, False]


class TestTail:
    def test_values_and_inputs_belong_together(self, rng):
        net = network(
            rng.standard_normal((4, 6)),
            "tanh",
            rng.standard_normal((4, 4)),
            "tanh",
            rng.standard_normal((2, 4)),
        )
        problem = ask(net, np.zeros((1, 2)))
        tail = Tail.of(problem)
        x = 0.5 * rng.standard_normal((5, 6))
        u = tail.values(x)
        np.testing.assert_allclose(tail.values(tail.inputs(u)), u, atol=1e-12)
        np.testing.assert_allclose(tail.problem.network.forward(u), net.forward(x))
        assert (tail.problem.domain.lower > -1.0).all()
        assert (tail.problem.domain.upper < 1.0).all()

    def test_none_where_the_first_layer_does_not_reach_everything(self, rng):
        layers = ["tanh", rng.standard_normal((3, 7)), "tanh", rng.standard_normal((2, 3))]
        tall = network(rng.standard_normal((7, 4)), *layers)
        assert Tail.of(ask(tall, np.zeros((1, 2)))) is None
        wide = network(rng.standard_normal((7, 9)), *layers)
        assert Tail.of(ask(wide, np.zeros((1, 2)))) is not None
        assert Tail.of(ask(wide, np.zeros((1, 2)), lower=0.0)) is None


class TestPool:
    def pool(self):
        net = network(np.eye(1), "tanh", np.eye(1))
        problem = ask(net, np.array([[0.0]]))
        return Pool(problem, Views(problem, np.ones((1, 1))), np.full(1, 1e-3))

    def test_the_best_distinct_points_are_kept(self, rng):
        pool = self.pool()
        x = np.array([[3.0], [0.1], [0.2], [0.1], [0.3], [0.4], [0.5], [np.nan]])
        pool.enter(np.zeros(8, dtype=np.int64), x)
        near = pool.around(np.array([0]), KEPT, rng)[:, 0, 0]
        np.testing.assert_allclose(np.sort(near), [0.1, 0.2, 0.3, 0.4, 0.5], atol=5e-3)
        assert pool.agreeing.tolist() == [2]

    def test_agreement_of_related_starts_does_not_count(self):
        pool, rows = self.pool(), np.zeros(2, dtype=np.int64)
        pool.enter_related(rows, np.array([[0.1], [0.1]]))
        assert pool.agreeing.tolist() == [0]
        pool.enter(rows, np.array([[0.1], [0.1]]))
        assert pool.agreeing.tolist() == [2]
        pool.enter_related(rows[:1], np.array([[0.05]]))
        assert pool.agreeing.tolist() == [0]

    def test_drawn_starts_are_the_better_ones(self, rng):
        pool = self.pool()
        drawn = pool.drawn(np.array([0]), 200, rng)
        plain = random_starts(
            Domain.unlimited(1), np.zeros((1, 1)), np.full(1, 1e-3), 200, rng
        )
        assert np.abs(drawn).mean() < 0.5 * np.abs(plain).mean()
