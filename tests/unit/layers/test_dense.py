"""Dense against numpy, on one and more axes."""

import numpy as np
import pytest

from nninvert.errors import ShapeError
from nninvert.layers import Dense
from nninvert.linalg.stored import ArrayMatrix


def test_a_kernel_enters_as_its_transpose(rng):
    kernel, bias = rng.standard_normal((4, 3)), rng.standard_normal(3)
    layer = Dense.from_config({}, {"kernel": kernel, "bias": bias}, (4,))
    x = rng.standard_normal((5, 4))
    np.testing.assert_allclose(layer.forward(x), x @ kernel + bias, rtol=1e-14)
    np.testing.assert_array_equal(layer.weights()["kernel"].to_float64(), kernel)
    assert (layer.output_shape, layer.config()) == ((3,), {})


def test_leading_axes_are_repeated_over(rng):
    kernel, bias = rng.standard_normal((4, 3)), rng.standard_normal(3)
    layer = Dense((2, 5, 4), ArrayMatrix(kernel.T), bias)
    x = rng.standard_normal((6, 2, 5, 4))
    np.testing.assert_allclose(layer.forward(x), x @ kernel + bias, rtol=1e-13)
    assert layer.output_shape == (2, 5, 3)


def test_float32_weights_are_used_in_float64(rng):
    kernel = rng.standard_normal((3, 3)).astype(np.float32)
    bias = rng.standard_normal(3).astype(np.float32)
    layer = Dense((3,), ArrayMatrix(kernel.T), bias)
    x = rng.standard_normal((2, 3))
    expected = x @ kernel.astype(np.float64) + bias.astype(np.float64)
    np.testing.assert_allclose(layer.forward(x), expected, rtol=1e-15)
    assert layer.weights()["bias"].dtype == np.float32


def test_no_bias(rng):
    layer = Dense((3,), ArrayMatrix(np.eye(3)), None)
    assert set(layer.weights()) == {"kernel"}
    assert layer.linear_part[1] is None
    x = rng.standard_normal((2, 3))
    np.testing.assert_array_equal(layer.forward(x), x)


@pytest.mark.parametrize("shape", [(), (3,), (4, 3)])
def test_inputs_that_do_not_fit_are_refused(shape):
    with pytest.raises(ShapeError, match="kernel for 4 inputs, 2 outputs"):
        Dense(shape, ArrayMatrix(np.ones((2, 4))), None)


def test_a_bias_that_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match=r"bias: got shape \(3,\), expected \(2,\)"):
        Dense((4,), ArrayMatrix(np.ones((2, 4))), np.ones(3))
    with pytest.raises(ShapeError, match="expected a vector"):
        Dense.from_config(
            {}, {"kernel": np.ones((4, 2)), "bias": ArrayMatrix(np.ones((1, 2)))}, (4,)
        )


@pytest.mark.parametrize(("m", "lost", "onto"), [(2, 2, None), (4, 0, None), (6, 0, False)])
def test_facts_follow_from_the_shape(m, lost, onto):
    facts = Dense((4,), ArrayMatrix(np.ones((m, 4))), None).facts
    assert (facts.lost, facts.onto) == (lost, onto)
    assert facts.one_to_one is (False if lost else None)
    assert ("at least 2 directions" in facts.reason) == bool(lost)
