"""How far x moves when y does."""

import numpy as np
import pytest
from lapack_factors import rough
from problems import bottleneck, conditioned, dense, network, random_net

from nninvert import tolerances
from nninvert.analysis import sensitivity
from nninvert.context import Context
from nninvert.linalg.mixed import factor_mixed


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((np.eye(2), "tanh"), True),
        ((np.eye(2), "relu"), False),
        ((np.eye(3, 2), "tanh"), False),
        ((np.eye(2, 3), "tanh"), False),
        ((np.ones((2, 2)), "tanh"), False),
    ],
)
def test_layerwise_invertible(parts, expected):
    assert sensitivity.is_layerwise_invertible(network(*parts), Context()) == expected


def exact_movement(net, x, half):
    """sqrt(sum_j ||J^+ e_j||^2 h_j^2 / 3), row by row."""
    found = []
    for row, step in zip(x, half, strict=True):
        inverse = np.linalg.pinv(net.linearize(row[None]).dense()[0])
        found.append(np.sqrt(np.sum((inverse * step) ** 2) / 3.0))
    return np.array(found)


@pytest.mark.parametrize("kind", ["square", "fused", "wide", "tall"])
def test_movement_is_estimated_to_a_small_factor(kind, rng):
    net = {
        "square": lambda: random_net(rng, n=20, depth=2, condition=50.0),
        "fused": lambda: bottleneck(rng),
        "wide": lambda: network(rng.standard_normal((10, 20)), "tanh"),
        "tall": lambda: network(rng.standard_normal((30, 20)) / 5, "tanh"),
    }[kind]()
    x = 0.3 * rng.standard_normal((5, net.n_in))
    half = rng.uniform(1e-8, 1e-6, (5, net.n_out))
    ratio = sensitivity.movement(net, x, half, Context()) / exact_movement(net, x, half)
    assert (ratio > 0.4).all()
    assert (ratio < 2.5).all()


def test_movement_is_exact_for_one_number():
    net = network(np.array([[4.0]]))
    moved = sensitivity.movement(net, np.ones((2, 1)), np.full((2, 1), 0.3), Context())
    np.testing.assert_allclose(moved, 0.3 / 4.0 / np.sqrt(3.0))


def test_movement_repeats_with_the_seed(rng):
    net = random_net(rng, n=5)
    x, half = rng.standard_normal((2, 5)), np.full((2, 5), 1e-8)
    first, second = (sensitivity.movement(net, x, half, Context(seed=3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_movement_is_unknown_where_it_is_not_cheap(rng, monkeypatch):
    monkeypatch.setattr(tolerances, "SVD_WORK", 1.0)
    net = network(rng.standard_normal((3, 5)), "relu")
    x = rng.standard_normal((2, 5))
    assert np.isnan(sensitivity.movement(net, x, np.ones((2, 3)), Context())).all()
    assert np.isnan(sensitivity.jacobian_digits(net, x)).all()


def test_digits_are_those_of_the_relative_movement():
    x = np.array([[3.0, 4.0], [3.0, 4.0], [0.0, 0.0], [1.0, 0.0], [1e200, 0.0]])
    moved = np.array([5e-7, 0.0, 1.0, 100.0, 1e190])
    relative, digits = sensitivity.digits_from_movement(moved, x)
    np.testing.assert_allclose(relative[[0, 1, 3, 4]], [1e-7, 0.0, 100.0, 1e-10])
    assert np.isnan(relative[2])
    np.testing.assert_allclose(digits[[0, 3, 4]], [7.0, 0.0, 10.0])
    assert 15.0 < digits[1] < 16.0
    assert np.isnan(digits[2])


def test_condition_of_jacobians_in_digits(rng):
    net = network(dense(conditioned(4, 1e5, rng)))
    x = rng.standard_normal((2, 4))
    np.testing.assert_allclose(sensitivity.jacobian_digits(net, x), 5.0, rtol=1e-6)
    dead = network(np.eye(2), "relu")
    found = sensitivity.jacobian_digits(dead, np.array([[1.0, 2.0], [1.0, -1.0]]))
    np.testing.assert_array_equal(found, [0.0, np.inf])


def test_large_networks_get_fewer_probes_for_many_rows(monkeypatch, rng):
    net = random_net(rng, n=6)
    counts = []

    def counted(self, dy, context):
        counts.append(dy.shape[0])
        return dy

    monkeypatch.setattr(type(net.linearize(np.ones((1, 6)))), "solve_roughly", counted)
    for limit in (tolerances.SVD_WORK, 0.0):
        monkeypatch.setattr(tolerances, "SVD_WORK", limit)
        for rows in (1, 16, 40, 1000):
            half = np.full((rows, 6), 1e-8)
            sensitivity.movement(net, np.ones((rows, 6)), half, Context())
    assert counts == [8, 8, 8, 8, 8, 8, 3, 2]


@pytest.mark.parametrize("rows", [2, 200])
def test_rough_factors_and_few_probes_estimate_to_a_factor_two(rows, monkeypatch, rng):
    matrix = conditioned(30, 1e4, rng)
    net = network(matrix, "tanh")
    context = Context()
    linear_map = net.segments[0].layer.linear_part[0]
    factor = factor_mixed(linear_map, rough(matrix), context)
    context.factors.get_or_build((*linear_map.key, "float64"), lambda: factor)
    x = 0.3 * rng.standard_normal((rows, 30))
    half = rng.uniform(1e-8, 1e-6, (rows, 30))
    truth = exact_movement(net, x, half)
    monkeypatch.setattr(tolerances, "SVD_WORK", 0.0)
    ratio = sensitivity.movement(net, x, half, context) / truth
    assert np.median(ratio) == pytest.approx(1.0, abs=0.5)
    assert factor.last is None
