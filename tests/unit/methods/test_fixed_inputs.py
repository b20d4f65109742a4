"""All inputs fixed: one x, judged."""

import numpy as np
from problems import network

from nninvert.methods.fixed_inputs import FixedInputs
from nninvert.methods.question import ask


def test_free_inputs_are_an_obstacle():
    net = network(np.ones((1, 3)))
    free = ask(net, np.zeros((1, 1)), fix={0: 1.0})
    assert FixedInputs().obstacle(free) == "2 inputs that are not fixed"


def test_the_only_x_is_given_for_every_row():
    net = network(np.ones((1, 2)))
    problem = ask(net, np.array([[3.0], [4.0]]), fix={0: 1.0, 1: 2.0})
    assert FixedInputs().obstacle(problem) == ""
    found = FixedInputs().attempt(problem, None)
    np.testing.assert_array_equal(found.x, [[1, 2], [1, 2]])
    assert found.reason == ("all inputs are fixed, and no other x is allowed",) * 2
    assert not found.stopped.any()
