"""Proofs for the rows of a problem."""

from typing import ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from problems import dense, network
from strategies import LOSING, ONE_TO_ONE, generators, nets

from nninvert.layers import LogSoftmax, Softmax
from nninvert.methods.domain import Constraints
from nninvert.methods.driver import invert
from nninvert.methods.proofs import (
    findings,
    missing_bounds,
    nearness,
)
from nninvert.methods.question import ask
from nninvert.outcome import Proof, RowStatus


def prove(net, y, tolerance=1e-9, **options):
    problem = ask(net, np.asarray(y, dtype=np.float64), **options)
    return proofs(problem, np.full(problem.targets.values.shape, tolerance))


def proofs(problem, tolerance):
    return tuple(found.proof for found in findings(problem, tolerance))


CHAIN = network(np.eye(2), "tanh", np.eye(2), "tanh")


def test_kinds():
    y = [[0.1, 0.1], [0.9, 0.1], [1.5, 0.1]]
    assert prove(CHAIN, y) == (Proof.NONE, Proof.PULL_BACK, Proof.OUTPUT_RANGE)


def test_no_rows_no_proofs():
    problem = ask(CHAIN, np.zeros((1, 2))).take(np.array([], dtype=np.int64))
    assert proofs(problem, np.zeros((0, 2))) == ()


def test_bounds():
    y = CHAIN.forward(np.array([[0.5, 0.0], [1.5, 0.0]]))
    assert prove(CHAIN, y, upper=1.0) == (Proof.NONE, Proof.BOUNDS)
    assert prove(CHAIN, y) == (Proof.NONE, Proof.NONE)


def test_bounds_prove_nothing_within_the_tolerance():
    y = CHAIN.forward(np.array([[1.0 + 1e-6, 0.0]]))
    assert prove(CHAIN, y, upper=1.0) == (Proof.BOUNDS,)
    assert prove(CHAIN, y, upper=1.0, tolerance=1e-3) == (Proof.NONE,)


def test_bounds_prove_nothing_where_other_inputs_do():
    wide = network(np.array([[1.0, 1.0]]), "tanh")
    y = wide.forward(np.array([[0.5, 0.5]]))
    assert prove(wide, y, fix={0: 0.9}) == (Proof.NONE,)
    folded = network("leaky_relu:-1", shape=(1,))
    assert prove(folded, [[2.0]], upper=0.0) == (Proof.NONE,)


def test_ill_conditioned_layers_are_not_pulled_back_through():
    net = network(np.diag([1.0, 1e-12]))
    assert prove(net, [[2.0, 0.0]], upper=1.0) == (Proof.INTERVAL,)
    assert prove(network(np.eye(2)), [[2.0, 0.0]], upper=1.0) == (Proof.BOUNDS,)


def test_outputs_that_do_not_matter_prove_nothing():
    assert prove(CHAIN, [[0.1, np.nan]], nan_is_free=True) == (Proof.NONE,)
    assert prove(CHAIN, [[1.5, np.nan]], nan_is_free=True) == (Proof.OUTPUT_RANGE,)


def found(net, y, tolerance=1e-9, **options):
    problem = ask(net, np.atleast_2d(np.asarray(y, dtype=np.float64)), **options)
    return findings(problem, np.full(problem.targets.values.shape, tolerance))


def reasons(*arguments, **options):
    return [(f.proof, f.reason) for f in found(*arguments, **options)]


WIDE = network(np.array([[1.0, 1.0]]), "tanh", np.array([[2.0], [-1.0]]))


TURN = np.array([[1.0, 1.0], [1.0, -1.0]])
SUM = network(TURN, "tanh", TURN, "tanh", np.array([[2.0, -1.0]]))
"""Whatever it says, other inputs say, too: pulling back proves nothing."""


def test_intervals_name_the_output_and_its_range():
    text = "output 0 stays within [-2.893, 2.893] for all inputs"
    assert reasons(SUM, [[2.95]]) == [(Proof.INTERVAL, text)]
    text = "output 0 stays within [-0.762, 2.690] for all inputs within the bounds"
    plain = network(TURN, "tanh", np.array([[2.0, -1.0]]))
    assert reasons(plain, [[-2.5]], lower=0.0, upper=1.0) == [(Proof.INTERVAL, text)]


