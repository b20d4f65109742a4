"""Normalisation and scaling against their formulas."""

import numpy as np
import pytest

from nninvert.errors import DataError, ShapeError
from nninvert.layers import BatchNormalization, Normalization, Rescaling
from nninvert.layers.scaling import KERAS_EPSILON, positive_axes


@pytest.fixture
def statistics(rng):
    return {
        "mean": rng.standard_normal(4),
        "variance": rng.uniform(0.5, 2.0, 4),
        "gamma": rng.standard_normal(4),
        "beta": rng.standard_normal(4),
    }


def test_batch_normalization_formula(rng, statistics):
    layer = BatchNormalization((3, 4), statistics, 1e-3, (-1,))
    x = rng.standard_normal((5, 3, 4))
    mean, variance, gamma, beta = statistics.values()
    expected = gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-12, atol=1e-13)
    assert layer.axes == (1,)
    assert layer.output_shape == (3, 4)


def test_batch_normalization_along_the_first_axis(rng, statistics):
    layer = BatchNormalization((4, 3), statistics, 1e-3, (0,))
    x = rng.standard_normal((5, 4, 3))
    mean, variance, gamma, beta = (s[:, None] for s in statistics.values())
    expected = gamma * (x - mean) / np.sqrt(variance + 1e-3) + beta
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-12, atol=1e-13)


def test_scale_and_centre_may_be_missing(rng, statistics):
    del statistics["gamma"], statistics["beta"]
    layer = BatchNormalization((4,), statistics, 0.0, (0,))
    x = rng.standard_normal((5, 4))
    expected = (x - statistics["mean"]) / np.sqrt(statistics["variance"])
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-12)


def test_normalization_and_its_inverse(rng):
    mean, variance = rng.standard_normal(4), rng.uniform(0.5, 2.0, 4)
    x = rng.standard_normal((5, 4))
    there = Normalization((4,), mean, variance, (0,), invert=False)
    back = Normalization((4,), mean, variance, (0,), invert=True)
    y = there.forward(x)
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(back.forward(y), x, rtol=1e-12, atol=1e-14)


def test_constant_inputs_have_the_least_deviation():
    layer = Normalization((1,), np.zeros(1), np.zeros(1), (0,), invert=False)
    assert layer.forward(np.ones((1, 1)))[0, 0] == pytest.approx(1.0 / KERAS_EPSILON)


def test_normalization_with_one_pair_of_numbers(rng):
    layer = Normalization((2, 3), np.array([1.0]), np.array([4.0]), (), invert=False)
    x = rng.standard_normal((4, 2, 3))
    np.testing.assert_allclose(layer.forward(x), (x - 1.0) / 2.0, rtol=1e-13)


def test_rescaling_broadcasts(rng):
    scale, offset = rng.standard_normal(3), rng.standard_normal((2, 1))
    layer = Rescaling((2, 3), scale, offset)
    x = rng.standard_normal((4, 2, 3))
    np.testing.assert_allclose(layer.forward(x), scale * x + offset, rtol=1e-13)


@pytest.mark.parametrize("shape", [(3,), (4, 1), (1, 2, 4), (5,)])
def test_rescaling_refuses_what_does_not_broadcast(shape):
    with pytest.raises(ShapeError, match=r"scale: got shape .*broadcasts to \(2, 4\)"):
        Rescaling((2, 4), np.ones(shape), np.ones(()))


def test_parameters_of_the_wrong_size_are_refused(statistics):
    statistics["gamma"] = np.ones(3)
    with pytest.raises(ShapeError, match=r"gamma: got shape \(3,\), expected \(4,\)"):
        BatchNormalization((4,), statistics, 1e-3, (0,))
    with pytest.raises(ShapeError, match="variance"):
        Normalization((4,), np.ones(4), np.ones(5), (0,), invert=False)


@pytest.mark.parametrize("axes", [(2,), (-3,), (0, 5)])
def test_axes_that_do_not_exist_are_refused(axes, statistics):
    with pytest.raises(ShapeError, match="axis"):
        BatchNormalization((3, 4), statistics, 1e-3, axes)
    with pytest.raises(ShapeError, match="axis"):
        positive_axes(axes, (3, 4))
    assert positive_axes((-1, 0), (3, 4)) == (1, 0)


def test_variances_without_a_root_or_a_reciprocal_are_refused(statistics):
    statistics["variance"] = np.array([1.0, -1.0, 1.0, 1.0])
    with pytest.raises(DataError, match="variance: got -1"):
        BatchNormalization((4,), statistics, 2.0, (0,))
    with pytest.raises(DataError, match="variance: got -1"):
        Normalization((4,), np.zeros(4), statistics["variance"], (0,), invert=False)
    statistics["variance"] = np.zeros(4)
    with pytest.raises(DataError, match="epsilon"):
        BatchNormalization((4,), statistics, 0.0, (0,))


def test_the_map_knows_the_stored_type():
    one = np.ones(1, dtype=np.float32)
    layer = Rescaling((1,), one, np.zeros(1))
    assert layer.linear_part[0].stored_eps == 2.0**-23
