"""Which inputs are allowed: boxes, whole numbers, linear inequalities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nninvert.methods.domain import Constraints, Domain


def between(matrix, lower, upper):
    matrix = np.atleast_2d(np.asarray(matrix, dtype=np.float64))
    names = tuple(f"row {k}" for k in range(matrix.shape[0]))
    return Constraints.between(
        matrix, np.asarray(lower, dtype=float), np.asarray(upper, dtype=float), names
    )


def domain_of(constraints, lower=-np.inf, upper=np.inf, integer=()):
    n = constraints.matrix.shape[1]
    whole = np.zeros(n, dtype=np.bool_)
    whole[list(integer)] = True
    return Domain(
        np.broadcast_to(np.asarray(lower, dtype=float), (n,)).copy(),
        np.broadcast_to(np.asarray(upper, dtype=float), (n,)).copy(),
        whole,
        constraints,
    )


class TestConstraints:
    def test_sides_become_rows_and_equations_two(self):
        found = between([[1, 2], [3, 4], [5, 6]], [-np.inf, 1, 7], [2, np.inf, 7])
        np.testing.assert_array_equal(found.matrix, [[1, 2], [-3, -4], [5, 6], [-5, -6]])
        np.testing.assert_array_equal(found.limit, [2, -1, 7, -7])
        assert found.names == ("row 0", "row 1", "row 2", "row 2")
        assert len(found) == 4

    def test_joining_opposite_rows_gives_them_back(self):
        given = [[1, 0], [3, 4], [5, 6]], [-np.inf, 1, 7], [2, 8, 7]
        matrix, lower, upper = between(*given).between_sides()
        np.testing.assert_array_equal(matrix, given[0])
        np.testing.assert_array_equal(lower, given[1])
        np.testing.assert_array_equal(upper, given[2])

    def test_the_tightest_of_equal_rows_counts(self):
        rows = Constraints(
            np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]), np.array([3.0, 2.0, 1.0]), ()
        )
        matrix, lower, upper = rows.between_sides()
        np.testing.assert_array_equal(matrix, [[1, 0]])
        assert (lower[0], upper[0]) == (-1.0, 2.0)

    def test_no_constraints_hold(self):
        assert Constraints.none(2).hold(np.array([[np.inf, 0.0]])).all()
        assert Constraints.none(2).between_sides()[0].shape == (0, 2)

    def test_a_sum_holds_up_to_its_rounding_and_no_further(self):
        rows = between([0.1, 0.2, 0.3], [0.6], [0.6])
        assert rows.hold(np.ones((1, 3)))[0]
        assert not rows.hold(np.array([[1.0, 1.0, 1.0 + 1e-14]]))[0]
        assert not rows.hold(np.array([[1.0, 1.0, np.nan]]))[0]
        assert not rows.hold(np.array([[1.0, -np.inf, np.inf]]))[0]


class TestContains:
    def test_whole_numbers(self):
        whole = domain_of(Constraints.none(2), integer=[1])
        x = np.array([[0.5, 2.0], [0.5, 2.5], [0.5, np.nan]])
        np.testing.assert_array_equal(whole.contain(x), [True, False, False])
        assert not whole.is_box
        assert whole.continuous().is_box

    def test_points_and_boxes(self):
        assert Domain.box(np.ones(2), np.ones(2)).is_point
        assert not Domain.box(np.ones(2), np.array([1.0, 2.0])).is_point
        assert not domain_of(between([1, 1], [0], [1])).is_box


class TestWrittenType:
    def test_bounds_are_narrowed_and_fixed_inputs_rounded(self):
        box = Domain.box(np.array([0.1, 0.1, -np.inf]), np.array([0.7, 0.1, np.inf]))
        low = box.in_type(np.float32)
        assert low.lower[0] >= 0.1
        assert low.upper[0] <= 0.7
        assert low.lower[1] == low.upper[1] == np.float32(0.1)
        assert (low.lower[2], low.upper[2]) == (-np.inf, np.inf)
        for side in (low.lower, low.upper):
            np.testing.assert_array_equal(side, side.astype(np.float32))

    def test_sums_hold_up_to_the_rounding_of_the_type(self):
        domain = domain_of(between([1, 1, 1], [1.0], [1.0]))
        x = np.full((1, 3), 1.0 / 3.0).astype(np.float32).astype(np.float64)
        assert not domain.contain(x)[0]
        assert domain.in_type(np.float32).contain(x)[0]
        assert not domain.in_type(np.float32).contain(x + 1e-6)[0]

    def test_whole_numbers_stay_whole(self):
        domain = domain_of(Constraints.none(1), lower=3.0, upper=9.0, integer=[0])
        low = domain.in_type(np.float32)
        assert (low.lower[0], low.upper[0]) == (3.0, 9.0)
        assert low.integer[0]


class TestProjection:
    def test_the_nearest_point_of_a_half_plane(self):
        domain = domain_of(between([1, 1], [-np.inf], [1]))
        found = domain.project(np.array([[1.0, 1.0], [0.0, 0.0], [3.0, 1.0]]))
        np.testing.assert_allclose(found, [[0.5, 0.5], [0, 0], [1.5, -0.5]], atol=1e-14)
        assert domain.contain(found).all()

    def test_bounds_hold_to_the_last_bit(self):
        domain = domain_of(between([1, 1], [1], [1]), lower=0.0, upper=[0.3, np.inf])
        found = domain.project(np.array([[5.0, 0.0], [0.9, 0.1]]))
        np.testing.assert_allclose(found, [[0.3, 0.7], [0.3, 0.7]], atol=1e-14)
        assert found[0, 0] == 0.3
        assert domain.contain(found).all()

    def test_what_is_inside_stays(self):
        domain = domain_of(between([1, 1], [0], [2]))
        x = np.array([[1.0, 1.0], [0.3, 0.7]])
        np.testing.assert_array_equal(domain.project(x), x)

    def test_fixed_inputs_stay(self):
        domain = domain_of(
            between([1, 1, 1], [0], [0]), [2, -np.inf, -np.inf], [2, np.inf, np.inf]
        )
        found = domain.project(np.zeros((1, 3)))
        np.testing.assert_allclose(found, [[2, -1, -1]], atol=1e-14)
        assert domain.contain(found).all()

    def test_an_empty_domain_gives_the_box(self):
        domain = domain_of(between([1, 1], [5], [np.inf]), 0.0, 1.0)
        found = domain.project(np.array([[2.0, 2.0]]))
        np.testing.assert_array_equal(found, [[1, 1]])
        assert not domain.contain(found)[0]

    @given(st.integers(0, 2**32 - 1), st.sampled_from([1e-6, 1.0, 1e6]))
    def test_it_is_inside_and_no_inner_point_is_nearer(self, seed, size):
        rng = np.random.default_rng(seed)
        n, c = int(rng.integers(1, 8)), int(rng.integers(1, 6))
        matrix = rng.standard_normal((c, n))
        inner = size * rng.standard_normal(n)
        lower = np.where(rng.random(n) < 0.3, -np.inf, inner - size * rng.random(n))
        upper = np.where(rng.random(n) < 0.3, np.inf, inner + size * rng.random(n))
        at = matrix @ inner
        width = size * np.where(rng.random((2, c)) < 0.4, 0.0, rng.random((2, c)))
        if c > n:
            width += size * 0.1
        domain = domain_of(between(matrix, at - width[0], at + width[1]), lower, upper)
        x = inner + 3.0 * size * rng.standard_normal((3, n))
        found = domain.project(x)
        assert domain.contain(found).all()
        # The nearest point of a convex set: no angle to any other point is acute.
        obtuse = np.einsum("ri,ri->r", x - found, inner - found)
        assert (obtuse <= 1e-7 * size**2).all()


@pytest.mark.parametrize("factor", [1.0, 1e8])
def test_far_from_the_origin_sums_still_hold(factor):
    domain = domain_of(between([1, 1, 1], [factor], [factor]))
    x = factor * np.array([[1.0, 2.0, 3.0], [0.1, 0.7, -0.4]])
    assert domain.contain(domain.project(x)).all()
