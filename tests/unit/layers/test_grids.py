"""Layers that pad, crop, enlarge, repeat and rearrange grids."""

import itertools

import numpy as np
import pytest

from nninvert.context import Context
from nninvert.errors import ShapeError
from nninvert.layers import (
    Cropping,
    DepthToSpace,
    Padding,
    RepeatVector,
    SpaceToDepth,
    Tile,
    UpSampling,
)
from nninvert.layers.grid_edges import spatial_widths
from nninvert.linalg.factor import factorise

NUMPY_MODES = {
    "zeros": "constant",
    "edge": "edge",
    "reflect": "reflect",
    "symmetric": "symmetric",
    "circular": "wrap",
}


@pytest.mark.parametrize("mode", NUMPY_MODES)
@pytest.mark.parametrize("widths", [[(1, 2), 0, (0, 1)], [(2, 2), (1, 0), 0]])
def test_padding_is_that_of_numpy(mode, widths, rng):
    x = rng.standard_normal((2, 3, 2, 2))
    layer = Padding((3, 2, 2), widths, mode=mode)
    pairs = [(0, 0), *((w, w) if isinstance(w, int) else w for w in widths)]
    expected = np.pad(x, pairs, mode=NUMPY_MODES[mode])
    np.testing.assert_array_equal(layer.forward(x), expected)
    assert (layer.facts.one_to_one, layer.facts.onto) == (True, False)


def test_zeros_may_be_another_value(rng):
    x = rng.standard_normal((2, 2, 3))
    layer = Padding((2, 3), [(1, 0), (0, 2)], value=-7.0)
    expected = np.pad(x, [(0, 0), (1, 0), (0, 2)], constant_values=-7.0)
    np.testing.assert_array_equal(layer.forward(x), expected)
    found = layer.preimage(expected, np.full(expected.shape, 1e-12), Context())
    np.testing.assert_allclose(found.x, x)
    wrong = expected + (np.arange(5) == 4)
    found = layer.preimage(wrong, np.full(expected.shape, 1e-12), Context())
    assert found.proved.all()


def test_padding_refuses():
    for options in (
        {"widths": [1, 1, 1]},
        {"widths": [-1, 0]},
        {"widths": [3, 0], "mode": "reflect"},
        {"widths": [4, 0], "mode": "circular"},
        {"widths": [1, 1], "mode": "mirror"},
        {"widths": [1, 1], "mode": "edge", "value": 1.0},
    ):
        with pytest.raises(ShapeError):
            Padding((3, 4), **options)


def test_cropping_keeps_the_middle(rng):
    x = rng.standard_normal((2, 5, 4, 3))
    layer = Cropping((5, 4, 3), [(1, 2), (0, 1), 0])
    np.testing.assert_array_equal(layer.forward(x), x[:, 1:3, :3])
    reason = "cuts (5, 4, 3) down to (2, 3, 3): 70 % of the numbers are lost"
    assert (layer.facts.reason, layer.facts.lost, layer.facts.onto) == (reason, 42, True)
    with pytest.raises(ShapeError, match="all of it"):
        Cropping((5, 4), [(3, 2), 0])


def test_widths_of_spatial_axes():
    assert spatial_widths([1, (0, 2)], (5, 6, 3), "channels_last") == (
        (1, 1),
        (0, 2),
        (0, 0),
    )
    assert spatial_widths([(1, 0)], (3, 5), "channels_first") == ((0, 0), (1, 0))


def test_nearest_repeats_cells(rng):
    x = rng.standard_normal((2, 3, 2, 2))
    expected = x.repeat(2, axis=1).repeat(3, axis=2)
    np.testing.assert_array_equal(UpSampling((3, 2, 2), (2, 3)).forward(x), expected)
    first = UpSampling((2, 3, 2), (2, 3), data_format="channels_first")
    np.testing.assert_array_equal(
        first.forward(np.moveaxis(x, -1, 1)), np.moveaxis(expected, -1, 1)
    )


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_interpolation_is_that_of_numpy(size, factor, rng):
    """Between the middles of cells, and between first and last ones."""
    x = rng.standard_normal((1, size, 1))
    made = np.arange(size * factor)
    middle = (made + 0.5) / factor - 0.5
    corner = made * (size - 1) / max(size * factor - 1, 1)
    for name, place in (("linear", middle), ("linear_corners", corner)):
        layer = UpSampling((size, 1), factor, interpolation=name)
        expected = np.interp(place, np.arange(size), x[0, :, 0])
        np.testing.assert_allclose(layer.forward(x)[0, :, 0], expected, rtol=1e-12)


