"""Ways back on other branches of silu, gelu, mish and hard_silu."""

import numpy as np
import pytest
from problems import asked, conditioned, dense, network

from nninvert.context import Context
from nninvert.methods import branches
from nninvert.methods.branches import branch_starts, has_branches
from nninvert.methods.driver import invert
from nninvert.methods.layerwise import pull_back, refine
from nninvert.methods.ledger import judge
from nninvert.methods.question import ask
from nninvert.outcome import RowStatus


def square(activation, n, depth, rng):
    parts = []
    for _ in range(depth):
        a = 1.5 * rng.standard_normal((n, n)) / np.sqrt(n)
        parts += [dense(a, 0.2 * rng.standard_normal(n)), activation]
    return network(*parts, conditioned(n, 5.0, rng))


def solved(net, y, most=8):
    """Rows that some way back leads to, corrected by Newton steps."""
    problem = ask(net, y)
    met = np.zeros(problem.rows, dtype=bool)
    for start in branch_starts(problem, most):
        x, _ = refine(problem, start)
        met |= judge(problem, x).solved
    return met.sum()


@pytest.mark.parametrize("activation", ["silu", "gelu", "mish"])
def test_square_nets_are_inverted_on_the_branches_that_fit(activation, rng):
    net = square(activation, 8, 2, rng)
    y = net.forward(rng.standard_normal((12, 8)))
    assert solved(net, y) == 12
    right = invert(ask(net, y), method="pinv").status
    assert right.count(RowStatus.SOLVED) <= 10


def test_the_search_tries_them_in_rows_that_plain_starts_leave(rng, monkeypatch):
    tried = []

    def remembered(problem, most):
        tried.append(problem.rows)
        return branch_starts(problem, most)

    monkeypatch.setattr("nninvert.methods.lsq.branch_starts", remembered)
    net = square("silu", 40, 2, rng)
    result = invert(ask(net, net.forward(rng.standard_normal((6, 40)))))
    assert set(result.status) == {RowStatus.SOLVED}
    assert tried
    assert tried[0] <= result.method.count("lsq")


def test_of_many_units_the_choice_is_found_by_a_program(rng, monkeypatch):
    monkeypatch.setattr(branches, "ENUMERATED", 2)
    net = square("silu", 6, 2, rng)
    y = net.forward(rng.standard_normal((12, 6)))
    assert solved(net, y) == 12


def test_a_square_layer_of_forty_units_needs_no_search(rng, monkeypatch):
    net = square("silu", 40, 2, rng)
    y = net.forward(rng.standard_normal((6, 40)))
    assert solved(net, y) == 6
    monkeypatch.setattr(branches, "PROGRAMMED", 5)
    assert solved(net, y) < 6


def test_where_a_layer_loses_something_the_right_branch_is_taken(rng, monkeypatch):
    monkeypatch.setattr(branches, "ENUMERATED", 0)
    net = network(rng.standard_normal((20, 30)), "silu", rng.standard_normal((20, 20)))
    problem = ask(net, net.forward(rng.standard_normal((3, 30))))
    assert len(branch_starts(problem, 8)) == 1


def test_no_time_no_other_ways(rng):
    net = square("silu", 4, 2, rng)
    context = Context(time_limit=0.0)
    problem = asked(net, net.forward(rng.standard_normal((3, 4))), context=context)
    np.testing.assert_array_equal(branch_starts(problem, 4), problem.near[None])


def test_the_starts_contain_the_input_itself(rng):
    net = square("silu", 4, 2, rng)
    x = rng.standard_normal((6, 4))
    starts = branch_starts(ask(net, net.forward(x)), 16)
    assert starts.shape[0] <= 16
    assert starts.shape[1:] == (6, 4)
    distance = np.abs(starts - x).max(axis=2).min(axis=0)
    np.testing.assert_allclose(distance, 0.0, atol=1e-6)


def test_all_choices_of_a_single_layer_are_origins():
    net = network("silu", shape=(3,))
    y = np.array([[-0.1, 0.5, -0.2]])
    starts = branch_starts(ask(net, y), 8)[:, 0]
    assert len(starts) == 4
    assert len(np.unique(np.round(starts, 6), axis=0)) == 4
    np.testing.assert_allclose(net.forward(starts), np.repeat(y, 4, axis=0), rtol=1e-9)
    assert len(branch_starts(ask(net, y), 3)) == 3


def test_bounds_decide_between_branches():
    net = network(2.0 * np.eye(2), "silu")
    x = np.array([[-2.0, 0.3], [-0.1, -1.5], [-3.0, -0.05]])
    lower, upper = np.array([-4.0, -2.0]), np.array([-0.05, 1.0])
    for row in x:
        problem = ask(net, net.forward(row[None]), lower=lower, upper=upper)
        starts = branch_starts(problem, 4)[:, 0]
        inside = ((starts >= lower) & (starts <= upper)).all(axis=1)
        assert inside[0]
        assert (np.diff(inside.astype(int)) <= 0).all()
        assert np.abs(starts - row).max(axis=1).min() < 1e-9


def test_rows_are_independent(rng):
    net = square("silu", 4, 2, rng)
    y = net.forward(rng.standard_normal((5, 4)))
    every = branch_starts(ask(net, y), 4)
    alone = branch_starts(ask(net, y[:1]), 4)
    np.testing.assert_allclose(every[: len(alone), :1], alone, rtol=1e-9)


@pytest.mark.parametrize("activation", ["tanh", "relu", "leaky_relu:0.1"])
def test_one_branch_leaves_no_choice(activation, rng):
    problem = ask(square(activation, 3, 1, rng), rng.standard_normal((2, 3)))
    assert not has_branches(problem)
    assert branch_starts(problem, 8).shape == (0, 2, 3)


def test_no_rows_give_no_starts(rng):
    net = square("silu", 3, 1, rng)
    problem = ask(net, net.forward(np.zeros((2, 3)))).take(np.zeros(0, dtype=int))
    assert branch_starts(problem, 8).shape == (0, 0, 3)


def test_large_layers_keep_to_the_right_branch(rng, monkeypatch):
    net = square("silu", 4, 2, rng)
    problem = ask(net, net.forward(rng.standard_normal((3, 4))))
    right = pull_back(problem).preimage.x.reshape(3, 4)
    monkeypatch.setattr(branches, "WIDEST", 3)
    np.testing.assert_allclose(branch_starts(problem, 8), right[None], rtol=1e-12)
