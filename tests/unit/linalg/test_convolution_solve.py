"""Convolutions are solved by structure; what is said of them is true of their matrix."""

import functools

import numpy as np
import pytest
from problems import conditioned

from nninvert.context import Context
from nninvert.layers import Convolution
from nninvert.linalg.circulant_iteration import gentle_inverse, look
from nninvert.linalg.convolution import ConvolutionMap, TransposedConvolutionMap
from nninvert.linalg.convolution_symbol import extent
from nninvert.linalg.factor import select_factorisation
from nninvert.outcome import Kind

_random = np.random.default_rng(23)


def kernel(*shape: int) -> np.ndarray:
    return _random.standard_normal(shape)


WINDOWS = "windows that share nothing"
CIRCULAR = "circular"

# Shape, kernel, options, what the reason says.
CASES = {
    "pointwise": ((4, 5, 3), kernel(1, 1, 3, 3), {}, WINDOWS),
    "pointwise, wide": ((4, 5, 3), kernel(1, 1, 3, 2), {}, WINDOWS),
    "pointwise, tall": ((6, 3), kernel(1, 3, 5), {}, WINDOWS),
    "pointwise in groups": ((5, 6), kernel(1, 2, 9), {"groups": 3}, WINDOWS),
    "pointwise, strides": ((5, 4, 3), kernel(1, 1, 3, 4), {"strides": 2}, WINDOWS),
    "patches": ((4, 6, 2), kernel(2, 3, 2, 12), {"strides": (2, 3)}, WINDOWS),
    "patches, wide": ((6, 4, 2), kernel(2, 2, 2, 5), {"strides": 2}, WINDOWS),
    "patches, inputs left over": ((7, 2), kernel(2, 2, 9), {"strides": 3}, WINDOWS),
    "patches, first": (
        (4, 3, 4, 2),
        kernel(2, 2, 2, 2, 6),
        {"strides": 2, "groups": 2, "data_format": "channels_first"},
        WINDOWS,
    ),
    "apart, but for the padding": (
        (3, 2),
        kernel(2, 2, 4),
        {"padding": [(1, 0)], "strides": 2},
        "SVD",
    ),
    "one window": ((3, 2, 2), kernel(3, 2, 2, 7), {}, WINDOWS),
    "circular": (
        (6, 5, 2),
        kernel(3, 3, 2, 2),
        {"padding": (1, 1), "padding_mode": "circular"},
        CIRCULAR,
    ),
    "circular, even": (
        (6, 3),
        kernel(4, 3, 3),
        {"padding": [(1, 2)], "padding_mode": "circular"},
        CIRCULAR,
    ),
    "circular, wide": (
        (5, 3),
        kernel(3, 3, 2),
        {"padding": "same", "padding_mode": "circular"},
        CIRCULAR,
    ),
    "circular, tall": (
        (5, 2),
        kernel(3, 2, 3),
        {"padding": "same", "padding_mode": "circular"},
        CIRCULAR,
    ),
    "circular, strides": (
        (6, 4, 1),
        kernel(3, 3, 1, 4),
        {"padding": "same", "padding_mode": "circular", "strides": 2},
        CIRCULAR,
    ),
    "circular, dilation, groups, first": (
        (4, 5, 6),
        kernel(3, 2, 2, 4),
        {
            "padding": [(2, 2), (0, 1)],
            "padding_mode": "circular",
            "dilation": (2, 1),
            "groups": 2,
            "data_format": "channels_first",
        },
        CIRCULAR,
    ),
    "circular in three dimensions": (
        (3, 4, 2, 2),
        kernel(3, 3, 1, 2, 2),
        {"padding": "same", "padding_mode": "circular"},
        CIRCULAR,
    ),
    "circular, wound twice": (
        (2, 2),
        kernel(4, 2, 2),
        {"padding": [(2, 1)], "padding_mode": "circular"},
        CIRCULAR,
    ),
    "same": ((5, 4, 2), kernel(3, 3, 2, 2), {"padding": "same"}, "LU"),
    "causal": (
        (7, 2),
        0.2 * kernel(3, 2, 2) + np.array([0.0, 0.0, 1.0])[:, None, None] * np.eye(2),
        {"padding": "causal"},
        "LU",
    ),
    "valid": ((6, 5, 2), kernel(3, 3, 2, 3), {}, "SVD"),
}


def maps():
    """The convolutions and their transposes."""
    found = []
    for name, (shape, values, options, reason) in CASES.items():
        linear_map = Convolution(shape, values, **options).linear_part[0]
        found.append(pytest.param(linear_map, reason, id=name))
        turned = TransposedConvolutionMap(linear_map)
        found.append(pytest.param(turned, reason, id=f"transposed {name}"))
    return found


@pytest.mark.parametrize(("linear_map", "reason"), maps())
def test_solutions_and_spectrum_are_those_of_the_matrix(linear_map, reason):
    factor = select_factorisation(linear_map, Context())
    assert reason in factor.reason
    check(factor, linear_map.dense())


