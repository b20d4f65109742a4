"""Large layers: which way they are solved, and what changes it on the way."""

import numpy as np
import pytest

from nninvert import tolerances
from nninvert.context import Context, Disk, Notice, Progress
from nninvert.errors import Interrupted, MachineError, OutOfTime
from nninvert.linalg import large
from nninvert.linalg.factor import factorise
from nninvert.linalg.iterative import IterativeFactor
from nninvert.linalg.lu import LuFactor
from nninvert.linalg.map import DenseMap
from nninvert.linalg.mixed import MixedFactor
from nninvert.linalg.panels import making
from nninvert.linalg.panels.lu import RangeExceeded
from nninvert.linalg.panels.workspace import Workspace
from nninvert.linalg.qr import QrFactor
from nninvert.linalg.stored import ArrayMatrix
from nninvert.linalg.svd import SvdFactor

N = 90


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch):
    monkeypatch.setattr(tolerances, "SVD_WORK", 1e4)


@pytest.fixture
def heard():
    return []


@pytest.fixture
def context(heard):
    def listen(event):
        if isinstance(event, Notice):
            heard.append(event.text)

    with Context(memory=2**30, listener=listen) as made:
        yield made


def gaussian(m, n, seed=11):
    return np.random.default_rng(seed).standard_normal((m, n)) / np.sqrt(n)


def dense(values):
    return DenseMap(ArrayMatrix(values))


def backward_error(matrix, x, b):
    residual = np.abs(b - x @ matrix.T).max()
    norms = np.abs(matrix).sum(axis=1).max() * np.abs(x).max() + np.abs(b).max()
    return residual / norms


def test_an_ordinary_layer_is_factored_in_float32_and_refined(context, heard):
    matrix = gaussian(N, N).astype(np.float32)
    factor = factorise(dense(matrix), context)
    b = gaussian(3, N, 5)
    assert isinstance(factor, MixedFactor)
    assert factor.precision == "float32"
    assert backward_error(matrix.astype(float), factor.solve(b), b) < 4e-16
    assert any(f"factoring {N} x {N} in float32 in memory" in text for text in heard)


@pytest.mark.parametrize("column_major", [False, True])
def test_either_storage_order_is_solved_both_ways(context, column_major):
    matrix = np.array(gaussian(N, N), order="F" if column_major else "C")
    factor = factorise(dense(matrix), context)
    b = gaussian(2, N, 5)
    assert backward_error(matrix, factor.solve(b), b) < 4e-16
    assert backward_error(matrix.T, factor.solve_transposed(b), b) < 4e-16


def test_what_float32_cannot_hold_is_factored_in_float64(context, heard, monkeypatch):
    honest = large.panel_factors

    def narrow(matrix, plan, context):
        if plan.precision == "float32":
            raise RangeExceeded("entries up to 1e39")
        return honest(matrix, plan, context)

    monkeypatch.setattr(large, "panel_factors", narrow)
    matrix = gaussian(N, N)
    factor = factorise(dense(matrix), context)
    assert factor.precision == "float64"
    assert any("entries up to 1e39" in text for text in heard)


def test_ill_conditioned_layers_are_solved_as_well_as_others(context):
    u, v = (np.linalg.qr(gaussian(N, N, seed))[0] for seed in (1, 2))
    matrix = (u * np.logspace(0, -11, N)) @ v
    b = gaussian(1, N, 5)
    assert backward_error(matrix, factorise(dense(matrix), context).solve(b), b) < 4e-16


def test_a_few_lost_dimensions_are_taken_apart(context):
    matrix = gaussian(N, N)
    matrix[3] = matrix[7]
    factor = factorise(dense(matrix), context)
    assert (type(factor), factor.rank) == (MixedFactor, N - 1)


