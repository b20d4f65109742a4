"""Panelled LU in memory and in a file: accuracy, singular matrices, refusals, stops."""

import numpy as np
import pytest
import scipy.linalg
from panel_stores import (
    FAST,
    add_region,
    backward_error,
    factor_into,
    in_memory,
    normal,
    pieces,
    quiet_context,
    same_bits,
    solve,
)

from nninvert.context import Progress
from nninvert.errors import DataError, Interrupted, OutOfTime
from nninvert.linalg.panels.factor_file import FactorFile
from nninvert.linalg.panels.factors import PanelFactors
from nninvert.linalg.panels.kernels import LapackKernels
from nninvert.linalg.panels.lu import Pace, RangeExceeded, factor, panel_flops
from nninvert.linalg.panels.store import Cuts, MemoryStore
from nninvert.linalg.stored import ArrayMatrix

SHAPES = [
    (1, 1),
    (1, 7),
    (2, 1),
    (5, 2),
    (64, 64),
    (65, 64),
    (90, 200),
    (131, 40),
    (300, 96),
]
EPS = {"float32": 2.0**-24, "float64": 2.0**-53}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "width"), SHAPES)
@pytest.mark.parametrize("most", [1, 3])
def test_factors_are_those_of_lapack(n, width, dtype, most):
    matrix = normal(n, dtype)
    store = in_memory(matrix, width, most)
    wanted, pivots = scipy.linalg.lu_factor(matrix)
    starts = range(0, n, width)
    relative = [p + s for p, s in zip(store.pivots, starts, strict=True)]
    assert (np.concatenate(relative) == pivots).all()
    # Exchanges of later blocks are not applied to the rows of L of earlier ones.
    assert np.abs(np.triu(store.array) - np.triu(wanted)).max() <= (
        2e3 * EPS[dtype] * np.abs(wanted).max()
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "width"), SHAPES)
@pytest.mark.parametrize("columns", [0, 1, 3, 9])
def test_solves_have_a_backward_error_of_a_few_roundings(n, width, dtype, columns, rng):
    matrix = normal(n, dtype)
    store = in_memory(matrix, width, most=2)
    b = rng.standard_normal((n, columns)).astype(dtype)
    for transposed in (False, True):
        for flipped in (False, True):
            x = solve(store, b, transposed, flipped)
            if columns:
                solved = matrix.T if transposed is not flipped else matrix
                error = backward_error(solved, x, b)
                assert error <= 30 * EPS[dtype], (transposed, flipped)


def test_cutting_calls_for_a_slow_machine_changes_roundings_only():
    matrix = normal(150, "float64")
    fast, slow = in_memory(matrix, 40, 2), in_memory(matrix, 40, 2, rate=1.0)
    for a, b in zip(pieces(fast), pieces(slow), strict=True):
        assert np.abs(a.astype(float) - b).max() <= 1e-11 * np.abs(a).max()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "width", "most"), [(1, 1, 1), (90, 200, 1), (131, 40, 2)])
def test_a_file_holds_the_same_numbers_as_memory(tmp_path, n, width, most, dtype):
    matrix = normal(n, dtype)
    with FactorFile.begin(str(tmp_path / "f")) as file:
        stored = factor_into(file.store(add_region(file, matrix, width)), matrix, most)
        assert same_bits(stored, in_memory(matrix, width, most))
        b = normal(n, dtype, seed=1)[:, :7]
        for transposed in (False, True):
            x = solve(stored, b, transposed)
            assert (x == solve(in_memory(matrix, width, most), b, transposed)).all()


def test_how_many_blocks_are_resident_changes_roundings_only(tmp_path):
    matrix = normal(200, "float64")
    one = in_memory(matrix, 32, 1)
    for most in (2, 3, 100):
        for a, b in zip(pieces(one), pieces(in_memory(matrix, 32, most)), strict=True):
            assert np.abs(a.astype(float) - b).max() <= 1e-11 * np.abs(a).max()


def test_a_long_journal_interval_bounds_the_resident_panel(monkeypatch, tmp_path):
    kept = []
    monkeypatch.setattr("nninvert.linalg.panels.lu.JOURNAL_SECONDS", 1e-9)
    store = MemoryStore(Cuts(100, 10), np.dtype(np.float64))
    keep = store.keep
    store.keep = lambda first, *rest: (kept.append(first), keep(first, *rest))
    factor_into(store, normal(100, "float64"), most=5)
    assert kept == list(range(10))