def test_ranges_are_written_outward():
    mean = network(np.array([[0.5, 0.5]]))
    ((_, reason),) = reasons(mean, [[0.34]], lower=0.0, upper=1 / 3)
    assert reason.startswith("output 0 stays within [-0.0001, 0.3334]")
    ((_, reason),) = reasons(mean, [[0.33335]], lower=0.0, upper=1 / 3)
    assert reason.startswith("output 0 stays within [-0.00001, 0.33334]")
    ((_, reason),) = reasons(mean, [[-3e7]], lower=0.0, upper=123456.0)
    assert reason.startswith("output 0 stays within [-100, 1.235e+5]")


def test_relaxations_prove_what_intervals_do_not():
    # Two units that nearly cancel: by intervals their difference could be 2.
    net = network(np.array([[1.0], [1.02]]), "tanh", np.array([[1.0, -1.0]]))
    ((kind, reason),) = reasons(net, [[0.3]], lower=-1.0, upper=1.0)
    assert kind is Proof.RELAXATION
    assert reason.startswith("output 0 stays within [-0.")


def test_certificates_prove_what_single_outputs_do_not():
    # Each output takes 0.9, but both only if x1 and -x1 are large.
    net = network(np.array([[1.0, 0.1], [-1.0, 0.1]]), "sigmoid")
    options = {"lower": -3.0, "upper": 3.0}
    assert found(net, [[0.9, 0.05]], tolerance=0.01, **options)[0].proof is Proof.NONE
    assert prove(net, [[0.9, 0.9]], 0.01, nan_is_free=True) == (Proof.NONE,)
    wide = network(np.array([[1.0, 0.1, 0.0], [-1.0, 0.1, 0.0]]), "sigmoid")
    assert prove(wide, [[0.9, 0.9]], 0.01, **options) == (Proof.FARKAS,)
    assert prove(wide, [[0.9, np.nan]], 0.01, nan_is_free=True, **options) == (Proof.NONE,)


def test_inequalities_take_part():
    net = network(np.array([[1.0, 1.0, 0.5]]), "tanh", np.array([[1.0], [0.5]]))
    most = Constraints(np.array([[1.0, 1.0, 0.0]]), np.array([0.5]), ("x + y",))
    y = [[np.tanh(1.2), 0.5 * np.tanh(1.2)]]
    assert prove(net, y, lower=0.0, upper=1.0) == (Proof.NONE,)
    assert prove(net, y, lower=0.0, upper=1.0, constraints=most) == (Proof.FARKAS,)
    y = [[np.tanh(0.99), 0.5 * np.tanh(0.99)]]
    assert prove(net, y, lower=0.0, upper=1.0, constraints=most) == (Proof.NONE,)


@pytest.mark.parametrize("last", [Softmax((3,), 0), LogSoftmax((3,), 0)])
def test_probabilities_are_asked_about_up_to_their_constant(last):
    # z = (x, 2 x, 3 x): the middle one is never the most probable.
    net = network(np.array([[0.5, 0.5], [1.0, 1.0], [1.5, 1.5]]), last)
    y = np.array([[0.3, 0.4, 0.3]])
    reachable = net.forward(np.array([[0.4, 0.1]]))
    if last.kind == "log_softmax":
        y = np.log(y)
    options = {"lower": -1.0, "upper": 1.0}
    assert prove(net, y, 0.02, **options) == (Proof.FARKAS,)
    assert prove(net, reachable, 1e-9, **options) == (Proof.NONE,)


def test_large_networks_are_left_alone(monkeypatch):
    monkeypatch.setattr("nninvert.methods.proofs.PROOF_WEIGHTS", 3)
    assert prove(SUM, [[2.95]]) == (Proof.NONE,)


def test_interrupts_end_the_search_for_proofs():
    problem = ask(SUM, np.array([[2.95]]))
    problem.context.interrupt()
    assert proofs(problem, np.full((1, 1), 1e-9)) == (Proof.NONE,)


@given(net=nets((*ONE_TO_ONE, *LOSING), square=False), rng=generators(), data=st.data())
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
def test_what_an_allowed_input_gives_is_never_out_of_reach(net, rng, data):
    size = 10.0 ** data.draw(st.integers(-2, 1))
    lower = size * rng.standard_normal(net.n_in)
    upper = lower + size * 10.0 ** rng.uniform(-6.0, 1.0, net.n_in)
    # Corners, points near them, and points inside.
    share = np.round(rng.uniform(-0.7, 1.7, (4, net.n_in)), 2)
    x = np.clip(lower + share * (upper - lower), lower, upper)
    with np.errstate(over="ignore", invalid="ignore"):
        y = net.forward(x)
    kept = np.isfinite(y).all(axis=1) & (np.abs(y) < 1e100).all(axis=1)
    if not kept.any():
        return
    x, y = x[kept], y[kept]
    row = rng.standard_normal((1, net.n_in))
    limit = (row @ x.T).max(axis=1)
    for constraints in (None, Constraints(row, limit, ("sum",))):
        problem = ask(net, y, lower=lower, upper=upper, constraints=constraints)
        tolerance = data.draw(st.sampled_from([0.0, 1e-12])) * np.abs(y)
        proved = [p for p in proofs(problem, tolerance) if p is not Proof.PULL_BACK]
        assert all(proof in (Proof.NONE, Proof.OUTPUT_RANGE) for proof in proved)


