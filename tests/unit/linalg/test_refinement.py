"""Refinement of rough solves: how far, how fast, and what it says of itself."""

import math

import numpy as np
import pytest
from lapack_factors import rough
from problems import conditioned, with_singular_values

from nninvert.linalg.equilibration import matrix_sizes
from nninvert.linalg.flexible_gmres import flexible_gmres
from nninvert.linalg.map import DenseMap
from nninvert.linalg.refinement import (
    UNIT,
    System,
    observed_contraction,
    predicted_passes,
    refine,
    refine_by_gmres,
    solve_once,
)
from nninvert.linalg.stored import ArrayMatrix


def never():
    return False


def always():
    return True


def system_of(matrix, inverse=None):
    stored = ArrayMatrix(matrix)
    linear_map = DenseMap(stored)
    return System(
        linear_map.apply,
        linear_map.apply_with_magnitude,
        (inverse or rough(matrix)).solve,
        matrix_sizes(stored).norm_inf,
    )


def glorot(n, rng):
    return rng.uniform(-1.0, 1.0, (n, n)) * np.sqrt(3.0 / n)


def one_tiny(n, tiny, rng):
    values = np.linspace(1.0, 0.5, n)
    values[-1] = tiny
    return with_singular_values(values, (n, n), rng)


def backward_errors(matrix, x, b):
    """Normwise and componentwise, in extended precision, row by row."""
    a, x, b = (np.asarray(k, dtype=np.longdouble) for k in (matrix, x, b))
    residual = np.abs(b - x @ a.T)
    terms = np.abs(x) @ np.abs(a).T + np.abs(b)
    norm = np.abs(a).sum(axis=1).max()
    size = norm * np.abs(x).max(axis=1) + np.abs(b).max(axis=1)
    return residual.max(axis=1) / size, (residual / terms).max(axis=1)


@pytest.mark.parametrize("rows", [1, 20])
@pytest.mark.parametrize("condition", [1e1, 1e3, 1e5, 1e6])
def test_backward_errors_end_at_the_level_of_rounding(condition, rows, rng):
    matrix = conditioned(120, condition, rng)
    x = rng.standard_normal((rows, 120))
    b = x @ matrix.T
    found = refine(system_of(matrix), b, never)
    normwise, componentwise = backward_errors(matrix, found.x, b)
    assert found.accurate.all()
    # Many rows are not worth the passes that the last digit takes.
    assert (normwise <= (2.0 if rows == 1 else 17.0) * UNIT).all()
    if rows == 1:
        assert (componentwise <= 8.0 * UNIT).all()
        assert found.componentwise[0] == pytest.approx(componentwise[0], abs=4.0 * UNIT)


def test_x_is_no_further_from_the_truth_than_that_of_a_float64_solve(rng):
    matrix = glorot(400, rng)
    x = rng.standard_normal((3, 400))
    # Exact products: the numbers have few enough bits.
    matrix, x = matrix.astype(np.float16).astype(float), np.round(64.0 * x) / 64.0
    b = x @ matrix.T
    found = refine(system_of(matrix), b, never)
    theirs = np.linalg.solve(matrix, b.T).T
    assert np.linalg.norm(found.x - x) <= np.linalg.norm(theirs - x)


def test_the_contraction_is_that_of_the_table_of_measurements(rng):
    # 0.2 to 5 times kappa_2 6e-8, from one matrix to the next.
    seen = []
    for condition in (1e4, 1e5, 1e6):
        system = system_of(conditioned(200, condition, rng))
        b = rng.standard_normal((2, 200))
        unit = 2.0**-24 * condition
        seen += [refine(system, b, never).contraction / unit]
        seen += [observed_contraction(system, b) / unit]
    assert min(seen) > 0.02
    assert max(seen) < 5.0


def test_predicted_passes_are_those_that_are_made(rng):
    for condition in (1e3, 1e5, 1e6):
        system = system_of(conditioned(200, condition, rng))
        found = refine(system, rng.standard_normal((20, 200)), never)
        assert abs(predicted_passes(found.contraction) - found.passes) <= 1


def test_predicted_passes_at_the_ends():
    assert predicted_passes(0.0) == 2.0
    assert predicted_passes(0.1) == 10.0
    assert predicted_passes(0.1, digits=7.0) == 1.0
    assert predicted_passes(0.6) == math.inf


