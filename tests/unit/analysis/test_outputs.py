"""The range of outputs and what a percentage of them is."""

import numpy as np
import pytest
from problems import network

from nninvert.analysis.outputs import on_unattained_end, output_image, output_sizes
from nninvert.layers import Permute, Reshape


def test_the_range_is_that_of_the_last_activation():
    assert str(output_image(network(np.eye(2), "sigmoid"))[0]) == "(0, 1)"
    assert output_image(network("tanh", np.eye(2), shape=(2,))) is None


def test_reshaping_keeps_the_range_as_it_moves_no_values():
    net = network(np.eye(4), "tanh", Reshape((4,), (2, 2)))
    assert str(output_image(net)[0]) == "(-1, 1)"
    moved = network(Reshape((4,), (2, 2)), "tanh", Permute((2, 2), (1, 0)))
    assert output_image(moved) is None


def test_identities_alone_have_no_range():
    assert output_image(network(Reshape((4,), (2, 2)))) is None


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("tanh", [1.0, -1.0, 0.999], [True, True, False]),
        ("sigmoid", [1.0, 0.0, 0.5], [True, True, False]),
        ("relu", [0.0, -1.0, 1.0], [False, False, False]),
        ("softplus", [0.0, 1.0, 2.0], [True, False, False]),
        ("hard_tanh", [1.0, -1.0, 0.0], [False, False, False]),
    ],
)
def test_ends_that_no_input_attains(name, values, expected):
    net = network(np.eye(3), name)
    np.testing.assert_array_equal(on_unattained_end(net, np.array([values])), [expected])


def test_linear_outputs_have_no_ends():
    assert not on_unattained_end(network(np.eye(2)), np.ones((3, 2))).any()


def test_sizes_of_bounded_outputs_are_half_their_range():
    np.testing.assert_array_equal(
        output_sizes(network(np.eye(2), "tanh"), np.ones((3, 2))), 1
    )
    np.testing.assert_array_equal(
        output_sizes(network(np.eye(2), "sigmoid"), np.zeros((3, 2))), 0.5
    )


def test_sizes_of_unbounded_outputs_are_typical_ones():
    values = np.array([[3.0, 1e200], [4.0, 1e200]])
    found = output_sizes(network(np.eye(2)), values)
    np.testing.assert_allclose(found[:, 0], [np.sqrt(12.5), 4.0])
    np.testing.assert_allclose(found[:, 1], 1e200)


def test_an_output_that_is_always_zero_takes_the_largest_size():
    net = network(np.eye(2), "relu")
    sizes = output_sizes(net, np.array([[0.0, 4.0], [0.0, -3.0]]))
    np.testing.assert_array_equal(sizes[:, 0], [4.0, 4.0])
    np.testing.assert_array_equal(output_sizes(net, np.zeros((1, 2))), [[1.0, 1.0]])
