"""Layer, group, RMS and unit normalisation: values, Jacobians, what is lost or outside."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nninvert import tolerances
from nninvert.context import Context
from nninvert.errors import DataError, ShapeError
from nninvert.layers import (
    Dense,
    Graph,
    GroupNormalization,
    LayerNormalization,
    Node,
    RMSNormalization,
    UnitNormalization,
    per_axis_rescaling,
)
from nninvert.layers._ball import Box
from nninvert.linalg.stored import ArrayMatrix

MAKES = {
    "layer": lambda eps: LayerNormalization((5,), (0,), eps),
    "layer, last axis": lambda eps: LayerNormalization((2, 4), (-1,), eps),
    "layer, two axes": lambda eps: LayerNormalization((3, 2, 2), (2, 0), eps),
    "group, channels last": lambda eps: GroupNormalization((2, 2, 6), 3, -1, eps),
    "group, channels first": lambda eps: GroupNormalization((6, 2), 2, 0, eps),
    "instance": lambda eps: GroupNormalization((2, 5), 2, 0, eps),
    "rms": lambda eps: RMSNormalization((5,), (0,), eps),
    "rms, two axes": lambda eps: RMSNormalization((3, 2, 2), (0, 1), eps),
}
CENTRED = [name for name in MAKES if "rms" not in name]

every = pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
centred = pytest.mark.parametrize("make", [MAKES[name] for name in CENTRED], ids=CENTRED)


@pytest.fixture(autouse=True)
def no_floating_point_warning():
    with np.errstate(all="raise", under="ignore"):
        yield


def values(layer, rows=6, size=2.0, seed=3):
    return size * np.random.default_rng(seed).standard_normal((rows, *layer.input_shape))


def invert(layer, y, radius=None):
    y = np.asarray(y, dtype=np.float64)
    if radius is None:
        radius = tolerances.half_spacing(y)
    return layer.preimage(y, np.broadcast_to(radius, y.shape).astype(float), Context())


def members(layer):
    """Flat indices of the units of each group, found by hand."""
    index = np.arange(int(np.prod(layer.input_shape))).reshape(layer.input_shape)
    if isinstance(layer, GroupNormalization):
        channels = np.moveaxis(index, layer.axis, 0)
        return [part.ravel() for part in np.split(channels, layer.group_count)]
    kept = [k for k in range(index.ndim) if k not in layer.groups.axes]
    moved = np.transpose(index, (*kept, *layer.groups.axes))
    size = int(np.prod([layer.input_shape[k] for k in layer.groups.axes]))
    return list(moved.reshape(-1, size))


def exact(layer, row):
    """One row with 60 digits."""
    result = np.empty(row.size)
    with mpmath.workdps(60):
        for group in members(layer):
            v = [mpmath.mpf(float(number)) for number in row.ravel()[group]]
            if not isinstance(layer, RMSNormalization):
                mean = mpmath.fsum(v) / len(v)
                v = [number - mean for number in v]
            square = mpmath.fsum(number**2 for number in v) / len(v)
            root = mpmath.sqrt(square + mpmath.mpf(layer.epsilon))
            result[group] = [float(number / root) for number in v]
    return result.reshape(row.shape)


def seen(layer, x):
    """What is not lost of x."""
    flat = x.reshape(len(x), -1)
    if layer.seen is None:
        return x
    return layer.seen.apply(flat).reshape(x.shape)


def dense_jacobian(layer, x):
    """Shape (n, n), at one row."""
    n = x.size
    near = layer.linearize(x[None])
    columns = near.jvp(np.eye(n).reshape(n, 1, *x.shape))
    return columns.reshape(n, n).T


@every
@pytest.mark.parametrize("epsilon", [1.0, 1e-5, 1e-12])
def test_forward_is_the_formula(make, epsilon):
    layer = make(epsilon)
    x = values(layer)
    x[1] *= 1e-7
    x[2] = 1e6 + x[2]
    x[3] *= 1e150
    x[4] = 0.0
    x[5] *= 1e-160
    wanted = np.stack([exact(layer, row) for row in x])
    found = layer.forward(x)
    scale = np.abs(wanted).max(axis=tuple(range(1, x.ndim)), keepdims=True)
    np.testing.assert_allclose(
        found / np.maximum(scale, 1e-300), wanted / np.maximum(scale, 1e-300), atol=2e-9
    )
    plain = [0, 1, 3, 4]
    np.testing.assert_allclose(found[plain], wanted[plain], rtol=1e-13, atol=1e-15)


@every
def test_jacobian_products(make):
    layer = make(1e-3)
    x = values(layer)[0]
    n = x.size
    steps = 1e-6 * np.eye(n).reshape(n, *x.shape)
    change = (layer.forward(x + steps) - layer.forward(x - steps)) / 2e-6
    jacobian = change.reshape(n, n).T
    near = layer.linearize(x[None])
    matrix = dense_jacobian(layer, x)
    np.testing.assert_allclose(matrix, jacobian, atol=1e-8)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-15)
    dx = np.random.default_rng(1).standard_normal((3, 1, *x.shape))
    size = np.abs(dx).reshape(3, n) @ np.abs(matrix)
    bound = near.magnitude(dx).reshape(3, n)
    assert (bound >= size * (1.0 - 1e-13)).all()
    # Of entries beside the diagonal the sizes of both their terms are taken.
    most = np.abs(matrix)
    y = near.y.ravel()
    for group in members(layer):
        root = np.sqrt(np.mean(np.square(seen(layer, x[None]).ravel()[group])) + 1e-3)
        terms = np.abs(np.outer(y[group], y[group])) + (layer.seen is not None)
        terms /= group.size * root
        np.fill_diagonal(terms, np.diag(matrix)[group])
        most[np.ix_(group, group)] = terms
    np.testing.assert_allclose(bound, np.abs(dx).reshape(3, n) @ most, rtol=1e-12)
    inverse = np.linalg.pinv(matrix, rcond=1e-9)
    solved = near.solve(dx, Context()).reshape(3, n)
    np.testing.assert_allclose(solved, dx.reshape(3, n) @ inverse, rtol=1e-8, atol=1e-8)


@centred
def test_the_mean_is_lost_and_nothing_else(make):
    layer = make(1e-3)
    groups = members(layer)
    facts = layer.facts
    assert facts.lost == len(groups)
    assert f"{len(groups)} direction" in facts.reason
    assert facts.one_to_one is False
    assert facts.onto is False
    x = values(layer)
    moved = x.reshape(len(x), -1).copy()
    for number, group in enumerate(groups):
        moved[:, group] += number + 1.5
    y = layer.forward(x)
    np.testing.assert_allclose(layer.forward(moved.reshape(x.shape)), y, atol=1e-14)
    rank = np.linalg.matrix_rank(dense_jacobian(layer, x[0]))
    assert rank == x[0].size - facts.lost
    assert facts.image[0].contains(y).all()


def test_the_ends_of_the_image_are_approached():
    x = np.array([[1e9, 0.0, 0.0, 0.0]])
    for layer in (MAKES["layer"](1e-6), MAKES["rms"](1e-6)):
        far = np.zeros((1, 5))
        far[0, 0] = 1e9
        interval = layer.facts.image[0]
        np.testing.assert_allclose(layer.forward(far).max(), interval.upper, rtol=1e-14)
        assert interval.upper_open
    np.testing.assert_array_equal(UnitNormalization((4,), (0,), 1e-6).forward(x), x / 1e9)


@every
@pytest.mark.parametrize("epsilon", [1.0, 1e-5, 1e-9])
def test_preimage_of_forward(make, epsilon):
    layer = make(epsilon)
    for size in (1e-3, 1.0, 30.0):
        x = values(layer, size=size)
        y = layer.forward(x)
        found = invert(layer, y)
        assert not found.outside.any()
        assert not found.proved.any()
        wanted = seen(layer, x)
        error = np.abs(found.x - wanted)
        assert (error <= found.radius).all()
        # What is known of the length is what 1 - r tells.
        rest = epsilon / (np.square(wanted).max() + epsilon)
        if rest > 1e-10:
            np.testing.assert_allclose(
                found.x, wanted, rtol=1e-13 / rest, atol=1e-13 / rest
            )
        assert (found.free_dimensions >= layer.facts.lost).all()
        np.testing.assert_array_equal(found.unique, found.free_dimensions == 0)


@every
@settings(max_examples=40, deadline=None)
@given(
    size=st.sampled_from([1e-9, 1e-5, 1e-3, 0.05]),
    epsilon=st.sampled_from([1.0, 1e-2, 1e-5]),
    seed=st.integers(0, 10**6),
)
def test_origins_of_all_values_within_the_radius_lie_within_that_of_x(
    make, size, epsilon, seed
):
    layer = make(epsilon)
    rng = np.random.default_rng(seed)
    x = values(layer, size=float(rng.uniform(0.1, 3.0)), seed=seed)
    truth = layer.forward(x)
    radius = size * rng.uniform(0.0, 1.0, truth.shape)
    off = rng.uniform(-1.0, 1.0, truth.shape)
    # Rows of which the truth is the longest, or the shortest, point within the radius.
    off[:2], off[2:4] = -np.sign(truth[:2]), np.sign(truth[2:4])
    y = truth + radius * off
    found = invert(layer, y, radius * (1.0 + 1e-9))
    assert not found.proved.any()
    assert (found.outside == 0).all()
    assert (np.abs(seen(layer, x) - found.x) <= found.radius).all()
    again = layer.forward(found.x)
    assert (np.abs(again - y) <= radius * (1.0 + 1e-9) + 1e-12).all()


@every
@pytest.mark.parametrize("epsilon", [1.0, 1e-3])
def test_the_radius_holds_at_the_ends_of_what_is_known(make, epsilon):
    """The longest and the shortest origins of one relative error, which moves all alike."""
    layer = make(epsilon)
    x = values(layer, size=0.5)
    truth = layer.forward(x)
    for sign in (-1.0, 1.0):
        y = truth * (1.0 + sign * 2e-4)
        found = invert(layer, y, 2.0001e-4 * np.abs(truth))
        gap = np.abs(seen(layer, x) - found.x)
        finite = found.radius < 1e50
        assert finite.any()
        assert (gap <= found.radius).all()
        assert (gap[finite] >= 0.3 * found.radius[finite]).all()


@centred
def test_a_large_mean_leaves_values_that_add_up_to_zero(make):
    layer = make(1e-5)
    x = 2e15 + np.round(16.0 * values(layer)) / 4.0
    y = layer.forward(x).reshape(len(x), -1)
    for group in members(layer):
        np.testing.assert_allclose(y[:, group].sum(axis=1), 0.0, atol=1e-14)
    assert not invert(layer, layer.forward(x)).outside.any()


@every
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_values_as_stored_are_inside_though_the_length_is_open(make, dtype):
    layer = make(1e-5)
    x = values(layer, size=1e4)
    stored = layer.forward(x).astype(dtype)
    found = invert(layer, stored, tolerances.half_spacing(stored))
    assert not found.outside.any()
    assert np.isfinite(found.x).all()
    assert (np.abs(seen(layer, x) - found.x) <= found.radius).all()
    again = layer.forward(found.x)
    slack = tolerances.half_spacing(stored) + 1e-13
    assert (np.abs(again - stored) <= slack).all()


def test_on_the_sphere_the_length_is_free_and_counted_once():
    layer = RMSNormalization((2, 4), (-1,), 1e-6)
    y = np.array([[[2.0, 0.0, 0.0, 0.0], [0.1, 0.2, 0.0, 0.3]]])
    found = invert(layer, y, 1e-6 * np.ones_like(y))
    assert found.free_dimensions.tolist() == [1]
    assert found.free[0].reshape(2, 4).tolist() == [[True] * 4, [False] * 4]
    assert not found.unique.any()
    assert found.radius[0, 0, 0] == tolerances.RADIUS_CAP
    # The smallest point within the radius: 1 - r is twice the radius of 1.
    np.testing.assert_allclose(found.x[0, 0, 0], 2.0, rtol=1e-5)


@every
def test_what_is_too_long_is_outside(make):
    layer = make(1e-3)
    x = values(layer)
    y = 1.5 * layer.forward(30.0 * x)
    first = members(layer)[0]
    found = invert(layer, y, 1e-3)
    assert found.proved.all()
    assert (found.outside >= 1).all()
    assert (found.outside <= y[0].size).all()
    assert (found.overshoot > 0.0).all()
    flat = y.reshape(len(y), -1)
    np.testing.assert_array_equal(found.value, flat[np.arange(len(y)), found.unit])
    # The nearest value of the ball lies in the same direction.
    again = layer.forward(found.x).reshape(len(y), -1)[:, first]
    np.testing.assert_allclose(again, flat[:, first] / 1.5, rtol=2e-5, atol=1e-6)
    assert not invert(layer, y, 2.0).proved.any()


@centred
def test_a_mean_that_is_not_zero_is_outside(make):
    layer = make(1e-2)
    y = layer.forward(values(layer)) * 0.5
    shifted = y + 0.1
    found = invert(layer, shifted, 0.09)
    assert found.proved.all()
    np.testing.assert_allclose(found.overshoot, 0.1, rtol=1e-12)
    np.testing.assert_allclose(layer.forward(found.x), y, atol=1e-13)
    inside = invert(layer, shifted, 0.11)
    assert not inside.outside.any()
    np.testing.assert_allclose(layer.forward(inside.x), y, atol=1e-13)


@every
def test_anything_goes_where_nothing_is_known(make):
    layer = make(1e-3)
    y = np.full((2, *layer.input_shape), 7.0)
    y[0] = -1e200
    found = invert(layer, y, np.full(y.shape, np.inf))
    assert not found.outside.any()
    assert np.isfinite(found.x).all()
    assert (found.radius == tolerances.RADIUS_CAP).all()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_smallest_point_that_adds_up_to_zero(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    centre = rng.standard_normal(n)
    centre -= centre.mean()
    radius = rng.uniform(0.01, 1.0, n)
    y = centre + radius * rng.uniform(-1.0, 1.0, n)
    box = Box(y, radius)
    found = box.smallest_centred()
    assert abs(found.sum()) < 1e-13
    assert (np.abs(found - y) <= radius * (1.0 + 1e-13)).all()
    # Least: no other feasible point lies at an acute angle (variational inequality).
    for _ in range(20):
        other = np.clip(centre + 0.3 * rng.standard_normal(n), y - radius, y + radius)
        share, possible = Box(other, radius - np.abs(other - y) + 1e-300).centred()
        if possible.all():
            assert found @ (share - found) >= -1e-12


def test_unit_normalisation_keeps_the_direction():
    layer = UnitNormalization((2, 3), (-1,), 1e-6)
    x = values(layer)
    x[1, 1] = [0.0, 3e-7, 4e-7]
    x[2, 0] = 0.0
    x[3] *= 1e200
    y = layer.forward(x)
    for row in (x[0] / np.ones(1), x[3] / 1e200):
        length = np.sqrt(np.square(row).sum(axis=-1, keepdims=True))
        np.testing.assert_allclose(layer.forward(row[None])[0], row / length, rtol=1e-14)
    np.testing.assert_allclose(y[3], layer.forward(x / 1e200)[3], rtol=1e-14)
    np.testing.assert_allclose(y[1, 1], [0.0, 0.3, 0.4], rtol=1e-14)
    np.testing.assert_array_equal(layer.beyond_floor(x)[:3], [[1, 1], [1, 0], [0, 1]])
    found = invert(layer, y)
    np.testing.assert_allclose(layer.forward(found.x), y, rtol=1e-13, atol=1e-16)
    assert found.free_dimensions[:4].tolist() == [2, 1, 1, 2]
    np.testing.assert_allclose(found.x[1, 1], x[1, 1], rtol=1e-13)
    np.testing.assert_array_equal(found.x[2, 0], 0.0)


def test_unit_values_longer_than_one_are_outside():
    layer = UnitNormalization((3,), (0,), 1e-12)
    y = np.array([[0.0, 0.9, 1.2], [0.0, 0.6, 0.8], [0.0, 0.6, 0.8001]])
    found = invert(layer, y, 1e-6)
    assert found.proved.tolist() == [True, False, True]
    np.testing.assert_allclose(layer.forward(found.x)[0], [0.0, 0.6, 0.8], rtol=1e-14)
    np.testing.assert_allclose(found.overshoot[0], 0.4, rtol=1e-14)
    assert not invert(layer, y, 1e-3).proved[2]
    near = invert(layer, np.array([[0.0, 0.3, 0.4]]), 1e-9)
    np.testing.assert_allclose(near.x, [[0.0, 0.3e-12, 0.4e-12]])
    assert near.unique.all()


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_divisors_above_zero_only(bad):
    with pytest.raises(DataError, match="epsilon"):
        LayerNormalization((3,), (0,), bad)
    with pytest.raises(DataError, match="floor"):
        UnitNormalization((3,), (0,), bad)


def test_axes_and_groups_that_do_not_fit():
    for axes in ((), (0, 0), (0, -2), (2,)):
        with pytest.raises(ShapeError, match="axis"):
            LayerNormalization((3, 4), axes, 1e-3)
    for groups in (0, 3, -1):
        with pytest.raises(ShapeError, match="a divisor of the 4 channels"):
            GroupNormalization((3, 4), groups, -1, 1e-3)


def test_gamma_and_beta_follow_as_a_rescaling():
    gamma, beta = np.arange(1.0, 5.0, dtype=np.float32), np.ones(4, dtype=np.float32)
    x = np.random.default_rng(0).standard_normal((2, 4, 3))
    (layer,) = per_axis_rescaling((4, 3), gamma, beta, (0,))
    np.testing.assert_allclose(layer.forward(x), x * gamma[:, None] + 1.0, rtol=1e-15)
    assert layer.stored_eps == np.finfo(np.float32).eps
    (only,) = per_axis_rescaling((3, 4), gamma, None, (-1,))
    np.testing.assert_array_equal(
        only.forward(x.reshape(2, 3, 4)), x.reshape(2, 3, 4) * gamma
    )
    assert per_axis_rescaling((3, 4), None, None, (1,)) == ()
    with pytest.raises(ShapeError, match="beta"):
        per_axis_rescaling((4, 3), gamma, beta[:3], (0,))


@pytest.mark.parametrize(
    "normal", [LayerNormalization((6,), (0,), 1e-3), GroupNormalization((6,), 2, 0, 1e-3)]
)
def test_the_means_are_solved_for_by_the_layer_before(normal):
    """A tall layer before determines the means: the chain is one-to-one after all."""
    rng = np.random.default_rng(4)
    dense = Dense((3,), ArrayMatrix(rng.standard_normal((6, 3))), rng.standard_normal(6))
    chain = Graph((3,), [Node(dense, "0", "a", "Dense"), Node(normal, "1", "b", "L")])
    x = rng.standard_normal((5, 3))
    y = chain.forward(x)
    found = chain.preimage(y, tolerances.half_spacing(y), Context())
    np.testing.assert_allclose(found.x, x, rtol=1e-10)
    assert found.unique.all()
    assert (np.abs(found.x - x) <= found.radius).all()
