"""What every layer promises, as checks that raise AssertionError: see `CHECKS`.

Each check takes a layer and inputs x of shape (batch, *input_shape) from its domain. The
suite is applied to every kind of layer, and to deliberately wrong ones, which must fail.
"""

import json
import math

import numpy as np

from nninvert import tolerances
from nninvert.context import Context
from nninvert.layers import Graph, Layer, LinearLayer

Float64 = np.ndarray


TOGETHER = (
    "group_normalization",
    "layer_normalization",
    "log_softmax",
    "rms_normalization",
    "softmax",
    "unit_normalization",
)
"""Kinds whose units are outside together, in groups: not one by one."""


def _rng() -> np.random.Generator:
    return np.random.default_rng(7)


def _flat(array: Float64) -> Float64:
    return array.reshape(array.shape[0], -1)


def _exactly(y: Float64) -> Float64:
    """The radius of values known to rounding."""
    return 4.0 * tolerances.EPS64 * np.maximum(np.abs(y), 1e-300)


def shapes(layer: Layer, x: Float64) -> None:
    """(batch, *input_shape) to (batch, *output_shape), float64, the input untouched."""
    kept = x.copy()
    y = layer.forward(x)
    assert y.shape == (x.shape[0], *layer.output_shape)
    assert y.dtype == np.float64
    near = layer.linearize(x)
    near.jvp(x)
    near.vjp(y)
    value, radius = y.copy(), _exactly(y)
    layer.preimage(value, radius, Context())
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(value, y)
    np.testing.assert_array_equal(radius, _exactly(y))


