"""The input that stands for a typical one."""

import numpy as np
import pytest
from problems import network

from nninvert.analysis.starting_point import default_near
from nninvert.layers import (
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
