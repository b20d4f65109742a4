"""Maps known up to constants: the projection and the factorisation that solves for them."""

import numpy as np
import pytest

from nninvert.context import Context
from nninvert.linalg.centring import CentringMap
from nninvert.linalg.factor import factorise
from nninvert.linalg.map import DenseMap, compose
from nninvert.linalg.stored import ArrayMatrix

GROUPS = [((6,), 0), ((2, 3), 1), ((2, 3), 0), ((1, 6), 1), ((6, 1), 1)]
groups = pytest.mark.parametrize(("shape", "axis"), GROUPS)


def projected(matrix, shape, axis):
    """P A and its factorisation."""
    linear_map = compose([DenseMap(ArrayMatrix(matrix)), CentringMap(shape, (axis,))])
    return linear_map, factorise(linear_map, Context())


@groups
def test_it_is_the_projection_off_the_constants(shape, axis, rng):
    centring = CentringMap(shape, (axis,))
    matrix, constants = centring.dense(), centring.constants
    np.testing.assert_allclose(matrix @ matrix, matrix, atol=1e-15)
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_allclose(matrix @ constants.T, 0.0, atol=1e-15)
    assert np.linalg.matrix_rank(matrix) == 6 - len(constants)
    x = rng.standard_normal((4, 6))
    np.testing.assert_allclose(centring.apply(x), x @ matrix.T, atol=1e-15)
    assert (np.abs(centring.apply(x)) <= centring.magnitude(x)).all()
    means = x.reshape(4, *shape).mean(axis=axis + 1, keepdims=True)
    expected = (x.reshape(4, *shape) - means).reshape(4, 6)
    np.testing.assert_allclose(centring.apply(x), expected, atol=1e-15)
    assert centring.key != CentringMap((3, 2), (0,)).key


def matrices(n, rng):
    """Of full rank, of rank 1, and with the constant of all units in its range."""
    yield rng.standard_normal((6, n))
    yield np.outer(np.arange(1.0, 7.0), rng.standard_normal(n))
    yield np.hstack([rng.standard_normal((6, n - 1)), np.ones((6, 1))])


@groups
@pytest.mark.parametrize("n", [3, 5, 6, 8, 12])
def test_solutions_are_those_of_the_pseudo_inverse(shape, axis, n, rng):
    for a in matrices(n, rng):
        linear_map, factor = projected(a, shape, axis)
        dense = linear_map.dense()
        inverse = np.linalg.pinv(dense, rcond=1e-10)
        y, x = rng.standard_normal((4, 6)), rng.standard_normal((4, n))
        assert factor.rank == np.linalg.matrix_rank(dense)
        np.testing.assert_allclose(factor.solve(y), y @ inverse.T, atol=1e-10)
        np.testing.assert_allclose(factor.solve_roughly(y), y @ inverse.T, atol=1e-10)
        np.testing.assert_allclose(factor.solve_transposed(x), x @ inverse, atol=1e-10)
        radius = np.abs(y)
        bound = factor.spread(radius) * (1.0 + 1e-12) + 1e-12
        for _ in range(20):
            moved = radius * rng.choice([-1.0, 1.0], radius.shape)
            assert (np.abs(factor.solve(moved)) <= bound).all()
        values = np.linalg.svd(dense, compute_uv=False)
        assert factor.spectrum().largest == pytest.approx(values[0])
        assert factor.spectrum().rank == factor.rank


def test_constants_that_are_hardly_determined_count_as_free(rng):
    a = rng.standard_normal((6, 4))
    for off, free in ((1e-2, False), (1e-6, True)):
        a[:, 0] = 1.0 + off * np.arange(6)
        _, factor = projected(a, (6,), 0)
        assert factor.nullity == int(free)


def test_the_choice_explains_itself(rng):
    assert projected(rng.standard_normal((6, 6)), (6,), 0)[1].reason == (
        "LU, values up to a constant"
    )
