"""The input that stands for a typical one."""

import numpy as np
import pytest
from problems import dense, network

from nninvert import tolerances
from nninvert.analysis.starting_point import default_near, input_scale
from nninvert.layers import (
    AveragePooling,
    BatchNormalization,
    Graph,
    Node,
    Normalization,
    Permute,
    Rescaling,
    Reshape,
)
from nninvert.network import Network

MEAN = np.array([3.0, -2.0, 500.0])
SCALER = Normalization((3,), MEAN, np.array([4.0, 1.0, 9.0]), (0,), False)


def test_zero_where_nothing_is_said():
    for net in (network(np.ones((2, 3)), "tanh"), network("tanh", SCALER, shape=(3,))):
        np.testing.assert_array_equal(default_near(net), np.zeros(3))


def test_weights_before_a_scaler_hide_it():
    net = network(np.eye(3), SCALER)
    np.testing.assert_array_equal(default_near(net), np.zeros(3))


def test_the_mean_of_a_normalisation():
    net = network(SCALER, np.ones((1, 3)), "tanh")
    np.testing.assert_allclose(default_near(net), MEAN, rtol=1e-14)


def test_what_a_rescaling_maps_to_zero():
    net = network(Rescaling((2,), np.array([2.0, 4.0]), np.array([-1.0, 8.0])))
    np.testing.assert_allclose(default_near(net), [0.5, -2.0])


def test_only_the_first_scaler_counts():
    net = network(Rescaling((3,), np.array(0.5), np.array(0.0)), SCALER)
    np.testing.assert_array_equal(default_near(net), np.zeros(3))


def test_the_mean_of_a_batch_normalisation_whatever_gamma_and_beta_are():
    parameters = {
        "mean": np.array([1.0, 2.0]),
        "variance": np.ones(2),
        "gamma": np.array([0.0, 1e-6]),
        "beta": np.array([0.0, 5.0]),
    }
    net = network(BatchNormalization((2,), parameters, 1e-3, (0,)))
    np.testing.assert_array_equal(default_near(net), [1.0, 2.0])


def test_units_that_a_rescaling_ignores_are_zero():
    net = network(Rescaling((2,), np.array([0.0, 4.0]), np.array([3.0, 8.0])))
    np.testing.assert_array_equal(default_near(net), [0.0, -2.0])


@pytest.mark.parametrize("nested", [False, True])
def test_rearrangements_before_the_scaler_are_undone(nested):
    """Permute to (3, 2), flatten, scale: the mean in the order of the inputs."""
    mean = np.arange(6.0)
    front = [
        Node(Permute((2, 3), (1, 0)), "0", "permute", "Permute"),
        Node(Reshape((3, 2), (6,)), "1", "flatten", "Flatten"),
    ]
    scaler = Node(
        Normalization((6,), mean, np.ones(6), (0,), False), "2", "scale", "Normalization"
    )
    nodes = [*front, scaler]
    if nested:
        nodes = [Node(Graph((2, 3), nodes), "0", "inner", "Model")]
    net = Network.of_graph(Graph((2, 3), nodes))
    found = default_near(net)
    np.testing.assert_allclose(net.forward(found[None]), np.zeros((1, 6)), atol=1e-12)
    np.testing.assert_allclose(found, mean.reshape(3, 2).T.ravel())


def test_the_unit_of_an_input_is_the_deviation_of_the_first_scaler():
    permuted = Permute((1, 3), (1, 0))
    turned = Normalization((3, 1), MEAN, np.array([4.0, 1.0, 9.0]), (0,), False)
    for net in (network(SCALER, np.ones((1, 3)), "tanh"), network(permuted, turned)):
        np.testing.assert_allclose(input_scale(net), [2.0, 1.0, 3.0])


def test_the_unit_of_a_batch_normalisation_does_not_depend_on_gamma():
    parameters = {
        "mean": np.zeros(2),
        "variance": np.array([1e18, 1e-12]),
        "gamma": np.array([0.0, 1e-6]),
    }
    net = network(BatchNormalization((2,), parameters, 0.0, (0,)))
    np.testing.assert_allclose(input_scale(net), [1e9, 1e-6])


def test_the_unit_of_a_rescaling_is_what_it_maps_to_one():
    net = network(Rescaling((3,), np.array([2.0, -1e-9, 0.0]), np.array(5.0)))
    np.testing.assert_allclose(input_scale(net), [0.5, 1e9, 1.0])


def test_weights_of_the_usual_size_make_units_of_one():
    rng = np.random.default_rng(3)
    net = network(rng.standard_normal((400, 100)) / 10.0, "tanh")
    np.testing.assert_allclose(input_scale(net), np.ones(100), rtol=0.2)


def test_a_step_of_all_units_moves_the_first_layer_by_order_one():
    rng = np.random.default_rng(4)
    true = 10.0 ** rng.uniform(-9.0, 9.0, 50)
    a = rng.standard_normal((80, 50)) / true
    unit = input_scale(network(a, "tanh", rng.standard_normal((3, 80))))
    moved = (rng.standard_normal((200, 50)) * unit) @ a.T
    assert 0.5 < np.sqrt(np.mean(moved**2)) < 2.0
    np.testing.assert_allclose(unit / true, np.mean(unit / true), rtol=0.5)


def test_large_biases_make_large_units():
    a = np.eye(4)
    small, large = (
        input_scale(network(dense(a, np.full(4, b)), "relu")) for b in (0.1, 1e4)
    )
    np.testing.assert_allclose(small, np.full(4, 1.0))
    np.testing.assert_allclose(large, np.full(4, 1e4))


def test_without_activations_only_ratios_count():
    unit = input_scale(network(1e30 * np.diag([1.0, 1e3, 1e-3]), 2.0 * np.eye(3)))
    np.testing.assert_allclose(unit, [1.0, 1e-3, 1e3])


def test_inputs_without_weight_have_the_median_unit():
    a = np.zeros((2, 3))
    a[:, :2] = 4.0
    expected = np.full(3, np.sqrt(2 / 3) / np.sqrt(32.0))
    np.testing.assert_allclose(input_scale(network(a, "tanh")), expected)
    np.testing.assert_array_equal(input_scale(network(0.0 * a, "tanh")), np.ones(3))
    np.testing.assert_array_equal(input_scale(network("tanh", shape=(3,))), np.ones(3))


def test_units_of_large_matrices_are_estimated(monkeypatch):
    a = np.random.default_rng(5).standard_normal((300, 20)) * np.geomspace(1e-3, 1e3, 20)
    exact = input_scale(network(a, "tanh"))
    monkeypatch.setattr(tolerances, "SMALL_WEIGHTS", 0)
    estimated = input_scale(network(a, "tanh"))
    assert not np.array_equal(estimated, exact)
    assert (np.abs(np.log2(estimated / exact)) < 1.0).all()


def test_a_scaler_behind_what_is_no_rearrangement_says_nothing():
    """The transpose of an average is not its inverse."""
    pooled = AveragePooling((6, 1), 2)
    net = network(pooled, Rescaling((3, 1), np.array(0.1), np.array(1.0)))
    np.testing.assert_array_equal(default_near(net), np.zeros(6))
    np.testing.assert_array_equal(input_scale(net), np.ones(6))
