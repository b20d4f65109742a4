"""How many products and solves a large layer costs for many targets, and how good x is."""

from contextlib import contextmanager

import numpy as np
import pytest
from lapack_factors import rough
from problems import dense, network

from nninvert import tolerances
from nninvert.context import Context
from nninvert.linalg.factor import factor_key
from nninvert.linalg.map import DenseMap
from nninvert.linalg.mixed import factor_mixed
from nninvert.methods.driver import invert
from nninvert.methods.question import ask
from nninvert.outcome import RowStatus, Uniqueness

N = 300


@pytest.fixture
def large(monkeypatch):
    """Everything is treated as if it were large."""
    monkeypatch.setattr(tolerances, "SVD_WORK", 0.0)
    monkeypatch.setattr(tolerances, "EXPLICIT_INVERSE_SIZE", 0)
    monkeypatch.setattr(tolerances, "LARGE_NETWORK", 0)
    monkeypatch.setattr(tolerances, "SMALL_WEIGHTS", 0)


@contextmanager
def counted(monkeypatch):
    """Rows that were multiplied by weights, by the kind of product."""
    rows = dict.fromkeys(("apply", "adjoint", "magnitude", "apply_with_magnitude"), 0)
    with monkeypatch.context() as patch:
        for name in rows:
            patch.setattr(DenseMap, name, _counting(getattr(DenseMap, name), name, rows))
        yield rows


def _counting(original, name, rows):
    def product(self, x):
        rows[name] += x.size // x.shape[-1]
        return original(self, x)

    return product


def gaussian(n, rng):
    return (rng.standard_normal((n, n)) / np.sqrt(n)).astype(np.float32)


def orthogonal(n, rng):
    return np.linalg.qr(rng.standard_normal((n, n)))[0].astype(np.float32)


def asked(count, precision, rng, depth=1, make=gaussian):
    """Targets of a tanh net, with factors of its layers; the true x, and the factors."""
    layers, used = [], []
    context = Context()
    for _ in range(depth):
        matrix = make(N, rng)
        layers += [dense(matrix, 0.1 * rng.standard_normal(N)), "tanh"]
        linear_map = layers[-2].linear_part[0]
        solver = rough(matrix, precision)
        used.append(solver.factors)
        factor = factor_mixed(linear_map, solver, context)
        context.factors.get_or_build(factor_key(linear_map), lambda made=factor: made)
    net = network(*layers)
    x = rng.uniform(-1.0, 1.0, (count, N))
    return ask(net, net.forward(x), context=context), x, used


def plain(problem):
    """The formula with numpy, layer after layer."""
    y = problem.targets.values
    for segment in reversed(problem.network.segments[::2]):
        linear_map, bias = segment.layer.linear_part
        y = np.linalg.solve(linear_map.dense(), (np.arctanh(y) - bias).T).T
    return y


def errors(x, truth):
    return np.linalg.norm(x - truth, axis=1) / np.linalg.norm(truth, axis=1)


def test_many_targets_take_one_solve_and_the_final_forward_pass(large, monkeypatch, rng):
    problem, truth, (factors,) = asked(200, np.float64, rng)
    before = factors.solved
    with counted(monkeypatch) as rows:
        found = invert(problem)
    assert set(found.status) == {RowStatus.SOLVED}
    # 200 in the final forward pass, 8 as a sample of the backward errors.
    assert rows["apply_with_magnitude"] == 208
    assert rows["apply"] + rows["adjoint"] + rows["magnitude"] == 0
    # Beside the targets: 8 probes of the sensitivity, the estimate of ||A^-1||.
    assert factors.solved - before <= 200 + 8 + 40
    assert set(found.unique) == {Uniqueness.YES}
    mine, theirs = errors(found.x, truth), errors(plain(problem), truth)
    assert np.median(mine) <= 1.3 * np.median(theirs)
    assert mine.max() <= 2.0 * theirs.max()


def test_rough_factors_are_refined_and_not_measured_in_the_end(large, monkeypatch, rng):
    problem, truth, _ = asked(40, np.float32, rng, make=orthogonal)
    with counted(monkeypatch) as rows:
        found = invert(problem)
    assert set(found.status) == {RowStatus.SOLVED}
    (linear_map, _) = problem.network.segments[0].layer.linear_part
    factor, _ = problem.context.factors.peek(factor_key(linear_map))
    assert factor.last.passes == 3
    assert rows["apply"] == 40 * 2
    assert rows["apply_with_magnitude"] == 40 + 8
    assert (errors(found.x, truth) <= errors(plain(problem), truth).max()).all()


def test_a_newton_step_of_a_deep_net_takes_one_pass(large, monkeypatch, rng):
    """Its residual is the value at which the next step, or the judge, linearises."""
    monkeypatch.setattr(tolerances, "LARGE_ROWS", 1e9)
    problem, truth, _ = asked(50, np.float64, rng, depth=2)
    events = []
    problem.context.listener = events.append
    with counted(monkeypatch) as rows:
        found = invert(problem)
    steps = sum(getattr(event, "stage", "") == "refining" for event in events)
    assert steps >= 1
    assert set(found.status) == {RowStatus.SOLVED}
    # The first layer takes a plain product, the last one also sums the sizes of the terms;
    # 8 rows of each layer are a sample of the backward errors.
    assert rows["apply_with_magnitude"] - 16 == rows["apply"] == 50 * (1 + steps)
    assert rows["adjoint"] + rows["magnitude"] == 0
    assert np.median(errors(found.x, truth)) <= np.median(errors(plain(problem), truth))


def test_digits_tell_of_what_an_unrefined_solve_leaves(large, rng):
    problem, truth, _ = asked(200, np.float64, rng)
    found = invert(problem)
    claimed = found.movement
    ratio = errors(found.x, truth) / claimed
    assert np.median(ratio) == pytest.approx(1.0, abs=0.7)
    assert (ratio <= 10.0).all()


@pytest.mark.parametrize("rows", [1, 40])
def test_one_and_many_targets_have_the_same_digits(rows, large, rng):
    """Probes that all rows share estimate what those of single rows do."""
    problem, _, _ = asked(rows, np.float32, rng)
    shared = invert(problem)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tolerances, "SVD_WORK", 1e12)
        own = invert(problem)
    np.testing.assert_allclose(shared.digits, own.digits, atol=0.5)
