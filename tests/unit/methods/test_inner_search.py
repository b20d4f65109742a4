"""Starts from the equations before the last activation."""

import numpy as np
import pytest
from problems import conditioned, network

from nninvert.context import Context
from nninvert.layers import LogSoftmax, Softmax
from nninvert.methods.domain import Domain
from nninvert.methods.inner_search import inner_start


def start(net, y, *, half_step=1e-12, bounds=None, context=None):
    y = np.asarray(y, dtype=np.float64)
    return inner_start(
        net,
        y,
        np.full(y.shape, half_step),
        np.zeros(net.n_in),
        bounds or Domain.unlimited(net.n_in),
        context or Context(),
    )


def test_saturated_outputs_are_reached(rng):
    """tanh(z) = 1 - 1e-13: flat for least squares on y, not on z."""
    net = network(conditioned(3, 3.0, rng), "tanh")
    x = np.array([8.0, -9.0, 7.0])
    found = start(net, net.forward(x[None])[0], half_step=1e-16)
    inner = net.graph.nodes[0].layer
    np.testing.assert_allclose(
        inner.forward(found[None]), inner.forward(x[None]), rtol=1e-2
    )


@pytest.mark.parametrize("layer", [Softmax, LogSoftmax])
def test_the_constant_that_softmax_ignores_does_not_matter(rng, layer):
    net = network(rng.standard_normal((3, 3)), layer((3,), -1))
    x = 3.0 * rng.standard_normal(3)
    y = net.forward(x[None])[0]
    found = start(net, y)
    np.testing.assert_allclose(net.forward(found[None])[0], y, rtol=1e-7)


def test_small_probabilities_count_as_much_as_large_ones(rng):
    net = network(4.0 * rng.standard_normal((6, 2)), Softmax((6,), -1))
    x = np.array([2.0, -1.5])
    y = net.forward(x[None])[0]
    assert y.min() < 1e-6
    # A start: the search on the outputs themselves finds the digits that are left.
    np.testing.assert_allclose(start(net, y), x, rtol=1e-4)


def test_none_where_there_is_no_last_activation(rng):
    assert start(network("tanh", np.eye(2), shape=(2,)), [0.1, 0.2]) is None
    assert start(network("tanh", shape=(2,)), [0.1, 0.2]) is None


def test_none_where_the_target_lies_outside():
    net = network(np.eye(2), "tanh")
    assert start(net, [0.5, 1.5]) is None
    assert start(net, [0.5, 1.0], half_step=1e-8) is not None


def test_bounds_are_kept():
    net = network(np.eye(2), "tanh")
    bounds = Domain.box(np.full(2, -1.0), np.full(2, 1.0))
    found = start(net, np.tanh([3.0, 0.5]), bounds=bounds)
    assert bounds.contain(found[None]).all()
    np.testing.assert_allclose(found, [1.0, 0.5], atol=1e-6)


def test_an_interrupt_ends_it():
    context = Context()
    context.interrupt()
    net = network(np.eye(2), "tanh", np.eye(2), "tanh")
    found = start(net, [0.5, 0.5], context=context)
    assert found is None or np.linalg.norm(found) < 0.5


def test_none_where_nothing_is_finite():
    """exp(1e10) at the only input that is allowed."""
    net = network("exponential", np.eye(1), "tanh", shape=(1,))
    only = np.array([1e10])
    with np.errstate(all="ignore"):
        assert start(net, [0.5]) is not None
        found = inner_start(
            net, np.array([0.5]), np.array([1e-12]), only, Domain.box(only, only), Context()
        )
    assert found is None
