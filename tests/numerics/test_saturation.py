"""Targets on the ends of ranges, short types, extreme magnitudes: finite and honest."""

import warnings

import numpy as np
import pytest
from problems import network, saturated_tanh

from nninvert.layers import Elementwise, Rescaling
from nninvert.layers.activations import activation_from_text
from nninvert.layers.elementwise import invert_units
from nninvert.methods.driver import invert
from nninvert.methods.question import ask
from nninvert.outcome import RowStatus, Uniqueness
from nninvert.tolerances import half_spacing


@pytest.mark.parametrize(
    ("stored", "z"), [(np.float16, 4.505), (np.float32, 9.01), (np.float64, 17.7)]
)
def test_one_in_a_short_type_is_a_finite_input(stored, z):
    """tanh(z) is 1.0 to the last digits from about z on; any larger z would do as well."""
    y = np.array([[1.0, -1.0]], dtype=stored)
    result = invert(ask(saturated_tanh(), y))
    assert result.status == (RowStatus.SOLVED,)
    np.testing.assert_allclose(np.abs(result.x), z, rtol=0.01)
    np.testing.assert_array_equal(np.sign(result.x), np.sign(y))
    assert result.edge_values[0] == 2
    assert result.unique == (Uniqueness.NO,)
    assert result.free_dimensions[0] == 2


@pytest.mark.parametrize(
    "name", ["tanh", "sigmoid", "softsign", "exponential", "softplus", "elu", "log_sigmoid"]
)
@pytest.mark.parametrize("stored", [np.float16, np.float32, np.float64])
def test_every_end_of_a_range_comes_back_finite(name, stored):
    activation = activation_from_text(name)
    ends = [e for i in activation.image for e in (i.lower, i.upper) if np.isfinite(e)]
    y = np.array([ends], dtype=stored)
    found = invert_units(activation, y.astype(np.float64), half_spacing(y))
    assert np.isfinite(found.x).all()
    assert not found.proved.any()
    assert not found.unique.any()
    again = activation.forward(found.x)
    assert (np.abs(again - y) <= 4 * half_spacing(y) + 1e-15).all()


def test_saturated_values_do_not_spoil_their_neighbours(rng):
    net = saturated_tanh()
    result = invert(ask(net, np.array([[1.0, 0.3], [0.3, 0.3]], dtype=np.float32)))
    np.testing.assert_allclose(result.x[:, 1], np.arctanh(np.float32(0.3)), rtol=1e-7)
    assert result.unique == (Uniqueness.NO, Uniqueness.YES)


def test_just_beyond_one_is_the_end_within_the_tolerance_and_proved_beyond():
    y = np.array([[1.0 + 2.0**-23, 0.0], [1.001, 0.0]], dtype=np.float32)
    result = invert(ask(saturated_tanh(), y), method="exact")
    assert result.status == (RowStatus.SOLVED, RowStatus.UNREACHABLE)
    assert np.isfinite(result.x).all()


@pytest.mark.parametrize("size", [1e-38, 1e-30, 1e30, 1e38])
def test_extreme_float32_targets_of_linear_nets(rng, size):
    matrix = rng.standard_normal((3, 3))
    y = (size * rng.uniform(0.5, 1.0, (2, 3))).astype(np.float32)
    result = invert(ask(network(matrix), y))
    assert result.status == (RowStatus.SOLVED,) * 2
    expected = np.linalg.solve(matrix, y.T.astype(np.float64)).T
    np.testing.assert_allclose(result.x, expected, rtol=1e-12)


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e150, 1e200, 1e300])
def test_extreme_float64_targets_of_linear_nets(size):
    with np.errstate(under="ignore"):
        result = invert(ask(network(np.diag([2.0, 4.0])), np.array([[size, -size]])))
    assert result.status == (RowStatus.SOLVED,)
    np.testing.assert_allclose(result.x, [[size / 2, -size / 4]])


def test_zero_is_solved_without_any_bias(rng):
    """y = 0 and no terms: a tolerance relative to either would be 0 as well."""
    result = invert(ask(network(rng.standard_normal((3, 3))), np.zeros((1, 3))))
    assert result.status == (RowStatus.SOLVED,)
    assert (result.tolerance > 0.0).all()
    np.testing.assert_array_equal(result.x, 0.0)


def test_a_percentage_of_nothing_is_still_a_question(rng):
    net = network(rng.standard_normal((3, 3)))
    result = invert(ask(net, np.zeros((1, 3)), within="3%"))
    assert result.status == (RowStatus.SOLVED,)


def test_far_exponentials_neither_overflow_nor_warn():
    net = network(np.eye(2), "exponential")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = invert(ask(net, np.array([[1e-300, 1e300]])))
    assert result.status == (RowStatus.SOLVED,)
    np.testing.assert_allclose(result.x, [[np.log(1e-300), np.log(1e300)]], rtol=1e-14)


def test_units_of_very_different_sizes():
    scale = np.array([1e-20, 1.0, 1e20])
    net = network(Rescaling((3,), scale, np.zeros(3)), "tanh")
    x = np.array([[1e20, 1.0, 1e-20]])
    result = invert(ask(net, net.forward(x)))
    assert result.status == (RowStatus.SOLVED,)
    np.testing.assert_allclose(result.x, x, rtol=1e-12)


def test_a_graph_of_activations_alone_is_inverted():
    net = network(Elementwise((3,), activation_from_text("elu")), "tanh")
    x = np.array([[-2.0, 0.5, 1.0]])
    result = invert(ask(net, net.forward(x)))
    np.testing.assert_allclose(result.x, x, rtol=1e-12)
