"""Softmax and log-softmax: values, Jacobians, what is lost, what is outside."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nninvert import tolerances
from nninvert.context import Context
from nninvert.errors import ShapeError
from nninvert.layers.softmax import LogSoftmax, Softmax

CAP = tolerances.RADIUS_CAP
SHAPES = [((4,), -1), ((2, 3), 0), ((2, 3), 1), ((3, 2, 2), 1), ((1,), 0)]

both = pytest.mark.parametrize("kind", [Softmax, LogSoftmax])
shapes = pytest.mark.parametrize(("shape", "axis"), SHAPES)


@pytest.fixture(autouse=True)
def no_floating_point_warning():
    with np.errstate(all="raise", under="ignore"):
        yield


def logits(shape, rows=5, size=3.0):
    return size * np.random.default_rng(3).standard_normal((rows, *shape))


def invert(layer, y, radius=None):
    y = np.asarray(y, dtype=np.float64)
    if radius is None:
        radius = tolerances.half_spacing(y)
    return layer.preimage(y, np.broadcast_to(radius, y.shape).astype(float), Context())


def groups(layer, values):
    """Shape (groups, group size)."""
    axis = layer.axis - len(layer.input_shape)
    return np.moveaxis(values, axis, -1).reshape(-1, layer.group_size)


def plain(kind, x):
    """Group by group with 40 digits."""
    result = []
    with mpmath.workdps(40):
        for group in x:
            terms = [mpmath.exp(mpmath.mpf(float(v))) for v in group]
            share = [term / mpmath.fsum(terms) for term in terms]
            result.append(share if kind is Softmax else [mpmath.log(s) for s in share])
    return np.array(result, dtype=np.float64)


def jacobian(layer, x):
    """By central differences, shape (rows, n, n)."""
    n = x[0].size
    columns = []
    for j in range(n):
        h = np.zeros(n)
        h[j] = 1e-6
        step = h.reshape(x.shape[1:])
        change = layer.forward(x + step) - layer.forward(x - step)
        columns.append(change.reshape(len(x), n) / 2e-6)
    return np.stack(columns, axis=-1)


@both
@shapes
def test_forward_is_the_formula(kind, shape, axis):
    layer, x = kind(shape, axis), logits(shape)
    y = layer.forward(x)
    assert y.shape == x.shape
    assert layer.output_shape == shape
    np.testing.assert_allclose(groups(layer, y), plain(kind, groups(layer, x)), rtol=1e-14)


def test_forward_far_out():
    x = np.array([[1e308, -1e308, 0.0], [-745.0, 0.0, 30.0], [5e-324, 0.0, -0.0]])
    y, log_y = Softmax((3,), -1).forward(x), LogSoftmax((3,), -1).forward(x)
    np.testing.assert_array_equal(y[0], [1.0, 0.0, 0.0])
    assert log_y[0, 0] == 0.0
    np.testing.assert_allclose(log_y[1], [-775.0, -30.0, -np.exp(-30.0)], rtol=1e-13)
    np.testing.assert_allclose(y[2], 1 / 3, rtol=1e-15)


@both
@shapes
def test_linearisation(kind, shape, axis):
    layer, x = kind(shape, axis), logits(shape, size=1.5)
    near = layer.linearize(x)
    np.testing.assert_array_equal(near.y, layer.forward(x))
    matrix = jacobian(layer, x)
    n = x[0].size
    rng = np.random.default_rng(5)
    dx, dy = rng.standard_normal((2, 2, *x.shape))
    flat = (2, len(x), n)
    forward = np.einsum("bij,kbj->kbi", matrix, dx.reshape(flat))
    np.testing.assert_allclose(near.jvp(dx).reshape(flat), forward, atol=2e-9)
    products = (near.jvp(dx) * dy).sum(), (near.vjp(dy) * dx).sum()
    np.testing.assert_allclose(*products, rtol=1e-12, atol=1e-14)
    size = np.einsum("bij,kbj->kbi", np.abs(matrix), np.abs(dx).reshape(flat))
    np.testing.assert_allclose(near.magnitude(dx).reshape(flat), size, atol=2e-9)
    inverse = np.linalg.pinv(matrix, rcond=1e-6)
    if kind is Softmax:
        # What no J dx adds up to is taken off in proportion to the probabilities.
        dy = dy - near.y * dy.sum(axis=layer.axis - len(shape), keepdims=True)
    solved = np.einsum("bij,kbj->kbi", inverse, dy.reshape(flat))
    found = near.solve(dy, Context()).reshape(flat)
    np.testing.assert_allclose(found, solved, rtol=2e-6, atol=2e-6)
    if kind is Softmax:
        beside = near.solve(dy + 0.1 * near.y, Context()).reshape(flat)
        np.testing.assert_allclose(beside, found, atol=1e-12)


@both
def test_steps_stay_finite_where_a_probability_is_zero(kind):
    near = kind((3,), 0).linearize(np.array([[0.0, -800.0, -1.0]]))
    step = near.solve(np.array([[1.0, 1.0, -2.0]]), Context())
    assert np.isfinite(step).all()


@both
@shapes
def test_facts(kind, shape, axis):
    layer = kind(shape, axis)
    facts = layer.facts
    assert facts.one_to_one is False
    assert facts.onto is False
    assert facts.lost == int(np.prod(shape)) // shape[axis]
    assert f"{facts.lost} direction" in facts.reason
    x = logits(shape)
    moved = x + 1.5
    np.testing.assert_allclose(layer.forward(moved), layer.forward(x), atol=1e-14)
    y = layer.forward(x)
    assert facts.image[0].contains(y).all()
    unattained = {Softmax: (0.0, 1.0), LogSoftmax: (0.0,)}[kind]
    if layer.group_size > 1:
        assert not facts.image[0].contains(np.array(unattained)).any()


@both
@shapes
def test_preimage_of_forward(kind, shape, axis):
    layer, x = kind(shape, axis), logits(shape)
    found = invert(layer, layer.forward(x))
    means = groups(layer, x).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(
        groups(layer, found.x), groups(layer, x) - means, rtol=1e-12, atol=1e-13
    )
    np.testing.assert_array_equal(found.outside, 0)
    np.testing.assert_array_equal(found.unit, -1)
    assert np.isnan(found.value).all()
    assert not found.proved.any()
    assert found.free is None
    np.testing.assert_array_equal(found.free_dimensions, layer.facts.lost)
    np.testing.assert_array_equal(found.origins, 0.0)
    assert not found.unique.any()


@both
@pytest.mark.parametrize("stored", [np.float16, np.float32])
@given(arrays(np.float64, (3, 40), elements=st.floats(-9.0, 9.0)))
@settings(deadline=None, max_examples=60)
def test_rows_that_a_short_type_rounded_are_inside(kind, stored, x):
    layer = kind((40,), -1)
    # Computed in the short type from start to end, as frameworks do.
    shifted = x.astype(stored) - x.astype(stored).max(axis=1, keepdims=True)
    terms = np.exp(shifted)
    total = terms.sum(axis=1, keepdims=True, dtype=stored)
    y = terms / total if kind is Softmax else shifted - np.log(total)
    assert y.dtype == stored
    found = invert(layer, y, tolerances.half_spacing(y))
    np.testing.assert_array_equal(found.outside, 0)
    again = layer.forward(found.x)
    error = 64 * np.finfo(stored).eps
    known = y.astype(float) > 1e-3 if kind is Softmax else np.abs(y) < 9
    np.testing.assert_allclose(again[known], y.astype(float)[known], rtol=error, atol=error)


@both
@given(st.data())
@settings(deadline=None, max_examples=100)
def test_radius_bounds_the_origins_of_what_lies_within(kind, data):
    layer = kind((4,), -1)
    elements = st.floats(-4.0, 4.0)
    x = data.draw(arrays(np.float64, (2, 4), elements=elements))
    other = x + 0.05 * data.draw(arrays(np.float64, (2, 4), elements=elements))
    y = layer.forward(x)
    radius = np.abs(layer.forward(other) - y)
    found = invert(layer, y, radius)
    centred = other - other.mean(axis=1, keepdims=True)
    moved = np.abs(centred - found.x)
    assert (moved <= found.radius * (1 + 1e-9) + 1e-12).all()


def test_zero_probability_is_free_and_as_small_as_its_radius():
    y = np.array([[0.75, 0.25, 0.0], [0.5, 0.5, 0.0]])
    radius = np.array([[1e-9, 1e-9, 1e-9], [0.0, 0.0, 0.0]])
    found = invert(Softmax((3,), 0), y, radius)
    np.testing.assert_array_equal(found.outside, 0)
    np.testing.assert_array_equal(found.free, [[False, False, True]] * 2)
    np.testing.assert_array_equal(found.free_dimensions, 2)
    assert np.isfinite(found.x).all()
    again = Softmax((3,), 0).forward(found.x)
    assert (np.abs(again - y)[0] <= 2e-9).all()
    assert (again[1] <= y[1] + 1e-15).any()
    assert (found.radius[:, 2] == CAP).all()
    one_hot = invert(Softmax((3,), 0), [[0.0, 1.0, 0.0]])
    np.testing.assert_array_equal(one_hot.free, [[True, False, True]])
    assert one_hot.x.argmax() == 1


def test_rows_whose_sum_is_not_one_are_outside_and_the_nearest_point_is_taken():
    layer = Softmax((3,), 0)
    y = np.array(
        [[0.5, 0.5, 0.5], [0.2, 0.2, 0.2], [1.2, -0.3, 0.1], [0.5, 0.3, 0.2], [3, 0, 1]]
    )
    found = invert(layer, y, 1e-3)
    np.testing.assert_array_equal(found.proved, [True, True, True, False, True])
    np.testing.assert_array_equal(found.outside > 0, found.proved)
    np.testing.assert_allclose(layer.forward(found.x[:2]), 1 / 3, rtol=1e-14)
    np.testing.assert_allclose(found.overshoot[:2], [1 / 6, 2 / 15], rtol=1e-12)
    # (1.2, -0.3, 0.1) is nearest to (1, 0, 0): the distances are 0.2, 0.3 and 0.1.
    np.testing.assert_array_equal(found.unit, [0, 0, 1, -1, 0])
    np.testing.assert_allclose(found.overshoot[2], 0.3)
    assert found.value[2] == -0.3
    assert np.isnan(found.value[3])
    assert np.isfinite(found.x).all()


@given(arrays(np.float64, (4, 5), elements=st.floats(-3.0, 3.0)))
@settings(deadline=None, max_examples=100)
def test_nearest_point_of_the_simplex_is_nearest(y):
    found = Softmax((5,), -1)._on_simplex(y)
    assert (found >= 0.0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-13)
    # A point p of a convex set is nearest iff (y - p) (q - p) <= 0 for all corners q.
    products = np.einsum("bi,bji->bj", y - found, np.eye(5)[None] - found[:, None, :])
    assert (products <= 1e-13).all()


def test_a_sum_within_the_radius_is_inside_however_large_the_radius():
    layer = Softmax((3,), 0)
    # The third value does not matter: it has to be 0.5.
    found = invert(layer, [[0.3, 0.2, 0.9]], [[1e-12, 1e-12, CAP]])
    np.testing.assert_array_equal(found.outside, 0)
    np.testing.assert_allclose(layer.forward(found.x), [[0.3, 0.2, 0.5]], rtol=1e-10)
    too_much = invert(layer, [[0.7, 0.7, 0.9]], [[1e-12, 1e-12, CAP]])
    assert too_much.proved[0]
    logarithm = LogSoftmax((3,), 0)
    y = np.log([[0.3, 0.2, 0.9]])
    found = invert(logarithm, y, [[1e-12, 1e-12, CAP]])
    np.testing.assert_array_equal(found.outside, 0)
    np.testing.assert_allclose(
        np.exp(logarithm.forward(found.x)), [[0.3, 0.2, 0.5]], rtol=1e-10
    )
    assert invert(logarithm, y, 1e-3).proved[0]


def test_log_softmax_off_its_surface():
    layer = LogSoftmax((2,), 0)
    y = np.log([[0.5, 0.5], [0.6, 0.6], [0.1, 0.2]])
    found = invert(layer, y, 1e-6)
    np.testing.assert_array_equal(found.outside, [0, 2, 2])
    np.testing.assert_array_equal(found.proved, [False, True, True])
    np.testing.assert_allclose(found.overshoot[1:], np.log([1.2, 1 / 0.3]), rtol=1e-12)
    np.testing.assert_allclose(found.x, y - y.mean(axis=1, keepdims=True), atol=1e-15)


@both
def test_extreme_targets_do_not_raise(kind):
    big = 1e308
    y = np.array([[big, -big, 0.0], [big, big, big], [-big, -big, -big], [1e-300, 1, 0]])
    for radius in (0.0, 1e-300, 1.0, CAP):
        found = invert(kind((3,), 0), y, radius)
        assert np.isfinite(found.x).all()
        assert np.isfinite(found.overshoot).all()
        assert not np.isnan(found.radius).any()


@both
def test_input_is_not_modified_and_config_round_trips(kind):
    layer = kind((2, 3), -1)
    x = logits((2, 3))
    x.flags.writeable = False
    y = layer.forward(x)
    y.flags.writeable = False
    invert(layer, y)
    layer.linearize(x).jvp(y)
    again = kind.from_config(layer.config(), layer.weights(), (2, 3))
    assert again.axis == 1
    np.testing.assert_array_equal(again.forward(x), y)
    empty = invert(layer, np.zeros((0, 2, 3)))
    assert empty.x.shape == (0, 2, 3)
    with pytest.raises(ShapeError, match="axis: got"):
        kind((2, 3), 2)


def test_only_differences_within_a_group_are_seen():
    for layer in (Softmax((2, 3), -1), LogSoftmax((2, 3), 0)):
        x = logits(layer.input_shape)
        seen = layer.seen.apply(x.reshape(len(x), -1)).reshape(x.shape)
        np.testing.assert_allclose(seen.sum(axis=layer.axis + 1), 0.0, atol=1e-14)
        np.testing.assert_allclose(layer.forward(seen), layer.forward(x), rtol=1e-13)
