"""What is said of many rows does not depend on how many are looked at together."""

from dataclasses import fields

import numpy as np
import pytest
from problems import dense, network

from nninvert import tolerances
from nninvert.analysis import sensitivity
from nninvert.layers import elementwise
from nninvert.linalg import streamed
from nninvert.methods import conclusion, layerwise, ledger
from nninvert.methods.driver import invert
from nninvert.methods.question import ask
from nninvert.outcome import RowStatus
from nninvert.result import Plan

N = 12


def square(rng):
    return network(dense(rng.standard_normal((N, N)), rng.standard_normal(N)), "tanh")


def plain(rng):
    net = square(rng)
    return ask(net, net.forward(rng.uniform(-1.0, 1.0, (9, N))))


def on_ends_and_out_of_reach(rng):
    problem = plain(rng)
    y = problem.targets.values.copy()
    y[2, 3], y[4, 5], y[6] = 1.0, 1.5, 2.0
    return ask(problem.network, y.astype(np.float32))


def some_outputs(rng):
    problem = plain(rng)
    y = problem.targets.values.copy()
    y[[1, 1, 5], [0, 7, 2]] = np.nan
    y[5, 4] = 1.0
    return ask(problem.network, y, nan_is_free=True)


def bounded(rng):
    problem = plain(rng)
    return ask(problem.network, problem.targets.values, lower=-0.99, upper=0.9)


def within(rng):
    problem = plain(rng)
    return ask(problem.network, problem.targets.values[:3], within="1%")


def result_of(make, count, dtype, patch):
    """With so many rows in a block."""

    def blocks(shape):
        for start in range(0, shape[0], count):
            yield slice(start, min(start + count, shape[0]))

    for module in (sensitivity, elementwise, streamed, conclusion, layerwise, ledger):
        patch.setattr(module, "row_blocks", blocks)
    return invert(make(np.random.default_rng(8)), dtype=dtype)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "make", [plain, on_ends_and_out_of_reach, some_outputs, bounded, within]
)
def test_results_are_the_same_to_the_last_bit(make, dtype, large, monkeypatch):
    if large:
        for name in ("SVD_WORK", "LARGE_NETWORK", "SMALL_WEIGHTS"):
            monkeypatch.setattr(tolerances, name, 0)
    # All rows, two of them, one of them; the last block is smaller.
    whole, pairs, single = (
        result_of(make, count, dtype, monkeypatch) for count in (100, 2, 1)
    )
    for field in fields(whole):
        if field.name in ("seconds", "plan"):
            continue
        expected = getattr(whole, field.name)
        for other in (pairs, single):
            np.testing.assert_array_equal(getattr(other, field.name), expected, field.name)


def test_the_problems_differ_in_what_is_said():
    """Else the comparison above would compare little."""
    rng = np.random.default_rng(8)
    ends, free = invert(on_ends_and_out_of_reach(rng)), invert(some_outputs(rng))
    assert {RowStatus.SOLVED, RowStatus.UNREACHABLE} <= set(ends.status)
    assert ends.edge_values.sum() == free.edge_values.sum() == 1
    assert np.isnan(ends.digits[2])
    assert np.isfinite(ends.digits[0])


def test_a_result_is_the_callers_own():
    """Arrays that the ledger took over from an attempt may be written to."""
    for make in (plain, on_ends_and_out_of_reach):
        found = invert(make(np.random.default_rng(8)))
        for array in (found.x, found.fitted, found.tolerance):
            array[:] = 0.0


def test_rows_that_no_method_looked_at_have_failed():
    """Nothing was taken over from an attempt."""
    problem = plain(np.random.default_rng(8))
    empty = ledger.Ledger.empty(problem, np.float32)
    found = conclusion.conclude(problem, empty, Plan("auto", ()), 0.0)
    assert set(found.status) == {RowStatus.FAILED}
    assert found.x.shape == (9, N)
    assert found.x.dtype == np.float32
    assert np.isnan(found.x).all()
    assert np.isnan(found.fitted).all()
    found.x[:] = 0.0
