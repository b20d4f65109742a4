"""What limits x, joined; and the refusal of what leaves nothing."""

import numpy as np
import pytest

from nninvert.errors import UsageError
from nninvert.methods.allowed import allowed_inputs, make_bounds
from nninvert.methods.conflict import find_conflict
from nninvert.methods.domain import Constraints


def test_bounds_are_broadcast_and_fixed_inputs_join_them():
    bounds = make_bounds(3, lower=0.0, upper=[1.0, 2.0, np.inf], fix={1: 0.5})
    np.testing.assert_array_equal(bounds.lower, [0.0, 0.5, 0.0])
    np.testing.assert_array_equal(bounds.upper, [1.0, 0.5, np.inf])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"lower": [0, 3, 0], "upper": 2.0}, "input 1: got lower 3 above upper 2"),
        ({"fix": {3: 0.0}}, "got input 3, expected 0 to 2"),
        ({"fix": {0: 5.0}, "upper": 1.0}, "--fix > input 0: got 5"),
        ({"fix": {0: np.nan}}, "--fix > input 0"),
        ({"lower": [1.0, 2.0]}, "one number, or 3 of them"),
        ({"upper": np.nan}, "--upper: got NaN"),
    ],
)
def test_impossible_bounds_are_refused(options, match):
    with pytest.raises(UsageError, match=match):
        make_bounds(3, **options)


def test_fix_does_not_change_what_was_given():
    lower = np.zeros(3)
    make_bounds(3, lower=lower, fix={0: 1.0})
    np.testing.assert_array_equal(lower, 0.0)


@pytest.mark.parametrize(("lower", "upper"), [(np.inf, None), (None, -np.inf)])
def test_bounds_that_leave_no_number_are_refused(lower, upper):
    with pytest.raises(UsageError, match="leaves room for a number"):
        make_bounds(2, lower, upper)


class TestWholeNumbers:
    def test_bounds_are_narrowed_to_whole_numbers(self):
        domain = allowed_inputs(3, lower=[-0.5, 0.5, 0.5], upper=2.5, integer=[0, 2])
        np.testing.assert_array_equal(domain.lower, [0.0, 0.5, 1.0])
        np.testing.assert_array_equal(domain.upper, [2.0, 2.5, 2.0])
        np.testing.assert_array_equal(domain.integer, [True, False, True])
        assert not np.signbit(domain.lower[0])

    def test_open_bounds_stay_open(self):
        domain = allowed_inputs(1, integer=[0])
        assert (domain.lower[0], domain.upper[0]) == (-np.inf, np.inf)

    @pytest.mark.parametrize(
        ("options", "match"),
        [
            ({"integer": [3]}, "--integer: got input 3, expected 0 to 2"),
            ({"integer": [-1]}, "--integer: got input -1"),
            (
                {"integer": [1], "lower": 0.2, "upper": 0.8},
                r"--integer > input 1: got the bounds \[0.2, 0.8\], expected a whole "
                "number between",
            ),
            (
                {"integer": [1], "fix": {1: 2.5}},
                "--integer > input 1: got the fixed value 2.5, expected a whole number$",
            ),
        ],
    )
    def test_what_leaves_none_is_refused(self, options, match):
        with pytest.raises(UsageError, match=match):
            allowed_inputs(3, **options)


def rows(*named):
    """Constraints from (name, coefficients, limit)."""
    names, matrix, limit = zip(*named, strict=True)
    return Constraints(np.array(matrix, dtype=float), np.array(limit, dtype=float), names)


