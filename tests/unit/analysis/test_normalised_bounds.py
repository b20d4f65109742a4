"""Bounds behind normalisations hold every value, and are reached where nothing is lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nninvert.analysis.bounds.box import Box
from nninvert.analysis.bounds.interval import image
from nninvert.layers import (
    GroupNormalization,
    LayerNormalization,
    RMSNormalization,
    UnitNormalization,
)

LAYERS = [
    RMSNormalization((4,), (0,), 1e-3),
    RMSNormalization((3, 2), (0,), 1e-6),
    LayerNormalization((4,), (0,), 1e-3),
    LayerNormalization((3, 1), (-1,), 1e-3),
    GroupNormalization((2, 4), 2, -1, 1e-5),
    UnitNormalization((4,), (0,), 1e-6),
]


@pytest.mark.parametrize("layer", LAYERS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), power=st.sampled_from([-8.0, 0.0, 3.0, 8.0]))
def test_every_value_lies_inside(layer, seed, power):
    rng = np.random.default_rng(seed)
    n = int(np.prod(layer.input_shape))
    middle = rng.standard_normal(n) + rng.choice([0.0, 10.0**power])
    reach = np.abs(rng.standard_normal(n)) * rng.choice([0.0, 1e-6, 1.0, 10.0**power])
    box = Box(middle - reach, middle + reach)
    found = image(layer, box)
    share = rng.uniform(size=(200, n))
    share[:100] = np.round(share[:100])
    x = np.clip(middle + reach * (2.0 * share - 1.0), box.lower, box.upper)
    y = layer.forward(x.reshape(-1, *layer.input_shape)).reshape(200, n)
    assert (y >= found.lower).all()
    assert (y <= found.upper).all()


def test_rms_bounds_are_attained():
    layer = RMSNormalization((3,), (0,), 0.1)
    box = Box(np.array([-1.0, 0.5, -3.0]), np.array([2.0, 1.0, -2.0]))
    found = image(layer, box)
    corners = np.array(
        [[2.0, 0.5, -2.0], [-1.0, 0.5, -2.0], [0.0, 1.0, -2.0], [0.0, 0.5, -3.0]]
    )
    y = layer.forward(corners)
    np.testing.assert_allclose(found.upper[:2], [y[0, 0], y[2, 1]], rtol=1e-12)
    np.testing.assert_allclose(found.lower[[0, 2]], [y[1, 0], y[3, 2]], rtol=1e-12)


@pytest.mark.parametrize("layer", LAYERS)
def test_open_ends_leave_the_range(layer):
    n = int(np.prod(layer.input_shape))
    with np.errstate(all="raise", under="ignore"):
        found = image(layer, Box.everything(n))
        half = image(layer, Box(np.full(n, -1e200), np.full(n, np.inf)))
        above = image(layer, Box(np.full(n, 1.0), np.full(n, np.inf)))
    size = layer.groups.size
    for box in (found, half, above):
        assert (box.upper <= np.sqrt(size) * (1.0 + 1e-12)).all()
        assert (box.lower >= -np.sqrt(size) * (1.0 + 1e-12)).all()
    x = np.abs(np.random.default_rng(1).standard_normal((50, *layer.input_shape))) + 1.0
    y = layer.forward(x * 10.0 ** np.arange(50).reshape(-1, *([1] * (x.ndim - 1))))
    flat = y.reshape(50, n)
    for box in (found, half, above):
        assert ((flat >= box.lower) & (flat <= box.upper)).all()
