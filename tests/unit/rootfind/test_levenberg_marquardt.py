"""Least squares of many rows: the last digit, bounds, ranks, kinks, large sizes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import optimize

from nninvert.rootfind import _lm_models
from nninvert.rootfind.levenberg_marquardt import levenberg_marquardt


class Net:
    """A random net of rows, written out."""

    def __init__(self, seed, sizes, gain=1.2, bend=np.tanh):
        rng = np.random.default_rng(seed)
        self.bend = bend
        self.layers = [
            (gain * rng.normal(size=(a, b)) / np.sqrt(a), 0.2 * rng.normal(size=b))
            for a, b in pairwise(sizes)
        ]

    def forward(self, x):
        for kernel, bias in self.layers:
            x = self.bend(x @ kernel + bias)
        return x

    def linearize(self, x):
        jacobian = np.tile(np.eye(x.shape[1]), (len(x), 1, 1))
        for kernel, bias in self.layers:
            z = x @ kernel + bias
            x = self.bend(z)
            slope = (
                1.0 - x * x if self.bend is np.tanh else (self.bend(z + 1e-9) - x) / 1e-9
            )
            jacobian = slope[:, :, None] * (kernel.T @ jacobian)
        return Near(x, jacobian)


class Near:
    """A linearisation from Jacobians (k, m, n)."""

    def __init__(self, y, jacobian):
        self.y, self._jacobian = y, jacobian

    def jvp(self, dx):
        return np.einsum("kmn,kn->km", self._jacobian, dx)

    def vjp(self, dy):
        return np.einsum("kmn,km->kn", self._jacobian, dy)

    def dense(self):
        return self._jacobian.copy()


class Plain:
    """A function of rows from two formulas."""

    def __init__(self, value, jacobian):
        self.forward, self._jacobian = value, jacobian

    def linearize(self, x):
        return Near(self.forward(x), self._jacobian(x))


def linear(A):
    return Plain(lambda x: x @ A.T, lambda x: np.tile(A, (len(x), 1, 1)))


def search(function, target, start, low=-np.inf, high=np.inf, weights=1.0, **options):
    target, start = np.atleast_2d(target), np.atleast_2d(start)
    n = start.shape[1]
    return levenberg_marquardt(
        function,
        target,
        np.broadcast_to(weights, target.shape),
        start,
        np.broadcast_to(np.asarray(low, dtype=float), (n,)),
        np.broadcast_to(np.asarray(high, dtype=float), (n,)),
        **options,
    )


@pytest.fixture(params=["dense", "products", "guided"])
def either_model(request, monkeypatch):
    """All ways to find a step."""
    if request.param != "dense":
        monkeypatch.setattr(_lm_models, "DENSE_SIDE", 0)
    if request.param == "guided":
        monkeypatch.setattr(_lm_models, "INNER_STEPS", 1)


@pytest.mark.usefixtures("either_model")
@pytest.mark.parametrize("sizes", [(6, 6, 6), (4, 9, 12), (9, 8, 3), (1, 5, 1), (40, 9, 2)])
def test_reachable_targets_are_met_to_rounding(sizes):
    net = Net(1, sizes)
    x0 = np.random.default_rng(2).uniform(-0.5, 0.5, (7, sizes[0]))
    target = net.forward(x0)
    found = search(net, target, np.zeros_like(x0))
    assert np.abs(net.forward(found.x) - target).max() < 4e-15
    assert not found.stopped.any()
    np.testing.assert_allclose(found.misfit, np.linalg.norm(found.value - target, axis=1))


def test_the_end_is_quadratic():
    net = Net(1, (6, 6, 6))
    x0 = np.random.default_rng(2).uniform(-0.5, 0.5, (5, 6))
    found = search(net, net.forward(x0), x0 + 1e-3)
    assert np.median(found.steps) <= 7
    np.testing.assert_allclose(found.x, x0, atol=1e-13)


def test_rows_do_not_know_of_each_other():
    net = Net(3, (5, 7, 5))
    rng = np.random.default_rng(4)
    target = net.forward(rng.normal(size=(9, 5)))
    start = rng.normal(size=(9, 5))
    together = search(net, target, start)
    for row in range(9):
        alone = search(net, target[row], start[row])
        np.testing.assert_allclose(together.misfit[row], alone.misfit[0], atol=1e-10)


def test_ill_conditioned_targets_are_met_although_normal_equations_cannot():
    """Condition 1e10: squared it is beyond float64."""
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(6, 6)))[0] for _ in range(2))
    A = left @ np.diag(np.logspace(0, -10, 6)) @ right
    target = A @ rng.normal(size=6)
    found = search(linear(A), target, np.zeros(6))
    assert found.misfit[0] < 1e-15


@pytest.mark.parametrize("kept", [0, 2**30])
def test_a_square_beside_gets_to_where_plain_conjugate_gradients_do_not(monkeypatch, kept):
    """Condition 1e4 and forty unknowns: few plain inner steps gain next to nothing."""
    monkeypatch.setattr(_lm_models, "DENSE_SIDE", 0)
    monkeypatch.setattr(_lm_models, "INNER_STEPS", 10)
    monkeypatch.setattr(_lm_models, "SQUARE_BYTES", kept)
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(40, 40)))[0] for _ in range(2))
    A = left @ np.diag(np.logspace(0, -4, 40)) @ right
    target = rng.normal(size=(3, 40)) @ A.T
    guided = search(linear(A), target, np.zeros((3, 40)))
    monkeypatch.setattr(_lm_models, "SQUARE_SIDE", 0)
    plain = search(linear(A), target, np.zeros((3, 40)))
    assert (guided.misfit < 1e-12).all()
    assert (plain.misfit > 1e-8).all()


@pytest.mark.usefixtures("either_model")
def test_bounds_agree_with_an_active_set_method():
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(8, 5)), rng.normal(size=(6, 8))
    box = np.full(5, 0.1)
    found = search(linear(A), b, np.zeros((6, 5)), -0.1, 0.1)
    for row in range(6):
        reference = optimize.lsq_linear(A, b[row], (-box, box), method="bvls", tol=1e-14)
        np.testing.assert_allclose(found.misfit[row] ** 2, 2.0 * reference.cost, rtol=1e-10)
        np.testing.assert_allclose(found.x[row], reference.x, atol=1e-6)
    assert (np.abs(found.x) <= 0.1).all()
    assert not found.stopped.any()


def test_a_solution_on_the_bounds_is_met_to_rounding():
    net = Net(1, (6, 6, 6))
    x = np.array([0.0, 0.5, 1.0, 1.0, 0.0, 0.3])
    found = search(net, net.forward(x[None]), np.full(6, 0.4), 0.0, 1.0)
    np.testing.assert_allclose(found.x[0], x, atol=1e-12)
    assert (found.x >= 0.0).all()
    assert (found.x <= 1.0).all()


@pytest.mark.usefixtures("either_model")
def test_fixed_variables_stay():
    A = np.array([[1.0, 1.0]])
    found = search(linear(A), 3.0, [9.0, 0.0], [1.25, -np.inf], [1.25, np.inf])
    assert found.x[0, 0] == 1.25
    assert found.x[0, 1] == pytest.approx(1.75, abs=1e-15)
    every = search(linear(np.eye(1)), 3.0, 5.0, 1.0, 1.0)
    assert every.x.tolist() == [[1.0]]
    assert every.misfit.tolist() == [2.0]
    assert not every.stopped.any()


def test_the_shortest_solution_in_the_units_that_are_given():
    found = search(
        linear(np.array([[1.0, 1.0]])), 2.0, [0.0, 0.0], scale=np.array([1.0, 1e3])
    )
    np.testing.assert_allclose(found.x[0, 1] / found.x[0, 0], 1e6)


def test_directions_that_nothing_depends_on_are_left_alone():
    """Rank 2 of 4 by 3: the start's part in the kernel stays as it is."""
    rng = np.random.default_rng(5)
    A = rng.normal(size=(4, 2)) @ rng.normal(size=(2, 3))
    kernel = np.linalg.svd(A)[2][2]
    found = search(linear(A), A @ np.ones(3), 5.0 * kernel)
    assert found.misfit[0] < 1e-14
    assert found.x[0] @ kernel == pytest.approx(5.0, rel=1e-12)


