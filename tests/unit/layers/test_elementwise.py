"""Inverting unit by unit: radii on every branch, ends of ranges, what is free."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import LOSING, ONE_TO_ONE, generators

from nninvert import tolerances
from nninvert.context import Context
from nninvert.layers import Elementwise
from nninvert.layers.activations import activation_from_text
from nninvert.layers.elementwise import invert_units, why_not_one_to_one
from nninvert.linalg import row_blocks

CAP = tolerances.RADIUS_CAP


def invert(name, y, radius=1e-6):
    y = np.atleast_2d(np.asarray(y, dtype=np.float64))
    return invert_units(activation_from_text(name), y, np.full(y.shape, float(radius)))


@given(
    name=st.sampled_from((*ONE_TO_ONE, *LOSING)),
    rng=generators(),
    size=st.floats(-2, 2),
    radius=st.floats(-12, 1),
)
def test_every_origin_of_every_value_within_the_radius_is_covered(name, rng, size, radius):
    """Truth z, y = f(z) + noise: |z - x| <= radius, on whatever branch z was."""
    activation = activation_from_text(name)
    z = 10.0**size * rng.standard_normal((20, 3))
    noise = 10.0**radius * rng.uniform(-1, 1, z.shape)
    y = activation.forward(z) + noise
    found = invert_units(activation, y, np.full(y.shape, 10.0**radius))
    assert not found.proved.any()
    free = np.zeros(z.shape, bool) if found.free is None else found.free
    covered = np.abs(found.x - z) <= found.radius * (1 + 1e-9)
    unbounded = found.radius >= CAP
    ambiguous = np.broadcast_to((found.origins > 0)[:, None], z.shape)
    assert (covered | unbounded | free | ambiguous).all()


@pytest.mark.parametrize("name", ["silu", "gelu", "mish", "gelu_tanh"])
def test_near_zero_the_far_branch_counts(name):
    found = invert(name, 1e-9, radius=1e-6)
    assert found.radius[0, 0] == CAP
    assert found.unique[0]


def test_a_constant_branch_within_the_radius_counts():
    assert invert("relu", 1e-9, radius=1e-6).radius[0, 0] == CAP
    assert invert("relu", 1e-3, radius=1e-6).radius[0, 0] == pytest.approx(1e-6)
    soft = invert("soft_shrink", 1e-3, radius=1e-2)
    assert soft.radius[0, 0] == pytest.approx(1.0 + 1e-3 + 1e-2, abs=1e-3)


def test_flat_values_are_free():
    found = invert("hard_tanh", [1.0, 0.5, -1.0], radius=0.0)
    np.testing.assert_array_equal(found.free, [[True, False, True]])
    assert found.free_dimensions[0] == 2
    np.testing.assert_array_equal(found.x, [[1.0, 0.5, -1.0]])
    assert not found.unique[0]


def test_two_origins_are_counted():
    found = invert("silu", [-0.1, -0.1, 2.0])
    assert found.origins[0] == 2.0
    assert not found.unique[0]


def test_the_radius_is_that_of_the_slope():
    found = invert("tanh", 0.5, radius=1e-6)
    assert found.radius[0, 0] == pytest.approx(1e-6 / (1 - 0.25), rel=1e-3)


def test_a_value_beyond_the_range_is_counted_measured_and_proved():
    found = invert("tanh", [[0.1, 1.3, -2.0], [0.1, 0.2, 0.3]], radius=0.1)
    np.testing.assert_array_equal(found.outside, [2, 0])
    np.testing.assert_array_equal(found.unit, [2, -1])
    np.testing.assert_allclose(found.overshoot, [1.0, 0.0])
    np.testing.assert_array_equal(found.value, [-2.0, np.nan])
    np.testing.assert_array_equal(found.proved, [True, False])
    assert np.isfinite(found.x).all()


def test_the_edge_itself_is_within_the_radius():
    assert not invert("tanh", 1.1, radius=0.11).proved[0]
    assert invert("tanh", 1.1, radius=0.09).proved[0]


def test_an_unattained_end_is_as_far_as_the_radius_allows():
    found = invert("tanh", 1.0, radius=2.0**-25)
    assert found.x[0, 0] == pytest.approx(9.01, abs=0.01)
    assert found.radius[0, 0] == CAP
    assert found.free[0, 0]


@pytest.mark.parametrize("radius", [0.0, 1e-300, 1e-20])
def test_an_unattained_end_without_room_is_free_as_well(radius):
    found = invert("sigmoid", [0.0, 1.0], radius=radius)
    assert np.isfinite(found.x).all()
    assert found.free.all()


def test_a_gap_goes_to_its_nearer_side():
    found = invert("thresholded_relu", [0.4, 0.9], radius=1e-3)
    np.testing.assert_array_equal(found.outside, 2)
    assert found.x[0, 1] == pytest.approx(1.0, abs=1e-2)


def test_a_cut_radius_means_anything():
    """An output that does not matter must not prove anything, whatever its value."""
    found = invert("tanh", [1e200, -7.0, 0.0], radius=tolerances.UNBOUNDED_RADIUS)
    assert not found.proved[0]
    np.testing.assert_array_equal(found.radius, CAP)


def test_axes_are_flattened_for_units_and_kept_for_x(rng):
    layer = Elementwise((2, 3), activation_from_text("tanh"))
    y = rng.uniform(-0.9, 0.9, (4, 2, 3))
    y[1, 1, 0] = 5.0
    found = layer.preimage(y, np.full(y.shape, 1e-9), Context())
    assert found.x.shape == found.radius.shape == (4, 2, 3)
    np.testing.assert_array_equal(found.unit, [-1, 3, -1, -1])


def test_steps_where_the_slope_is_zero_or_tiny_are_none():
    layer = Elementwise((3,), activation_from_text("tanh"))
    near = layer.linearize(np.array([[0.0, 400.0, 1e4]]))
    step = near.solve(np.ones((1, 3)), Context())
    np.testing.assert_array_equal(step, [[1.0, 0.0, 0.0]])


def test_reasons_are_for_people():
    reason = {
        n: why_not_one_to_one(activation_from_text(n)) for n in ("tanh", "relu", "silu")
    }
    assert reason["tanh"] == ""
    assert "relu is constant on" in reason["relu"]
    assert reason["silu"] == "silu takes some values more than once"


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "elu", "softsign"])
def test_the_rounding_of_the_activation_itself_is_covered(name):
    """Computed values known to half a spacing: near an end that is far from enough."""
    activation = activation_from_text(name)
    z = np.linspace(-15.0, 15.0, 2001)[:, None]
    y = activation.forward(z)
    found = invert_units(activation, y, tolerances.half_spacing(y))
    assert (np.abs(found.x - z) <= found.radius).all()


def test_a_linearisation_of_some_rows_is_that_of_all(rng, monkeypatch):
    """Values and slopes are made a few rows at a time, too."""
    layer = Elementwise((2, 3), activation_from_text("tanh"))
    x, dy = rng.standard_normal((2, 9, 2, 3)) * 300.0
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        whole = layer.linearize(x)
        monkeypatch.setattr(row_blocks, "_NUMBERS", 6)
        apart = layer.linearize(x)
        np.testing.assert_array_equal(whole.y, np.tanh(x))
        np.testing.assert_array_equal(apart.y, whole.y)
        np.testing.assert_array_equal(apart.jvp(dy), whole.jvp(dy))
        part = slice(2, 5)
        some = whole.rows(part)
        np.testing.assert_array_equal(some.y, whole.y[part])
        steps = whole.solve(dy, Context())
        np.testing.assert_array_equal(some.solve(dy[part], Context()), steps[part])
    assert (steps == 0.0).any()
    assert np.isfinite(steps).all()


@pytest.mark.parametrize("name", ["tanh", "relu", "silu"])
def test_rows_that_are_inverted_in_blocks_are_those_of_one_block(name, monkeypatch, rng):
    activation = activation_from_text(name)
    y = rng.uniform(-1.5, 1.5, (7, 3))
    y[2, 1] = 1.0  # an end of tanh that no input attains
    radius = np.full(y.shape, 1e-3)
    whole = invert_units(activation, y, radius)
    assert (whole.outside > 0).any()
    assert (whole.free is None) == (name == "silu")
    monkeypatch.setattr(row_blocks, "_NUMBERS", 6)
    blocks = invert_units(activation, y, radius)
    for field in dataclasses.fields(whole):
        expected, found = (getattr(k, field.name) for k in (whole, blocks))
        np.testing.assert_array_equal(found, expected, err_msg=field.name)
