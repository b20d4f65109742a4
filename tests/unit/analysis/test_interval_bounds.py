"""Interval bounds hold every value, computed or exact, and are as tight as they can be."""

import mpmath
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from problems import dense, network
from strategies import LOSING, ONE_TO_ONE, generators, nets

from nninvert.analysis.bounds import interval_bounds
from nninvert.analysis.bounds.box import Box
from nninvert.analysis.bounds.interval import image
from nninvert.analysis.bounds.units import ActivationUnits, SlopeUnits
from nninvert.layers import (
    AffineRun,
    BatchNormalization,
    Identity,
    LogSoftmax,
    Permute,
    PReLU,
    Rescaling,
    Reshape,
    Softmax,
)
from nninvert.layers.activations import ACTIVATIONS, activation_from_text

PARAMETERS = {
    "leaky_relu": (":0.1", ":-0.5", ":0"),
    "hard_sigmoid": (":1/6", ":0.2"),
    "threshold": (":0.5:-2", ":-1:3"),
    "elu": ("", ":-0.7", ":0", ":2.5"),
    "celu": ("", ":0.3"),
    "silu": ("", ":3"),
    "softplus": ("", ":4"),
    "squareplus": ("", ":0.1"),
    "relu": ("", ":0.2", ":0.1:2:0.5"),
    "hard_tanh": ("", ":-0.5:2"),
}
EVERY = [name + text for name in ACTIVATIONS for text in PARAMETERS.get(name, ("",))]


def inside(values, lower, upper):
    """No finite value lies outside."""
    values = np.where(np.isnan(values), lower, values)
    return bool(((values >= lower) & (values <= upper)).all())


def intervals(rng, count=400):
    """Intervals of all widths around places of all sizes, points among them."""
    place = rng.standard_normal(count) * 10.0 ** rng.uniform(-8.0, 3.0, count)
    place[:60] = np.round(place[:60])
    width = np.abs(rng.standard_normal(count)) * 10.0 ** rng.uniform(-9.0, 3.0, count)
    width[::7] = 0.0
    lower, upper = place, place + width
    lower[1::31], upper[2::31] = -np.inf, np.inf
    return lower, upper


def samples(rng, lower, upper, count=40):
    """Points of each interval: its ends, their neighbours, random ones, round ones."""
    low, high = np.maximum(lower, -1e3), np.minimum(upper, 1e3)
    low, high = np.minimum(low, upper), np.maximum(high, lower)
    share = (
        rng.uniform(size=(count, lower.size)) ** rng.choice([0.2, 1.0, 5.0], count)[:, None]
    )
    drawn = low + share * (high - low)
    special = [low, high, np.nextafter(low, np.inf), np.nextafter(high, -np.inf)]
    special += [
        np.full(lower.size, v) for v in (-3.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0)
    ]
    points = np.concatenate([drawn, special])
    return np.clip(points, lower, upper)


@pytest.mark.parametrize("text", EVERY)
def test_activations_stay_inside(text):
    rng = np.random.default_rng(1)
    activation = activation_from_text(text)
    lower, upper = intervals(rng)
    low, high = ActivationUnits(activation).enclose(lower, upper)
    assert (low <= high).all()
    with np.errstate(over="ignore"):
        assert inside(activation.forward(samples(rng, lower, upper)), low, high)


@pytest.mark.parametrize("text", EVERY)
def test_activations_are_enclosed_closely(text):
    rng = np.random.default_rng(2)
    activation = activation_from_text(text)
    lower, upper = intervals(rng)
    kept = np.isfinite(lower) & np.isfinite(upper) & (np.abs(lower) < 50) & (upper < 50)
    lower, upper = lower[kept], upper[kept]
    low, high = ActivationUnits(activation).enclose(lower, upper)
    grid = lower + np.linspace(0.0, 1.0, 4001)[:, None] * (upper - lower)
    values = activation.forward(grid)
    slope = 2.0 + np.abs(activation.derivative(grid)).max(axis=0)
    room = slope * (upper - lower) / 4000 + 1e-12 * (1.0 + np.abs(values).max(axis=0))
    # Only next to a jump may values of the other side be counted in.
    jumps = np.array([b.domain.lower for b in activation.branches[1:]])
    near = np.abs(lower[:, None] - jumps).min(axis=1, initial=np.inf) < 1e-8
    tight = (low >= values.min(axis=0) - room) & (high <= values.max(axis=0) + room)
    assert (tight | near).all()