def test_upsampling_refuses():
    with pytest.raises(ShapeError, match="cubic"):
        UpSampling((3, 3, 1), 2, interpolation="cubic")
    with pytest.raises(ShapeError, match="factors"):
        UpSampling((3, 3, 1), 0)


def test_repetition(rng):
    x = rng.standard_normal((2, 2, 3))
    np.testing.assert_array_equal(Tile((2, 3), (3, 2)).forward(x), np.tile(x, (1, 3, 2)))
    vector = RepeatVector((2, 3), 4)
    np.testing.assert_array_equal(vector.forward(x), np.stack([x] * 4, axis=1))
    found = vector.preimage(vector.forward(x), np.full((2, 4, 2, 3), 1e-9), Context())
    np.testing.assert_allclose(found.x, x)
    # The mean of four values is known better than each of them, as a bound no worse.
    assert (found.radius <= 1.1e-9).all()
    for wrong in ((2,), (0, 1)):
        with pytest.raises(ShapeError):
            Tile((2, 3), wrong)
    with pytest.raises(ShapeError):
        RepeatVector((3,), 0)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_blocks_become_channels(mode, rng):
    x = rng.standard_normal((1, 4, 6, 3))
    y = SpaceToDepth((4, 6, 3), 2, mode).forward(x)
    for h, w, i, j, c in itertools.product(
        range(2), range(3), range(2), range(2), range(3)
    ):
        place = (2 * i + j) * 3 + c if mode == "DCR" else 4 * c + 2 * i + j
        assert y[0, h, w, place] == x[0, 2 * h + i, 2 * w + j, c]
    back = DepthToSpace((2, 3, 12), 2, mode).forward(y)
    np.testing.assert_array_equal(back, x)
    first = SpaceToDepth((3, 4, 6), 2, mode, "channels_first")
    np.testing.assert_array_equal(
        first.forward(np.moveaxis(x, -1, 1)), np.moveaxis(y, -1, 1)
    )
    found = first.preimage(np.moveaxis(y, -1, 1), np.zeros((1, 12, 2, 3)), Context())
    assert found.unique.all()
    np.testing.assert_array_equal(found.x, np.moveaxis(x, -1, 1))


def test_blocks_that_do_not_fit_are_refused():
    for make in (
        lambda: SpaceToDepth((4, 5, 1), 2),
        lambda: SpaceToDepth((4, 1), 2),
        lambda: SpaceToDepth((4, 4, 1), 0),
        lambda: DepthToSpace((4, 4, 6), 2),
        lambda: DepthToSpace((4, 4, 4), 2, "RCD"),
    ):
        with pytest.raises(ShapeError):
            make()


def test_real_sizes_are_solved_by_structure(rng):
    """No matrix of these could be held: 150,000 by 600,000 numbers."""
    shape = (224, 224, 3)
    for layer in (
        Padding(shape, [3, 3, 0], mode="reflect"),
        Cropping(shape, [(16, 16), (8, 24), 0]),
        UpSampling(shape, 2),
        UpSampling((112, 112, 3), 2, interpolation="linear"),
        SpaceToDepth(shape, 4),
    ):
        factor = factorise(layer.linear_part[0], Context())
        spectrum = factor.spectrum()
        assert factor.rank == spectrum.rank == min(factor.shape)
        x = rng.standard_normal((1, *layer.input_shape))
        y = layer.forward(x)
        found = layer.preimage(y, 1e-14 * np.abs(y), Context())
        np.testing.assert_allclose(layer.forward(found.x), y, rtol=1e-9, atol=1e-10)
        if layer.facts.lost == 0:
            np.testing.assert_allclose(found.x, x, rtol=1e-9, atol=1e-9)