def check(factor, matrix):
    """Everything that a factorisation answers, against the dense matrix."""
    m, n = matrix.shape
    inverse = np.linalg.pinv(matrix)
    values = np.linalg.svd(matrix, compute_uv=False)
    assert factor.shape == (m, n)
    assert factor.rank == np.linalg.matrix_rank(matrix)
    y, x = _random.standard_normal((2, 3, m)), _random.standard_normal((2, 3, n))
    close = {"rtol": 1e-9, "atol": 1e-9 * np.abs(inverse).max()}
    np.testing.assert_allclose(factor.solve(y), y @ inverse.T, **close)
    np.testing.assert_allclose(factor.solve_roughly(y), y @ inverse.T, **close)
    np.testing.assert_allclose(factor.solve_transposed(x), x @ inverse, **close)
    assert factor.solve(y[:0]).shape == (0, 3, n)
    found = factor.spectrum()
    assert found.shape == (m, n)
    assert found.kind is Kind.EXACT
    assert found.rank == factor.rank
    assert found.largest == pytest.approx(values[0], rel=1e-12)
    assert found.smallest == pytest.approx(values[-1], rel=1e-9, abs=1e-14 * values[0])
    radius = np.abs(_random.standard_normal((2, m)))
    spread, least = factor.spread(radius), radius @ np.abs(inverse).T
    assert (spread >= least * (1.0 - 1e-12) - 1e-14 * least.max()).all()
    np.testing.assert_allclose(spread, least, **close)


def test_frequencies_that_the_kernel_removes_are_lost():
    """A kernel whose entries sum to zero loses the mean of each channel."""
    values = np.array([1.0, -2.0, 1.0])[:, None, None] * np.eye(2)
    layer = Convolution((8, 2), values, padding="same", padding_mode="circular")
    linear_map = layer.linear_part[0]
    factor = select_factorisation(linear_map, Context())
    assert (factor.rank, factor.nullity) == (14, 2)
    assert not factor.spectrum().full_rank
    check(factor, linear_map.dense())


def test_frequencies_that_only_rounding_keeps_are_lost_too():
    layer = Convolution(
        (9, 1),
        np.array([0.1, -0.3, 0.2]).reshape(3, 1, 1),
        padding="same",
        padding_mode="circular",
    )
    factor = select_factorisation(layer.linear_part[0], Context())
    assert factor.rank == 8
    assert np.abs(factor.solve(np.ones(9))).max() < 1e-9


def test_residuals_are_those_of_rounding_however_ill_conditioned(rng):
    values = 1e-9 * rng.standard_normal((3, 6, 6))
    values[1] += conditioned(6, 1e7, rng)
    layer = Convolution((16, 6), values, padding="same", padding_mode="circular")
    linear_map = layer.linear_part[0]
    factor = select_factorisation(linear_map, Context())
    assert factor.spectrum().condition > 1e6
    x = rng.standard_normal((5, linear_map.shape[1]))
    y = linear_map.apply(x)
    residual = np.abs(linear_map.apply(factor.solve(y)) - y)
    assert (residual <= 4e-15 * linear_map.magnitude(np.abs(x))).all()
    y = linear_map.adjoint(x)
    residual = np.abs(linear_map.adjoint(factor.solve_transposed(y)) - y)
    assert residual.max() <= 1e-14 * linear_map.magnitude_of_adjoint(x).max()


def test_rank_of_weights_as_stored():
    """float32 weights that are singular but for rounding are so in every window."""
    matrix = np.outer([1.0, 3.0], [1.0, 1.0 / 3.0]).astype(np.float32)
    layer = Convolution((5, 4, 2), matrix[None, None])
    found = select_factorisation(layer.linear_part[0], Context()).spectrum()
    assert (found.rank, found.rank_stored) == (40, 20)


@functools.cache
def grown() -> tuple[ConvolutionMap, float]:
    """Too large for dense matrices to be cheap; with its condition number."""
    values = kernel(3, 3, 3, 3) / (3.0 * np.sqrt(3))
    values[1, 1] += 2.0 * np.eye(3)
    linear_map = Convolution((27, 27, 3), values, padding="same").linear_part[0]
    singular = np.linalg.svd(linear_map.dense(), compute_uv=False)
    return linear_map, singular[0] / singular[-1]


@pytest.mark.parametrize("transposed", [False, True])
def test_square_ones_of_middling_size_go_the_way_of_sparse_matrices(transposed):
    linear_map, condition = grown()
    if transposed:
        linear_map = TransposedConvolutionMap(linear_map)
    factor = select_factorisation(linear_map, Context())
    assert "LU" in factor.reason
    check_large(factor, linear_map, condition)


@pytest.mark.parametrize("transposed", [False, True])
def test_iteration_with_the_circular_one_beside(transposed):
    """Where LU does not fit, GMRES converges fast with the circular map's inverse."""
    linear_map, condition = grown()
    if transposed:
        linear_map = TransposedConvolutionMap(linear_map)
    factor = select_factorisation(linear_map, Context(memory=4_000_000))
    assert "GMRES with the circular convolution" in factor.reason
    check_large(factor, linear_map, condition)
    assert factor.last.accurate
    assert factor.last.passes < 80


def check_large(factor, linear_map, condition):
    """Solutions by their residuals; the condition number by the dense matrix."""
    m, n = linear_map.shape
    y, x = _random.standard_normal((2, m)), _random.standard_normal((2, n))
    np.testing.assert_allclose(linear_map.apply(factor.solve(y)), y, atol=1e-12)
    again = linear_map.adjoint(factor.solve_transposed(x))
    np.testing.assert_allclose(again, x, atol=1e-12)
    found = factor.spectrum()
    assert found.kind is Kind.ESTIMATE
    assert found.rank == factor.rank == n
    assert found.condition == pytest.approx(condition, rel=0.05)


def test_zeros_around_a_kernel_without_a_centre_are_no_small_change():
    """The circular inverse is then no help, and that is found out at once."""
    layer = Convolution((30, 30, 4), kernel(3, 3, 4, 4), padding="same")
    linear_map = layer.linear_part[0]
    known = extent(linear_map)
    inverse = gentle_inverse(linear_map, known.largest, Context())
    assert np.isfinite(inverse.response).all()
    outlook = look(linear_map, inverse, Context())
    assert not outlook.worthwhile
    assert outlook.passes_spent < 70