# Singular matrices.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("column", [0, 30, 49])
def test_a_zero_column_is_counted_and_found_by_a_solve(dtype, scale, column, rng):
    matrix = normal(50, dtype) * np.dtype(dtype).type(scale)
    matrix[:, column] = 0.0
    store = in_memory(matrix, 20)
    assert store.zero_pivots == [column]
    x = solve(store, rng.standard_normal((50, 2)))
    assert np.isfinite(x).all()
    direction = np.abs(x / np.abs(x).max(axis=0))
    assert (direction.argmax(axis=0) == column).all()
    assert np.abs(np.delete(direction, column, axis=0)).max() < 1e-3
    assert np.isfinite(solve(store, rng.standard_normal((50, 2)), transposed=True)).all()


def test_a_tiny_pivot_is_below_the_roundings_of_a_small_matrix():
    """L has elements of 1 whatever the size of the matrix; they do not count."""
    matrix = 1e-12 * normal(40, "float64")
    matrix[:, 25] = 0.0
    store = in_memory(matrix, 16)
    assert abs(store.array[25, 25]) <= 1e-26


def test_duplicate_columns_give_finite_solves(rng):
    matrix = np.asfortranarray(rng.integers(-3, 4, (60, 60)).astype(np.float64))
    matrix[:, 10] = matrix[:, 3]
    matrix[:, 47] = matrix[:, 3]
    for transposed in (False, True):
        x = solve(in_memory(matrix, 16), rng.standard_normal((60, 3)), transposed)
        assert np.isfinite(x).all()
    ones = in_memory(np.ones((60, 60), order="F"), 16)
    assert ones.zero_pivots == list(range(1, 60))
    assert np.isfinite(solve(ones, rng.standard_normal((60, 3)))).all()


def test_a_zero_matrix_gives_finite_solves():
    store = in_memory(np.zeros((30, 30), np.float32, order="F"), 8)
    assert store.zero_pivots == list(range(30))
    assert np.isfinite(solve(store, np.ones((30, 2)))).all()


def test_zero_pivots_are_remembered_by_the_file(tmp_path):
    matrix = normal(50, "float64")
    matrix[:, [5, 33]] = 0.0
    path = str(tmp_path / "f")
    with FactorFile.begin(path) as file:
        store = factor_into(file.store(add_region(file, matrix, 20)), matrix)
        assert store.zero_pivots == [5, 33]
        file.finish()
    with FactorFile.open(path) as file:
        assert file.store(file.regions[0]).zero_pivots == [5, 33]


# Numbers that cannot be factored.


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (39, 2), (7, 39)])
def test_weights_that_are_not_finite_are_named_with_their_place(bad, place):
    matrix = normal(40, "float32")
    matrix[place] = bad
    with pytest.raises(DataError) as caught:
        in_memory(matrix, 16)
    assert f"{bad} at row {place[0]}, column {place[1]}" in str(caught.value)


@pytest.mark.parametrize("size", [1e60, 1e200])
def test_numbers_beyond_float32_are_told_from_infinity(size):
    matrix = normal(40, "float64")
    matrix[3, 20] = size
    with pytest.raises(RangeExceeded, match="entries up to"):
        in_memory(matrix, 16, dtype="float32")
    in_memory(matrix, 16)


@pytest.mark.parametrize("size", [1e-35, 1e-43, 1e-60])
@pytest.mark.parametrize("columns", [slice(None), slice(20, 21)])
def test_numbers_that_vanish_in_float32_are_told_from_zeros(size, columns):
    matrix = normal(40, "float64")
    matrix[:, columns] *= size
    with pytest.raises(RangeExceeded, match="too small"):
        in_memory(matrix, 16, dtype="float32")
    assert in_memory(matrix, 16).zero_pivots == []


@pytest.mark.parametrize(("dtype", "n"), [("float32", 200), ("float64", 1100)])
def test_growth_to_infinity_is_noticed(dtype, n):
    """Wilkinson's matrix: elements of U double from column to column."""
    matrix = np.asfortranarray(
        np.tril(-np.ones((n, n), dtype), -1) + np.eye(n, dtype=dtype)
    )
    matrix[:, -1] = 1.0
    with pytest.raises(RangeExceeded, match="grow"):
        in_memory(matrix, 64)


# Stopping.


class Stopper:
    """Ends the computation after so many calls."""

    def __init__(self, calls, stop):
        self.calls, self.stop, self.seen = calls, stop, []

    def __call__(self, event):
        self.seen.append(event)
        if len(self.seen) == self.calls:
            self.stop()


