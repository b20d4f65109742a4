"""Every elementwise activation against 50-digit formulas, its branches and inverses."""

import dataclasses
import itertools
import json
import math
from typing import NamedTuple

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mpf

from nninvert.errors import FormatError, InputError, UsageError
from nninvert.layers.activations import (
    ACTIVATIONS,
    ALIASES,
    Interval,
    Trend,
    activation_from_config,
    activation_from_text,
    canonical_name,
    known_activations,
    merge_intervals,
)

INF = math.inf
LARGEST = float(np.finfo(np.float64).max)
LEAST = 5e-324

SELU_SCALE = mpf("1.0507009873554804934193349852946")
SELU_ALPHA = mpf("1.6732632423543772848170429916717")

SILU_MIN = -0.27846454276107380
GELU_MIN = -0.16997120747990362
GELU_TANH_MIN = -0.17004075057125405
MISH_MIN = -0.30884341301725041
SELU_MIN = -1.7580993408473768600


@pytest.fixture(autouse=True)
def no_floating_point_warning():
    with np.errstate(all="raise", under="ignore"):
        yield


class Case(NamedTuple):
    """An activation as text, and what is true of it."""

    text: str
    image: str
    one_to_one: bool = False
    monotone: bool = True
    rounds_argument: bool = False
    """A product inside the formula is rounded: the error is that of a rounded z."""


CASES = [
    Case("linear", "(-inf, inf)", one_to_one=True),
    Case("relu", "[0, inf)"),
    Case("relu:0.1", "(-inf, inf)", one_to_one=True),
    Case("relu:0.2:6", "(-inf, 6]"),
    Case("relu:0:6:1", "[0, 0] (1, 6]"),
    Case("relu:0.3:6:1", "(-inf, 0] (1, 6]"),
    Case("relu:0.3:1:2", "(-inf, 0] [1, 1]"),
    Case("relu:0:1:2", "[0, 0] [1, 1]"),
    Case("relu:0.5:0:2", "(-inf, 0]"),
    Case("relu:0:0", "[0, 0]"),
    Case("relu6", "[0, 6]"),
    Case("leaky_relu:0.2", "(-inf, inf)", one_to_one=True),
    Case("leaky_relu:3", "(-inf, inf)", one_to_one=True),
    Case("leaky_relu:0", "[0, inf)"),
    Case("leaky_relu:-0.5", "[0, inf)", monotone=False),
    Case("elu", "(-1, inf)", one_to_one=True),
    Case("elu:0.7", "(-0.7, inf)", one_to_one=True),
    Case("elu:0", "[0, inf)"),
    Case("elu:-2", "[0, inf)", monotone=False),
    Case("selu", f"({SELU_MIN}, inf)", one_to_one=True),
    Case("celu", "(-1, inf)", one_to_one=True),
    Case("celu:0.3", "(-0.3, inf)", one_to_one=True, rounds_argument=True),
    Case("celu:5", "(-5, inf)", one_to_one=True, rounds_argument=True),
    Case("gelu", f"[{GELU_MIN}, inf)", monotone=False, rounds_argument=True),
    Case("gelu_tanh", f"[{GELU_TANH_MIN}, inf)", monotone=False, rounds_argument=True),
    Case("silu", f"[{SILU_MIN}, inf)", monotone=False),
    Case(
        "silu:1.702",
        f"[{SILU_MIN / 1.702}, inf)",
        monotone=False,
        rounds_argument=True,
    ),
    Case("silu:0.01", f"[{SILU_MIN / 0.01}, inf)", monotone=False, rounds_argument=True),
    Case("hard_silu", "[-0.375, inf)", monotone=False),
    Case("sigmoid", "(0, 1)", one_to_one=True),
    Case("hard_sigmoid:1/6", "[0, 1]", rounds_argument=True),
    Case("hard_sigmoid:0.2", "[0, 1]", rounds_argument=True),
    Case("log_sigmoid", "(-inf, 0)", one_to_one=True),
    Case("tanh", "(-1, 1)", one_to_one=True),
    Case("hard_tanh", "[-1, 1]"),
    Case("hard_tanh:2:3.5", "[2, 3.5]"),
    Case("tanh_shrink", "(-inf, inf)", one_to_one=True),
    Case("softplus", "(0, inf)", one_to_one=True),
    Case("softplus:3", "(0, inf)", one_to_one=True, rounds_argument=True),
    Case("softplus:0.1", "(0, inf)", one_to_one=True, rounds_argument=True),
    Case("softsign", "(-1, 1)", one_to_one=True),
    Case("exponential", "(0, inf)", one_to_one=True),
    Case("mish", f"[{MISH_MIN}, inf)", monotone=False),
    Case("squareplus", "(0, inf)", one_to_one=True),
    Case("squareplus:0.3", "(0, inf)", one_to_one=True),
    Case("soft_shrink", "(-inf, inf)"),
    Case("soft_shrink:0", "(-inf, inf)", one_to_one=True),
    Case("hard_shrink", "(-inf, -0.5) [0, 0] (0.5, inf)"),
    Case("hard_shrink:0", "(-inf, inf)", one_to_one=True),
    Case("threshold:1:20", "(1, inf)", monotone=False),
    Case("threshold:-1:-1", "[-1, inf)"),
    Case("threshold:1:-3", "[-3, -3] (1, inf)"),
    Case("thresholded_relu", "[0, 0] (1, inf)"),
    Case("thresholded_relu:-1", "(-1, inf)", monotone=False),
    Case("sparse_plus", "[0, inf)"),
    Case("sparse_sigmoid", "[0, 1]"),
]

