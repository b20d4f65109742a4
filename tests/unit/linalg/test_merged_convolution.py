"""Scales and paddings beside a convolution become part of it, and nothing else does."""

import numpy as np
import pytest

from nninvert.context import Context
from nninvert.layers import (
    AffineRun,
    BatchNormalization,
    Convolution,
    Padding,
    Permute,
    Rescaling,
    TransposedConvolution,
)
from nninvert.linalg.convolution import ConvolutionMap, TransposedConvolutionMap
from nninvert.linalg.factor import select_factorisation
from nninvert.linalg.merged_convolution import merged

_random = np.random.default_rng(5)


def normalisation(shape, axis=-1, scale=1.0):
    """With a scale of its own for each channel."""
    size = shape[axis]
    arrays = {
        "mean": _random.standard_normal(size),
        "variance": _random.uniform(0.5, 2.0, size),
        "gamma": scale * _random.uniform(0.5, 2.0, size),
    }
    return BatchNormalization(shape, arrays, 1e-3, (axis,))


def convolution(shape, *kernel, **options):
    return Convolution(shape, _random.standard_normal(kernel).astype(np.float32), **options)


def after(layer, kind, *arguments, **options):
    return kind(layer.output_shape, *arguments, **options)


def runs():
    conv = convolution((5, 4, 2), 3, 3, 2, 3, strides=2)
    yield "after", [conv, after(conv, normalisation)]
    yield "before", [normalisation((5, 4, 2)), conv]
    first = convolution((4, 6, 5), 3, 2, 2, 6, groups=2, data_format="channels_first")
    yield (
        "groups, first",
        [
            normalisation((4, 6, 5), 0),
            first,
            after(first, normalisation, 0),
        ],
    )
    behind = TransposedConvolution(
        (3, 3, 2), _random.standard_normal((2, 2, 3, 2)), strides=2
    )
    yield "transposed", [normalisation((3, 3, 2)), behind, after(behind, normalisation)]
    edges = Padding((3, 4, 2), ((1, 2), (0, 1), (0, 0)))
    yield "padding", [edges, after(edges, convolution, 3, 2, 2, 2)]
    yield (
        "padding twice",
        [
            normalisation((3, 4, 2)),
            edges,
            after(edges, convolution, 3, 2, 2, 2, padding="same", strides=2),
        ],
    )


@pytest.mark.parametrize("layers", [pytest.param(r, id=name) for name, r in runs()])
def test_one_convolution_is_left(layers):
    run = AffineRun(layers).linear_part[0]
    one = merged(run)
    assert isinstance(one, ConvolutionMap | TransposedConvolutionMap)
    matrix = run.dense()
    np.testing.assert_allclose(one.dense(), matrix, rtol=1e-14, atol=1e-15)
    factor = select_factorisation(run, Context())
    y = _random.standard_normal((2, run.shape[0]))
    inverse = np.linalg.pinv(matrix)
    np.testing.assert_allclose(factor.solve(y), y @ inverse.T, rtol=1e-9, atol=1e-9)
    assert factor.rank == np.linalg.matrix_rank(matrix)


def test_the_coarsest_type_is_remembered():
    conv = convolution((4, 2), 3, 2, 2)
    one = merged(AffineRun([conv, after(conv, normalisation)]).linear_part[0])
    assert one.kernel.dtype == np.float64
    assert one.stored_eps == np.finfo(np.float32).eps


def test_structure_survives():
    conv = convolution((4, 4, 3), 1, 1, 3, 3)
    run = AffineRun([conv, after(conv, normalisation)]).linear_part[0]
    factor = select_factorisation(run, Context())
    assert "windows that share nothing" in factor.reason
    found = factor.spectrum()
    values = np.linalg.svd(run.dense(), compute_uv=False)
    assert found.condition == pytest.approx(values[0] / values[-1], rel=1e-10)


def kept():
    conv = convolution((4, 4, 2), 3, 3, 2, 2, padding="same")
    scale = np.array([1.0, 1e-9])
    yield "uneven", [conv, after(conv, Rescaling, scale, np.zeros(2))]
    place = _random.uniform(1.0, 2.0, (4, 4, 1))
    yield (
        "another scale at each place",
        [
            conv,
            after(conv, Rescaling, place, np.zeros(1)),
        ],
    )
    edges = Padding((4, 4, 2), ((1, 1), (1, 1), (0, 0)), mode="edge")
    yield "repeated edge", [edges, after(edges, convolution, 3, 3, 2, 2)]
    edges = Padding((4, 4, 2), ((1, 1), (0, 0), (0, 0)), mode="circular")
    yield (
        "circular and zeros",
        [
            edges,
            after(edges, convolution, 3, 3, 2, 2, padding=[(0, 0), (1, 1)]),
        ],
    )
    edges = Padding((4, 4, 2), ((1, 1), (1, 1), (0, 0)))
    circular = after(
        edges, convolution, 3, 3, 2, 2, padding="same", padding_mode="circular"
    )
    yield "circular", [edges, circular]
    yield "axes", [Permute((4, 4, 2), (1, 0, 2)), conv]


@pytest.mark.parametrize("layers", [pytest.param(r, id=name) for name, r in kept()])
def test_others_stay_apart(layers):
    run = AffineRun(layers).linear_part[0]
    assert merged(run) is None
    factor = select_factorisation(run, Context())
    y = run.apply(_random.standard_normal((2, run.shape[1])))
    np.testing.assert_allclose(run.apply(factor.solve(y)), y, rtol=1e-9, atol=1e-9)


def test_a_scale_that_hides_a_channel_loses_none():
    conv = convolution((4, 4, 2), 1, 1, 2, 2)
    layers = [conv, after(conv, Rescaling, np.array([1.0, 1e-30]), np.zeros(2))]
    factor = select_factorisation(AffineRun(layers).linear_part[0], Context())
    assert factor.nullity == 0
