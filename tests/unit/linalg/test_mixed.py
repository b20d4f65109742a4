"""Mixed precision: solutions, conditions, ranks, reports, and when factors are replaced."""

import numpy as np
import pytest
from lapack_factors import rough
from problems import conditioned, with_singular_values

from nninvert import tolerances
from nninvert.context import Context, Progress
from nninvert.linalg.equilibration import (
    EquilibratedMatrix,
    equilibration,
    matrix_sizes,
)
from nninvert.linalg.map import ComposedMap, DenseMap, RepeatedMap
from nninvert.linalg.mixed import MixedFactor, factor_mixed
from nninvert.linalg.stored import ArrayMatrix
from nninvert.linalg.structured import ChainFactor, RepeatedFactor
from nninvert.outcome import Kind

ROUNDING = 2e-15


def made(matrix, upgrade=True, dtype=np.float32, context=None):
    """A factor, and the list of the upgrades that it asked for."""
    asked = []

    def better():
        asked.append(True)
        return rough(matrix, np.float64)

    linear_map = DenseMap(ArrayMatrix(np.asarray(matrix)))
    factor = factor_mixed(
        linear_map,
        rough(matrix, dtype),
        context or Context(),
        upgrade=better if upgrade else None,
    )
    return factor, asked


def glorot(n, rng):
    return (rng.uniform(-1.0, 1.0, (n, n)) * np.sqrt(3.0 / n)).astype(np.float32)


def one_tiny(n, tiny, rng):
    values = np.linspace(1.0, 0.5, n)
    values[-1] = tiny
    return with_singular_values(values, (n, n), rng)