# Infinite in float64 although |z| is finite.
OVERFLOWS = {"exponential", "selu", "leaky_relu:3"}


def intervals_of(text):
    """Read "(0, 1] [2, 2]"."""
    found = []
    for part in text.replace(", ", ",").split():
        lower, upper = (float(end) for end in part[1:-1].split(","))
        found.append(Interval(lower, upper, part[0] == "(", part[-1] == ")"))
    return tuple(found)


def cubic(z):
    return mpmath.sqrt(2 / mpmath.pi) * (z + mpf("0.044715") * z**3)


def logistic(z):
    return 1 / (1 + mpmath.exp(-z))


def log_one_plus_exp(z):
    return mpmath.log1p(mpmath.exp(z)) if z < 0 else z + mpmath.log1p(mpmath.exp(-z))


def relu_exact(z, negative_slope, max_value, threshold):
    if z > threshold:
        return z if max_value is None else min(z, max_value)
    return negative_slope * (z - threshold)


def tanh_shrink_exact(z):
    if abs(z) < 1e-9:
        return z**3 / 3 - 2 * z**5 / 15
    return z - mpmath.tanh(z)


def soft_shrink_exact(z, threshold):
    return mpmath.sign(z) * max(abs(z) - threshold, 0)


def squareplus_exact(z, b):
    root = mpmath.sqrt(z * z + b)
    return b / (2 * (root - z)) if z < 0 else (z + root) / 2


