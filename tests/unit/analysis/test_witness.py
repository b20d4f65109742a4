"""Pairs of inputs with one output: found where there are any, never where rounding lies."""

import tracemalloc

import numpy as np
import pytest
from problems import conditioned, dense, network, random_net

from nninvert import tolerances
from nninvert.analysis.witness import (
    along_kernel,
    by_branches,
    find_witness,
    is_lost_on_the_way,
    two_origins,
)
from nninvert.context import Context
from nninvert.layers import (
    LayerNormalization,
    PReLU,
    RMSNormalization,
    Softmax,
    UnitNormalization,
)
from nninvert.layers.activations import ACTIVATIONS, activation_from_text


def search(net, near=None):
    return find_witness(net, np.zeros(net.n_in) if near is None else near, Context())


@pytest.mark.parametrize(
    "text",
    [
        *(n for n in ACTIVATIONS if n not in ("leaky_relu", "threshold", "hard_sigmoid")),
        *("hard_sigmoid:0.2", "leaky_relu:-0.5", "leaky_relu:0", "leaky_relu:0.1"),
        *("threshold:0:5", "elu:-1", "elu:0", "relu:0:6", "relu:0.1:6", "relu:0:0"),
        *("relu:0:9:1", "relu:0.5:9:1", "thresholded_relu:-1", "hard_shrink:0"),
    ],
)
def test_two_origins_exist_exactly_where_one_to_one_fails(text):
    activation = activation_from_text(text)
    pair = two_origins(activation)
    assert (pair is None) == activation.one_to_one
    if pair is not None:
        first, second = activation.forward(np.array(pair))
        assert first == pytest.approx(second, rel=1e-13, abs=1e-300)
        assert abs(pair[0] - pair[1]) > 0.1


def test_a_step_along_the_kernel_keeps_a_linear_map(rng):
    net = network(rng.standard_normal((2, 5)))
    found = along_kernel(net, np.zeros(5), Context())
    assert found.distance == pytest.approx(1.0)
    assert found.difference < 1e-14
    step = found.x1 - found.x2
    np.testing.assert_allclose(
        net.graph.nodes[0].layer.forward(step[None]), 0.0, atol=1e-14
    )


def test_newton_follows_a_curved_fibre(rng):
    net = network(rng.standard_normal((6, 4)), "tanh", rng.standard_normal((2, 6)), "tanh")
    found = along_kernel(net, np.zeros(4), Context())
    assert found is not None
    y1, y2 = net.forward(np.stack([found.x1, found.x2]))
    np.testing.assert_allclose(y1, y2, atol=1e-13)


def test_small_probabilities_are_equations_like_any_other(rng):
    """Their slopes are as small as they are, which is no sign of a kernel."""
    net = network(15.0 * rng.standard_normal((8, 12)), Softmax((8,), -1))
    found = along_kernel(net, np.zeros(12), Context())
    y1, y2 = net.forward(np.stack([found.x1, found.x2]))
    assert y1.min() < 1e-9
    np.testing.assert_allclose(y1, y2, rtol=1e-9)


def test_near_is_where_the_pair_lies(rng):
    net = network(rng.standard_normal((2, 5)))
    near = np.full(5, 1e3)
    found = search(net, near)
    assert np.abs(found.x1 - near).max() < 10.0


def test_a_full_rank_jacobian_has_no_kernel(rng):
    assert along_kernel(random_net(rng, n=3), np.zeros(3), Context()) is None


def test_few_outputs_of_many_inputs_need_no_square_of_the_inputs(rng):
    net = network(rng.standard_normal((2, 4000)), "tanh")
    tracemalloc.start()
    found = search(net)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found is not None
    assert peak < 16e6  # A basis of the kernel would take 128 MB.


def test_many_outputs_of_few_inputs_need_no_square_of_the_outputs(rng):
    net = network(np.outer(np.ones(4000), [1.0, 2.0]))
    tracemalloc.start()
    found = search(net)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found is not None
    assert peak < 16e6


