"""Layers that rearrange numbers."""

import numpy as np
import pytest

from nninvert.errors import ShapeError
from nninvert.layers import Identity, Permute, Reshape
from nninvert.linalg.map import IdentityMap


def test_identity_gives_its_input(rng):
    x = rng.standard_normal((3, 2, 4))
    layer = Identity((2, 4))
    np.testing.assert_array_equal(layer.forward(x), x)
    assert (layer.output_shape, layer.config(), layer.weights()) == ((2, 4), {}, {})


@pytest.mark.parametrize(
    ("target", "shape"), [((6,), (6,)), ((3, 2), (3, 2)), ((-1, 3), (2, 3)), ((-1,), (6,))]
)
def test_reshape_keeps_row_major_order(target, shape, rng):
    x = rng.standard_normal((4, 2, 3))
    layer = Reshape((2, 3), target)
    assert layer.output_shape == shape
    np.testing.assert_array_equal(layer.forward(x), x.reshape(4, *shape))
    assert isinstance(layer.linear_part[0], IdentityMap)
    assert layer.config() == {"target_shape": list(shape)}


@pytest.mark.parametrize(
    "target", [(5,), (-1, -1), (-1, 4), (0, -1), (-2, -3), (7, 1), (0,)]
)
def test_reshape_refuses_what_does_not_fit(target):
    with pytest.raises(ShapeError, match="6 numbers"):
        Reshape((2, 3), target)


def test_permute_moves_axes(rng):
    x = rng.standard_normal((5, 2, 3, 4))
    layer = Permute((2, 3, 4), (2, 0, 1))
    assert layer.output_shape == (4, 2, 3)
    np.testing.assert_array_equal(layer.forward(x), x.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("axes", [(0,), (0, 0), (1, 2), (0, 1, 2)])
def test_permute_refuses_what_is_no_permutation(axes):
    with pytest.raises(ShapeError, match="each of the 2 axes"):
        Permute((2, 3), axes)
