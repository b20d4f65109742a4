"""The equations before the last activation."""

import numpy as np
import pytest
from problems import conditioned, network

from nninvert.layers import LayerNormalization, LogSoftmax, Softmax, UnitNormalization
from nninvert.linalg.centring import CentringMap
from nninvert.methods.inner_search import Projected, as_seen, inner_equations
from nninvert.methods.question import ask
from nninvert.rootfind.levenberg_marquardt import levenberg_marquardt


def solved(net, y, **options):
    """Where least squares on the inner equations leads from zero."""
    problem = ask(net, np.atleast_2d(np.asarray(y, dtype=np.float64)), **options)
    inner = inner_equations(problem)
    function = as_seen(inner.network, inner.seen)
    return levenberg_marquardt(
        function,
        inner.target,
        np.ones(inner.target.shape),
        np.zeros((problem.rows, net.n_in)),
        problem.domain.lower,
        problem.domain.upper,
    )


def test_saturated_outputs_are_reached(rng):
    """tanh(z) = 1 - 1e-13: flat for least squares on y, not on z."""
    net = network(conditioned(3, 3.0, rng), "tanh")
    x = np.array([[8.0, -9.0, 7.0]])
    found = solved(net, net.forward(x))
    assert found.misfit[0] < 1e-12
    inner = net.graph.nodes[0].layer
    np.testing.assert_allclose(inner.forward(found.x), inner.forward(x), rtol=1e-2)


def test_the_mean_that_layer_normalisation_ignores_does_not_matter(rng):
    net = network(rng.standard_normal((4, 4)), LayerNormalization((4,), (0,), 0.1))
    y = net.forward(rng.standard_normal((2, 4)))
    np.testing.assert_allclose(net.forward(solved(net, y).x), y, rtol=1e-12)


def test_no_length_is_asked_for_where_only_the_direction_is_known(rng):
    net = network(rng.standard_normal((4, 3)), UnitNormalization((4,), (0,), 1e-12))
    y = net.forward(rng.standard_normal((2, 3)))
    assert not inner_equations(ask(net, y)).usable.any()


@pytest.mark.parametrize("layer", [Softmax, LogSoftmax])
def test_the_constant_that_softmax_ignores_does_not_matter(rng, layer):
    net = network(rng.standard_normal((3, 3)), layer((3,), -1))
    y = net.forward(3.0 * rng.standard_normal((2, 3)))
    np.testing.assert_allclose(net.forward(solved(net, y).x), y, rtol=1e-12)


def test_small_probabilities_count_as_much_as_large_ones(rng):
    net = network(4.0 * rng.standard_normal((6, 2)), Softmax((6,), -1))
    x = np.array([[2.0, -1.5]])
    y = net.forward(x)
    assert y.min() < 1e-6
    np.testing.assert_allclose(solved(net, y).x, x, rtol=1e-8)


def test_products_of_the_projected_function_belong_to_its_values(rng):
    net = network(rng.standard_normal((4, 3)), "tanh")
    centred = Projected(net, CentringMap((4,), (0,)))
    x = rng.standard_normal((2, 3))
    near = centred.linearize(x)
    np.testing.assert_allclose(near.y.sum(axis=1), 0.0, atol=1e-15)
    jacobian = near.dense()
    for i in range(3):
        step = 1e-6 * np.eye(3)[i]
        slope = (centred.forward(x + step) - centred.forward(x - step)) / 2e-6
        np.testing.assert_allclose(jacobian[:, :, i], slope, atol=1e-8)
        np.testing.assert_allclose(
            near.jvp(np.tile(np.eye(3)[i], (2, 1))), jacobian[:, :, i], atol=1e-15
        )
    dy = rng.standard_normal((2, 4))
    np.testing.assert_allclose(near.vjp(dy), np.einsum("kmn,km->kn", jacobian, dy))


def test_none_where_there_is_no_last_activation():
    assert (
        inner_equations(ask(network("tanh", np.eye(2), shape=(2,)), np.zeros((1, 2))))
        is None
    )
    assert inner_equations(ask(network("tanh", shape=(2,)), np.zeros((1, 2)))) is None


def test_rows_that_they_do_not_fit_are_told():
    net = network(np.eye(2), "tanh")
    y = np.array([[0.5, 0.1], [0.5, 1.5], [np.nan, 0.1]])
    inner = inner_equations(ask(net, y, nan_is_free=True))
    assert inner.usable.tolist() == [True, False, False]
    np.testing.assert_allclose(inner.target[0], np.arctanh([0.5, 0.1]))
