"""Linear maps: one contract for all kinds, then what is special about some."""

import numpy as np
import pytest

from nninvert import tolerances
from nninvert.linalg.map import (
    ComposedMap,
    DenseMap,
    DiagonalMap,
    IdentityMap,
    PermutationMap,
    RepeatedMap,
    compose,
)
from nninvert.linalg.stored import ArrayMatrix


def dense_map(shape, seed=0, dtype=np.float64):
    values = np.random.default_rng(seed).standard_normal(shape)
    return DenseMap(ArrayMatrix(values.astype(dtype)))


MAPS = {
    "identity": lambda: IdentityMap(4),
    "permutation": lambda: PermutationMap(np.array([2, 0, 3, 1])),
    "diagonal": lambda: DiagonalMap(np.array([2.0, -1.0, 0.0, 1e-3])),
    "square": lambda: dense_map((4, 4)),
    "tall": lambda: dense_map((5, 3)),
    "wide": lambda: dense_map((3, 5)),
    "float16": lambda: dense_map((3, 5), dtype=np.float16),
    "repeated": lambda: RepeatedMap(dense_map((2, 3)), 3),
    "composed": lambda: ComposedMap([dense_map((6, 4), 1), dense_map((4, 6), 2)]),
    "composed repeats": lambda: ComposedMap(
        [RepeatedMap(dense_map((2, 3)), 2), PermutationMap(np.array([3, 1, 0, 2]))]
    ),
}


@pytest.fixture(params=MAPS)
def linear_map(request):
    return MAPS[request.param]()


def matrix_of(linear_map):
    """Column by column from `apply`, independent of `dense`."""
    return linear_map.apply(np.eye(linear_map.shape[1])).T


def test_shape_is_outputs_by_inputs(linear_map):
    assert matrix_of(linear_map).shape == linear_map.shape


def test_apply_is_linear_and_takes_leading_axes(linear_map, rng):
    x = rng.standard_normal((2, 3, linear_map.shape[1]))
    kept = x.copy()
    y = linear_map.apply(x)
    np.testing.assert_allclose(y, x @ matrix_of(linear_map).T, atol=1e-14)
    np.testing.assert_array_equal(x, kept)


def test_adjoint_is_the_transpose(linear_map, rng):
    x = rng.standard_normal((7, linear_map.shape[1]))
    y = rng.standard_normal((7, linear_map.shape[0]))
    left = np.sum(linear_map.apply(x) * y, axis=1)
    np.testing.assert_allclose(left, np.sum(x * linear_map.adjoint(y), axis=1), atol=1e-13)
    lead = rng.standard_normal((2, 3, linear_map.shape[0]))
    assert linear_map.adjoint(lead).shape == (2, 3, linear_map.shape[1])


def test_dense_is_the_matrix(linear_map):
    np.testing.assert_allclose(linear_map.dense(), matrix_of(linear_map), atol=1e-14)


def test_magnitude_is_not_less_than_any_image(linear_map, rng):
    x = rng.standard_normal((50, linear_map.shape[1]))
    bound = linear_map.magnitude(x)
    assert (np.abs(linear_map.apply(x)) <= bound * (1 + 1e-14)).all()


def test_magnitude_of_the_last_part_is_the_sum_of_sizes(rng):
    for part in (dense_map((3, 5)), DiagonalMap(np.array([2.0, -3.0])), IdentityMap(2)):
        x = rng.standard_normal((4, part.shape[1]))
        expected = np.abs(x) @ np.abs(part.dense()).T
        np.testing.assert_allclose(part.magnitude(x), expected)


def test_keys_tell_maps_apart():
    keys = [make().key for make in MAPS.values()]
    assert len(set(keys)) == len(keys)
    made = dense_map((4, 4))
    assert DenseMap(made.matrix).key == made.key != DenseMap(made.matrix.transposed).key