CONDITIONS = {
    "Glorot": (lambda rng: glorot(400, rng), 0),
    "log 1e5": (lambda rng: conditioned(400, 1e5, rng), 0),
    "log 1e7": (lambda rng: conditioned(400, 1e7, rng), 0),
    "log 1e9": (lambda rng: conditioned(400, 1e9, rng), 1),
    "log 1e12": (lambda rng: conditioned(400, 1e12, rng), 1),
    "one sigma 1e-9": (lambda rng: one_tiny(400, 1e-9, rng), 0),
    "one sigma 1e-12": (lambda rng: one_tiny(400, 1e-12, rng), 0),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_condition_within_a_factor_two_and_solutions_to_rounding(name, rng):
    make, upgrades = CONDITIONS[name]
    matrix = make(rng)
    factor, asked = made(matrix)
    found, values = factor.spectrum(), np.linalg.svd(matrix.astype(float))[1]
    truth = values[0] / values[-1]
    assert found.kind is Kind.ESTIMATE
    assert truth / 2.0 <= found.condition <= truth * 1.2
    assert (found.rank, factor.rank, factor.nullity) == (400, 400, 0)
    x = rng.standard_normal((3, 400))
    for b, solution in (
        (x @ matrix.T.astype(float), factor.solve),
        (x @ matrix.astype(float), factor.solve_transposed),
    ):
        there = solution(b)
        assert factor.last.accurate
        assert factor.last.backward_error <= ROUNDING
        error = np.linalg.norm(there - x) / np.linalg.norm(x)
        assert error <= 4.0 * truth * tolerances.EPS64
    assert len(asked) == upgrades
    assert factor.precision == ("float64" if upgrades else "float32")
    assert factor.precision in factor.reason
    assert factor.last.path == f"{factor.precision} LU, refined"


def test_without_float64_factors_the_condition_is_a_lower_bound(rng):
    matrix = conditioned(300, 1e10, rng)
    factor, _ = made(matrix, upgrade=False)
    found = factor.spectrum()
    assert found.kind is Kind.LOWER_BOUND
    assert 1e6 <= found.condition <= 1e10
    assert found.rank is None
    assert "float32" in found.method
    factor.solve(rng.standard_normal((1, 300)))
    assert not factor.last.accurate
    assert factor.last.path == "float32 LU, GMRES"


def test_gmres_helps_where_nothing_else_can_be_had(rng):
    # A spectrum that decays too slowly for deflation and is just out of reach of LU-IR.
    matrix = conditioned(500, 4e7, rng)
    factor, _ = made(matrix, upgrade=False)
    x = rng.standard_normal((2, 500))
    found = factor.solve(x @ matrix.T)
    assert factor.last.path == "float32 LU, GMRES"
    assert factor.last.accurate
    assert np.linalg.norm(found - x) <= 1e-7 * np.linalg.norm(x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lost", [1, 3, 10])
def test_singular_matrices_get_least_squares_solutions_of_minimum_norm(lost, dtype, rng):
    matrix = glorot(300, rng)
    matrix[-lost:] = matrix[:lost]
    factor, asked = made(matrix, dtype=dtype)
    assert (factor.rank, factor.nullity, asked) == (300 - lost, lost, [])
    assert not factor.onto
    a = matrix.astype(float)
    pseudo = np.linalg.pinv(a, rcond=1e-12)
    b = rng.standard_normal((4, 300))
    for found, truth in (
        (factor.solve(b), b @ pseudo.T),
        (factor.solve_transposed(b), b @ pseudo),
    ):
        assert factor.last.accurate
        assert np.linalg.norm(found - truth) <= 1e-10 * np.linalg.norm(truth)
    found = factor.spectrum()
    assert (found.rank, found.full_rank) == (300 - lost, False)
    assert found.condition > 1e14
    assert f"lost: {lost}" in factor.reason


def test_more_lost_dimensions_are_left_to_a_singular_value_decomposition(rng):
    matrix = glorot(200, rng)
    matrix[:140] = 0.0
    factor, asked = made(matrix)
    assert factor is None
    assert asked
    zero, _ = made(np.zeros((20, 20), dtype=np.float32))
    assert zero is None


def test_one_bad_row_does_not_spoil_the_others(rng):
    matrix = glorot(50, rng)
    factor, _ = made(matrix)
    b = rng.standard_normal((4, 50))
    alone = factor.solve(b)
    b[1, 3], b[2] = np.nan, 0.0
    found = factor.solve(b)
    assert np.isnan(found[1]).all()
    assert (found[2] == 0.0).all()
    assert found[[0, 3]] == pytest.approx(alone[[0, 3]], rel=1e-9)


def test_any_leading_shape_and_no_rows(rng):
    matrix = glorot(20, rng)
    factor, _ = made(matrix)
    b = rng.standard_normal((2, 3, 20))
    assert factor.solve(b)[1, 2] == pytest.approx(factor.solve(b[1, 2]), rel=1e-9)
    assert factor.solve(np.empty((0, 20))).shape == (0, 20)


def test_many_rows_are_streamed_in_blocks_within_the_memory(rng):
    matrix = glorot(100, rng)
    told = []
    context = Context(memory=16 * 7 * 5 * 8 * 100, listener=told.append)
    factor, _ = made(matrix, context=context)
    x = rng.standard_normal((20, 100))
    found = factor.solve(x @ matrix.T.astype(float))
    assert found == pytest.approx(x, abs=1e-9)
    done = [event.done for event in told if isinstance(event, Progress)]
    assert done == sorted(done)
    # Each block begins where the one before it ended, and moves on with its passes.
    assert {0.0, 7.0, 14.0, 20.0} < set(done)
    assert {event.total for event in told if isinstance(event, Progress)} == {20}
    assert factor.last.rows == 20
    assert factor.last.backward_error <= factor.worst.backward_error


def test_many_rows_with_float64_factors_take_one_product_for_a_sample(rng):
    matrix = glorot(200, rng).astype(float)
    factor, _ = made(matrix, dtype=np.float64)
    x = rng.standard_normal((30, 200))
    assert factor.solve(x @ matrix.T) == pytest.approx(x, abs=1e-9)
    assert (factor.last.path, factor.last.passes) == ("float64 LU", 1)
    factor.solve(x[:3] @ matrix.T)
    assert factor.last.path == "float64 LU, refined"


def test_rough_solves_take_no_product(rng, monkeypatch):
    matrix = glorot(150, rng)
    factor, _ = made(matrix)
    b = rng.standard_normal((3, 150))
    exact = factor.solve(b)
    monkeypatch.setattr(DenseMap, "apply", None)
    found = factor.solve_roughly(b)
    assert np.linalg.norm(found - exact) <= 1e-3 * np.linalg.norm(exact)


def test_entries_beyond_float32_are_solved_with_scaled_factors(rng):
    core = conditioned(60, 1e3, rng)
    rows, columns = (rng.integers(-140, 140, 60) for _ in range(2))
    matrix = np.ldexp(core, rows[:, None] + columns)
    stored = ArrayMatrix(matrix)
    sizes = matrix_sizes(stored)
    scales = equilibration(stored, sizes)
    scaled = EquilibratedMatrix(stored, scales).to_float64()
    assert np.abs(matrix).max() > np.finfo(np.float32).max
    factor = MixedFactor(DenseMap(stored), rough(scaled, scales=scales), Context(), sizes)
    x = np.ldexp(rng.standard_normal((2, 60)), -columns)
    found = factor.solve(x @ matrix.T)
    assert np.ldexp(found, columns) == pytest.approx(np.ldexp(x, columns), abs=1e-9)


@pytest.mark.parametrize("limit", [None, 0])
def test_spread_bounds_what_an_error_can_do(limit, monkeypatch, rng):
    if limit is not None:
        monkeypatch.setattr(tolerances, "EXPLICIT_INVERSE_SIZE", limit)
    matrix = conditioned(60, 1e4, rng)
    factor, _ = made(matrix)
    radius = rng.uniform(0.0, 1.0, (2, 60))
    truth = radius @ np.abs(np.linalg.inv(matrix)).T
    bound = factor.spread(radius)
    assert (bound >= truth * (1.0 - 1e-6)).all()
    if limit is None:
        assert bound == pytest.approx(truth, rel=1e-6)


def test_a_stop_ends_with_what_there_is(rng):
    matrix = conditioned(100, 1e10, rng)
    context = Context()
    factor, _ = made(matrix, upgrade=False, context=context)
    context.interrupt()
    assert np.isfinite(factor.solve(rng.standard_normal((2, 100)))).all()
    assert factor.last.passes == 1
    assert not factor.last.accurate


def test_a_stop_makes_the_condition_a_lower_bound(rng):
    context = Context()
    matrix = conditioned(200, 1e4, rng)
    factor, asked = made(matrix, context=context)
    context.interrupt()
    found = factor.spectrum()
    assert found.kind is Kind.LOWER_BOUND
    assert 1e2 < found.condition <= 1.1e4
    assert not asked


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [3, 60])
def test_the_slack_of_a_solve_bounds_its_residual(rows, dtype, monkeypatch, rng):
    monkeypatch.setattr(tolerances, "EXPLICIT_INVERSE_SIZE", 0)
    matrix = glorot(200, rng)
    factor, _ = made(matrix, dtype=dtype)
    y = rng.standard_normal((rows, 200)) * 10.0 ** rng.integers(-5, 6, (rows, 1))
    x, slack = factor.solve_bounded(y)
    residual = np.abs(x.astype(np.longdouble) @ matrix.T.astype(np.longdouble) - y)
    assert slack.shape == (rows, 1)
    assert (residual <= slack).all()
    # It is n eps ||A|| ||x|| for the rounding of a product, and hardly more.
    size = np.abs(matrix).sum(axis=1).max() * np.abs(x).max(axis=1, keepdims=True)
    assert (slack <= 2.0 * 200 * tolerances.EPS64 * size).all()


def test_only_a_product_tells_where_not_every_y_is_reached(monkeypatch, rng):
    monkeypatch.setattr(tolerances, "EXPLICIT_INVERSE_SIZE", 0)
    values = np.linspace(1.0, 0.5, 100)
    values[-1] = 0.0
    factor, _ = made(with_singular_values(values, (100, 100), rng), dtype=np.float64)
    assert factor.nullity == 1
    assert factor.solve_bounded(rng.standard_normal((2, 100)))[1] is None


def test_rough_solves_with_the_transpose_take_no_product(rng, monkeypatch):
    matrix = glorot(150, rng)
    factor, _ = made(matrix)
    b = rng.standard_normal((2, 3, 150))
    exact = factor.solve_transposed(b)
    monkeypatch.setattr(DenseMap, "adjoint", None)
    found = factor.solve_transposed_roughly(b)
    assert np.linalg.norm(found - exact) <= 1e-3 * np.linalg.norm(exact)


@pytest.mark.parametrize("wrap", ["repeated", "chain"])
def test_rough_solves_reach_what_a_structured_map_is_made_of(wrap, rng, monkeypatch):
    matrix = glorot(60, rng)
    factor, _ = made(matrix)
    base = DenseMap(ArrayMatrix(matrix))
    if wrap == "repeated":
        outer = RepeatedFactor(RepeatedMap(base, 2), factor)
    else:
        outer = ChainFactor(ComposedMap([base, base]), [factor, factor])
    b = rng.standard_normal((3, outer.shape[0]))
    exact = outer.solve_transposed(b)
    monkeypatch.setattr(factor, "solve_transposed", None)
    found = outer.solve_transposed_roughly(b)
    assert np.linalg.norm(found - exact) <= 1e-2 * np.linalg.norm(exact)