def test_what_factors_cannot_tell_is_decomposed(context, monkeypatch):
    monkeypatch.setattr(large, "factor_mixed", lambda *arguments: None)
    matrix = gaussian(N, N)
    matrix[: N // 2] = 0.0
    factor = factorise(dense(matrix), context)
    assert (type(factor), factor.rank) == (SvdFactor, N // 2)


def test_too_large_for_a_decomposition_says_so(context, monkeypatch):
    monkeypatch.setattr(large, "factor_mixed", lambda *arguments: None)
    monkeypatch.setattr(large, "_SVD_MOST", 10)
    with pytest.raises(MachineError, match="loses more dimensions") as caught:
        factorise(dense(gaussian(N, N)), context)
    assert "--engine iterative" in str(caught.value)


def test_iteration_is_chosen_where_it_pays_and_only_there(context, heard, monkeypatch):
    monkeypatch.setattr(large, "_WORTH_A_LOOK", 0.0)
    monkeypatch.setattr(large, "_GAIN", 1e-9)
    monkeypatch.setattr(large, "_ASKED_PASSES", 40)
    orthogonal = np.linalg.qr(gaussian(N, N))[0]
    factor = factorise(dense(orthogonal), context)
    b = gaussian(2, N, 5)
    assert isinstance(factor, IterativeFactor)
    assert backward_error(orthogonal, factor.solve(b), b) < 2e-15
    assert isinstance(factorise(dense(gaussian(N, N)), context), MixedFactor)
    assert any("iteration does not pay" in text for text in heard)


def test_engines_that_are_asked_for_are_used():
    matrix = gaussian(N, N)
    with Context(memory=2**30, engine="lapack") as context:
        assert isinstance(factorise(dense(matrix), context), LuFactor)
    with Context(memory=2**30, engine="iterative") as context:
        assert isinstance(factorise(dense(matrix), context), IterativeFactor)


def test_rectangles_are_solved_by_qr_or_iterated_if_memory_is_short(context):
    tall, wide = gaussian(N, 60), gaussian(60, N)
    assert isinstance(factorise(dense(tall), context), QrFactor)
    assert isinstance(factorise(dense(wide), context), QrFactor)
    context.memory = 10_000
    assert isinstance(factorise(dense(gaussian(N, 61)), context), IterativeFactor)


def test_a_rectangle_that_loses_dimensions_is_decomposed(context):
    tall = gaussian(N, 60)
    tall[:, 3] = 0.0
    assert factorise(dense(tall), context).rank == 59


class TestFactorFiles:
    def make(self, matrix, path, engine="panel"):
        with Context(memory=2**30, engine=engine, disk=Disk(output=str(path))) as context:
            factorise(dense(matrix), context)
            assert context.shared(Workspace).conclude() == str(path)

    def test_factors_are_used_again_and_solve_the_same(self, tmp_path, context, heard):
        matrix, b = gaussian(N, N), gaussian(2, N, 5)
        self.make(matrix, tmp_path / "F")
        context.disk = Disk(factors=str(tmp_path / "F"))
        again = factorise(dense(matrix), context)
        assert backward_error(matrix, again.solve(b), b) < 4e-16
        assert any("taken from the file" in text for text in heard)
        assert not any("factoring" in text for text in heard)

    def test_factors_too_large_for_memory_are_streamed(
        self, tmp_path, context, monkeypatch
    ):
        monkeypatch.setattr(making, "SLACK", 2**40)
        matrix, b = gaussian(N, N), gaussian(2, N, 5)
        self.make(matrix, tmp_path / "F")
        context.disk = Disk(factors=str(tmp_path / "F"))
        again = factorise(dense(matrix), context)
        assert backward_error(matrix, again.solve(b), b) < 4e-16
        assert again.nbytes == 0

    def test_better_factors_than_the_file_holds_are_made(self, tmp_path, context):
        good = gaussian(N, N)
        self.make(good, tmp_path / "F")
        context.disk = Disk(factors=str(tmp_path / "F"))
        made = factorise(dense(good), context)
        made.upgrade()
        assert made.precision == "float64"

    def test_a_layer_that_is_not_in_the_file_is_factored(self, tmp_path, context):
        self.make(gaussian(N, N), tmp_path / "F")
        context.disk = Disk(factors=str(tmp_path / "F"))
        other = gaussian(N, N, 99)
        b = gaussian(1, N, 5)
        assert backward_error(other, factorise(dense(other), context).solve(b), b) < 4e-16

    def from_file(self, tmp_path, context, monkeypatch):
        monkeypatch.setattr(making, "SLACK", 2**40)
        matrix = gaussian(N, N)
        self.make(matrix, tmp_path / "F")
        context.disk = Disk(factors=str(tmp_path / "F"))
        return matrix, factorise(dense(matrix), context)

    def test_an_interrupt_ends_a_sweep_over_a_file(self, tmp_path, context, monkeypatch):
        _, factor = self.from_file(tmp_path, context, monkeypatch)
        context.interrupt()
        with pytest.raises(Interrupted, match="reading factors"):
            factor.solve_roughly(gaussian(1, N, 5))

    def test_so_does_a_time_limit(self, tmp_path, context, monkeypatch):
        _, factor = self.from_file(tmp_path, context, monkeypatch)
        context.time_limit = 1e-9
        with pytest.raises(OutOfTime, match="in the midst of reading factors"):
            factor.solve_roughly(gaussian(1, N, 5))

    def test_what_was_found_before_the_end_is_kept(self, tmp_path, context, monkeypatch):
        matrix, factor = self.from_file(tmp_path, context, monkeypatch)
        told = []

        def listen(event):
            if isinstance(event, Progress) and event.stage == "reading factors":
                told.append(event)
                # In the midst of the second solve, which corrects the first.
                if len(told) == 2 * told[0].total + 1:
                    context.interrupt()

        context.listener = listen
        b = gaussian(1, N, 5)
        assert 1e-15 < backward_error(matrix, factor.solve(b), b) < 1e-5