EXACT = {
    "tanh": mpmath.tanh,
    "sigmoid": lambda z: 1 / (1 + mpmath.exp(-z)),
    "silu": lambda z: z / (1 + mpmath.exp(-z)),
    "gelu": lambda z: z * mpmath.ncdf(z),
    "softplus": lambda z: mpmath.log1p(mpmath.exp(z)),
    "exponential": mpmath.exp,
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_values_stay_inside(name):
    rng = np.random.default_rng(3)
    units = ActivationUnits(activation_from_text(name))
    points = np.concatenate([rng.standard_normal(60) * 10.0 ** rng.uniform(-6, 2, 60)])
    low, high = units.enclose(points, points)
    with mpmath.workdps(60):
        for z, lo, hi in zip(points, low, high, strict=True):
            exact = EXACT[name](mpmath.mpf(float(z)))
            assert mpmath.mpf(float(lo)) <= exact <= mpmath.mpf(float(hi))


def test_slopes_of_units_stay_inside():
    rng = np.random.default_rng(4)
    lower, upper = intervals(rng)
    slope = rng.choice([-0.5, 0.0, 0.3, 2.0], lower.size)
    low, high = SlopeUnits(slope).enclose(lower, upper)
    z = samples(rng, lower, upper)
    assert inside(np.where(z < 0.0, slope * z, z), low, high)


def _normalised(shape, axes):
    rng = np.random.default_rng(8)
    size = tuple(shape[axis] for axis in axes)
    arrays = {name: rng.uniform(0.5, 2.0, size) for name in ("mean", "variance", "gamma")}
    return BatchNormalization(shape, {**arrays, "gamma": -arrays["gamma"]}, 1e-3, axes)


LAYERS = [
    dense(np.random.default_rng(9).standard_normal((3, 5)), np.ones(3)),
    dense(np.random.default_rng(9).standard_normal((4, 3)), shape=(2, 3)),
    _normalised((3, 4), (1,)),
    Rescaling((2, 3), np.array([-2.0, 0.0, 1e6]), np.array([[1.0], [-1.0]])),
    Permute((2, 3), (1, 0)),
    Reshape((2, 3), (6,)),
    Identity((4,)),
    PReLU((2, 3), np.array([0.5, 0.0, -0.5])),
    Softmax((4,), 0),
    Softmax((2, 3), 0),
    LogSoftmax((2, 3), 1),
    AffineRun([dense(np.ones((4, 3)) / 3.0, np.ones(4)), dense(np.eye(4)[:2])]),
]


@pytest.mark.parametrize("layer", LAYERS)
def test_layers_stay_inside(layer):
    rng = np.random.default_rng(5)
    n = int(np.prod(layer.input_shape))
    for width in 10.0 ** rng.uniform(-3.0, 1.0, (5, n)):
        lower = rng.standard_normal(n)
        box = image(layer, Box(lower, lower + width))
        x = samples(rng, lower, lower + width, 60).reshape(-1, *layer.input_shape)
        y = layer.forward(x).reshape(x.shape[0], -1)
        assert inside(y, box.lower, box.upper)
        assert np.isfinite(box.size).all()


@given(net=nets((*ONE_TO_ONE, *LOSING), square=False), rng=generators(), data=st.data())
@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
def test_networks_stay_inside(net, rng, data):
    size = 10.0 ** data.draw(st.integers(-3, 2))
    lower = size * rng.standard_normal(net.n_in)
    upper = lower + size * 10.0 ** rng.uniform(-12.0, 1.0, net.n_in)
    boxes = interval_bounds(net, lower, upper)
    value = samples(rng, lower, upper, 20)
    with np.errstate(over="ignore", invalid="ignore"):
        for segment, before, after in zip(net.segments, boxes[:-1], boxes[1:], strict=True):
            assert inside(value, before.lower, before.upper)
            value = segment.layer.forward(value)
            assert inside(value, after.lower, after.upper)


def test_a_point_is_enclosed_to_rounding():
    rng = np.random.default_rng(6)
    net = network(rng.standard_normal((8, 5)), "tanh", rng.standard_normal((3, 8)))
    x = rng.standard_normal(5)
    box = interval_bounds(net, x, x)[-1]
    assert (box.width < 1e-11).all()


def test_fused_layers_lose_nothing():
    # (x1 + x2, x1 - x2) and back to 2 x1: by parts the width would double.
    run = AffineRun([dense([[1.0, 1.0], [1.0, -1.0]]), dense([[1.0, 1.0]])])
    box = image(run, Box(np.array([0.0, 0.0]), np.array([1.0, 1.0])))
    assert box.lower[0] == pytest.approx(0.0, abs=1e-12)
    assert box.upper[0] == pytest.approx(2.0)


def test_infinite_inputs_leave_finite_what_they_do_not_reach():
    layer = dense([[1.0, 0.0], [1.0, -1.0], [1.0, 1.0]], np.array([0.5, 0.0, 0.0]))
    box = image(layer, Box(np.array([0.0, -np.inf]), np.array([1.0, 2.0])))
    assert box.lower == pytest.approx([0.5, -2.0, -np.inf])
    assert box.upper == pytest.approx([1.5, np.inf, 3.0])


def test_unbounded_inputs_give_the_image_of_the_last_activation():
    net = network(np.ones((2, 2)), "tanh", np.array([[1.0, 0.5]]), "sigmoid")
    box = interval_bounds(net, np.full(2, -np.inf), np.full(2, np.inf))[-1]
    assert box.lower == pytest.approx(1.0 / (1.0 + np.exp(1.5)))
    assert box.upper == pytest.approx(1.0 / (1.0 + np.exp(-1.5)))


@pytest.mark.parametrize("layer", [Softmax((3,), 0), LogSoftmax((2, 3), 1)])
def test_groups_with_infinite_ends(layer):
    rng = np.random.default_rng(7)
    n = int(np.prod(layer.input_shape))
    lower, upper = rng.standard_normal(n), rng.standard_normal(n) + 3.0
    lower[0], upper[1], lower[2] = -np.inf, np.inf, -np.inf
    box = image(layer, Box(lower, upper))
    x = samples(rng, lower, upper, 200).reshape(-1, *layer.input_shape)
    assert inside(layer.forward(x).reshape(x.shape[0], -1), box.lower, box.upper)


def test_overflow_is_infinite():
    net = network(np.array([[1e200]]), np.array([[1e200]]), "linear", "relu")
    box = interval_bounds(net, np.array([-1.0]), np.array([1.0]))[-1]
    assert box.upper[0] == np.inf
    assert box.lower[0] == 0.0