def test_an_interrupt_is_heard_after_the_call_that_runs(tmp_path):
    matrix = normal(120, "float64")
    for calls in (1, 5, 12):
        context = quiet_context(listener=(stopper := Stopper(calls, lambda: None)))
        stopper.stop = context.interrupt
        store = MemoryStore(Cuts(120, 20), np.dtype(np.float64))
        with pytest.raises(Interrupted):
            factor_into(store, matrix, context=context)
        assert len(stopper.seen) == calls


def test_the_time_limit_is_heard_after_the_call_that_runs(monkeypatch):
    context = quiet_context(listener=(stopper := Stopper(7, lambda: None)), time_limit=1e9)
    stopper.stop = lambda: setattr(context, "time_limit", 0.0)
    store = MemoryStore(Cuts(120, 20), np.dtype(np.float64))
    with pytest.raises(OutOfTime, match="--time-limit"):
        factor_into(store, normal(120, "float64"), context=context)
    assert len(stopper.seen) == 7


def test_after_an_interrupt_finished_panels_stay_and_the_rest_follows(tmp_path):
    matrix = normal(150, "float32")
    with FactorFile.begin(str(tmp_path / "f")) as file:
        region = add_region(file, matrix, 20)
        context = quiet_context(listener=(stopper := Stopper(14, lambda: None)))
        stopper.stop = context.interrupt
        store = file.store(region)
        with pytest.raises(Interrupted):
            factor_into(store, matrix, context=context)
        assert 0 < len(store.pivots) < 8
        assert len(store.pivots) == len(region.checks)
        factor_into(store, matrix)
        assert same_bits(store, in_memory(matrix, 20))


def test_progress_ends_at_the_number_of_operations(tmp_path):
    matrix = normal(130, "float64")
    path = str(tmp_path / "f")
    with FactorFile.begin(path) as file:
        region = add_region(file, matrix, 30)
        for calls in (6, 10**9):
            context = quiet_context(listener=(stopper := Stopper(calls, lambda: None)))
            stopper.stop = context.interrupt
            if calls == 6:
                with pytest.raises(Interrupted):
                    factor_into(file.store(region), matrix, context=context)
            else:
                factor_into(file.store(region), matrix, context=context)
    seen = [event for event in stopper.seen if isinstance(event, Progress)]
    done = [event.done for event in seen]
    assert done == sorted(done)
    assert seen[-1].total == pytest.approx(2 / 3 * 130**3)
    assert done[-1] == pytest.approx(seen[-1].total)


@pytest.mark.parametrize("start", [0, 20, 75])
def test_operations_of_panels_add_up(start):
    n = 100
    whole = panel_flops(n, 0, n) - panel_flops(n, 0, start)
    assert panel_flops(n, start, n) == pytest.approx(whole)


def test_the_pace_follows_the_machine():
    pace = Pace(1e9, _since=-1e6)
    pace.advance(1e6)
    assert pace.rate < 1.0
    assert Pace(1e6).columns(1000, 100) == 16
    assert Pace(FAST).columns(1000, 100) == 5_000_000


# What must not pass.


class Forgetful(LapackKernels):
    """Kernels with one mistake."""

    def __init__(self, dtype, mistake):
        super().__init__(dtype)
        setattr(self, mistake, lambda *rest: None)


@pytest.mark.parametrize("mistake", ["swap_rows", "solve_lower", "subtract"])
def test_the_checks_notice_a_step_left_out(mistake, rng):
    matrix, dtype = normal(60, "float64"), np.dtype(np.float64)
    store = MemoryStore(Cuts(60, 20), dtype)
    kernels = Forgetful(dtype, mistake)
    factor(ArrayMatrix(matrix), store, kernels, quiet_context(), 1, Pace(FAST))
    b = rng.standard_normal((60, 2))
    assert backward_error(matrix, solve(store, b), b) > 1e-6


@pytest.mark.parametrize(
    "columns",
    [
        np.zeros((10, 2), np.float32, order="F"),
        np.zeros((10, 2)),
        np.zeros((11, 2), order="F"),
        np.zeros((20, 2), order="F")[::2],
    ],
)
def test_arrays_that_would_be_misread_are_refused(columns):
    store = in_memory(normal(10, "float64"), 4)
    factors = PanelFactors(store, LapackKernels(store.dtype), False)
    with pytest.raises(ValueError, match="column-major"):
        factors.solve(columns)


def test_factors_know_their_size():
    store = in_memory(normal(10, "float32"), 4)
    factors = PanelFactors(store, LapackKernels(store.dtype), False)
    assert (factors.n, factors.dtype, factors.nbytes) == (10, np.float32, 400)
    assert factors.zero_pivots == 0