EXACT = {
    "linear": lambda z: z,
    "relu": relu_exact,
    "relu6": lambda z: min(max(z, 0), 6),
    "leaky_relu": lambda z, negative_slope: z if z >= 0 else negative_slope * z,
    "elu": lambda z, alpha: z if z >= 0 else alpha * mpmath.expm1(z),
    "selu": lambda z: SELU_SCALE * (z if z >= 0 else SELU_ALPHA * mpmath.expm1(z)),
    "celu": lambda z, alpha: z if z >= 0 else alpha * mpmath.expm1(z / alpha),
    "gelu": lambda z: z * mpmath.erfc(-z / mpmath.sqrt(2)) / 2,
    "gelu_tanh": lambda z: z * logistic(2 * cubic(z)),
    "silu": lambda z, beta: z * logistic(beta * z),
    "hard_silu": lambda z: z * min(max(z + 3, 0), 6) / 6,
    "sigmoid": logistic,
    "hard_sigmoid": lambda z, slope: min(max(slope * z + mpf("0.5"), 0), 1),
    "log_sigmoid": lambda z: -log_one_plus_exp(-z),
    "tanh": mpmath.tanh,
    "hard_tanh": lambda z, min_value, max_value: min(max(z, min_value), max_value),
    "tanh_shrink": tanh_shrink_exact,
    "softplus": lambda z, beta: log_one_plus_exp(beta * z) / beta,
    "softsign": lambda z: z / (1 + abs(z)),
    "exponential": mpmath.exp,
    "mish": lambda z: z * mpmath.tanh(log_one_plus_exp(z)),
    "squareplus": squareplus_exact,
    "soft_shrink": soft_shrink_exact,
    "hard_shrink": lambda z, threshold: z if abs(z) > threshold else mpf(0),
    "threshold": lambda z, threshold, value: z if z > threshold else value,
    "thresholded_relu": lambda z, theta: z if z > theta else mpf(0),
    "sparse_plus": lambda z: mpf(0) if z <= -1 else z if z >= 1 else (z + 1) ** 2 / 4,
    "sparse_sigmoid": lambda z: min(max((z + 1) / 2, 0), 1),
}


def exact_function(activation):
    parameters = {
        name: None if value is None else mpf(value)
        for name, value in activation.config().items()
        if name != "name"
    }
    formula = EXACT[activation.name]
    return lambda z: mpf(formula(z, **parameters))


def kinks(activation):
    """Finite ends of branches and the places where formulas are joined."""
    ends = {0.0, -1.0, 1.0, -3.0, 3.0}
    for branch in activation.branches:
        ends |= {branch.domain.lower, branch.domain.upper}
    return sorted(end for end in ends if math.isfinite(end))


def samples(activation, count=60):
    """z of all magnitudes up to 800, and around every kink, none on it."""
    rng = np.random.default_rng(7)
    magnitudes = 10.0 ** rng.uniform(-20.0, math.log10(800.0), count)
    parts = [magnitudes, -magnitudes, rng.uniform(-5, 5, count)]
    parts += [10.0 ** rng.uniform(-300, -20, 5), -(10.0 ** rng.uniform(-300, -20, 5))]
    steps = np.array([1e-9, 1e-5, 1e-2, 0.3])
    for end in kinks(activation):
        parts += [end + steps, end - steps]
    z = np.concatenate(parts)
    return z[~np.isin(z, kinks(activation))]


def spacing(values):
    # np.spacing overflows at the largest number; 1e308 has the same spacing.
    return np.maximum(np.spacing(np.minimum(np.abs(values), 1e308)), LEAST)


def steepest(activation, z):
    """The largest |slope| within a rounding of z."""
    nearby = [z, np.nextafter(z, -INF), np.nextafter(z, INF)]
    nearby = [np.clip(n, -LARGEST, LARGEST) for n in nearby]
    with np.errstate(over="ignore"):
        return np.max([np.abs(activation.derivative(n)) for n in nearby], axis=0)


cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.text)


def test_every_activation_has_cases_and_a_formula():
    assert {activation_from_text(case.text).name for case in CASES} == set(ACTIVATIONS)
    assert set(EXACT) == set(ACTIVATIONS)


@cases
def test_forward_against_50_digits(case):
    activation = activation_from_text(case.text)
    exact = exact_function(activation)
    z = samples(activation)
    y, slope = activation.forward(z), steepest(activation, z)
    with mpmath.workdps(50):
        for z_i, y_i, slope_i in zip(z, y, slope, strict=True):
            true = exact(mpf(float(z_i)))
            if not math.isfinite(y_i):
                assert abs(true) > LARGEST
                continue
            unit = spacing(float(true)) + LEAST * max(1.0, abs(z_i))
            if case.rounds_argument:
                unit += slope_i * spacing(z_i)
            assert abs(mpf(float(y_i)) - true) <= 4 * mpf(float(unit)), z_i


