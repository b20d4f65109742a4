"""One half of the inputs times an activation of the other."""

import numpy as np
import pytest
from problems import network

from nninvert.context import Context
from nninvert.errors import ShapeError
from nninvert.layers import Gated
from nninvert.layers.activations import activation_from_text
from nninvert.linalg.box import Box
from nninvert.methods.driver import invert
from nninvert.methods.question import ask
from nninvert.outcome import RowStatus

KINDS = ["sigmoid", "gelu", "silu", "relu", "linear", "tanh", "thresholded_relu"]


def gated(shape, name, **options):
    return Gated(shape, activation_from_text(name), **options)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("gate", [0, 1])
def test_forward_is_the_product(name, axis, gate, rng):
    x = rng.standard_normal((3, 4, 2, 6))
    first, second = np.split(x, 2, axis=axis + 1 if axis >= 0 else axis)
    act = activation_from_text(name).forward
    expected = first * act(second) if gate else act(first) * second
    layer = gated((4, 2, 6), name, axis=axis, gate=gate)
    assert layer.output_shape == expected.shape[1:]
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-14)


def test_facts():
    facts = gated((4, 6), "sigmoid").facts
    assert (facts.one_to_one, facts.onto, facts.lost) == (False, True, 12)
    assert facts.reason.endswith("50 % of the numbers are lost")


def test_refused():
    with pytest.raises(ShapeError, match="even"):
        gated((3,), "relu")
    with pytest.raises(ShapeError, match="axis"):
        gated((4,), "relu", axis=1)
    with pytest.raises(ShapeError, match="gate"):
        gated((4,), "relu", gate=2)


@pytest.mark.parametrize("name", KINDS)
def test_every_value_has_an_origin(name):
    y = np.array([[0.0, 1e-300, -1e-9, 0.3, -2.0, 1e6, -1e12]])
    layer = gated((14,), name)
    found = layer.preimage(y, 1e-15 * np.abs(y), Context())
    np.testing.assert_allclose(layer.forward(found.x), y, rtol=1e-14)
    np.testing.assert_array_equal(found.outside, 0)
    np.testing.assert_array_equal(found.free_dimensions, 7)
    assert not found.unique.any()


def test_origins_lie_in_the_box_near_its_centre(rng):
    layer = gated((4,), "sigmoid")
    low, high = np.array([-1.0, 0.0, -1.0, -1.0]), np.array([1.0, 0.5, 1.0, 1.0])
    centre = np.array([0.5, 0.2, 0.0, 0.5])
    box = Box(low, high, np.zeros(4, dtype=np.bool_), centre)
    x = rng.uniform(low, high, size=(200, 4))
    y = layer.forward(x)
    found = layer.preimage(y, 1e-14 * np.abs(y) + 1e-300, Context(), box)
    inside = (found.x >= low) & (found.x <= high)
    assert inside.all()
    reached = found.outside == 0
    # Gates are tried at steps: what only their ends reach is found as well.
    assert reached.all()
    np.testing.assert_allclose(layer.forward(found.x), y, rtol=1e-13)
    again = layer.preimage(
        layer.forward(centre[None]), np.full((1, 2), 1e-14), Context(), box
    )
    np.testing.assert_allclose(again.x[0], centre, atol=1e-12)


def test_values_that_no_gate_in_the_box_gives_are_outside_but_not_proved():
    layer = gated((2,), "sigmoid")
    box = Box(np.zeros(2), np.ones(2), np.zeros(2, dtype=np.bool_), np.full(2, 0.5))
    found = layer.preimage(np.array([[0.9]]), np.full((1, 1), 1e-3), Context(), box)
    assert found.outside[0] == 1
    assert not found.proved[0]
    best = 1.0 / (1.0 + np.exp(-1.0))
    np.testing.assert_allclose(found.overshoot, 0.9 - best)
    np.testing.assert_allclose(found.x, [[1.0, 1.0]])


@pytest.mark.parametrize("name", ["sigmoid", "silu", "gelu"])
def test_a_gated_network_is_inverted(name, rng):
    net = network(
        rng.standard_normal((12, 5)),
        gated((12,), name),
        rng.standard_normal((3, 6)),
    )
    y = net.forward(rng.standard_normal((6, 5)))
    result = invert(ask(net, y))
    assert [row is RowStatus.SOLVED for row in result.status] == [True] * 6
    np.testing.assert_allclose(net.forward(result.x), y, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("radius", [0.0, 1e-3, 1e60])
def test_huge_values_stay_finite(name, radius):
    layer = gated((4,), name)
    box = Box(np.zeros(4), np.ones(4), np.ones(4, dtype=np.bool_), np.full(4, 0.5))
    y = np.array([[1e300, -1e-300], [0.0, 5.0], [-1e308, 1e308]])
    for inside in (None, box):
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            found = layer.preimage(y, np.full(y.shape, radius), Context(), inside)
        assert np.isfinite(found.x).all()
        assert np.isfinite(found.overshoot).all()
