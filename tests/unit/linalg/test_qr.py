"""QR of rectangular matrices: least squares, minimum norm, rank."""

import numpy as np
import pytest
from problems import with_singular_values

from nninvert.linalg.map import ComposedMap, DenseMap, DiagonalMap
from nninvert.linalg.qr import factor_qr
from nninvert.linalg.stored import ArrayMatrix
from nninvert.outcome import Kind

SHAPES = [(50, 30), (30, 50), (400, 390)]


def matrix_of(shape, smallest=0.01):
    generator = np.random.default_rng(1)
    values = np.geomspace(3.0, smallest, min(shape))
    return with_singular_values(values, shape, generator)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("shape", SHAPES)
def test_solutions_are_those_of_the_pseudo_inverse(shape, order):
    a = np.array(matrix_of(shape), order=order)
    factor = factor_qr(DenseMap(ArrayMatrix(a)))
    inverse = np.linalg.pinv(a)
    generator = np.random.default_rng(2)
    y, x = generator.standard_normal((2, 3, shape[0])), generator.standard_normal(shape[1])
    np.testing.assert_allclose(factor.solve(y), y @ inverse.T, atol=1e-10)
    np.testing.assert_allclose(factor.solve_transposed(x), x @ inverse, atol=1e-10)
    assert factor.rank == min(shape)
    assert factor.nbytes >= 8 * a.size


@pytest.mark.parametrize("shape", SHAPES)
def test_spectrum_is_that_of_the_matrix(shape):
    found = factor_qr(DenseMap(ArrayMatrix(matrix_of(shape)))).spectrum()
    assert found.shape == shape
    assert found.largest == pytest.approx(3.0, rel=0.05)
    assert found.smallest == pytest.approx(0.01, rel=0.05)
    assert found.rank == min(shape)
    assert found.kind is Kind.ESTIMATE


@pytest.mark.parametrize("shape", SHAPES)
def test_spread_bounds_what_errors_do(shape):
    a = matrix_of(shape)
    factor = factor_qr(DenseMap(ArrayMatrix(a)))
    radius = np.random.default_rng(3).uniform(0.0, 1e-3, shape[0])
    largest = np.abs(np.linalg.pinv(a)) @ radius
    bound = factor.spread(radius)
    assert bound.shape == (shape[1],)
    assert np.all(bound >= largest)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_matrix_of_lower_rank_has_no_factor(shape):
    a = matrix_of(shape)
    a[:, 3], a[4] = a[:, 2], a[1]
    assert factor_qr(DenseMap(ArrayMatrix(a))) is None


def test_the_stored_matrix_stays_what_it_is():
    a = matrix_of((30, 20))
    kept = a.copy()
    factor_qr(DenseMap(ArrayMatrix(a)))
    np.testing.assert_array_equal(a, kept)


def test_other_maps_are_made_dense():
    a = matrix_of((30, 20))
    scale = DiagonalMap(np.linspace(1, 2, 20))
    factor = factor_qr(ComposedMap([scale, DenseMap(ArrayMatrix(a))]))
    y = np.random.default_rng(2).standard_normal((2, 30))
    inverse = np.linalg.pinv(a * scale.diagonal)
    np.testing.assert_allclose(factor.solve(y), y @ inverse.T, atol=1e-11)