@cases
def test_derivative_against_differences(case):
    activation = activation_from_text(case.text)
    exact = exact_function(activation)
    z = samples(activation, count=20)
    z = z[np.abs(z) > 1e-12]
    slope = activation.derivative(z)
    # A saturated function hides slopes as small as 1e-300 behind a leading 1.
    with mpmath.workdps(400):
        for z_i, slope_i in zip(z, slope, strict=True):
            if not math.isfinite(slope_i):
                continue
            at = mpf(float(z_i))
            h = abs(at) * mpf(10) ** -25
            below, here, above = exact(at - h), exact(at), exact(at + h)
            true = (above - below) / (2 * h)
            bend = abs((above - 2 * here + below) / h**2 * at)
            unit = spacing(float(true)) + 2.3e-16 * bend
            floor = 8 * LEAST * max(1.0, z_i**2)
            assert abs(mpf(float(slope_i)) - true) <= 12 * unit + floor, z_i


@pytest.mark.parametrize(
    ("text", "kink", "slope", "value"),
    [
        ("relu", 0.0, 1.0, 0.0),
        ("relu:0.3:6:1", 1.0, 1.0, 0.0),
        ("relu:0.3:6:1", 6.0, 0.0, 6.0),
        ("relu:0.3:1:2", 2.0, 0.0, 0.0),
        ("relu6", 6.0, 0.0, 6.0),
        ("leaky_relu:-0.5", 0.0, 1.0, 0.0),
        ("elu:-2", 0.0, 1.0, 0.0),
        ("selu", 0.0, 1.0507009873554805, 0.0),
        ("hard_silu", -3.0, -0.5, 0.0),
        ("hard_silu", 3.0, 1.0, 3.0),
        ("hard_sigmoid:1/6", -3.0, 1 / 6, 0.0),
        ("hard_sigmoid:1/6", 3.0, 0.0, 1.0),
        ("hard_sigmoid:0.2", 2.5, 0.0, 1.0),
        ("hard_tanh", -1.0, 1.0, -1.0),
        ("hard_tanh", 1.0, 0.0, 1.0),
        ("soft_shrink", 0.5, 1.0, 0.0),
        ("soft_shrink", -0.5, 0.0, 0.0),
        ("hard_shrink", 0.5, 1.0, 0.0),
        ("hard_shrink", -0.5, 0.0, 0.0),
        ("threshold:1:20", 1.0, 1.0, 20.0),
        ("thresholded_relu", 1.0, 1.0, 0.0),
        ("sparse_plus", -1.0, 0.0, 0.0),
        ("sparse_plus", 1.0, 1.0, 1.0),
        ("sparse_sigmoid", -1.0, 0.5, 0.0),
        ("sparse_sigmoid", 1.0, 0.0, 1.0),
    ],
)
def test_at_a_kink_the_slope_is_that_on_the_right(text, kink, slope, value):
    activation = activation_from_text(text)
    assert activation.derivative(np.array([kink]))[0] == pytest.approx(slope)
    assert activation.forward(np.array([kink]))[0] == value


@cases
def test_branches_tile_the_line_and_name_the_image(case):
    activation = activation_from_text(case.text)
    branches = activation.branches
    assert branches[0].domain.lower == -INF
    assert branches[-1].domain.upper == INF
    for left, right in itertools.pairwise(branches):
        assert left.domain.upper == right.domain.lower
        assert left.domain.upper_open != right.domain.lower_open
    assert len(activation.image) == len(intervals_of(case.image))
    for found, expected in zip(activation.image, intervals_of(case.image), strict=True):
        assert found.lower == pytest.approx(expected.lower, rel=2.3e-16)
        assert found.upper == pytest.approx(expected.upper, rel=2.3e-16)
        assert found.lower_open == expected.lower_open
        assert found.upper_open == expected.upper_open
    assert activation.one_to_one == case.one_to_one
    assert activation.monotone == case.monotone
    assert activation.onto == (case.image == "(-inf, inf)")


