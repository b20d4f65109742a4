"""Factorisations: which one is chosen, what it solves, what it bounds."""

import numpy as np
import pytest
from hypothesis import given
from problems import conditioned, with_singular_values
from strategies import matrices

from nninvert import tolerances
from nninvert.context import Context
from nninvert.linalg.block_diagonal import BlockDiagonalFactor, BlockDiagonalMap
from nninvert.linalg.compressed import compressed
from nninvert.linalg.factor import factorise, select_factorisation
from nninvert.linalg.isometry import SurroundedFactor
from nninvert.linalg.kronecker import KroneckerFactor, KroneckerMap
from nninvert.linalg.lu import LuFactor
from nninvert.linalg.map import (
    ComposedMap,
    DenseMap,
    DiagonalMap,
    IdentityMap,
    LinearMap,
    PermutationMap,
    RepeatedMap,
)
from nninvert.linalg.orthogonal import gathering
from nninvert.linalg.sparse import SparseMap
from nninvert.linalg.stored import ArrayMatrix
from nninvert.linalg.structured import (
    ChainFactor,
    DiagonalFactor,
    PermutationFactor,
    RepeatedFactor,
)
from nninvert.linalg.svd import SvdFactor
from nninvert.outcome import Kind


def dense_map(matrix):
    return DenseMap(ArrayMatrix(np.asarray(matrix)))


def random_map(shape, seed=0):
    return dense_map(np.random.default_rng(seed).standard_normal(shape))