def test_outputs_of_weight_zero_do_not_matter():
    net = Net(1, (3, 6, 6))
    x0 = np.array([[0.3, -0.2, 0.1]])
    target = net.forward(x0)
    target[0, 4:] = 1e200
    weights = np.array([1.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    found = search(net, target, np.zeros(3), weights=weights)
    assert found.misfit[0] < 1e-14
    np.testing.assert_allclose(found.x, x0, atol=1e-12)


@pytest.mark.parametrize("size", [1e-150, 1e-30, 1e30, 1e150])
def test_no_size_is_special(size):
    net = Net(1, (4, 4, 4))
    x0 = np.random.default_rng(2).uniform(-0.5, 0.5, (1, 4))
    target = net.forward(x0)
    plain = search(net, target, np.zeros(4))
    weighted = search(net, target, np.zeros(4), weights=size)
    np.testing.assert_allclose(weighted.x, plain.x, atol=1e-13)
    inputs = Plain(
        lambda x: net.forward(x / size),
        lambda x: net.linearize(x / size).dense() / size,
    )
    found = search(inputs, target, np.zeros(4), scale=np.full(4, size))
    np.testing.assert_allclose(found.x / size, plain.x, atol=1e-12)


def test_enough_ends_the_search_early():
    net = Net(1, (6, 6, 6))
    x0 = np.random.default_rng(2).uniform(-0.5, 0.5, (3, 6))
    target = net.forward(x0)
    found = search(net, target, np.zeros_like(x0), weights=1e3, enough=1.0)
    off = np.abs(found.value - target).max(axis=1)
    assert (off <= 1e-3).all()
    assert (off > 1e-12).any()
    assert not found.stopped.any()
    assert (found.steps < search(net, target, np.zeros_like(x0)).steps).all()


def test_no_success_is_made_of_a_minimum():
    """x^2 + 1 = 0: the point is the minimum, and its misfit says so."""
    function = Plain(lambda x: x * x + 1.0, lambda x: 2.0 * x[:, :, None])
    found = search(function, 0.0, 1.0)
    assert found.misfit[0] == pytest.approx(1.0, abs=1e-7)
    assert not found.stopped.any()


def test_what_cannot_be_reached_ends_where_the_slope_is_zero():
    net = Net(7, (3, 8, 9))
    rng = np.random.default_rng(8)
    target = net.forward(rng.normal(size=(6, 3))) + 0.1 * rng.normal(size=(6, 9))
    found = search(net, target, np.zeros((6, 3)))
    assert not found.stopped.any()
    near = net.linearize(found.x)
    off = near.y - target
    slope = np.linalg.norm(near.vjp(off), axis=1)
    size = np.linalg.norm(near.dense(), axis=(1, 2)) * np.linalg.norm(off, axis=1)
    assert (slope < 1e-4 * size).all()


def test_points_that_are_not_finite_are_not_taken():
    """log x from 5 towards 0.5: a full step leads to a negative x."""
    function = Plain(np.log, lambda x: 1.0 / x[:, :, None])
    with np.errstate(all="ignore"):
        found = search(function, np.log(0.01), 5.0)
    assert found.x[0, 0] == pytest.approx(0.01, rel=1e-12)


def test_a_start_without_a_value_comes_back():
    function = Plain(lambda x: np.full_like(x, np.nan), lambda x: np.ones((len(x), 1, 1)))
    found = search(function, [[0.0], [0.0]], [[1.0], [2.0]])
    assert found.x.tolist() == [[1.0], [2.0]]
    assert not np.isfinite(found.misfit).any()


def test_kinks_are_crossed():
    net = Net(1, (6, 20, 6), bend=lambda z: np.maximum(z, 0.1 * z))
    rng = np.random.default_rng(2)
    x0 = rng.normal(size=(20, 6))
    target = net.forward(x0)
    found = search(net, target, np.zeros_like(x0))
    assert (found.misfit < 1e-12).mean() >= 0.5


def test_stopping_keeps_the_best_points():
    net = Net(1, (6, 6, 6))
    target, asked = net.forward(np.full((2, 6), 0.4)), []

    def should_stop():
        asked.append(None)
        return len(asked) > 3

    found = search(net, target, np.zeros((2, 6)), should_stop=should_stop)
    assert found.stopped.all()
    first = np.linalg.norm(net.forward(np.zeros((2, 6))) - target, axis=1)
    assert (found.misfit < first).all()
    assert (found.misfit > 1e-10).all()
    limited = search(net, target, np.zeros((2, 6)), most_steps=2)
    assert (limited.misfit < first).all()


def test_many_inputs_take_little():
    """100,000 inputs, three outputs."""
    rng = np.random.default_rng(0)
    A = rng.normal(size=(3, 100_000)) / 300.0
    function = Plain(
        lambda x: np.tanh(x @ A.T),
        lambda x: (1.0 - np.tanh(x @ A.T) ** 2)[:, :, None] * A,
    )
    target = np.array([[0.5, -0.9, 0.1]])
    found = search(function, target, np.zeros(100_000))
    assert found.misfit[0] < 1e-15
    z = np.arctanh(target[0])
    np.testing.assert_allclose(A @ found.x[0], z, rtol=1e-12)


def test_batches_too_large_for_memory_are_cut(monkeypatch):
    from nninvert.rootfind import levenberg_marquardt as module

    net, sizes = Net(1, (6, 6, 6)), []
    linearize = net.linearize
    net.linearize = lambda x: sizes.append(len(x)) or linearize(x)
    monkeypatch.setattr(module, "DENSE_BYTES", 8 * 6 * 6 * 2)
    x0 = np.random.default_rng(2).uniform(-0.5, 0.5, (5, 6))
    found = search(net, net.forward(x0), np.zeros((5, 6)))
    assert found.misfit.max() < 1e-14
    assert max(sizes) == 2
