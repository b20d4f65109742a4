"""Least squares and least norm by LU of the square that a matrix makes with itself."""

import numpy as np
import pytest
from problems import with_singular_values

from nninvert.context import Context, Notice
from nninvert.layers import Convolution
from nninvert.linalg.compressed import compressed
from nninvert.linalg.factor import select_factorisation
from nninvert.linalg.gram import factor_by_gram
from nninvert.linalg.sparse import SparseMap
from nninvert.outcome import Kind


def sparse(matrix):
    rows, columns = np.nonzero(matrix)
    parts = {"data": matrix[rows, columns], "row": rows, "col": columns}
    return SparseMap(compressed("coo", parts, matrix.shape))


@pytest.mark.parametrize("condition", [10.0, 1e6])
@pytest.mark.parametrize("shape", [(60, 40), (40, 60)])
def test_solutions_and_values_are_those_of_the_matrix(rng, shape, condition):
    values = np.geomspace(condition, 1.0, 40)
    matrix = with_singular_values(values, shape, rng)
    factor = factor_by_gram(sparse(matrix), Context())
    m, n = shape
    inverse = np.linalg.pinv(matrix)
    y, x = rng.standard_normal((2, 3, m)), rng.standard_normal((2, 3, n))
    # As well as by an orthogonal decomposition: squaring alone would lose 12 digits.
    close = {"rtol": 0.0, "atol": 1e-14 * condition}
    np.testing.assert_allclose(factor.solve(y), y @ inverse.T, **close)
    np.testing.assert_allclose(factor.solve_transposed(x), x @ inverse, **close)
    reached = y @ inverse.T
    np.testing.assert_allclose(factor.solve(reached @ matrix.T), reached, **close)
    found = factor.spectrum()
    assert (factor.rank, factor.nullity) == (40, max(n - 40, 0))
    assert (found.rank, found.rank_stored) == (40, 40)
    assert found.kind is Kind.ESTIMATE
    assert found.condition == pytest.approx(condition, rel=0.05)
    radius = np.abs(rng.standard_normal((2, m)))
    assert (factor.spread(radius) >= radius @ np.abs(inverse).T).all()


@pytest.mark.parametrize("smallest", [0.0, 1e-9])
def test_what_squaring_hides_is_not_claimed(rng, smallest):
    values = np.geomspace(1.0, 0.1, 40)
    values[-1] = smallest
    told = []
    context = Context(listener=told.append)
    assert (
        factor_by_gram(sparse(with_singular_values(values, (60, 40), rng)), context) is None
    )
    assert any(isinstance(e, Notice) and "nearly dependent" in e.text for e in told)


@pytest.mark.parametrize(
    ("size", "channels", "square"), [(19, 9, "A^T A"), (36, 2, "A A^T")]
)
def test_rectangular_convolutions_that_are_not_small(rng, size, channels, square):
    """The rank is known and the condition number is that of the real size."""
    values = rng.standard_normal((3, 3, 5, channels)).astype(np.float32)
    layer = Convolution((size, size, 5), values, padding="valid")
    linear_map = layer.linear_part[0]
    factor = select_factorisation(linear_map, Context())
    assert square in factor.reason
    x = rng.standard_normal((2, linear_map.shape[1]))
    y = linear_map.apply(x)
    np.testing.assert_allclose(linear_map.apply(factor.solve(y)), y, atol=1e-11)
    found = factor.spectrum()
    assert found.rank == min(linear_map.shape)
    matrix = linear_map.dense()
    gram = matrix.T @ matrix if channels > 5 else matrix @ matrix.T
    extreme = np.linalg.eigvalsh(gram)[[0, -1]]
    assert found.condition == pytest.approx(np.sqrt(extreme[1] / extreme[0]), rel=0.05)
