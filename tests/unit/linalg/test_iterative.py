"""The factorisation that has no factors."""

from dataclasses import replace

import numpy as np
import pytest

from nninvert.context import Context, Notice, Progress
from nninvert.linalg.iterative import IterativeFactor
from nninvert.linalg.map import DenseMap
from nninvert.linalg.probe import probe
from nninvert.linalg.stored import ArrayMatrix
from nninvert.outcome import Kind

N = 200


def random(*shape, seed=11):
    return np.random.default_rng(seed).standard_normal(shape)


def orthonormal(m, n):
    return np.linalg.qr(random(max(m, n), min(m, n)))[0].reshape(max(m, n), -1)


CASES = {
    "near identity": lambda: np.eye(N) + 0.2 * random(N, N) / np.sqrt(N),
    "orthogonal": lambda: orthonormal(N, N),
    "tall": lambda: orthonormal(N, 120) * np.linspace(1, 2, 120),
    "wide": lambda: np.linspace(1, 2, 120)[:, None] * orthonormal(N, 120).T,
}


def factor_of(a, **limits):
    events = []
    context = Context(listener=events.append, **limits)
    linear_map = DenseMap(ArrayMatrix(a))
    return IterativeFactor(linear_map, probe(linear_map, context), context), events


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("name", CASES)
def test_solutions_are_those_of_the_pseudo_inverse(name, order):
    a = np.array(CASES[name](), order=order)
    factor, _ = factor_of(a)
    inverse = np.linalg.pinv(a)
    y, x = random(2, 3, a.shape[0], seed=1), random(a.shape[1], seed=2)
    np.testing.assert_allclose(factor.solve(y), y @ inverse.T, atol=1e-12)
    assert factor.last.accurate
    assert factor.last.rows == 6
    assert factor.last.backward_error <= 1e-15
    np.testing.assert_allclose(factor.solve_transposed(x), x @ inverse, atol=1e-12)
    assert factor.last.rows == 1
    assert factor.rank == min(a.shape)


@pytest.mark.parametrize("name", CASES)
def test_spectrum_bounds_the_condition_number_from_below(name):
    a = CASES[name]()
    values = np.linalg.svd(a, compute_uv=False)
    found = factor_of(a)[0].spectrum()
    assert found.kind is Kind.LOWER_BOUND
    assert found.rank == min(a.shape)
    true = values[0] / values[-1]
    assert 0.85 * true <= found.condition <= true * (1 + 1e-9)


@pytest.mark.parametrize("name", CASES)
def test_spread_bounds_what_errors_do(name):
    a = CASES[name]()
    factor, _ = factor_of(a)
    radius = np.random.default_rng(3).uniform(0.0, 1e-3, a.shape[0])
    bound = factor.spread(radius)
    assert bound.shape == (a.shape[1],)
    assert np.all(bound >= np.abs(np.linalg.pinv(a)) @ radius)


def backward_error(a, x, b):
    size = np.linalg.norm(a, 2) * np.linalg.norm(x, axis=1) + np.linalg.norm(b, axis=1)
    return (np.linalg.norm(b - x @ a.T, axis=1) / size).max()


@pytest.mark.parametrize(
    ("noise", "goal", "share"),
    [(0.2, 1e-3, 0.35), (0.65, 1e-6, 0.6)],
    ids=["fast", "slow"],
)
def test_rough_solves_cost_less(noise, goal, share):
    """Where iteration is fast three digits do: the condition number is small."""
    a = np.eye(N) + noise * random(N, N) / np.sqrt(N)
    factor, events = factor_of(a)
    y = random(2, N, seed=1)
    factor.solve(y)
    full, exact = passes_in(events), factor.last
    events.clear()
    rough = factor.solve_roughly(y)
    assert passes_in(events) < share * full
    assert factor.last is exact
    assert 1e-4 * goal <= backward_error(a, rough, y) <= goal
    events.clear()
    rough = factor.solve_transposed_roughly(y)
    assert passes_in(events) < share * full
    assert factor.last is exact
    assert backward_error(a.T, rough, y) <= goal


def test_spread_looks_no_closer_than_its_margin():
    """A few passes; those of a matrix with a large condition number are those of before."""
    a = CASES["near identity"]()
    coarse, _ = factor_of(a)
    precise, _ = factor_of(a)
    smallest = np.linalg.svd(a, compute_uv=False)[-1]
    # One bound for all units, from the smallest singular value.
    found = 10.0 / coarse.spread(np.eye(N)[0])[0]
    assert smallest <= found <= 1.5 * smallest
    assert precise.spectrum().smallest < found
    bad, _ = factor_of(np.diag(np.linspace(0.05, 1.0, N)))
    found = 10.0 / bad.spread(np.eye(N)[0])[0]
    assert found == pytest.approx(bad.spectrum().smallest)


def passes_in(events):
    return sum(isinstance(event, Progress) for event in events)


def test_rows_are_taken_in_blocks_that_fit():
    a, y = CASES["orthogonal"](), random(7, N, seed=1)
    factor, _ = factor_of(a, memory=4 * 16 * 8 * N * 3)
    np.testing.assert_allclose(factor.solve(y), y @ a, atol=1e-12)
    whole, _ = factor_of(a)
    whole.solve(y)
    assert factor.last.passes == 3 * whole.last.passes
    assert factor.last.rows == 7


def test_progress_never_exceeds_its_total():
    events = []
    context = Context(listener=events.append)
    linear_map = DenseMap(ArrayMatrix(CASES["near identity"]()))
    hasty = replace(probe(linear_map, context), rate=0.01)
    factor = IterativeFactor(linear_map, hasty, context)
    factor.solve(random(2, N))
    told = [event for event in events if isinstance(event, Progress)]
    assert len(told) == factor.last.passes
    assert factor.last.accurate
    assert factor.last.passes > told[0].total
    assert all(0 < event.done <= event.total for event in told)
    assert all(np.diff([event.done for event in told]) >= 0)


def test_a_singular_map_can_be_iterated_on_but_its_rank_stays_unknown():
    a = np.eye(N) - np.full((N, N), 1.0 / N)
    factor, events = factor_of(a)
    y = random(2, N, seed=1)
    np.testing.assert_allclose(factor.solve(y), y @ np.linalg.pinv(a).T, atol=1e-10)
    assert not factor.last.accurate
    assert "2 of 2 rows" in next(e.text for e in events if isinstance(e, Notice))
    assert factor.spectrum().rank is None
    assert "not known" in factor.reason


def test_stopped_it_still_answers():
    a = CASES["near identity"]()
    events = []
    context = Context(listener=events.append)
    linear_map = DenseMap(ArrayMatrix(a))
    factor = IterativeFactor(linear_map, probe(linear_map, context), context)
    context.interrupt()
    assert factor.solve(random(2, N)).shape == (2, N)
    assert not factor.last.accurate
    found = factor.spectrum()
    assert found.kind is Kind.LOWER_BOUND
    assert found.condition == 1.0