def averages(count: int, last: int = 2) -> LinearMap:
    """Means of two entries each, and of `last` ones at the end."""
    places = np.arange(2 * count + last - 2)
    rows = np.minimum(places // 2, count - 1)
    weights = np.where(rows == count - 1, 1.0 / last, 0.5)
    parts = {"data": weights, "row": rows, "col": places}
    return SparseMap(compressed("coo", parts, (count, places.size)))


def copies(count: int) -> LinearMap:
    """Each of two entries several times."""
    return gathering(np.arange(2).repeat(count)[:, None], np.ones(()), 2)


CASES = {
    "identity": (lambda: IdentityMap(3), PermutationFactor),
    "permutation": (lambda: PermutationMap(np.array([2, 0, 1])), PermutationFactor),
    "diagonal": (lambda: DiagonalMap(np.array([2.0, -1e-9, 5.0])), DiagonalFactor),
    "diagonal with zero": (lambda: DiagonalMap(np.array([2.0, 0.0, 5.0])), DiagonalFactor),
    "square": (lambda: random_map((4, 4)), LuFactor),
    "tall": (lambda: random_map((5, 3)), SvdFactor),
    "wide": (lambda: random_map((3, 5)), SvdFactor),
    "singular": (lambda: dense_map(np.outer([1.0, 2, 3], [1.0, 1, 0])), SvdFactor),
    "zero": (lambda: dense_map(np.zeros((3, 3))), SvdFactor),
    "zero row": (lambda: dense_map(np.diag([1.0, 0.0, 1.0])), SvdFactor),
    "repeated": (lambda: RepeatedMap(random_map((2, 2)), 3), RepeatedFactor),
    "repeated tall": (lambda: RepeatedMap(random_map((3, 2)), 2), RepeatedFactor),
    "chain": (
        lambda: ComposedMap([random_map((3, 3)), DiagonalMap(np.array([1.0, 2.0, -1.0]))]),
        ChainFactor,
    ),
    "wide and permuted": (
        lambda: ComposedMap([random_map((3, 4)), PermutationMap(np.array([2, 0, 1]))]),
        SurroundedFactor,
    ),
    "square between averages and copies": (
        lambda: ComposedMap(
            [
                KroneckerMap([averages(2), IdentityMap(2)]),
                random_map((4, 4)),
                KroneckerMap([IdentityMap(2), copies(2)]),
            ]
        ),
        SurroundedFactor,
    ),
    "uneven averages first": (
        lambda: ComposedMap([KroneckerMap([averages(2, 3)]), random_map((2, 2))]),
        SvdFactor,
    ),
    "averages": (lambda: KroneckerMap([averages(3), IdentityMap(2)]), KroneckerFactor),
    "averages beside copies": (
        lambda: KroneckerMap([averages(3), copies(2)]),
        KroneckerFactor,
    ),
    "different blocks": (
        lambda: BlockDiagonalMap([random_map((2, 3), 1), random_map((2, 3), 2)]),
        BlockDiagonalFactor,
    ),
    "32 to 64 to 32": (
        lambda: ComposedMap([random_map((64, 32), 1), random_map((32, 64), 2)]),
        LuFactor,
    ),
    "32 to 16 to 32": (
        lambda: ComposedMap([random_map((16, 32), 1), random_map((32, 16), 2)]),
        SvdFactor,
    ),
    "chain with a singular part": (
        lambda: ComposedMap([random_map((3, 3)), DiagonalMap(np.array([1.0, 0.0, 1.0]))]),
        SvdFactor,
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    make, kind = CASES[request.param]
    linear_map = make()
    return linear_map, kind, select_factorisation(linear_map, Context())


def test_choice_and_its_reason(case):
    linear_map, kind, factor = case
    assert type(factor) is kind
    assert factor.shape == linear_map.shape
    assert factor.reason


def test_rank_nullity_and_onto(case):
    linear_map, _, factor = case
    matrix = linear_map.dense()
    rank = np.linalg.matrix_rank(matrix)
    assert factor.rank == rank
    assert factor.nullity == matrix.shape[1] - rank
    assert factor.onto == (rank == matrix.shape[0])


def test_solve_is_least_squares_of_minimum_norm(case, rng):
    linear_map, _, factor = case
    matrix = linear_map.dense()
    y = rng.standard_normal((2, 3, matrix.shape[0]))
    kept = y.copy()
    expected = y @ np.linalg.pinv(matrix).T
    np.testing.assert_allclose(factor.solve(y), expected, rtol=1e-8, atol=1e-10)
    np.testing.assert_array_equal(y, kept)


def test_solve_transposed_is_that_of_the_transpose(case, rng):
    linear_map, _, factor = case
    matrix = linear_map.dense()
    x = rng.standard_normal((4, matrix.shape[1]))
    expected = x @ np.linalg.pinv(matrix)
    np.testing.assert_allclose(factor.solve_transposed(x), expected, rtol=1e-8, atol=1e-10)


def test_spectrum_is_that_of_the_matrix(case):
    linear_map, _, factor = case
    values = np.linalg.svd(linear_map.dense(), compute_uv=False)
    found = factor.spectrum()
    assert found.shape == linear_map.shape
    assert found.largest == pytest.approx(values[0])
    assert found.smallest == pytest.approx(values[-1], abs=1e-14 * values[0])
    assert found.rank == factor.rank
    assert found.kind is Kind.EXACT


def test_spread_bounds_every_error_within_the_radius(case, rng):
    linear_map, _, factor = case
    inverse = np.linalg.pinv(linear_map.dense())
    radius = 10.0 ** rng.uniform(-3, 3, size=(5, linear_map.shape[0]))
    bound = factor.spread(radius)
    assert bound.shape == (5, linear_map.shape[1])
    for _ in range(50):
        moved = (radius * rng.uniform(-1, 1, size=radius.shape)) @ inverse.T
        assert (np.abs(moved) <= bound * (1 + 1e-9) + 1e-12).all()


@given(matrices(shape=(4, 4)))
def test_spread_of_a_square_matrix_is_attained(matrix):
    """The bound is |A^-1| r itself: neither too small nor needlessly large."""
    factor = select_factorisation(dense_map(matrix), Context())
    radius = np.diag([1.0, 10.0, 0.1, 3.0])
    exact = radius @ np.abs(np.linalg.inv(matrix)).T
    np.testing.assert_allclose(factor.spread(radius), exact, rtol=1e-6)


def test_spread_of_large_matrices_is_a_bound(monkeypatch, rng):
    monkeypatch.setattr(tolerances, "EXPLICIT_INVERSE_SIZE", 3)
    for work in (tolerances.SVD_WORK, 0.0):
        monkeypatch.setattr(tolerances, "SVD_WORK", work)
        matrix = conditioned(20, 1e4, rng)
        factor = select_factorisation(dense_map(matrix), Context())
        radius = rng.uniform(0, 1, size=(3, 20))
        exact = radius @ np.abs(np.linalg.inv(matrix)).T
        assert (factor.spread(radius) >= exact).all()


def test_nearly_singular_matrices_go_to_svd(rng):
    values = np.array([1.0, 0.5, 1e-17])
    factor = select_factorisation(
        dense_map(with_singular_values(values, (3, 3), rng)), Context()
    )
    assert isinstance(factor, SvdFactor)
    assert factor.rank == 2


def test_ill_conditioned_matrices_that_are_not_singular_stay_with_lu(rng):
    values = np.array([1.0, 0.5, 1e-13])
    factor = select_factorisation(
        dense_map(with_singular_values(values, (3, 3), rng)), Context()
    )
    assert isinstance(factor, LuFactor)


def test_rank_at_the_stored_type_is_reported_beside_it(rng):
    values = np.array([1.0, 0.5, 1e-9])
    matrix = with_singular_values(values, (3, 3), rng).astype(np.float32)
    found = select_factorisation(dense_map(matrix), Context()).spectrum()
    assert (found.rank, found.rank_stored) == (3, 2)


def test_scales_of_any_size_are_inverted_alone():
    factor = select_factorisation(DiagonalMap(np.array([1e-200, 1e200])), Context())
    np.testing.assert_allclose(factor.solve(np.array([[1e-200, 1e200]])), 1.0)
    assert factor.spectrum().full_rank


def test_scales_without_a_reciprocal_count_as_zero():
    factor = select_factorisation(DiagonalMap(np.array([1e-310, 1.0])), Context())
    assert factor.rank == 1
    np.testing.assert_array_equal(factor.solve(np.ones((1, 2))), [[0.0, 1.0]])


def test_huge_and_tiny_matrices_are_solved(rng):
    matrix = conditioned(5, 100.0, rng)
    y = rng.standard_normal((3, 5))
    expected = np.linalg.solve(matrix, y.T).T
    for scale in (1e-150, 1e150):
        factor = select_factorisation(dense_map(scale * matrix), Context())
        assert isinstance(factor, LuFactor)
        np.testing.assert_allclose(factor.solve(scale * y), expected, rtol=1e-12)


def test_factors_are_shared_through_the_store():
    context = Context()
    linear_map = random_map((4, 4))
    again = DenseMap(linear_map.matrix)
    assert factorise(linear_map, context) is factorise(again, context)
    assert factorise(linear_map, context) is not factorise(linear_map, Context())
    transposed = DenseMap(linear_map.matrix.transposed)
    assert factorise(transposed, context) is not factorise(linear_map, context)


def test_repeats_share_the_factor_of_one_block():
    context = Context()
    block = random_map((4, 4))
    factorise(RepeatedMap(block, 5), context)
    built = len(context.factors)
    factorise(block, context)
    assert len(context.factors) == built == 2


def test_expensive_decompositions_are_announced(monkeypatch):
    monkeypatch.setattr(tolerances, "SVD_WORK", 1.0)
    events = []
    select_factorisation(random_map((5, 3)), Context(listener=events.append))
    assert "5 x 3" in events[0].text
