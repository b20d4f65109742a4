"""Lines and relaxations hold every value, and tighten what intervals say."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from problems import dense, network
from strategies import LOSING, ONE_TO_ONE, generators, nets

from nninvert.analysis.bounds import (
    interval_bounds,
    pre_activation_bounds,
    ranges,
    relax,
)
from nninvert.analysis.bounds.box import Box
from nninvert.analysis.bounds.lines import lines
from nninvert.analysis.bounds.relaxation import AffineStep, lower_bounds
from nninvert.analysis.bounds.units import ActivationUnits, SlopeUnits
from nninvert.context import Context
from nninvert.layers import Gated, MaxPooling, PReLU, Reshape, Softmax
from nninvert.layers.activations import ACTIVATIONS, activation_from_text

PARAMETERS = {
    "leaky_relu": (":0.1", ":-0.5"),
    "hard_sigmoid": (":1/6",),
    "threshold": (":0.5:-2", ":-1:3"),
    "elu": ("", ":-0.7", ":2.5"),
    "celu": ("", ":0.3"),
    "silu": ("", ":3"),
    "softplus": ("", ":4"),
    "squareplus": ("", ":0.1"),
    "relu": ("", ":0.2", ":0.1:2:0.5"),
}
EVERY = [name + text for name in ACTIVATIONS for text in PARAMETERS.get(name, ("",))]


def intervals(rng, count=300):
    lower = rng.standard_normal(count) * 10.0 ** rng.uniform(-4.0, 1.5, count)
    lower[:40] = np.round(lower[:40])
    return lower, lower + 10.0 ** rng.uniform(-8.0, 2.0, count)


def gaps(units, lower, upper, at=0.5):
    """The lines, points between, values there, and both lines there."""
    found = lines(units, lower, upper, at)
    share = np.concatenate([np.linspace(0.0, 1.0, 501), np.geomspace(1e-12, 1.0, 50)])
    z = np.clip(lower + share[:, None] * (upper - lower), lower, upper)
    below = found.lower_slope * z + found.lower_offset
    above = found.upper_slope * z + found.upper_offset
    return z, below, above


@pytest.mark.parametrize("text", EVERY)
@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_lines_hold_the_function(text, at):
    activation = activation_from_text(text)
    lower, upper = intervals(np.random.default_rng(1))
    z, below, above = gaps(ActivationUnits(activation), lower, upper, at)
    y = activation.forward(z)
    rounding = 8.0 * np.finfo(float).eps * (np.abs(y) + np.abs(below - y))
    assert (below <= y + rounding).all()
    assert (y <= above + rounding).all()


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "silu", "gelu", "softplus", "elu"])
def test_lines_of_smooth_functions_close_quadratically(name):
    units = ActivationUnits(activation_from_text(name))
    lower = np.linspace(-4.0, 4.0, 41)
    for width in (1e-1, 1e-2, 1e-3):
        _, below, above = gaps(units, lower, lower + width)
        assert (above - below).max() < 1.1 * width**2


def test_lines_of_relu_are_the_known_ones():
    units = ActivationUnits(activation_from_text("relu"))
    found = lines(units, np.array([-2.0, -1.0, 1.0, -3.0]), np.array([1.0, 2.0, 2.0, -1.0]))
    assert found.upper_slope == pytest.approx([1.0 / 3.0, 2.0 / 3.0, 1.0, 0.0])
    assert found.upper_offset == pytest.approx([2.0 / 3.0, 2.0 / 3.0, 0.0, 0.0], abs=1e-9)
    assert found.lower_slope == pytest.approx([0.0, 1.0, 1.0, 0.0])
    assert found.lower_offset == pytest.approx([0.0] * 4, abs=1e-9)


def test_lines_of_wide_sigmoids_are_close_to_the_hull():
    # Over [-8, 8] the hull touches tanh and passes through the far end.
    units = ActivationUnits(activation_from_text("tanh"))
    z, below, above = gaps(units, np.array([-8.0]), np.array([8.0]))
    assert (above - below).max() < 2.3
    assert above[np.abs(z).argmin()][0] < 1.1


def test_lines_of_slopes_hold_the_function():
    rng = np.random.default_rng(2)
    lower, upper = intervals(rng, 700)
    slope = rng.choice([-0.5, 0.0, 0.3, 2.0], 700)
    z, below, above = gaps(SlopeUnits(slope), lower, upper)
    y = np.where(z < 0.0, slope * z, z)
    rounding = 8.0 * np.finfo(float).eps * (np.abs(y) + np.abs(below - y))
    assert (below <= y + rounding).all()
    assert (y <= above + rounding).all()


def test_lines_over_infinite_intervals_are_flat():
    units = ActivationUnits(activation_from_text("relu"))
    found = lines(units, np.array([-np.inf, -1.0]), np.array([2.0, np.inf]))
    assert found.upper_slope.tolist() == [0.0, 0.0]
    assert found.upper_offset == pytest.approx([2.0, np.inf])
    assert found.lower_offset == pytest.approx([0.0, 0.0])


def values_within(net, rng, lower, upper, rows=60):
    """Values entering each segment and the outputs, for inputs of a box."""
    x = lower + rng.uniform(size=(rows, lower.size)) * (upper - lower)
    x = np.concatenate([x, np.where(rng.uniform(size=x.shape) < 0.5, lower, upper)])
    found = [np.clip(x, lower, upper)]
    for segment in net.segments:
        shaped = found[-1].reshape(-1, *segment.layer.input_shape)
        found.append(segment.layer.forward(shaped).reshape(len(x), -1))
    return found


@given(net=nets((*ONE_TO_ONE, *LOSING), square=False), rng=generators(), data=st.data())
@settings(deadline=None, max_examples=100, suppress_health_check=list(HealthCheck))
def test_relaxations_hold_every_value(net, rng, data):
    size = 10.0 ** data.draw(st.integers(-3, 1))
    lower = size * rng.standard_normal(net.n_in)
    upper = lower + size * 10.0 ** rng.uniform(-12.0, 1.0, net.n_in)
    with np.errstate(over="ignore", invalid="ignore"):
        found = relax(net, lower, upper, Context())
        values = values_within(net, rng, lower, upper)
        for box, value in zip(found.boxes, values, strict=True):
            value = np.where(np.isnan(value), box.lower, value)
            assert (value >= box.lower).all()
            assert (value <= box.upper).all()
        mixed = rng.standard_normal((3, net.n_out))
        box = ranges(mixed, found.steps, found.boxes)
        value = values[-1] @ mixed.T
        rounding = 1e-14 * (np.abs(values[-1]) @ np.abs(mixed.T))
        assert not (value < box.lower - rounding).any()
        assert not (value > box.upper + rounding).any()


def exact_least(coefficients, matrices, lower, upper):
    """The least of a product of matrices with the numbers of a box, as fractions."""
    row = [Fraction(c) for c in coefficients]
    for matrix in reversed(matrices):
        row = [sum(r * Fraction(a) for r, a in zip(row, c, strict=True)) for c in matrix.T]
    ends = zip(row, lower, upper, strict=True)
    return sum(w * Fraction(lo if w > 0 else hi) for w, lo, hi in ends)


@pytest.mark.parametrize("seed", range(20))
def test_rounding_is_paid_for(seed):
    rng = np.random.default_rng(seed)
    # Each map nearly undoes the one before, so that its rounding is all that is left.
    matrix = rng.standard_normal((6, 6))
    matrices = [matrix, np.linalg.inv(matrix)]
    zero = np.zeros(6)
    steps = [AffineStep(m, zero, zero) for m in matrices]
    lower = rng.standard_normal(6) * 1e3
    inner = matrix @ lower
    boxes = [Box(lower, lower), Box(inner - 1e-6, inner + 1e-6)]
    found = lower_bounds(np.eye(6), steps, boxes)
    terms = np.abs(matrices[1]) @ np.abs(matrix) @ np.abs(lower)
    for row, least, size in zip(np.eye(6), found, terms, strict=True):
        exact = exact_least(row, matrices, lower, lower)
        assert Fraction(float(least)) <= exact
        assert float(exact) - least < 500 * np.finfo(float).eps * size


@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "gelu", "leaky_relu:0.1"])
def test_relaxations_are_tighter_than_intervals(name):
    rng = np.random.default_rng(3)
    parts = []
    for m, n in ((20, 4), (20, 20), (20, 20), (3, 20)):
        parts += [
            dense(rng.standard_normal((m, n)) / np.sqrt(n), rng.standard_normal(m)),
            name,
        ]
    net = network(*parts[:-1])
    lower, upper = np.full(4, -0.2), np.full(4, 0.2)
    plain = interval_bounds(net, lower, upper)[-1]
    tight = relax(net, lower, upper, Context()).outputs
    assert (tight.lower >= plain.lower).all()
    assert (tight.upper <= plain.upper).all()
    assert tight.width.mean() < 0.5 * plain.width.mean()


def test_differences_of_outputs_are_tighter_than_outputs():
    # Both outputs move together, so that their difference hardly moves.
    net = network(np.array([[1.0]]), "tanh", np.array([[1.0], [1.01]]))
    found = relax(net, np.array([-1.0]), np.array([1.0]), Context())
    box = ranges(np.array([[1.0, -1.0]]), found.steps, found.boxes)
    assert box.upper[0] - box.lower[0] < 0.1


def test_open_inputs_use_the_ranges_of_activations():
    rng = np.random.default_rng(4)
    net = network(
        rng.standard_normal((6, 3)),
        "tanh",
        rng.standard_normal((6, 6)),
        "tanh",
        np.ones((1, 6)),
    )
    open_ends = np.full(3, np.inf)
    found = relax(net, -open_ends, open_ends, Context())
    assert np.isfinite(found.boxes[3].size).all()
    assert found.outputs.upper[0] <= 6.1


@pytest.mark.parametrize(
    "last", [Softmax((3,), 0), PReLU((3,), np.array([0.1, 0.0, -1.0]))]
)
def test_other_layers_take_part(last):
    rng = np.random.default_rng(5)
    net = network(rng.standard_normal((4, 2)), "tanh", rng.standard_normal((3, 4)), last)
    lower, upper = np.full(2, -0.1), np.full(2, 0.3)
    found = relax(net, lower, upper, Context())
    values = values_within(net, rng, lower, upper)
    assert (values[-1] >= found.outputs.lower).all()
    assert (values[-1] <= found.outputs.upper).all()


def test_bounds_before_each_segment_are_handed_out():
    net = network(np.array([[2.0]]), "relu", np.array([[1.0]]))
    found = pre_activation_bounds(net, np.array([-1.0]), np.array([3.0]), Context())
    assert [(b.round(9).tolist(), t.round(9).tolist()) for b, t in found] == [
        ([-1.0], [3.0]),
        ([-2.0], [6.0]),
        ([0.0], [6.0]),
    ]


def test_a_layer_that_changes_the_size_takes_all_of_its_bounds():
    net = network(
        Reshape((4,), (4, 1)), MaxPooling((4, 1), 2), Reshape((2, 1), (2,)), -np.eye(2)
    )
    lower, upper = np.array([-1.0, 0.0, 2.0, 1.0]), np.array([3.0, 1.0, 5.0, 7.0])
    outputs = relax(net, lower, upper, Context()).outputs
    np.testing.assert_allclose(outputs.lower, [-3.0, -7.0], atol=1e-12)
    np.testing.assert_allclose(outputs.upper, [0.0, -2.0], atol=1e-12)
    for x in (lower, upper):
        assert (net.forward(x[None]) >= outputs.lower).all()
        assert (net.forward(x[None]) <= outputs.upper).all()


@pytest.mark.parametrize("wide", [False, True])
def test_layers_of_which_only_bounds_are_known_may_change_the_size(wide, rng):
    net = network(
        rng.standard_normal((8, 3)),
        Reshape((8,), (8, 1)),
        MaxPooling((8, 1), 2),
        Reshape((4, 1), (4,)),
        rng.standard_normal((4, 4)),
        Gated((4,), activation_from_text("sigmoid")),
        rng.standard_normal((2, 2)),
    )
    lower, upper = np.full(3, -1.0), np.full(3, np.inf if wide else 1.0)
    found = relax(net, lower, upper, Context())
    assert len(found.steps) == len(net.segments)
    x = rng.uniform(-1.0, 9.0 if wide else 1.0, size=(200, 3))
    for box, segment in zip(found.boxes, net.segments, strict=False):
        flat = x.reshape(len(x), -1)
        assert ((flat >= box.lower) & (flat <= box.upper)).all()
        x = segment.layer.forward(x)
    assert ((x >= found.outputs.lower) & (x <= found.outputs.upper)).all()
    middle = found.boxes[2]
    assert np.isfinite(middle.lower).all() == (not wide)


def test_a_relaxation_that_time_ended_bounds_by_intervals(rng):
    net = network(rng.standard_normal((5, 3)), "tanh", rng.standard_normal((2, 5)))
    lower, upper = np.full(3, -1.0), np.full(3, 1.0)
    context = Context()
    context.interrupt()
    found = relax(net, lower, upper, context)
    assert found.steps == ()
    directions = rng.standard_normal((20, 2))
    least = found.lower_bounds(directions)
    y = net.forward(rng.uniform(-1.0, 1.0, (500, 3)))
    assert (least[:, None] <= directions @ y.T).all()
    assert np.isfinite(least).all()
    # With all steps they are closer.
    whole = relax(net, lower, upper, Context()).lower_bounds(directions)
    assert (whole >= least).all()
    assert (whole > least).any()
