"""Facts of compositions claim no more than what holds for the whole."""

import numpy as np
import pytest
from problems import dense, network


@pytest.mark.parametrize(
    ("parts", "one_to_one", "onto", "lost"),
    [
        # An exponential is positive, and relu loses nothing there.
        ((np.eye(2), "exponential", "relu"), None, False, 0),
        (("relu", np.eye(2)), False, None, 0),
        ((np.eye(2), "tanh"), None, False, 0),
        (("leaky_relu:0.5",), True, True, 0),
        (("leaky_relu:0.5", "tanh"), True, False, 0),
        # Wider inside: relu(x) and relu(-x) together lose nothing, and reach all of R^2.
        ((np.ones((4, 2)), "relu", np.ones((2, 4))), None, None, 0),
        ((np.ones((3, 5)), "tanh", np.ones((5, 3))), False, False, 2),
        ((np.ones((8, 5)), "tanh", np.ones((4, 8))), False, None, 1),
        ((np.ones((4, 5)), "tanh", np.ones((2, 4))), False, None, 3),
        ((np.ones((3, 2)), "tanh", np.ones((3, 3))), None, None, 0),
        ((np.ones((3, 2)),), None, False, 0),
    ],
)
def test_graph_facts(parts, one_to_one, onto, lost):
    shape = (2,) if isinstance(parts[0], str) else None
    facts = network(*parts, shape=shape).graph.facts
    assert (facts.one_to_one, facts.onto, facts.lost) == (one_to_one, onto, lost)


def test_widening_then_narrowing_keeps_everything():
    """The facts say None here; this is why they may not say False."""
    signs = np.array([[1.0], [-1.0]])
    net = network(signs, "relu", signs.T)
    x = np.array([[-2.0], [0.0], [3.0]])
    np.testing.assert_array_equal(net.forward(x), x)
    assert net.graph.facts.one_to_one is None


def test_the_image_is_that_of_the_last_segment():
    assert str(network(np.eye(2), "tanh").graph.facts.image[0]) == "(-1, 1)"
    assert network("tanh", np.eye(2), shape=(2,)).graph.facts.image is None


def test_the_reason_is_the_first_one():
    facts = network(dense(np.ones((2, 3))), "relu").graph.facts
    assert facts.reason == "maps 3 numbers to 2: at least 1 directions of x are lost"