@cases
def test_branches_are_what_samples_show(case):
    activation = activation_from_text(case.text)
    wide = np.concatenate([samples(activation), [-1e300, 1e300, -LARGEST, LARGEST]])
    for branch in activation.branches:
        upper = min(branch.domain.upper, 8.0)
        lower = max(branch.domain.lower, upper - 16.0)
        z = np.linspace(lower, upper, 203)[1:-1]
        steps = np.sign(np.diff(activation.forward(z)))
        assert set(steps) == {float(branch.trend.value)}
        inside = wide[branch.domain.contains(wide)]
        y = activation.forward(inside)
        slack = 2 * spacing(np.array([branch.image.lower, branch.image.upper]))
        assert (y >= branch.image.lower - slack[0]).all()
        assert (y <= branch.image.upper + slack[1]).all()
        # The ends of the image are approached.
        for end in (branch.image.lower, branch.image.upper):
            if math.isfinite(end):
                assert np.abs(y - end).min() <= 2e-3 * max(1.0, abs(end))
            else:
                assert np.abs(y).max() >= 50.0


@cases
def test_extremes_stay_silent_and_finite(case):
    activation = activation_from_text(case.text)
    z = np.array([0.0, -0.0, LEAST, 1e-300, 1.0, 745.0, 1e10, 1e155, 1e300, LARGEST])
    z = np.concatenate([z, -z])
    y, slope = activation.forward(z), activation.derivative(z)
    assert not np.isnan(y).any()
    assert not np.isnan(slope).any()
    if case.text not in OVERFLOWS:
        assert np.isfinite(y).all()
        assert np.isfinite(slope).all()


numbers = st.one_of(
    st.floats(-40.0, 40.0),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1e-3, 1e-3),
)


@cases
@given(st.data())
@settings(deadline=None, max_examples=40)
def test_inverse_of_forward(case, data):
    activation = activation_from_text(case.text)
    z = np.array(data.draw(st.lists(numbers, min_size=1, max_size=8)))
    for index, branch in enumerate(activation.branches):
        if branch.trend is Trend.CONSTANT:
            continue
        mine = z[branch.domain.contains(z)]
        y = activation.forward(mine)
        sensible = branch.image.contains(y) & np.isfinite(y)
        mine, y = mine[sensible], y[sensible]
        back = activation.branch_inverse(y, index)
        assert np.isfinite(back).all()
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            slope = np.abs(activation.derivative(mine))
            rounding = 4 * (spacing(y) + LEAST * np.maximum(1.0, np.abs(mine)))
            allowed = 16 * spacing(mine) + 2 * rounding / slope
        known = slope > 0.0
        assert (np.abs(back - mine) <= allowed)[known].all()


@st.composite
def values_of(draw, image):
    """Numbers inside an interval, its very ends included."""
    # Not LARGEST: there the rounding of z decides whether forward overflows.
    lower, upper = max(image.lower, -1e308), min(image.upper, 1e308)
    inside = st.floats(
        lower,
        upper,
        exclude_min=image.lower_open and image.lower == lower,
        exclude_max=image.upper_open and image.upper == upper,
    )
    return draw(inside)


@cases
@given(st.data())
@settings(deadline=None, max_examples=40)
def test_forward_of_inverse(case, data):
    activation = activation_from_text(case.text)
    for index, branch in enumerate(activation.branches):
        if branch.trend is Trend.CONSTANT:
            continue
        y = np.array(data.draw(st.lists(values_of(branch.image), max_size=6)))
        untouched = y.copy()
        z = activation.branch_inverse(y, index)
        np.testing.assert_array_equal(y, untouched)
        assert np.isfinite(z).all()
        again = activation.forward(z)
        with np.errstate(over="ignore"):
            moved = steepest(activation, z) * spacing(z)
        allowed = 4 * spacing(y) + 2 * moved + 4 * LEAST * np.maximum(1.0, np.abs(z))
        reachable = np.abs(z) < LARGEST  # Else z would lie beyond float64.
        with np.errstate(invalid="ignore"):
            assert (np.abs(again - y) <= allowed)[reachable].all()
        inner = branch.domain.lower - spacing(branch.domain.lower) <= z
        outer = z <= branch.domain.upper + spacing(branch.domain.upper)
        assert (inner & outer).all()