def test_large_networks_are_corrected_layer_by_layer(rng, monkeypatch):
    """No dense Jacobian is formed where one would be too large."""
    a = conditioned(5, 1e3, rng)
    net = network(dense(a, 50.0 + np.arange(5.0)), "relu", a)
    monkeypatch.setattr(tolerances, "SVD_WORK", 0.0)
    monkeypatch.setattr("nninvert.network.FlatLinearization.dense", None)
    found = search(net)
    assert found is not None
    y1, y2 = net.forward(np.stack([found.x1, found.x2]))
    np.testing.assert_allclose(y1, y2, rtol=1e-12)


def test_nothing_is_pulled_back_through_a_layer_that_loses(rng):
    net = network(rng.standard_normal((2, 3)), "relu")
    assert by_branches(net, np.zeros(3), Context()) is None


def test_a_widening_leaves_no_way_back_to_both_origins():
    a = np.array([[1.0], [-1.0]])
    assert by_branches(network(a, "relu"), np.zeros(1), Context()) is None


def test_an_interrupt_ends_the_search(rng):
    context = Context()
    context.interrupt()
    net = network(rng.standard_normal((2, 5)))
    assert find_witness(net, np.zeros(5), context) is None
    relu = network(np.eye(2), "relu", np.eye(2))
    assert find_witness(relu, np.zeros(2), context) is None


def test_overflow_ends_the_search_without_a_word(rng):
    net = network(1000.0 * rng.standard_normal((3, 4)), "exponential", np.eye(3), "tanh")
    assert search(net) is None


# What loses a difference, and what only rounds it away.


def lost(net, x1, x2):
    return is_lost_on_the_way(net, np.array(x1), np.array(x2), Context())


def test_saturation_loses_nothing():
    for name, far in [("tanh", 40.0), ("sigmoid", 60.0), ("gelu", -60.0), ("silu", -900.0)]:
        net = network("linear", name, np.eye(2), shape=(2,))
        pair = [far, 0.0], [1.2 * far, 0.0]
        y1, y2 = net.forward(np.array(pair))
        np.testing.assert_array_equal(y1, y2)
        assert not lost(net, *pair), name


def test_flat_parts_and_branches_lose():
    assert lost(network("relu", shape=(2,)), [-1.0, 3.0], [-2.0, 3.0])
    assert not lost(network("relu", shape=(2,)), [1.0, 3.0], [2.0, 3.0])
    assert not lost(network("relu", shape=(2,)), [-1.0, 3.0], [-2.0, 4.0])
    assert lost(network("leaky_relu:-1", shape=(1,)), [-1.0], [1.0])
    prelu = network(PReLU((2,), np.array([0.0, -2.0])))
    assert lost(prelu, [-1.0, 1.0], [-5.0, -0.5])
    assert not lost(prelu, [1.0, 1.0], [5.0, 1.0])
    assert not lost(prelu, [-1.0, -1.0], [-1.0, -2.0])


def test_kernels_and_constants_before_a_softmax_lose():
    net = network(np.array([[1.0, 1.0]]), "tanh")
    assert lost(net, [1.0, 2.0], [2.0, 1.0])
    assert not lost(net, [1.0, 2.0], [2.0, 2.0])
    softmax = network(Softmax((2,), -1))
    assert lost(softmax, [1.0, 2.0], [2.0, 3.0])
    assert not lost(softmax, [900.0, 0.0], [1900.0, 0.0])


def test_means_and_lengths_before_a_normalisation_lose_but_rounding_does_not():
    mean = network(LayerNormalization((2,), (0,), 1e-9))
    assert lost(mean, [1.0, 2.0], [5.0, 6.0])
    far = [1e9, 0.0], [2e9, 0.0]
    for layer in (LayerNormalization, RMSNormalization):
        net = network(layer((2,), (0,), 1e-9))
        y1, y2 = net.forward(np.array(far))
        np.testing.assert_allclose(y1, y2, rtol=1e-15)
        assert not lost(net, *far)
    assert lost(network(UnitNormalization((2,), (0,), 1e-9)), *far)


def test_a_loss_after_a_change_of_coordinates_is_seen(rng):
    net = network(conditioned(2, 3.0, rng), "tanh", np.array([[1.0, 2.0]]), "tanh")
    found = along_kernel(net, np.zeros(2), Context())
    assert found is not None
    assert lost(net, found.x1, found.x2)
    assert not lost(net, found.x1, found.x1 + 0.1)