def rows_are_independent(layer: Layer, x: Float64) -> None:
    """Rows alone, in another order, or in a batch give the same."""
    y = layer.forward(x)
    order = _rng().permutation(x.shape[0])
    np.testing.assert_allclose(layer.forward(x[order]), y[order], rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(layer.forward(x[:1]), y[:1], rtol=1e-13, atol=1e-14)
    whole = layer.preimage(y, _exactly(y), Context())
    part = layer.preimage(y[:1], _exactly(y[:1]), Context())
    np.testing.assert_allclose(part.x, whole.x[:1], rtol=1e-11, atol=1e-12)
    assert part.unique[0] == whole.unique[0]


def jvp_is_the_derivative(layer: Layer, x: Float64) -> None:
    """The Taylor remainder of f falls by 4 when the step is halved."""
    dx = _rng().standard_normal(x.shape)
    near = layer.linearize(x)
    np.testing.assert_array_equal(near.y, layer.forward(x))
    slope = near.jvp(dx)
    assert slope.shape == near.y.shape
    steps = 2.0 ** -np.arange(8.0, 15.0)
    remainder = np.array(
        [np.linalg.norm(layer.forward(x + h * dx) - near.y - h * slope) for h in steps]
    )
    rounding = 1e-13 * (1.0 + np.linalg.norm(near.y))
    falling = remainder[:-1] > 2.0**6 * rounding
    ratio = remainder[:-1][falling] / remainder[1:][falling]
    assert (ratio > 3.0).all(), f"remainders {remainder}"
    assert remainder[-1] <= 1e-4 * (1.0 + np.linalg.norm(slope))


def vjp_is_the_transpose(layer: Layer, x: Float64) -> None:
    """<J dx, dy> = <dx, J^T dy>, row by row and over leading axes."""
    rng = _rng()
    near = layer.linearize(x)
    dx = rng.standard_normal((2, *x.shape))
    dy = rng.standard_normal((2, *near.y.shape))
    forward, backward = near.jvp(dx), near.vjp(dy)
    assert (forward.shape, backward.shape) == (dy.shape, dx.shape)
    batch = (2, x.shape[0], -1)
    left = np.sum((forward * dy).reshape(batch), axis=2)
    right = np.sum((dx * backward).reshape(batch), axis=2)
    np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(near.jvp(dx[0]), forward[0], rtol=1e-12, atol=1e-13)


def magnitude_bounds_jvp(layer: Layer, x: Float64) -> None:
    """|J dx| <= magnitude(dx), whatever the signs of dx."""
    rng = _rng()
    near = layer.linearize(x)
    dx = np.abs(rng.standard_normal(x.shape))
    bound = near.magnitude(dx)
    for _ in range(20):
        moved = np.abs(near.jvp(dx * rng.choice([-1.0, 1.0], size=dx.shape)))
        assert (moved <= bound * (1.0 + 1e-12) + 1e-300).all()


def solve_inverts_jvp(layer: Layer, x: Float64) -> None:
    """J solve(J dx) = J dx, unless something is lost between segments."""
    if isinstance(layer, Graph) and layer.facts.one_to_one is False:
        return
    near = layer.linearize(x)
    moved = near.jvp(_rng().standard_normal((2, *x.shape)))
    again = near.jvp(near.solve(moved, Context()))
    np.testing.assert_allclose(again, moved, rtol=1e-9, atol=1e-10)


def preimage_gives_an_origin(layer: Layer, x: Float64) -> None:
    """Values that were just computed lie in the image, and f(preimage) is them."""
    y = layer.forward(x)
    found = layer.preimage(y, _exactly(y), Context())
    assert found.x.shape == found.radius.shape == x.shape
    assert np.isfinite(found.x).all()
    assert (found.radius >= 0.0).all()
    assert (found.radius <= tolerances.RADIUS_CAP).all()
    assert not found.proved.any()
    # A graph that loses something on the way may miss the origin; then it says so.
    kept = found.outside == 0
    assert kept.all() or isinstance(layer, Graph)
    np.testing.assert_array_equal(found.unit[kept], -1)
    np.testing.assert_array_equal(found.overshoot[kept], 0.0)
    assert np.isnan(found.value[kept]).all()
    again = layer.forward(found.x)
    np.testing.assert_allclose(again[kept], y[kept], rtol=1e-9, atol=1e-11)


def radius_contains_the_truth(layer: Layer, x: Float64) -> None:
    """Every origin of every value within the radius lies within the preimage's radius."""
    rng = _rng()
    truth = layer.forward(x)
    for size in (0.0, 1e-12, 1e-6, 1e-2):
        radius = np.maximum(size * rng.uniform(0.1, 1.0, truth.shape), _exactly(truth))
        for _ in range(4):
            y = truth + radius * rng.uniform(-1.0, 1.0, truth.shape)
            found = layer.preimage(y, radius, Context())
            inside = np.abs(x - found.x) <= found.radius * (1.0 + 1e-9)
            sure = found.unique & (found.outside == 0)
            assert _flat(inside)[sure].all(), f"radius {size}"
            assert not found.proved.any()


def outside_is_said(layer: Layer, x: Float64) -> None:
    """Values beyond the image are counted, placed and measured, never silently moved."""
    image = layer.facts.image
    if image is None:
        return
    y = layer.forward(x)
    radius = np.full(y.shape, 1e-3)
    size = _flat(y).shape[1]
    for bound, sign in ((image[-1].upper, 1.0), (image[0].lower, -1.0)):
        if math.isinf(bound):
            continue
        beyond = y.copy()
        unit = size // 2
        _flat(beyond)[:, unit] = bound + sign * 0.25
        found = layer.preimage(beyond, radius, Context())
        assert (found.outside >= 1).all(), "clamped in silence"
        assert (found.overshoot > 0.0).all()
        assert found.proved.all()
        assert np.isfinite(found.x).all()
        named = _flat(beyond)[np.arange(len(beyond)), found.unit]
        np.testing.assert_array_equal(found.value, named)
        if layer.kind in TOGETHER:
            continue
        assert (found.unit == unit).all()
        edge = beyond.copy()
        _flat(edge)[:, unit] = bound + sign * 0.5e-3
        assert not layer.preimage(edge, radius, Context()).proved.any(), "no tolerance"


def facts_agree_with_samples(layer: Layer, x: Float64) -> None:
    """What facts claim for all x holds for these."""
    facts = layer.facts
    y = layer.forward(x)
    found = layer.preimage(y, _exactly(y), Context())
    recovered = np.isclose(_flat(found.x), _flat(x), rtol=1e-6, atol=1e-6).all(axis=1)
    n_in, n_out = _flat(x).shape[1], _flat(y).shape[1]
    if facts.one_to_one is True:
        assert found.unique.all()
        assert recovered.all()
        assert facts.reason == ""
    if facts.one_to_one is False:
        assert not (found.unique & recovered).all()
        assert facts.reason
    if facts.image is not None:
        covered = np.zeros(y.shape, dtype=np.bool_)
        for interval in facts.image:
            covered |= (y >= interval.lower) & (y <= interval.upper)
        assert covered.all()
    any_y = 3.0 * _rng().standard_normal(y.shape)
    reached = layer.forward(layer.preimage(any_y, _exactly(any_y), Context()).x)
    hit = np.isclose(reached, any_y, rtol=1e-6, atol=1e-6).all()
    if facts.onto is True:
        assert hit
    if facts.onto is False:
        assert not hit
    jacobian = layer.linearize(x[:1]).vjp(np.eye(n_out).reshape(n_out, 1, *y.shape[1:]))
    rank = np.linalg.matrix_rank(jacobian.reshape(n_out, n_in))
    assert rank <= n_in - facts.lost


def config_round_trip(layer: Layer, x: Float64) -> None:
    """config() survives JSON, and from_config() gives the same function."""
    config = json.loads(json.dumps(layer.config()))
    again = type(layer).from_config(config, layer.weights(), layer.input_shape)
    np.testing.assert_array_equal(again.forward(x), layer.forward(x))
    assert again.output_shape == layer.output_shape
    assert json.loads(json.dumps(again.config())) == config
    assert set(again.weights()) == set(layer.weights())


def linear_part_is_the_layer(layer: Layer, x: Float64) -> None:
    """A linear layer is its map and its bias."""
    if isinstance(layer, LinearLayer):
        linear_map, bias = layer.linear_part
        expected = linear_map.apply(_flat(x)) + (0.0 if bias is None else bias)
        np.testing.assert_allclose(
            _flat(layer.forward(x)), expected, rtol=1e-12, atol=1e-13
        )
        rounding = layer.product_and_rounding(_flat(x))[1]
        assert (rounding >= tolerances.EPS64 * np.abs(expected) * 0.5).all()


CHECKS = (
    shapes,
    rows_are_independent,
    jvp_is_the_derivative,
    vjp_is_the_transpose,
    magnitude_bounds_jvp,
    solve_inverts_jvp,
    preimage_gives_an_origin,
    radius_contains_the_truth,
    outside_is_said,
    facts_agree_with_samples,
    config_round_trip,
    linear_part_is_the_layer,
)


def failures(layer: Layer, x: Float64) -> set[str]:
    """Names of the checks that a layer does not pass."""
    failed = set()
    for check in CHECKS:
        try:
            check(layer, x)
        except AssertionError:
            failed.add(check.__name__)
    return failed