@cases
@given(st.lists(numbers, min_size=1, max_size=8))
@settings(deadline=None, max_examples=30)
def test_preimage_finds_what_forward_gave(case, z):
    activation = activation_from_text(case.text)
    y = activation.forward(np.array(z))
    inside = np.any([part.contains(y) for part in activation.image], axis=0)
    y = y[inside & np.isfinite(y)]
    found = activation.preimage(y)
    assert np.isfinite(found.z).all()
    flat = np.zeros(y.shape, dtype=bool)
    reached = np.zeros(y.shape, dtype=int)
    for branch in activation.branches:
        here = branch.image.contains(y)
        if branch.trend is Trend.CONSTANT:
            flat |= here
        else:
            reached += here
    np.testing.assert_array_equal(found.flat, flat)
    np.testing.assert_array_equal(found.origins, np.where(flat, 1, reached))
    # Values of flat parts are met exactly.
    np.testing.assert_array_equal(activation.forward(found.z)[flat], y[flat])


@pytest.mark.parametrize(
    ("text", "y", "z", "flat", "origins"),
    [
        ("relu", 0.0, 0.0, True, 1),
        ("relu:0:6:1", 0.0, 0.0, True, 1),
        ("relu:0:1:2", 1.0, math.nextafter(2.0, 3.0), True, 1),
        ("relu6", 6.0, 6.0, True, 1),
        ("hard_tanh:2:3.5", 2.0, 0.0, True, 1),
        ("hard_shrink", 0.0, 0.0, True, 1),
        ("threshold:-2:5", 5.0, -2.0, True, 1),
        ("hard_silu", 0.0, -3.0, True, 1),
        ("leaky_relu:-0.5", 2.0, 2.0, False, 2),
        ("leaky_relu:-0.5", 0.0, 0.0, False, 1),
        ("elu:-2", 3.0, 3.0, False, 1),
        ("silu", SILU_MIN, -1.2784645427610738, False, 1),
        ("silu", 2.0, 2.2177, False, 1),
        ("mish", -1e-3, None, False, 2),
        ("gelu", -1e-3, None, False, 2),
    ],
)
def test_preimage_of_chosen_values(text, y, z, flat, origins):
    found = activation_from_text(text).preimage(np.array([y]))
    assert found.flat[0] == flat
    assert found.origins[0] == origins
    if z is not None:
        assert found.z[0] == pytest.approx(z, abs=1e-4 if text == "silu" else 0.0)


@pytest.mark.parametrize("text", ["silu", "gelu", "gelu_tanh", "mish", "silu:1.702"])
def test_both_origins_near_the_minimum(text):
    activation = activation_from_text(text)
    low = activation.minimum
    assert activation.forward(np.array([low.z]))[0] == pytest.approx(low.y, rel=1e-15)
    exact = exact_function(activation)
    with mpmath.workdps(50):
        slope = mpmath.diff(exact, mpf(low.z))
        bend = mpmath.diff(exact, mpf(low.z), 2)
    assert abs(slope) < 1e-15
    assert low.curvature == pytest.approx(float(bend), rel=1e-15)
    for distance in (1e-2, 1e-3, 1e-5, 1e-7, 1e-10, 1e-13):
        y = np.array([low.y * (1.0 - distance)])
        left = activation.branch_inverse(y, 0)
        right = activation.branch_inverse(y, 1)
        assert left < low.z < right
        for z in (left, right):
            # The attainable error: that of y over the slope.
            off = abs(z[0] - low.z)
            with mpmath.workdps(50):
                miss = abs(exact(mpf(float(z[0]))) - mpf(float(y[0])))
            error = float(miss) / (low.curvature * off)
            assert error <= 4 * (spacing(y) / (low.curvature * off) + spacing(z))
            assert off == pytest.approx(
                math.sqrt(2 * abs(low.y) * distance / low.curvature), rel=0.2
            )