class TestConflicts:
    def test_what_can_be_kept_is_taken(self):
        given = rows(("a", [1, 1], 1), ("b", [-1, 0], 0))
        domain = allowed_inputs(2, constraints=given, lower=0.0, integer=[1])
        assert domain.constraints is given
        assert find_conflict(domain) is None

    def test_equations_that_fix_a_point(self):
        given = rows(
            *(
                (str(k), r, b)
                for k, (r, b) in enumerate(
                    [([1, 1], 0.3), ([-1, -1], -0.3), ([1, -1], 0.1), ([-1, 1], -0.1)]
                )
            )
        )
        assert allowed_inputs(2, constraints=given).constraints is given

    def test_conflicting_alone(self):
        given = rows(
            ("x0 <= 1", [1, 0], 1), ("x1 <= 5", [0, 1], 5), ("x0 >= 2", [-1, 0], -2)
        )
        with pytest.raises(
            UsageError,
            match=(
                r"--constraints: got 'x0 <= 1', 'x0 >= 2', which no input can keep at "
                r"once, expected constraints that leave some input because that holds "
                r"whatever the bounds are\. Without any one of these"
            ),
        ):
            allowed_inputs(2, constraints=given, lower=-10.0, upper=10.0)

    def test_conflicting_with_bounds(self):
        given = rows(("x0 + x1 >= 5", [-1, -1], -5), ("x1 <= 9", [0, 1], 9))
        with pytest.raises(
            UsageError,
            match=(
                r"got 'x0 \+ x1 >= 5', which no input can keep, expected .* because the "
                r"bounds count, too: input 0 in \[0, 1\], input 1 in \[0, 2\]"
            ),
        ):
            allowed_inputs(
                3,
                constraints=Constraints(
                    np.hstack([given.matrix, np.zeros((2, 1))]), given.limit, given.names
                ),
                lower=0.0,
                upper=[1.0, 2.0, 3.0],
            )

    def test_only_the_bounds_that_count_are_named(self):
        given = rows(("x0 + x1 >= 5", [-1, -1], -5), ("x1 <= 3", [0, 1], 3))
        with pytest.raises(UsageError) as caught:
            allowed_inputs(2, constraints=given, lower=0.0, upper=[1.0, 1e6])
        assert caught.value.because == "the bounds count, too: input 0 in [0, 1]"
        assert caught.value.got.startswith("'x0 + x1 >= 5', 'x1 <= 3'")

    def test_an_equation_is_named_once(self):
        given = rows(
            ("x0 == 1", [1], 1),
            ("x0 == 1", [-1], -1),
            ("x0 == 2", [1], 2),
            ("x0 == 2", [-1], -2),
        )
        with pytest.raises(UsageError, match="got 'x0 == 1', 'x0 == 2', which"):
            allowed_inputs(1, constraints=given)

    def test_no_whole_number(self):
        given = rows(("x0 <= 9", [1], 9), ("2 x0 == 1", [2], 1), ("2 x0 == 1", [-2], -1))
        with pytest.raises(
            UsageError, match="because whole numbers are asked for"
        ) as caught:
            allowed_inputs(1, constraints=given, integer=[0], lower=-5, upper=5)
        assert caught.value.got == "'2 x0 == 1', which no input can keep"
        allowed_inputs(1, constraints=given, lower=-5, upper=5)

    @pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
    def test_units_do_not_matter(self, size):
        given = rows(("a", [1, 1], size), ("b", [-1, -1], -2 * size))
        with pytest.raises(UsageError, match="got 'a', 'b'"):
            allowed_inputs(2, constraints=given)
        fine = rows(("a", [1, 1], size), ("b", [-1, -1], -size))
        assert allowed_inputs(2, constraints=fine).constraints is fine

    def test_a_set_that_is_named_is_irreducible(self, rng):
        for _ in range(20):
            matrix = rng.standard_normal((6, 2))
            limit = -np.abs(rng.standard_normal(6))
            names = tuple(f"c{k}" for k in range(6))
            domain = make_bounds(2, -3.0, 3.0)
            whole = domain.__class__(
                domain.lower,
                domain.upper,
                domain.integer,
                Constraints(matrix, limit, names),
            )
            conflict = find_conflict(whole)
            if conflict is None:
                continue
            low, high = np.full(2, -np.inf), np.full(2, np.inf)
            low[list(conflict.inputs)], high[list(conflict.inputs)] = -3.0, 3.0
            for k in conflict.constraints:
                rest = [j for j in conflict.constraints if j != k]
                fewer = Constraints(
                    matrix[rest], limit[rest], tuple(names[j] for j in rest)
                )
                assert (
                    find_conflict(domain.__class__(low, high, domain.integer, fewer))
                    is None
                )

    @pytest.mark.parametrize(
        ("constraints", "match"),
        [
            (Constraints(np.ones((1, 2)), np.ones(1), ("a",)), "expected 3 columns"),
            (Constraints(np.ones((1, 3)), np.ones(2), ("a",)), "and 2 limits"),
            (Constraints(np.full((1, 3), np.nan), np.ones(1), ("a",)), "NaN or infinity"),
            (Constraints(np.ones((1, 3)), np.full(1, np.inf), ("a",)), "NaN or infinity"),
        ],
    )
    def test_arrays_that_do_not_fit_are_refused(self, constraints, match):
        with pytest.raises(UsageError, match=match):
            allowed_inputs(3, constraints=constraints)