def test_affine_networks_know_their_nearest_output():
    rng = np.random.default_rng(1)
    net = network(rng.standard_normal((4, 3)), np.array([0.5]))
    x = np.array([[1.0, 0.2, -1.0]])
    # A target whose nearest point is f(x): off by what points outward there.
    gradient = np.array([-1.0, 0.0, 1.0])
    matrix = net.linearize(x).dense()[0]
    residual = np.linalg.lstsq(matrix.T, gradient, rcond=None)[0]
    problem = ask(net, net.forward(x) - residual, lower=-1.0, upper=1.0)
    tolerance = np.full((1, 4), 1e-3)
    assert nearness(problem, net.forward(x), tolerance) == pytest.approx(1.0, abs=1e-9)
    other = net.forward(np.array([[0.5, 0.2, -1.0]]))
    assert 0.0 <= nearness(problem, other, tolerance)[0] < 0.99


def test_nothing_is_known_of_the_nearest_output_without_bounds():
    problem = ask(WIDE, np.array([[0.5, 0.5]]))
    near = nearness(problem, WIDE.forward(np.zeros((1, 2))), np.full((1, 2), 1e-3))
    assert 0.0 <= near[0] < 1.0


def test_nearness_bounds_every_input():
    rng = np.random.default_rng(2)
    net = network(dense(rng.standard_normal((5, 2)), np.ones(5)), "tanh", np.ones((2, 5)))
    problem = ask(net, np.array([[9.0, -9.0]]), lower=-0.1, upper=0.1)
    y = net.forward(rng.uniform(-0.1, 0.1, (200, 2)))
    norm = np.linalg.norm(y - problem.targets.values, axis=1)
    found = nearness(problem, y[:1], np.ones((1, 2)))
    assert 0.9 < found[0] <= norm.min() / norm[0] + 1e-12


def test_missing_bounds_are_named():
    assert missing_bounds(ask(WIDE, np.zeros((1, 2)), lower=0.0, upper=1.0)) == ""
    text = missing_bounds(
        ask(WIDE, np.zeros((1, 2)), lower=[0.0, 0.0], upper=[1.0, np.inf])
    )
    assert text.startswith("input 1 has no bounds on both sides")
    assert missing_bounds(ask(WIDE, np.zeros((1, 2)))).startswith("inputs 0, 1 have no")


class TestEveryPoint:
    """relu(x0) - relu(x1) of three whole numbers each: -2 to 2, and never one half."""

    net = network(np.eye(2), "relu", np.array([[1.0, -1.0]]))
    options: ClassVar = {"lower": 0.0, "upper": 2.0, "integer": [0, 1]}

    def test_none_meets_what_lies_between(self):
        found = invert(ask(self.net, np.array([[0.5], [1.0]]), within=0.4, **self.options))
        assert found.status == (RowStatus.UNREACHABLE, RowStatus.SOLVED)
        assert found.proof == (Proof.COMBINATIONS, Proof.NONE)
        assert "9 combinations" in found.reason[0]
        near = invert(ask(self.net, np.array([[0.5]]), within=0.5, **self.options))
        assert near.status == (RowStatus.SOLVED,)

    def test_points_that_inequalities_exclude_do_not_count(self):
        equal = Constraints(np.array([[1.0, -1.0]]), np.zeros(1), ("x0 <= x1",))
        found = invert(ask(self.net, np.array([[1.0]]), constraints=equal, **self.options))
        assert found.proof[0] is not Proof.NONE
        assert found.status == (RowStatus.UNREACHABLE,)

    def test_too_many_are_not_listed(self, monkeypatch):
        monkeypatch.setattr("nninvert.methods.whole_points.MOST_POINTS", 8)
        found = invert(ask(self.net, np.array([[0.5]]), within=0.4, **self.options))
        assert found.proof[0] is not Proof.COMBINATIONS
