"""Sparse layers: what is planned, what is done, and what singular ones give."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import sparse

from nninvert import tolerances
from nninvert.context import Context, Notice
from nninvert.errors import Interrupted, OutOfTime
from nninvert.linalg import sparse_solve
from nninvert.linalg.dominance import DominantFactor
from nninvert.linalg.factor import factorise
from nninvert.linalg.factorisation import Factorisation
from nninvert.linalg.iterative import IterativeFactor
from nninvert.linalg.mixed import MixedFactor
from nninvert.linalg.sparse_plan import SparseWay, sparse_plan
from nninvert.linalg.svd import SvdFactor
from tests.sparse_matrices import band, dominant, grid, map_of

EYE = sparse.eye_array(300)


def test_the_plan_follows_the_pattern() -> None:
    context = Context(memory=10**9)
    cases = [
        (band(3000, 2), SparseWay.BAND),
        (grid(60), SparseWay.SUPERLU),
        (grid(60)[::-1], SparseWay.SUPERLU),
        (dominant(6000), SparseWay.JACOBI),
        (grid(60)[:3000], SparseWay.ITERATION),
    ]
    for matrix, way in cases:
        plan = sparse_plan(map_of(matrix), context)
        assert plan.way is way, plan.text
        assert "\n" not in plan.text
        assert f"{matrix.nnz:,} nonzeros" in plan.text


def test_a_fill_beyond_the_memory_is_not_begun() -> None:
    sparse_map = map_of(grid(60))
    roomy = sparse_plan(sparse_map, Context(memory=10**9))
    tight = sparse_plan(sparse_map, Context(memory=int(0.1 * roomy.memory)))
    assert tight.way is SparseWay.ITERATION
    assert "more than the memory" in tight.text


def test_iteration_can_be_asked_for() -> None:
    plan = sparse_plan(map_of(band(3000, 2)), Context(engine="iterative"))
    assert plan.way is SparseWay.ITERATION
    assert "asked for" in plan.text


def test_the_numbers_are_said_before_the_work() -> None:
    told: list[str] = []

    def listen(event: object) -> None:
        if isinstance(event, Notice):
            told.append(event.text)

    sparse_map = map_of(grid(50))
    context = Context(listener=listen)
    factorise(sparse_map, context)
    assert told[0].startswith("sparse layer, N = 2,500, 12,300 nonzeros; LU would fill")
    told.clear()
    factorise(sparse_map, context)
    assert not told


def solved(matrix: sparse.csr_array, context: Context | None = None) -> Factorisation:
    """Factor a matrix, and solve with it and its transpose to full accuracy."""
    factor = factorise(map_of(matrix), context or Context())
    dense = np.asarray(matrix.toarray())
    x = np.random.default_rng(5).standard_normal((2, matrix.shape[0]))
    for b, solve, a in (
        (x @ dense.T, factor.solve, dense),
        (x @ dense, factor.solve_transposed, dense.T),
    ):
        found = solve(b)
        size = np.abs(found) @ np.abs(a).T + np.abs(b)
        assert (np.abs(b - found @ a.T) <= 50 * tolerances.EPS64 * size).all()
    return factor


@pytest.mark.parametrize(
    ("matrix", "kind", "said"),
    [
        (band(400, 3), MixedFactor, "band LU (3 diagonals below, 3 above)"),
        (grid(50), MixedFactor, "sparse LU"),
        (grid(50)[::-1], MixedFactor, "sparse LU"),
        (dominant(3000), DominantFactor, "Jacobi iteration"),
    ],
)
def test_each_way_solves_to_rounding(
    matrix: sparse.csr_array, kind: type[Factorisation], said: str
) -> None:
    factor = solved(matrix)
    assert isinstance(factor, kind)
    assert factor.reason.startswith(said)
    assert factor.nullity == 0
    assert factor.nbytes > 0


@pytest.mark.parametrize("matrix", [band(300, 3), grid(17)])
def test_spectra_and_spreads_are_those_of_the_matrix(matrix: sparse.csr_array) -> None:
    factor, dense = factorise(map_of(matrix), Context()), matrix.toarray()
    values = np.linalg.svd(dense, compute_uv=False)
    found = factor.spectrum()
    assert found.full_rank
    assert found.largest == pytest.approx(values[0], rel=0.1)
    assert found.smallest == pytest.approx(values[-1], rel=0.3)
    radius = np.abs(np.random.default_rng(2).standard_normal((2, dense.shape[0])))
    exact = radius @ np.abs(np.linalg.inv(dense)).T
    assert (factor.spread(radius) >= exact * (1.0 - 1e-9)).all()


def test_the_spread_of_a_large_matrix_bounds_that_of_single_units() -> None:
    matrix = grid(40)
    factor, n = factorise(map_of(matrix), Context()), matrix.shape[0]
    assert n > tolerances.EXPLICIT_INVERSE_SIZE
    exact = np.abs(np.linalg.inv(matrix.toarray())).sum(axis=1)
    bound = factor.spread(np.ones((1, n)))[0]
    assert (bound >= exact).all()
    assert (bound <= 10.1 * exact.max()).all()


@pytest.mark.parametrize("base", [band(300, 1) + 3.0 * EYE, grid(17), grid(28)[::-1]])
@pytest.mark.parametrize("how", ["equal rows", "zero row", "zero column"])
def test_a_few_lost_directions_are_found_and_left_out(
    base: sparse.csr_array, how: str
) -> None:
    matrix = base.tolil()
    if how == "equal rows":
        matrix[40] = 0.5 * matrix[41]
    elif how == "zero row":
        matrix[40] = 0.0
    else:
        matrix[:, 40] = 0.0
    made = sparse.csr_array(matrix)
    factor = factorise(map_of(made), Context())
    assert factor.nullity == 1
    assert factor.spectrum().rank == made.shape[0] - 1
    b = np.random.default_rng(0).standard_normal((2, made.shape[0]))
    expected = b @ np.linalg.pinv(made.toarray()).T
    size = np.abs(expected).max()
    assert np.abs(factor.solve(b) - expected).max() <= 1e-8 * size


def test_a_small_matrix_of_low_rank_is_decomposed() -> None:
    kept = sparse.diags_array((np.arange(300) % 3 > 0).astype(float))
    matrix = sparse.csr_array(kept)
    matrix.eliminate_zeros()
    factor = factorise(map_of(matrix), Context())
    assert factor.rank == 200


@pytest.mark.parametrize("shape", [(60, 40), (40, 60)])
def test_what_is_not_square_is_solved_in_the_least_squares_sense(
    shape: tuple[int, int],
) -> None:
    rng = np.random.default_rng(0)
    matrix = sparse.random_array(shape, density=0.3, rng=rng, format="csr")
    factor = factorise(map_of(matrix), Context())
    b = rng.standard_normal((2, shape[0]))
    assert isinstance(factor, SvdFactor)
    expected = b @ np.linalg.pinv(matrix.toarray()).T
    assert np.allclose(factor.solve(b), expected, atol=1e-10)


def test_a_large_rectangle_is_iterated_on() -> None:
    n = 3000
    made = sparse.vstack([dominant(n), sparse.eye_array(n)], format="csr")
    factor = factorise(map_of(made), Context())
    assert isinstance(factor, IterativeFactor)
    x = np.random.default_rng(1).standard_normal((1, n))
    assert np.abs(factor.solve(x @ made.toarray().T) - x).max() <= 1e-11


def test_diagonals_too_small_to_be_pivots_are_passed_over() -> None:
    matrix = grid(45)
    matrix.setdiag(1e-14)
    solved(matrix)


@pytest.mark.parametrize("limit", [None, 0.0])
def test_superlu_is_left_behind_when_asked_to_stop(
    limit: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(matrix: object, symmetric: bool) -> None:
        time.sleep(1.0)

    monkeypatch.setattr(sparse_solve, "SuperLuFactors", slow)
    context = Context(time_limit=limit)
    if limit is None:
        context.interrupt()
    begun = time.monotonic()
    with pytest.raises(Interrupted if limit is None else OutOfTime):
        factorise(map_of(grid(60)), context)
    assert time.monotonic() - begun < 0.8


def test_what_the_other_thread_raises_arrives_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(matrix: object, symmetric: bool) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(sparse_solve, "SuperLuFactors", broken)
    with pytest.raises(RuntimeError, match="out of order"):
        factorise(map_of(grid(60)), Context())
