"""What the symbol of a convolution proves holds for its matrix."""

import numpy as np
import pytest

from nninvert.context import Context
from nninvert.layers import Convolution
from nninvert.linalg.convolution_iteration import ConvolutionIteration
from nninvert.linalg.convolution_solve import frequencies_of
from nninvert.linalg.convolution_symbol import extent
from nninvert.linalg.factor import select_factorisation
from nninvert.linalg.windows import Windows
from nninvert.outcome import Kind

# Shape, size of kernel, channels out, share of a unit centre, options.
CASES = {
    "same": ((8, 7, 3), (3, 3), 3, 1.0, {}),
    "no centre": ((8, 7, 3), (3, 3), 3, 0.0, {}),
    "wide": ((7, 6, 4), (3, 2), 2, 0.0, {}),
    "tall": ((7, 6, 2), (2, 3), 5, 0.0, {}),
    "strides": ((8, 6, 2), (3, 3), 8, 0.0, {"strides": 2}),
    "strides that leave inputs over": ((9, 7, 2), (4, 5), 3, 0.0, {"strides": 3}),
    "dilation": ((9, 8, 2), (3, 3), 2, 1.0, {"dilation": 2}),
    "groups": ((7, 7, 4), (3, 3), 4, 0.0, {"groups": 2}),
    "padding wider than needed": ((6, 5, 2), (3, 3), 2, 1.0, {"padding": 2}),
    "valid": ((8, 8, 2), (3, 3), 2, 1.0, {"padding": "valid"}),
    "circular": ((6, 5, 2), (3, 3), 2, 1.0, {"padding_mode": "circular"}),
    "circular, strides left over": (
        (7, 2),
        (3,),
        2,
        1.0,
        {"padding_mode": "circular", "strides": 2},
    ),
    "causal": ((9, 3), (3,), 3, 1.0, {"padding": "causal"}),
    "three axes": ((4, 4, 3, 2), (3, 3, 2), 2, 1.0, {}),
    "first": ((3, 6, 5), (3, 3), 3, 1.0, {"data_format": "channels_first"}),
}


def linear_map(name: str, rng, scale: float = 0.1):
    shape, taps, channels, centre, options = CASES[name]
    before = shape[0] if options.get("data_format") else shape[-1]
    kernel = scale * rng.standard_normal(
        (*taps, before // options.get("groups", 1), channels)
    )
    if centre:
        kernel[tuple(k // 2 for k in taps)] += centre * np.eye(channels)
    options = {"padding": "same", **options}
    return Convolution(shape, kernel, **options).linear_part[0]


@pytest.mark.parametrize("scale", [0.02, 0.1])
@pytest.mark.parametrize("name", CASES)
def test_all_singular_values_lie_between_the_bounds(name, scale, rng):
    convolution = linear_map(name, rng, scale)
    values = np.linalg.svd(convolution.dense(), compute_uv=False)
    found = extent(convolution)
    assert found.largest >= values[0]
    assert found.smallest <= values[-1]


def test_bounds_are_close_where_the_grid_is_large(rng):
    kernel = 0.03 * rng.standard_normal((3, 3, 2, 2))
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    kernel[1, 1] += turn
    convolution = Convolution((24, 24, 2), kernel, padding="same").linear_part[0]
    values = np.linalg.svd(convolution.dense(), compute_uv=False)
    found = extent(convolution)
    assert found.largest == pytest.approx(values[0], rel=0.03)
    assert found.smallest > 0.7 * values[-1]


def test_few_frequencies_bound_all(rng):
    """With four for each degree the bound is at most a half larger, and still one."""
    kernel = rng.standard_normal((5, 5, 150, 150))
    convolution = Convolution((300, 300, 150), kernel, padding="same").linear_part[0]
    dense = np.fft.fft2(kernel, s=(24, 24), axes=(0, 1)).reshape(-1, 150, 150)
    largest = max(np.linalg.norm(matrix, 2) for matrix in dense[::7])
    found = extent(convolution)
    assert largest <= found.largest < 1.6 * largest


@pytest.mark.parametrize("name", ["circular", "same"])
def test_the_symbol_is_the_response_of_waves(name, rng):
    convolution = linear_map(name, rng)
    windows: Windows = convolution.windows
    frequencies = frequencies_of(convolution)
    x = rng.standard_normal((2, convolution.shape[1]))
    y = convolution.apply(x) - frequencies.apply(x)
    grid = np.abs(y).reshape(2, *windows.counts, -1)
    assert grid[:, 1:-1, 1:-1].max() < 1e-13
    assert (grid.max() < 1e-13) == (name == "circular")


def test_without_a_matrix_bounds_are_proved_and_say_so(rng):
    kernel = 0.02 * rng.standard_normal((3, 3, 3, 3))
    kernel[1, 1] += np.eye(3)
    layer = Convolution((31, 30, 3), kernel, padding=((1, 1), (0, 2)))
    convolution = layer.linear_part[0]
    factor = select_factorisation(convolution, Context(memory=1_000_000))
    found = factor.spectrum()
    assert "proved" in found.method
    known = extent(convolution)
    assert known.smallest <= found.smallest <= found.largest <= known.largest


def test_the_rank_that_the_symbol_proves_is_taken(rng):
    convolution = linear_map("same", rng, 0.02)
    known = extent(convolution)
    factor = select_factorisation(convolution, Context())
    unknown = factor.spectrum()
    refined = known.refine(unknown)
    assert refined.rank == convolution.shape[0]
    assert f"at most {known.largest / known.smallest:.2g} (proved)" in refined.method


def test_a_kernel_without_centre_is_not_iterated_on_in_vain(rng):
    """Its condition is bounded from below, and its norm from above."""
    kernel = rng.standard_normal((3, 3, 4, 4))
    convolution = Convolution((40, 40, 4), kernel, padding="same").linear_part[0]
    factor = select_factorisation(convolution, Context(memory=4_000_000))
    assert isinstance(factor, ConvolutionIteration)
    found = factor.spectrum()
    assert found.kind is Kind.LOWER_BOUND
    assert found.rank is None
    assert "largest singular value at most" in found.method
