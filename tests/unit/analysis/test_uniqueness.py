"""What the rank of J at an answer proves about its neighbours, and what it does not."""

import numpy as np
from problems import network

from nninvert.analysis.uniqueness import largest_ranks, near_answers
from nninvert.context import Context
from nninvert.layers import Softmax, UnitNormalization
from nninvert.outcome import Uniqueness


def test_full_column_rank_is_locally_unique():
    net = network(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), "tanh")
    assert near_answers(net, np.zeros((1, 2)), Context()) == [(Uniqueness.LOCALLY, 0)]


def test_fewer_outputs_leave_a_family():
    net = network(np.array([[1.0, 2.0, 3.0]]), "tanh")
    assert near_answers(net, np.zeros((2, 3)), Context()) == [(Uniqueness.NO, 2)] * 2


def test_a_flat_part_leaves_the_dimensions_of_its_units():
    net = network(np.eye(3), "relu")
    x = np.array([[1.0, -1.0, -2.0], [1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(largest_ranks(net, x, Context()), [1, 3])
    found = near_answers(net, x, Context())
    assert found == [(Uniqueness.NO, 2), (Uniqueness.LOCALLY, 0)]


def test_a_slope_that_vanishes_at_one_point_proves_nothing():
    # x - tanh x is one-to-one although its slope is zero at 0.
    net = network(np.eye(2), "tanh_shrink")
    x = np.array([[0.0, 1.0]])
    assert near_answers(net, x, Context()) == [(Uniqueness.UNKNOWN, 0)]


def test_softmax_ignores_one_direction():
    net = network(np.eye(3), Softmax((3,), 0))
    assert near_answers(net, np.zeros((1, 3)), Context()) == [(Uniqueness.NO, 1)]


def test_a_length_is_lost_beyond_the_floor_only():
    net = network(np.eye(3), UnitNormalization((3,), (0,), 0.5))
    x = np.array([[1.0, 2.0, -1.0], [0.1, 0.2, -0.1]])
    found = near_answers(net, x, Context())
    assert found == [(Uniqueness.NO, 1), (Uniqueness.LOCALLY, 0)]
