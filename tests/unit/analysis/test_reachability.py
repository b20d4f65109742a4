"""What a proof says and when radii are believed; their truth is tested in numerics."""

import numpy as np
import pytest
from problems import network

from nninvert import tolerances
from nninvert.analysis.reachability import pull_back_boxes, radii_are_trusted
from nninvert.context import Context
from nninvert.layers import Rescaling
from nninvert.outcome import Proof


def reach(net, y, tolerance=1e-9):
    y = np.atleast_2d(np.asarray(y, dtype=np.float64))
    return pull_back_boxes(net, y, np.full(y.shape, tolerance), Context())


def test_where_a_row_left_decides_the_kind_of_proof():
    net = network(np.eye(1), "tanh", np.eye(1), "sigmoid")
    found = reach(net, [[1.5], [0.9], [0.6]])
    assert found.proof == (Proof.OUTPUT_RANGE, Proof.PULL_BACK, Proof.NONE)
    np.testing.assert_array_equal(found.proved, [True, True, False])
    np.testing.assert_array_equal(found.preimage.place, [3, 1, 0])


def test_a_wider_tolerance_lets_a_target_in():
    net = network(np.eye(1), "tanh", np.eye(1), "tanh")
    assert reach(net, 0.77, tolerance=1e-3).proof == (Proof.PULL_BACK,)
    assert reach(net, 0.77, tolerance=1e-2).proof == (Proof.NONE,)


@pytest.mark.parametrize(
    ("smallest", "trusted"), [(1e-9, True), (1e-11, False), (0.0, False)]
)
def test_proofs_through_ill_conditioned_layers_are_not_made(smallest, trusted):
    net = network(np.eye(2), "tanh", np.diag([1.0, smallest]), "tanh")
    assert radii_are_trusted(net, Context()) == trusted
    assert (reach(net, [0.9, 0.0]).proof == (Proof.PULL_BACK,)) == trusted


def test_the_range_of_the_last_activation_needs_no_trust():
    net = network(np.diag([1.0, 0.0]), "tanh")
    assert reach(net, [1.5, 0.0]).proof == (Proof.OUTPUT_RANGE,)


def test_the_range_of_a_last_matrix_does():
    well, ill = np.array([[1.0, 0], [0, 1.0], [0, 1]]), np.array([[1.0, 0], [0, 0], [0, 0]])
    assert reach(network(well), [1.0, 1.0, 2.0]).proof == (Proof.OUTPUT_RANGE,)
    assert reach(network(ill), [1.0, 1.0, 2.0]).proof == (Proof.NONE,)


def test_axes_are_flattened():
    net = network("tanh", shape=(2, 3))
    y = np.zeros((2, 6))
    y[1, 4] = 2.0
    found = reach(net, y)
    assert found.proof == (Proof.NONE, Proof.OUTPUT_RANGE)
    assert found.preimage.unit[1] == 4


def test_unbounded_tolerances_survive_any_scaling():
    scale = Rescaling((2,), np.array([1.0, 1e60]), np.zeros(()))
    net = network("tanh", scale, "leaky_relu:0.1", shape=(2,))
    y, tolerance = np.array([[0.5, 1.0]]), np.array([[1e-9, np.inf]])
    found = pull_back_boxes(net, y, tolerance, Context())
    assert found.proof == (Proof.NONE,)
    assert found.preimage.radius[0, 1] == tolerances.RADIUS_CAP


def test_underflow_proves_nothing_at_a_tolerance_of_zero():
    # gelu(-50) is a number below zero; computed it is zero, which its left side never is.
    net = network(np.eye(1), "tanh", np.array([-50.0]), "gelu")
    y = net.forward(np.array([[0.3]]))
    assert y[0, 0] == 0.0
    assert reach(net, y, tolerance=0.0).proof == (Proof.NONE,)


@pytest.mark.parametrize("shape", [(5, 4), (8, 4), (8, 7)])
def test_residuals_of_least_squares_prove_nothing_at_a_tolerance_of_zero(shape):
    # A layer with more outputs than inputs: what its solution leaves is only rounding.
    rng = np.random.default_rng(0)
    for _ in range(60):
        net = network(10.0 * rng.standard_normal(shape), np.array([0.3]))
        y = net.forward(30.0 * rng.standard_normal((20, shape[1])))
        assert not reach(net, y, tolerance=0.0).proved.any()