@pytest.mark.parametrize("text", ["silu", "gelu", "gelu_tanh", "mish"])
def test_far_left_tail_down_to_the_least_number(text):
    activation = activation_from_text(text)
    exact = exact_function(activation)
    y = -np.array([1e-5, 1e-50, 1e-200, 1e-307])
    z = activation.branch_inverse(y, 0)
    with mpmath.workdps(50):
        for z_i, y_i in zip(z, y, strict=True):
            at = mpf(float(z_i))
            step = (exact(at) - mpf(float(y_i))) / mpmath.diff(exact, at)
            assert abs(step) <= 4 * spacing(z_i)
    least = activation.branch_inverse(np.array([-LEAST]), 0)
    assert np.isfinite(least[0])
    assert -800.0 < least[0] < z[-1]


@cases
def test_ends_that_are_not_attained(case):
    activation = activation_from_text(case.text)
    for part in activation.image:
        for end, is_open in ((part.lower, part.lower_open), (part.upper, part.upper_open)):
            if math.isinf(end):
                continue
            value = np.array([end])
            assert part.contains(value)[0] != is_open
            beyond = any(other.contains(value)[0] for other in activation.image)
            z = activation.preimage(value).z[0]
            assert math.isfinite(z) == beyond


@cases
def test_project_gives_the_nearest_value(case):
    activation = activation_from_text(case.text)
    y = np.concatenate([np.linspace(-8, 8, 81), [-1e308, 1e308, 1e-300]])
    projected = activation.project(y)
    best = np.full(y.shape, INF)
    for part in activation.image:
        best = np.minimum(best, np.abs(np.clip(y, part.lower, part.upper) - y))
    np.testing.assert_array_equal(np.abs(projected - y), best)
    closure = [(p.lower <= projected) & (projected <= p.upper) for p in activation.image]
    assert np.any(closure, axis=0).all()


@cases
def test_shapes_and_arguments(case):
    activation = activation_from_text(case.text)
    z = np.linspace(-4.0, 4.0, 12).reshape(3, 2, 2)
    untouched = z.copy()
    z.flags.writeable = False
    for method in (activation.forward, activation.derivative):
        for argument in (z, z[:, :0], z[0, 0, 0:1]):
            result = method(argument)
            assert result.shape == argument.shape
            assert result.dtype == np.float64
            assert not np.shares_memory(result, z)
    y = activation.forward(z)
    y.flags.writeable = False
    assert activation.preimage(y).z.shape == y.shape
    assert activation.preimage(y[:, :0]).z.size == 0
    np.testing.assert_array_equal(z, untouched)


@cases
def test_config_round_trip_and_frozen(case):
    activation = activation_from_text(case.text)
    config = json.loads(json.dumps(activation.config(), allow_nan=False))
    assert activation_from_config(config) == activation
    assert hash(activation_from_config(config)) == hash(activation)
    assert ACTIVATIONS[activation.name] is type(activation)
    for name in activation.config():
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(activation, name, 0.25)


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("LeakyReLU", "leaky_relu"),
        ("leaky-relu", "leaky_relu"),
        ("Hardtanh", "hard_tanh"),
        ("Hardswish", "hard_silu"),
        ("hard_swish", "hard_silu"),
        ("swish", "silu"),
        ("SiLU", "silu"),
        ("Identity", "linear"),
        ("LogSigmoid", "log_sigmoid"),
        ("Tanhshrink", "tanh_shrink"),
        ("Softshrink", "soft_shrink"),
        ("GELU", "gelu"),
        ("ReLU6", "relu6"),
        ("ThresholdedReLU", "thresholded_relu"),
        ("softmax", None),
        ("", None),
    ],
)
def test_spellings(spelling, name):
    assert canonical_name(spelling) == name


