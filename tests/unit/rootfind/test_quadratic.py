"""Quadratic programs: optimality conditions, known projections, proofs of emptiness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from nninvert.rootfind._active_set import settle
from nninvert.rootfind._hessian import Hessian
from nninvert.rootfind._interior_point import InteriorPoint
from nninvert.rootfind._program import Program
from nninvert.rootfind._saddle import Dependent, SaddleSystem
from nninvert.rootfind.quadratic import ActiveSet, Outcome, solve_quadratic

OPEN = np.inf


def curved(matrix):
    """Any positive definite matrix as the identity and what its eigenvectors add."""
    values, vectors = np.linalg.eigh(matrix)
    return Hessian(vectors, values - 1.0)


def optimality(g, rows, low, high, lower, upper, hessian, found):
    """Largest violation of the optimality conditions; zero only at the solution."""
    x, y = found.x, found.multipliers
    z = rows @ x
    bound = (g + (x if hessian is None else hessian.apply(x))) - rows.T @ y
    free = lower < upper
    outside = max(np.max(low - z, initial=0.0), np.max(z - high, initial=0.0))
    with np.errstate(invalid="ignore"):
        idle = [
            np.where(y > 0, y * np.minimum(z - low, 1.0), 0.0),
            np.where(y < 0, -y * np.minimum(high - z, 1.0), 0.0),
            np.where(bound > 0, bound * np.minimum(x - lower, 1.0), 0.0)[free],
            np.where(bound < 0, -bound * np.minimum(upper - x, 1.0), 0.0)[free],
        ]
    assert (x >= lower).all()
    assert (x <= upper).all()
    return max(outside, *(np.max(np.abs(part), initial=0.0) for part in idle))


def random_program(seed, m, n, *, with_hessian):
    """A program that has a feasible point, some sides open, some variables fixed."""
    rng = np.random.default_rng(seed)
    rows, inside = rng.normal(size=(m, n)), 0.3 * rng.normal(size=n)
    width = rng.uniform(size=m) * rng.choice([1e-6, 0.01, 1.0, 10.0], m)
    low, high = rows @ inside - width, rows @ inside + width * rng.uniform(size=m)
    equations = rng.permutation(m)[: min(m, n) // 4]
    low[equations] = high[equations] = (rows @ inside)[equations]
    closed = np.ones(m, dtype=bool)
    closed[equations] = False
    low[closed & (rng.uniform(size=m) < 0.2)] = -OPEN
    high[closed & (rng.uniform(size=m) < 0.2)] = OPEN
    lower = np.where(rng.uniform(size=n) < 0.7, np.minimum(-0.5, inside - 0.1), -OPEN)
    upper = np.where(rng.uniform(size=n) < 0.7, np.maximum(0.5, inside + 0.1), OPEN)
    fixed = rng.uniform(size=n) < 0.1
    lower[fixed] = upper[fixed] = inside[fixed]
    hessian = None
    if with_hessian:
        root = rng.normal(size=(n, n))
        hessian = curved(root @ root.T / n + 0.1 * np.eye(n))
    return 2.0 * rng.normal(size=n), rows, low, high, lower, upper, hessian


@pytest.mark.parametrize("with_hessian", [False, True])
@pytest.mark.parametrize(("m", "n"), [(0, 4), (3, 5), (20, 64), (64, 64), (64, 20)])
def test_satisfies_the_optimality_conditions(m, n, with_hessian):
    for seed in range(10):
        *program, hessian = random_program(seed, m, n, with_hessian=with_hessian)
        found = solve_quadratic(*program, hessian=hessian)
        assert found.outcome is Outcome.OPTIMAL
        assert optimality(*program, hessian, found) < 1e-6


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 8), st.booleans())
def test_any_small_program(seed, m, n, with_hessian):
    *program, hessian = random_program(seed, m, n, with_hessian=with_hessian)
    found = solve_quadratic(*program, hessian=hessian)
    assert found.outcome is Outcome.OPTIMAL
    assert optimality(*program, hessian, found) < 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_slsqp(seed):
    g, rows, low, high, lower, upper, _ = random_program(seed, 4, 6, with_hessian=False)
    found = solve_quadratic(g, rows, low, high, lower, upper)

    def cost(x):
        return g @ x + 0.5 * x @ x

    sides = [
        {"type": "ineq", "fun": lambda x, i=i, s=s, b=b: s * (rows[i] @ x - b)}
        for s, bounds in ((1.0, low), (-1.0, high))
        for i, b in enumerate(bounds)
        if np.isfinite(b) and low[i] < high[i]
    ]
    sides += [
        {"type": "eq", "fun": lambda x, i=i: rows[i] @ x - low[i]}
        for i in np.flatnonzero(low == high)
    ]
    reference = optimize.minimize(
        cost,
        np.clip(-g, lower, upper),
        bounds=list(zip(lower, upper, strict=True)),
        constraints=sides,
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    ).x
    # Its flag is about its line search; what counts is that the point is feasible.
    assert (rows @ reference >= low - 1e-9).all()
    assert (rows @ reference <= high + 1e-9).all()
    assert cost(found.x) == pytest.approx(cost(reference), abs=1e-7)


def test_agrees_with_bounded_least_squares():
    # min ||A x - b||^2 in a box, as a program with the Hessian A^T A and no rows.
    rng = np.random.default_rng(3)
    A, b = rng.normal(size=(12, 7)), rng.normal(size=12)
    box = np.full(7, 0.2)
    reference = optimize.lsq_linear(A, b, (-box, box), method="bvls", tol=1e-14)
    found = solve_quadratic(
        -A.T @ b,
        np.zeros((0, 7)),
        np.zeros(0),
        np.zeros(0),
        -box,
        box,
        hessian=curved(A.T @ A),
    )
    np.testing.assert_allclose(found.x, reference.x, atol=1e-10)


def test_projects_on_a_half_space():
    p, normal = np.array([3.0, 4.0]), np.array([[0.0, 2.0]])
    open_box = np.full(2, OPEN)
    found = solve_quadratic(
        -p, normal, np.array([-OPEN]), np.array([2.0]), -open_box, open_box
    )
    np.testing.assert_allclose(found.x, [3.0, 1.0], rtol=1e-14)
    np.testing.assert_allclose(found.multipliers, [-1.5], rtol=1e-14)
    assert found.active.rows.tolist() == [1]


def test_a_right_guess_needs_no_interior_point_step():
    *program, _ = random_program(1, 64, 64, with_hessian=False)
    cold = solve_quadratic(*program)
    warm = solve_quadratic(*program, guess=cold.active)
    assert cold.steps > 0
    assert warm.steps == 0
    np.testing.assert_allclose(warm.x, cold.x, atol=1e-9)


def test_a_guess_at_an_open_side_does_no_harm():
    *program, _ = random_program(2, 8, 8, with_hessian=False)
    program[4][:] = 5.0
    program[3][:] = -OPEN
    wrong = ActiveSet(np.ones(8, dtype=np.int8), np.ones(8, dtype=np.int8))
    free = [program[0], np.zeros((8, 8)), np.full(8, -OPEN), np.full(8, OPEN)]
    found = solve_quadratic(*free, np.full(8, -OPEN), np.full(8, OPEN), guess=wrong)
    np.testing.assert_allclose(found.x, -program[0])


@pytest.mark.parametrize("half_width", [1.0, OPEN])
def test_tells_that_nothing_is_feasible(half_width):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        rows, z = rng.normal(size=(30, 20)), 3.0 * rng.normal(size=30)
        box = np.full(20, half_width)
        found = solve_quadratic(rng.normal(size=20), rows, z - 0.1, z + 0.1, -box, box)
        assert found.outcome is Outcome.INFEASIBLE
        assert (np.abs(found.x) <= half_width).all()


def test_a_row_of_fixed_variables_that_cannot_hold():
    fixed = np.array([1.0, -OPEN]), np.array([1.0, OPEN])
    rows = np.array([[1.0, 0.0]])
    impossible = solve_quadratic(
        np.zeros(2), rows, np.array([2.0]), np.array([3.0]), *fixed
    )
    true = solve_quadratic(np.zeros(2), rows, np.array([0.5]), np.array([3.0]), *fixed)
    assert impossible.outcome is Outcome.INFEASIBLE
    assert true.outcome is Outcome.OPTIMAL
    assert true.x.tolist() == [1.0, 0.0]


def test_a_tiny_box_is_no_excuse():
    # A trust box of 1e-7 around a point far from the minimiser: the answer is a corner.
    g, box = np.array([5.0, -3.0]), np.full(2, 1e-7)
    found = solve_quadratic(g, np.eye(2), np.full(2, -1.0), np.full(2, 1.0), -box, box)
    np.testing.assert_allclose(found.x, [-1e-7, 1e-7], rtol=1e-9)


def test_the_interior_point_alone_comes_as_close():
    *program, hessian = random_program(4, 20, 12, with_hessian=True)
    reduced = Program.of_arrays(*program, hessian)
    search = InteriorPoint(reduced)
    outcome, steps = search.iterate()
    exact = solve_quadratic(*program, hessian=hessian)
    assert outcome is Outcome.OPTIMAL
    assert 5 < steps < 40
    np.testing.assert_allclose(reduced.full_x(search.x), exact.x, atol=1e-6)


def test_interior_points_are_as_fine_as_a_tiny_box():
    # Far from the minimiser in a box of 1e-7 the accuracy has to be that of the box.
    box = np.full(2, 1e-7)
    rows, edge = np.array([[1.0, 1.0]]), np.array([1e-8])
    reduced = Program.of_arrays(
        np.array([-5.0, -3.0]), rows, -np.inf * edge, edge, -box, box, None
    )
    search = InteriorPoint(reduced)
    search.iterate()
    np.testing.assert_allclose(search.x, [1e-7, -9e-8], rtol=1e-5)


def test_dependent_rows_are_refused_by_the_exact_solve_only():
    rows = np.array([[1.0, 1.0], [2.0, 2.0]])
    box = np.full(2, OPEN)
    sides = np.array([1.0, 2.0])
    reduced = Program.of_arrays(np.zeros(2), rows, sides, sides, -box, box, None)
    assert settle(reduced, np.zeros(4, dtype=np.int8)) is None
    # As inequalities they are a matter of one row, and the interior point solves them.
    found = solve_quadratic(np.zeros(2), rows, sides, sides + 1.0, -box, box)
    np.testing.assert_allclose(found.x, [0.5, 0.5], atol=1e-8)


@pytest.mark.parametrize("with_hessian", [False, True])
@pytest.mark.parametrize(("m", "n"), [(3, 6), (6, 3)])
def test_saddle_systems(m, n, with_hessian):
    rng = np.random.default_rng(0)
    rows, diagonal = rng.normal(size=(m, n)), rng.uniform(size=n)
    compliance = np.where(np.arange(m) < 2, 0.0, 0.5)
    hessian = curved(np.diag(rng.uniform(1.0, 2.0, n))) if with_hessian else None
    a, b = rng.normal(size=n), rng.normal(size=m)
    dx, dy = SaddleSystem(hessian, diagonal, rows, compliance).solve(a, b)
    product = dx if hessian is None else hessian.apply(dx)
    np.testing.assert_allclose(product + diagonal * dx - rows.T @ dy, a, atol=1e-12)
    np.testing.assert_allclose(rows @ dx + compliance * dy, b, atol=1e-12)


def test_saddle_systems_refuse_dependent_equations():
    rows = np.array([[1.0, 0.0], [1.0, 0.0]])
    with pytest.raises(Dependent):
        SaddleSystem(None, np.zeros(2), rows, np.zeros(2))
