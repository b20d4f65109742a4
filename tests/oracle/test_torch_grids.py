"""Pooling, padding, interpolation, moved blocks and gates against torch in float64."""

import itertools

import numpy as np
import pytest
from frameworks import framework_at_work

from nninvert.layers import (
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    AveragePooling,
    DepthToSpace,
    Gated,
    MaxPooling,
    Padding,
    SpaceToDepth,
    UpSampling,
)
from nninvert.layers.activations import activation_from_text
from nninvert.layers.grid_edges import spatial_widths

pytestmark = pytest.mark.oracle

FIRST = {"data_format": "channels_first"}
ranks = pytest.mark.parametrize("rank", [1, 2, 3])


@pytest.fixture
def functional(torch):
    """torch's functions on numpy arrays."""

    def call(name, x, *args, **options):
        made = getattr(torch.nn.functional, name)
        with framework_at_work(), torch.no_grad():
            return made(torch.from_numpy(x), *args, **options).numpy()

    return call


def _grid(rng, rank):
    return rng.standard_normal((2, 3, *(8, 7, 5)[:rank]))


def _agree(layer, x, expected):
    y = layer.forward(x)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-12)


@ranks
def test_averages(functional, rng, rank):
    x = _grid(rng, rank)
    for k, stride, pad, ceil, padded in itertools.product(
        (2, 3), (1, 2, 3), (0, 1), (False, True), (False, True)
    ):
        layer = AveragePooling(
            x.shape[1:],
            k,
            strides=stride,
            padding=[pad] * rank,
            ceil_mode=ceil,
            count_padding=padded,
            **FIRST,
        )
        _agree(layer, x, functional(f"avg_pool{rank}d", x, k, stride, pad, ceil, padded))


@ranks
def test_maxima(functional, rng, rank):
    x = _grid(rng, rank)
    for k, stride, pad, dilation, ceil in itertools.product(
        (2, 3), (1, 2, 3), (0, 1), (1, 2), (False, True)
    ):
        layer = MaxPooling(
            x.shape[1:],
            k,
            strides=stride,
            padding=[pad] * rank,
            dilation=dilation,
            ceil_mode=ceil,
            **FIRST,
        )
        expected = functional(f"max_pool{rank}d", x, k, stride, pad, dilation, ceil)
        _agree(layer, x, expected)


@ranks
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_windows_of_about_equal_size(functional, rng, rank, count):
    x = _grid(rng, rank)
    for kind, name in ((AdaptiveAveragePooling, "avg"), (AdaptiveMaxPooling, "max")):
        expected = functional(f"adaptive_{name}_pool{rank}d", x, count)
        _agree(kind(x.shape[1:], count, **FIRST), x, expected)


@ranks
@pytest.mark.parametrize("factor", [2, 3])
def test_interpolation(functional, rng, rank, factor):
    x = _grid(rng, rank)
    linear = ("linear", "bilinear", "trilinear")[rank - 1]
    for name, options in (
        ("nearest", {"mode": "nearest"}),
        ("linear", {"mode": linear, "align_corners": False}),
        ("linear_corners", {"mode": linear, "align_corners": True}),
    ):
        layer = UpSampling(x.shape[1:], factor, interpolation=name, **FIRST)
        _agree(layer, x, functional("interpolate", x, scale_factor=factor, **options))


@ranks
@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("zeros", "constant"),
        ("edge", "replicate"),
        ("reflect", "reflect"),
        ("circular", "circular"),
    ],
)
def test_padding(functional, rng, rank, mode, name):
    x = _grid(rng, rank)
    pairs = [(1, 2), (0, 3), (2, 1)][:rank]
    widths = spatial_widths(pairs, x.shape[1:], "channels_first")
    flat = [width for pair in reversed(pairs) for width in pair]
    expected = functional("pad", x, flat, mode=name)
    _agree(Padding(x.shape[1:], widths, mode=mode), x, expected)


def test_moved_blocks(functional, rng):
    x, y = rng.standard_normal((2, 8, 3, 5)), rng.standard_normal((2, 2, 4, 6))
    layer = DepthToSpace(x.shape[1:], 2, "CRD", "channels_first")
    _agree(layer, x, functional("pixel_shuffle", x, 2))
    layer = SpaceToDepth(y.shape[1:], 2, "CRD", "channels_first")
    _agree(layer, y, functional("pixel_unshuffle", y, 2))


@pytest.mark.parametrize("axis", [0, 1])
def test_gates(functional, rng, axis):
    x = rng.standard_normal((2, 6, 4))
    layer = Gated((6, 4), activation_from_text("sigmoid"), axis)
    _agree(layer, x, functional("glu", x, axis + 1))


def test_the_first_of_equals_has_the_slope_in_torch_too(torch):
    x = np.zeros((1, 1, 5, 4))
    layer = MaxPooling((1, 5, 4), 3, strides=2, padding=[1, 1], **FIRST)
    with framework_at_work():
        start = torch.from_numpy(x).requires_grad_()
        torch.nn.functional.max_pool2d(start, 3, 2, 1).sum().backward()
    slope = layer.linearize(x).vjp(np.ones((1, *layer.output_shape)))
    np.testing.assert_array_equal(slope, start.grad.numpy())
