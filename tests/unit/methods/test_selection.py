"""Which method is tried on which rows."""

import numpy as np
import pytest
from problems import network

from nninvert.errors import UsageError
from nninvert.methods import METHODS
from nninvert.methods.domain import Constraints
from nninvert.methods.question import ask
from nninvert.methods.selection import select_method

Y = np.array([[0.1, 0.2], [0.3, np.nan]])


@pytest.fixture
def square():
    return network(np.array([[2.0, 1.0], [1.0, 3.0]]), "tanh")


@pytest.fixture
def losing():
    return network(np.array([[2.0, 1.0], [1.0, 3.0]]), "relu")


def names(problem, requested="auto"):
    return [(c.method.name, c.rows.tolist()) for c in select_method(problem, requested)]


def test_one_to_one_layer_by_layer(square):
    every = [True]
    assert names(ask(square, Y[:1])) == [("exact", every), ("lsq", every)]


def test_others_by_pseudo_inverses_first(losing):
    choices = select_method(ask(losing, Y[:1]), "auto")
    assert [choice.method.name for choice in choices] == ["pinv", "lsq"]
    assert "layer 1 'layer_1' relu is constant on" in choices[0].why


def test_near_goes_to_the_search_where_several_inputs_may_do(losing, square):
    assert names(ask(losing, Y[:1], near=[1, 1])) == [("lsq", [True])]
    assert names(ask(square, Y[:1], near=[1, 1]))[0][0] == "exact"


def test_a_tolerance_goes_to_the_search(square):
    assert names(ask(square, Y[:1], within=0.1)) == [("lsq", [True])]


def test_outputs_that_do_not_matter_go_to_the_search_alone(square):
    problem = ask(square, Y, nan_is_free=True)
    assert names(problem) == [
        ("lsq", [False, True]),
        ("exact", [True, False]),
        ("lsq", [True, False]),
    ]


def test_a_request_is_followed_or_refused(square, losing):
    assert names(ask(square, Y[:1]), "pinv") == [("pinv", [True])]
    with pytest.raises(UsageError, match="--method: got 'magic', expected auto, exact"):
        select_method(ask(square, Y[:1]), "magic")
    with pytest.raises(UsageError, match="--method exact: got layer 1 'layer_1' relu"):
        select_method(ask(losing, Y[:1]), "exact")


@pytest.mark.parametrize("option", ["--within", "--nan-is-free", "--method lsq"])
def test_what_needs_the_search_says_so_where_it_cannot_be(square, option, monkeypatch):
    monkeypatch.setattr(METHODS["lsq"], "obstacle", lambda self, problem: "too large")
    options = {"within": 0.1} if option == "--within" else {"nan_is_free": True}
    requested = "lsq" if "lsq" in option else "auto"
    with pytest.raises(UsageError, match=f"{option}: got too large"):
        select_method(ask(square, Y, **{"nan_is_free": True, **options}), requested)


def test_without_the_search_the_formulas_remain(square, losing, monkeypatch):
    monkeypatch.setattr(METHODS["lsq"], "obstacle", lambda self, problem: "too large")
    assert names(ask(square, Y[:1])) == [("exact", [True])]
    assert names(ask(losing, Y[:1], near=[1, 1])) == [("pinv", [True])]


def test_whole_numbers_are_searched_around_least_squares(square):
    asked = ask(square, Y[:1], integer=[0])
    assert names(asked) == [("whole", [True])]
    assert names(asked, "lsq") == [("whole", [True])]
    assert names(asked, "pinv") == [("pinv", [True])]


def test_nothing_is_searched_where_all_inputs_are_fixed(square):
    assert names(ask(square, Y[:1], fix={0: 0.0, 1: 0.0})) == [("fixed", [True])]


def test_inequalities_are_kept_by_least_squares(losing):
    rows = Constraints(np.ones((1, 2)), np.ones(1), ("sum",))
    assert names(ask(losing, Y[:1], constraints=rows))[-1] == ("lsq", [True])


def test_whole_numbers_of_straight_pieces_are_programmed_first():
    bent = network(np.eye(2), "relu", np.eye(2))
    open_ends = {"integer": [0]}
    first, second = select_method(ask(bent, Y[:1], **open_ends), "auto")
    assert (first.method.name, second.method.name) == ("milp", "whole")
    near = ask(bent, Y[:1], near=[1, 1], **open_ends)
    assert [name for name, _ in names(near)] == ["whole", "milp"]
    listed = ask(bent, Y[:1], integer=[0, 1], lower=0, upper=3)
    assert [name for name, _ in names(listed)] == ["whole"]