@pytest.fixture
def streamed_weights(monkeypatch):
    """No copies are kept and stripes have few lines."""
    monkeypatch.setattr(tolerances, "SMALL_WEIGHTS", 0)
    monkeypatch.setattr(tolerances, "STRIPE_BYTES", 2 * 8 * 3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("by_columns", [False, True])
def test_streamed_products_are_those_of_the_whole(rng, streamed_weights, dtype, by_columns):
    """Two lines at a time, of which the last has no partner."""
    values = rng.standard_normal((5, 3)).astype(dtype)
    stored = ArrayMatrix(values).transposed if by_columns else ArrayMatrix(values)
    whole, weights = stored.to_float64().copy(), DenseMap(stored)
    m, n = weights.shape
    x, y = rng.standard_normal((2, 3, n)), rng.standard_normal((2, 3, m))
    np.testing.assert_allclose(weights.apply(x), x @ whole.T, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(weights.adjoint(y), y @ whole, rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(weights.dense(), whole)
    terms = np.abs(x) @ np.abs(whole).T
    precise = 1e-14 if dtype == np.float64 else 1e-6
    np.testing.assert_allclose(weights.magnitude(x), terms, rtol=precise)
    both = weights.apply_with_magnitude(x)
    np.testing.assert_array_equal(both[0], weights.apply(x))
    np.testing.assert_allclose(both[1], terms, rtol=precise)


def test_both_products_take_one_pass(rng, streamed_weights, monkeypatch):
    passes = []
    stripes = ArrayMatrix.stripes

    def counted(self, nbytes=None):
        passes.append(self)
        return stripes(self, nbytes)

    monkeypatch.setattr(ArrayMatrix, "stripes", counted)
    block = dense_map((4, 4), dtype=np.float32)
    y, terms = RepeatedMap(block, 3).apply_with_magnitude(rng.standard_normal((2, 12)))
    assert y.shape == terms.shape == (2, 12)
    assert passes == [block.matrix]


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_magnitudes_of_any_size(streamed_weights, size):
    """Neither the inputs nor the sums need to fit into float32."""
    most = float(np.finfo(np.float32).max)
    matrix = ArrayMatrix(np.array([[most, -most, most], [1.0, 0.0, 0.5]], np.float32))
    x = size * np.array([[1.0, -1.0, 0.5], [0.0, 0.0, 0.0], [1e-3, 1e3, 1.0]])
    expected = np.abs(x) @ np.abs(matrix.to_float64()).T
    weights = DenseMap(matrix)
    np.testing.assert_allclose(weights.magnitude(x), expected, rtol=1e-6)
    np.testing.assert_allclose(weights.apply_with_magnitude(x)[1], expected, rtol=1e-6)


def test_integer_weights_of_the_least_value_have_a_size():
    """abs(int8(-128)) is -128 in int8."""
    weights = DenseMap(ArrayMatrix(np.array([[-128, 1]], dtype=np.int8)))
    np.testing.assert_array_equal(weights.magnitude(np.ones((1, 2))), [[129.0]])


def test_stored_eps_is_that_of_the_coarsest_part():
    eps16, eps32 = (float(np.finfo(t).eps) for t in (np.float16, np.float32))
    coarse, fine = dense_map((3, 3), dtype=np.float16), dense_map((3, 3))
    assert ComposedMap([fine, coarse]).stored_eps == eps16
    assert RepeatedMap(coarse, 2).stored_eps == eps16
    assert DiagonalMap(np.ones(2), eps32).stored_eps == eps32
    assert fine.stored_eps == IdentityMap(2).stored_eps == tolerances.EPS64


def test_compose_leaves_identities_out():
    part = dense_map((4, 4))
    assert compose([IdentityMap(4), part, IdentityMap(4)]) is part
    assert isinstance(compose([IdentityMap(4), IdentityMap(4)]), IdentityMap)
    assert compose([part, IdentityMap(4), part]).parts == (part, part)
