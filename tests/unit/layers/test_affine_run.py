"""Runs of linear layers as one affine map."""

import numpy as np
import pytest
from problems import dense

from nninvert.context import Context
from nninvert.layers import AffineRun, Identity, Permute, Rescaling, Reshape
from nninvert.linalg.factor import factorise
from nninvert.linalg.lu import LuFactor


@pytest.fixture
def run(rng):
    return AffineRun(
        [
            dense(rng.standard_normal((6, 4)), rng.standard_normal(6)),
            Reshape((6,), (2, 3)),
            Permute((2, 3), (1, 0)),
            Rescaling((3, 2), np.array(2.0), np.array(0.5)),
            Reshape((3, 2), (6,)),
            Identity((6,)),
            dense(rng.standard_normal((4, 6))),
        ]
    )


def test_it_is_its_parts_one_after_another(run, rng):
    x = rng.standard_normal((5, 4))
    expected = x
    for part in run.parts:
        expected = part.forward(expected)
    np.testing.assert_array_equal(run.forward(x), expected)
    linear_map, bias = run.linear_part
    np.testing.assert_allclose(linear_map.apply(x) + bias, expected, rtol=1e-12, atol=1e-13)
    assert (run.input_shape, run.output_shape) == ((4,), (4,))


def test_the_product_is_what_is_factored(run):
    assert isinstance(factorise(run.linear_part[0], Context()), LuFactor)


def test_steps_solve_the_product(run, rng):
    near = run.linearize(rng.standard_normal((3, 4)))
    dx = rng.standard_normal((3, 4))
    np.testing.assert_allclose(
        near.solve(near.jvp(dx), Context()), dx, rtol=1e-9, atol=1e-11
    )


def test_no_bias_at_all(rng):
    run = AffineRun([dense(rng.standard_normal((3, 3))), Permute((3,), (0,))])
    assert run.linear_part[1] is None


def test_a_late_bias_is_not_moved(rng):
    bias = rng.standard_normal(3)
    run = AffineRun([dense(np.eye(3)), dense(2.0 * np.eye(3), bias)])
    np.testing.assert_array_equal(run.linear_part[1], bias)


def test_rounding_counts_what_cancels_between_the_parts():
    offset = 1e10
    run = AffineRun(
        [
            Rescaling((1,), np.ones(()), np.array(offset)),
            Rescaling((1,), np.ones(()), np.array(-offset)),
        ]
    )
    x = np.linspace(0.1, 0.9, 50)[:, None]
    lost = np.abs(run.forward(x) - x)
    assert lost.max() > 1e-7
    assert (lost <= run.product_and_rounding(x)[1]).all()
    assert run.product_and_rounding(x)[1].max() < 1e-4


def test_it_is_never_written(run):
    with pytest.raises(TypeError):
        run.config()
    with pytest.raises(TypeError):
        AffineRun.from_config({}, {}, (4,))