def test_aliases_lead_to_activations():
    assert known_activations() == sorted(ACTIVATIONS)
    assert set(ALIASES.values()) <= set(ACTIVATIONS)
    for name, kind in ACTIVATIONS.items():
        assert kind.name == name
        assert canonical_name(name) == name
        assert canonical_name(name.upper().replace("_", "")) == name


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("tanh", {"name": "tanh"}),
        ("leaky_relu:0.1", {"name": "leaky_relu", "negative_slope": 0.1}),
        ("HardSigmoid:1/6", {"name": "hard_sigmoid", "slope": 1 / 6}),
        ("swish", {"name": "silu", "beta": 1.0}),
        (
            "relu:0.1:6",
            {"name": "relu", "negative_slope": 0.1, "max_value": 6.0, "threshold": 0.0},
        ),
    ],
)
def test_text(text, config):
    assert activation_from_text(text).config() == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tahn", r"got 'tahn', expected one of celu, .*Did you mean tanh\?"),
        ("hardtan", r"Did you mean hard_tanh\?"),
        ("softmax", r"got 'softmax', expected one of"),
        ("xyzzy", r"thresholded_relu$"),
        ("leaky_relu", r"got 'leaky_relu', expected leaky_relu:negative_slope"),
        ("hard_sigmoid", r"expected hard_sigmoid:slope"),
        ("tanh:1", r"got 'tanh:1', expected tanh$"),
        ("elu:1:2", r"expected elu\[:alpha\]"),
        ("elu:", r"got 'elu:', expected elu\[:alpha\] with numbers"),
        ("elu:one", r"with numbers"),
        ("elu:1/0", r"with numbers"),
        ("elu:nan", r"elu alpha: got nan, expected a finite number"),
        ("elu:1e999", r"elu alpha: got inf"),
        ("celu:0", r"celu alpha: got 0.0, expected a finite number above 0"),
        ("soft_shrink:-1", r"soft_shrink threshold: got -1.0, .* 0 or above"),
        ("hard_tanh:1:1", r"hard_tanh max_value: got 1.0, .* above min_value, 1.0"),
        ("relu:-1", r"relu negative_slope: got -1.0"),
    ],
)
def test_wrong_text(text, message):
    with pytest.raises(UsageError, match=message):
        activation_from_text(text)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, r"activation name: got None, expected one of"),
        ({"name": 3}, r"got 3"),
        ({"name": "tanhh"}, r"Did you mean tanh\?"),
        ({"name": "LeakyReLU"}, r"Did you mean leaky_relu\?"),
        ({"name": "leaky_relu"}, r"got parameters none, expected leaky_relu:negative"),
        ({"name": "tanh", "beta": 1.0}, r"got parameters beta, expected tanh"),
        ({"name": "elu", "alpha": "1"}, r"elu alpha: got '1', expected a finite number"),
        ({"name": "elu", "alpha": True}, r"got True"),
        ({"name": "elu", "alpha": None}, r"got None"),
    ],
)
def test_wrong_config(config, message):
    error = InputError if "alpha" in config else FormatError
    with pytest.raises(error, match=message):
        activation_from_config(config)


def test_parameters_become_floats():
    kept = activation_from_config({"name": "relu", "max_value": np.float32(6)})
    assert type(kept.max_value) is float
    assert type(kept.threshold) is float
    assert kept == activation_from_text("relu:0:6")


def test_interval_ends_at_infinity_are_open():
    everything = Interval(-INF, INF)
    assert everything.lower_open
    assert everything.upper_open
    assert everything.is_everything
    assert str(everything) == "(-inf, inf)"
    assert not everything.contains(np.array([INF, -INF])).any()
    with pytest.raises(ValueError, match="empty interval"):
        Interval(1.0, 0.0)


def test_merge_intervals():
    parts = [
        Interval(2.0, 3.0, lower_open=True),
        Interval(0.0, 1.0, upper_open=True),
        Interval(1.0, 2.0, lower_open=True, upper_open=True),
        Interval(5.0, 5.0),
        Interval(3.0, 4.0, lower_open=True),
    ]
    assert merge_intervals(parts) == (
        Interval(0.0, 1.0, upper_open=True),
        Interval(1.0, 2.0, lower_open=True, upper_open=True),
        Interval(2.0, 4.0, lower_open=True),
        Interval(5.0, 5.0),
    )
