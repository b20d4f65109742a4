"""Bounds of linear programs by multipliers, in exact arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import csr_array

from nninvert.linalg.certificates import LinearSystem, least_value


def system(matrix, low, high, lower, upper):
    sides = [np.asarray(side, dtype=np.float64) for side in (low, high, lower, upper)]
    return LinearSystem(csr_array(np.asarray(matrix, dtype=np.float64)), *sides)


INF = np.inf
# x + y <= 1 and x + y >= 2: no solution, whatever the box.
CONFLICT = system([[1, 1], [1, 1]], [-INF, 2], [1, INF], [-INF, -INF], [INF, INF])


def test_a_conflict_is_refuted():
    zero = np.zeros(2)
    assert least_value(zero, CONFLICT, np.array([1.0, -1.0])) == Fraction(1)
    assert least_value(zero, CONFLICT, np.array([3.0, -3.0])) == Fraction(3)


def test_wrong_multipliers_prove_nothing():
    zero = np.zeros(2)
    # The box is infinite where a gradient is left, or the limit is.
    assert least_value(zero, CONFLICT, np.array([1.0, -0.5])) is None
    assert least_value(zero, CONFLICT, np.array([-1.0, 1.0])) is None
    assert least_value(zero, CONFLICT, np.zeros(2)) == 0


def test_boxes_pay_for_what_is_left():
    boxed = system([[1, 1], [1, 1]], [-INF, 2], [1, INF], [0, 0], [10, 10])
    found = least_value(np.zeros(2), boxed, np.array([1.0, -(1.0 + 2.0**-20)]))
    assert found == Fraction(1) - 18 * Fraction(2) ** -20


def test_nothing_is_rounded():
    # In floats 0.1 + 0.2 > 0.3; as the fractions that the floats are, as well, by 2^-55...
    exact = Fraction(0.1) + Fraction(0.2) - Fraction(0.3)
    one = system([[0.1, 0.2, -0.3]], [-INF], [0.0], [1, 1, 1], [1, 1, 1])
    assert least_value(np.zeros(3), one, np.ones(1)) == exact > 0
    # A sum that floats lose altogether.
    lost = system([[1e300, 1e-300, -1e300]], [-INF], [0.0], [1, 1, 1], [1, 1, 1])
    assert least_value(np.zeros(3), lost, np.ones(1)) == Fraction(1e-300)


@pytest.mark.parametrize("seed", range(5))
def test_multipliers_of_a_solver_give_the_optimum(seed):
    rng = np.random.default_rng(seed)
    matrix, x = rng.standard_normal((6, 4)), rng.uniform(-1.0, 1.0, 4)
    limit = matrix @ x + rng.uniform(0.0, 1.0, 6)
    objective = rng.standard_normal(4)
    solved = linprog(objective, A_ub=matrix, b_ub=limit, bounds=[(-1, 1)] * 4)
    program = system(matrix, np.full(6, -INF), limit, -np.ones(4), np.ones(4))
    found = least_value(objective, program, -solved.ineqlin.marginals)
    assert float(found) == pytest.approx(solved.fun, abs=1e-9)
    # Any multipliers give a bound.
    worse = least_value(objective, program, np.abs(rng.standard_normal(6)))
    assert worse <= found
