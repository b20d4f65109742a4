"""PReLU: a slope for every unit, positive, zero or negative."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nninvert import tolerances
from nninvert.context import Context
from nninvert.errors import DataError, ShapeError
from nninvert.layers.activations import EVERYTHING, Interval
from nninvert.layers.activations.leaky_relu import LeakyReLU
from nninvert.layers.elementwise import invert_units
from nninvert.layers.prelu import PReLU

SLOPES = np.array([0.25, 0.0, -0.5, 3.0])


@pytest.fixture(autouse=True)
def no_floating_point_warning():
    with np.errstate(all="raise", under="ignore"):
        yield


def invert(layer, y, radius=1e-12):
    y = np.asarray(y, dtype=np.float64)
    return layer.preimage(y, np.broadcast_to(radius, y.shape).astype(float), Context())


def test_forward_is_that_of_keras_and_torch():
    x = np.array([[-2.0, -2.0, -2.0, -2.0], [1.0, 2.0, 3.0, 0.0]])
    expected = np.maximum(x, 0.0) - SLOPES * np.maximum(-x, 0.0)
    np.testing.assert_array_equal(PReLU((4,), SLOPES).forward(x), expected)


def test_slopes_are_shared_along_axes_of_size_one():
    alpha = np.array([[[0.5]], [[2.0]]], dtype=np.float32)
    layer = PReLU((2, 3, 4), alpha)
    y = layer.forward(np.full((1, 2, 3, 4), -1.0))
    np.testing.assert_array_equal(y[0, 0], -0.5)
    np.testing.assert_array_equal(y[0, 1], -2.0)
    assert layer.output_shape == (2, 3, 4)


def test_linearisation():
    layer = PReLU((4,), SLOPES)
    x = np.array([[-2.0, -2.0, -2.0, 0.0], [1.0, 2.0, 3.0, -1.0]])
    near = layer.linearize(x)
    slopes = np.array([[0.25, 0.0, -0.5, 1.0], [1.0, 1.0, 1.0, 3.0]])
    ones = np.ones((3, 2, 4))
    np.testing.assert_array_equal(near.y, layer.forward(x))
    np.testing.assert_array_equal(near.jvp(ones)[1], slopes)
    np.testing.assert_array_equal(near.vjp(ones)[1], slopes)
    np.testing.assert_array_equal(near.magnitude(-ones)[1], np.abs(slopes))
    step = near.solve(ones, Context())[1]
    np.testing.assert_array_equal(step, [[4.0, 0.0, -2.0, 1.0], [1, 1, 1, 1 / 3]])


@pytest.mark.parametrize(
    ("slopes", "one_to_one", "image", "reason"),
    [
        ([0.25, 3.0], True, (EVERYTHING,), ""),
        ([0.25, 0.0], False, None, "prelu loses what is negative in 1 units (slope 0)"),
        ([0.0, 0.0], False, (Interval(0.0, np.inf),), "in 2 units (slope 0)"),
        ([-1.0, -2.0], False, (Interval(0.0, np.inf),), "twice in 2 units (negative"),
        ([0.0, -2.0], False, (Interval(0.0, np.inf),), "1 units (slope 0) and takes"),
    ],
)
def test_facts(slopes, one_to_one, image, reason):
    facts = PReLU((2,), np.array(slopes)).facts
    assert facts.one_to_one is one_to_one
    assert facts.onto is one_to_one
    assert facts.image == image
    assert facts.lost == 0
    assert reason in facts.reason
    assert (facts.reason == "") == one_to_one


def test_reason_counts_units_not_slopes():
    facts = PReLU((2, 5), np.array([[0.0], [1.0]])).facts
    assert "in 5 units" in facts.reason


@pytest.mark.parametrize("slope", [0.25, 3.0, 0.0, -0.5, -4.0])
@given(st.data())
@settings(deadline=None, max_examples=60)
def test_a_single_slope_is_leaky_relu(slope, data):
    values = st.one_of(st.floats(-3.0, 3.0), st.floats(-1e40, 1e40), st.just(0.0))
    y = data.draw(arrays(np.float64, (3, 2), elements=values))
    radius = np.abs(data.draw(arrays(np.float64, (3, 2), elements=st.floats(0.0, 2.0))))
    found = invert(PReLU((2,), np.array([slope])), y, radius)
    expected = invert_units(LeakyReLU(slope), y, radius)
    np.testing.assert_array_equal(found.x, expected.x)
    rounding = 1e-14 * (np.abs(y) + np.abs(found.x))
    assert (np.abs(found.radius - expected.radius) <= rounding).all()
    for field in ("outside", "overshoot", "unit", "value", "proved", "origins"):
        np.testing.assert_array_equal(getattr(found, field), getattr(expected, field))
    np.testing.assert_array_equal(found.free_dimensions, expected.free_dimensions)
    assert (found.free is None) == (expected.free is None)
    if found.free is not None:
        np.testing.assert_array_equal(found.free, expected.free)


def test_preimage_of_mixed_slopes():
    y = np.array([[-1.0, 2.0, 2.0, -3.0], [-1.0, 0.0, 0.0, 3.0], [0.0, -1.0, -4.0, 0.0]])
    found = invert(PReLU((4,), SLOPES), y)
    np.testing.assert_array_equal(
        found.x, [[-4.0, 2.0, 2.0, -1.0], [-4.0, 0.0, 0.0, 3.0], [0.0, 0.0, 0.0, 0.0]]
    )
    np.testing.assert_array_equal(found.outside, [0, 0, 2])
    np.testing.assert_array_equal(found.overshoot, [0.0, 0.0, 4.0])
    np.testing.assert_array_equal(found.unit, [-1, -1, 2])
    assert found.value[2] == -4.0
    np.testing.assert_array_equal(found.proved, [False, False, True])
    np.testing.assert_array_equal(found.origins, [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(found.free[:, 1], [False, True, True])
    assert not found.free[:, [0, 2, 3]].any()
    np.testing.assert_array_equal(found.unique, [False, False, False])


@given(arrays(np.float64, (3, 4), elements=st.floats(allow_nan=False, width=32)))
@settings(deadline=None, max_examples=100)
def test_preimage_of_forward(x):
    layer = PReLU((4,), SLOPES)
    x = np.where(np.isfinite(x), x, 1.0)
    y = layer.forward(x)
    untouched = y.copy()
    y.flags.writeable = False
    found = invert(layer, y)
    np.testing.assert_array_equal(y, untouched)
    np.testing.assert_array_equal(found.outside, 0)
    np.testing.assert_allclose(layer.forward(found.x), y, rtol=1e-15, atol=5e-324)
    np.testing.assert_allclose(found.x[:, [0, 3]], x[:, [0, 3]], rtol=1e-15, atol=5e-324)


def test_overflow_is_cut_and_never_raises():
    layer = PReLU((2,), np.array([1e-300, -1e-300]))
    y = np.array([[-1e300, 1e300], [1e300, -1e300]])
    found = invert(layer, y, tolerances.RADIUS_CAP)
    assert np.isfinite(found.x).all()
    assert (found.radius <= tolerances.RADIUS_CAP).all()
    assert np.isinf(PReLU((1,), np.array([10.0])).forward(np.array([[-1e308]]))).all()


def test_config_round_trip():
    alpha = SLOPES.astype(np.float32).reshape(1, 4)
    layer = PReLU((3, 4), alpha)
    again = PReLU.from_config(layer.config(), layer.weights(), (3, 4))
    x = np.random.default_rng(0).standard_normal((2, 3, 4))
    np.testing.assert_array_equal(again.forward(x), layer.forward(x))
    assert layer.weights()["alpha"] is alpha


def test_wrong_slopes():
    with pytest.raises(ShapeError, match=r"alpha: got shape \(3,\), .* to \(2, 4\)"):
        PReLU((2, 4), np.zeros(3))
    with pytest.raises(ShapeError, match=r"got shape \(1, 2, 4\)"):
        PReLU((2, 4), np.zeros((1, 2, 4)))
    with pytest.raises(DataError, match=r"alpha: got nan at \(1,\), 2 such in all"):
        PReLU((4,), np.array([0.1, np.nan, np.inf, 0.2]))
