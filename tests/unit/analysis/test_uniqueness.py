"""What the rank of J at an answer proves about its neighbours, and what it does not."""

from dataclasses import replace

import numpy as np
from problems import network

from nninvert import tolerances
from nninvert.analysis.uniqueness import Room, largest_ranks, near_answers
from nninvert.context import Context
from nninvert.layers import Softmax, UnitNormalization
from nninvert.outcome import Uniqueness


def near(net, x, **changes):
    room = replace(Room.unlimited(net, len(x)), **changes)
    return near_answers(net, x, Context(), room)


def test_full_column_rank_is_locally_unique():
    net = network(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), "tanh")
    assert near(net, np.zeros((1, 2))) == [(Uniqueness.LOCALLY, 0)]


def test_fewer_outputs_leave_a_family():
    net = network(np.array([[1.0, 2.0, 3.0]]), "tanh")
    assert near(net, np.zeros((2, 3))) == [(Uniqueness.NO, 2)] * 2


def test_a_flat_part_leaves_the_dimensions_of_its_units():
    net = network(np.eye(3), "relu")
    x = np.array([[1.0, -1.0, -2.0], [1.0, 2.0, 3.0]])
    np.testing.assert_array_equal(largest_ranks(net, x, Context()), [1, 3])
    found = near(net, x)
    assert found == [(Uniqueness.NO, 2), (Uniqueness.LOCALLY, 0)]


def test_a_slope_that_vanishes_at_one_point_proves_nothing():
    # x - tanh x is one-to-one although its slope is zero at 0.
    net = network(np.eye(2), "tanh_shrink")
    x = np.array([[0.0, 1.0]])
    assert near(net, x) == [(Uniqueness.UNKNOWN, 0)]


def test_softmax_ignores_one_direction():
    net = network(np.eye(3), Softmax((3,), 0))
    assert near(net, np.zeros((1, 3))) == [(Uniqueness.NO, 1)]


def test_a_length_is_lost_beyond_the_floor_only():
    net = network(np.eye(3), UnitNormalization((3,), (0,), 0.5))
    x = np.array([[1.0, 2.0, -1.0], [0.1, 0.2, -0.1]])
    found = near(net, x)
    assert found == [(Uniqueness.NO, 1), (Uniqueness.LOCALLY, 0)]


SUM = np.array([[1.0, 1.0, 1.0]])


def test_inputs_that_may_not_move_are_no_family():
    net = network(SUM, "tanh")
    one = np.array([[True, False, False]])
    two = np.array([[True, True, False]])
    none = np.zeros((1, 3), dtype=bool)
    x = np.zeros((1, 3))
    assert near(net, x, movable=one, both_ways=one) == [(Uniqueness.LOCALLY, 0)]
    assert near(net, x, movable=two, both_ways=two) == [(Uniqueness.NO, 1)]
    # At their bounds inputs may move to one side only: perhaps no other x keeps the sum.
    assert near(net, x, both_ways=none) == [(Uniqueness.UNKNOWN, 0)]


def test_outputs_that_do_not_matter_do_not_decide():
    net = network(np.eye(2), "tanh")
    wanted = np.array([[True, False]])
    assert near(net, np.zeros((1, 2))) == [(Uniqueness.LOCALLY, 0)]
    assert near(net, np.zeros((1, 2)), wanted=wanted) == [(Uniqueness.NO, 1)]


def test_inputs_of_all_sizes_count():
    net = network(np.diag([1e-12, 1e12]), "linear")
    x = np.ones((1, 2))
    assert near(net, x) == [(Uniqueness.UNKNOWN, 0)]
    assert near(net, x, unit=np.array([1e12, 1e-12])) == [(Uniqueness.LOCALLY, 0)]


def test_what_is_not_cheap_is_unknown(monkeypatch):
    monkeypatch.setattr(tolerances, "SVD_WORK", 1.0)
    assert near(network(SUM, "tanh"), np.zeros((2, 3))) == [(Uniqueness.UNKNOWN, 0)] * 2