@pytest.mark.parametrize("tiny", [1e-9, 1e-11, 1e-13])
def test_gmres_solves_where_corrections_do_not_shrink(tiny, rng):
    matrix = one_tiny(200, tiny, rng)
    b = rng.standard_normal((3, 200)) @ matrix.T
    system = system_of(matrix)
    begun = refine(system, b, never)
    assert not begun.accurate.all()
    found = refine_by_gmres(system, b, begun, never)
    assert found.accurate.all()
    assert (backward_errors(matrix, found.x, b)[0] <= 2.0 * UNIT).all()
    assert found.passes > begun.passes


def test_gmres_gives_up_early_where_it_does_not_help(rng):
    matrix = conditioned(400, 1e10, rng)
    b = rng.standard_normal((2, 400)) @ matrix.T
    system = system_of(matrix)
    begun = refine(system, b, never)
    found = refine_by_gmres(system, b, begun, never)
    assert not found.accurate.any()
    assert found.passes <= begun.passes + 52
    assert (found.backward_error <= begun.backward_error).all()


def test_errors_reported_are_those_of_the_x_returned(rng):
    matrix = conditioned(100, 1e9, rng)
    b = rng.standard_normal((4, 100)) @ matrix.T
    found = refine(system_of(matrix), b, never)
    assert not found.accurate.any()
    normwise, componentwise = backward_errors(matrix, found.x, b)
    assert found.backward_error == pytest.approx(normwise, rel=1e-3)
    assert found.componentwise == pytest.approx(componentwise, rel=1e-3)


def test_rows_of_zeros_and_rows_of_any_size_share_a_block(rng):
    matrix = conditioned(60, 1e3, rng)
    sizes = np.array([0.0, 1e-300, 1e-40, 1.0, 1e40, 1e300])[:, None]
    b = sizes * rng.standard_normal((6, 60))
    found = refine(system_of(matrix), b, never)
    assert (found.x[0] == 0.0).all()
    assert found.accurate.all()
    truth = np.linalg.solve(matrix, (b[1:] / sizes[1:]).T).T
    assert found.x[1:] / sizes[1:] == pytest.approx(truth, rel=1e-9, abs=1e-12)


def test_overflow_in_the_factors_is_reported_not_raised(rng):
    class Overflowing:
        def solve(self, rows):
            return np.full_like(rows, np.inf)

    matrix = conditioned(20, 10.0, rng)
    system = system_of(matrix, Overflowing())
    found = refine(system, np.ones((2, 20)), never)
    assert (found.backward_error == np.inf).all()
    assert observed_contraction(system, np.ones((1, 20))) == math.inf


def test_solve_once_measures_a_few_rows(rng):
    matrix = conditioned(50, 1e3, rng)
    b = rng.standard_normal((30, 50))
    found = solve_once(system_of(matrix, rough(matrix, np.float64)), b)
    assert found.x == pytest.approx(np.linalg.solve(matrix, b.T).T, rel=1e-9)
    assert np.isfinite(found.backward_error).sum() == 8
    assert np.nanmax(found.backward_error) < 50 * UNIT


def test_a_stop_keeps_what_there_is(rng):
    matrix = conditioned(50, 1e6, rng)
    b = rng.standard_normal((2, 50))
    system = system_of(matrix)
    found = refine(system, b, always)
    assert found.passes == 1
    assert (found.x == system.rough(b)).all()
    after = refine_by_gmres(system, b, found, always)
    assert (after.x == found.x).all()


def test_flexible_gmres_with_a_perfect_preconditioner_takes_one_step(rng):
    matrix = conditioned(30, 10.0, rng)
    inverse = np.linalg.inv(matrix)
    r = rng.standard_normal((3, 30))
    d, steps = flexible_gmres(
        lambda z: z @ matrix.T, lambda v: v @ inverse.T, r, 1e-5, 10, never
    )
    assert steps == 1
    assert d @ matrix.T == pytest.approx(r, abs=1e-5)


def test_flexible_gmres_without_preconditioner_ends_after_n_steps(rng):
    matrix = conditioned(12, 10.0, rng)
    r = np.vstack([rng.standard_normal((2, 12)), np.zeros((1, 12))])
    d, steps = flexible_gmres(lambda z: z @ matrix.T, lambda v: v, r, 1e-6, 40, never)
    assert steps <= 12
    assert d @ matrix.T == pytest.approx(r, abs=1e-5)
    assert (d[2] == 0.0).all()
