"""Several answers, families, whole numbers and inequalities from the library."""

import numpy as np
import pytest
from problems import dense, network

import nninvert
from nninvert.context import Context
from nninvert.errors import UsageError
from nninvert.methods.domain import Constraints


@pytest.fixture
def net(rng):
    return network(dense(rng.standard_normal((2, 4))), "tanh")


def sum_at_most(limit):
    open_below, closed = np.array([-np.inf]), np.array([limit])
    return Constraints.between(np.ones((1, 4)), open_below, closed, ("sum",))


def test_answers_and_families_are_there_when_asked_for(net):
    y = np.array([[0.2, -0.1]])
    plain = nninvert.invert(net, y)
    assert plain.answers is None
    assert plain.families == ()
    both = nninvert.invert(net, y, answers=3, family=True, lower=-2.0, upper=2.0)
    assert both.answers.x.shape == (1, 3, 4)
    np.testing.assert_array_equal(both.answers.x[:, 0], both.x)
    # The family is that of the best answer.
    np.testing.assert_array_equal(both.families[0].x, both.x[0])
    assert both.seconds > 0.0


def test_one_answer_is_what_there_is_without(net):
    y = np.array([[0.2, -0.1]])
    one = nninvert.invert(net, y, answers=1)
    assert one.answers is None
    np.testing.assert_array_equal(one.x, nninvert.invert(net, y).x)


def test_what_cannot_be_had_is_refused_before_the_search(net, monkeypatch):
    y = np.array([[0.2, -0.1]])
    monkeypatch.setattr("nninvert.methods.driver.invert", None)
    with pytest.raises(UsageError, match="--answers: got 0"):
        nninvert.invert(net, y, answers=0)
    with pytest.raises(UsageError, match="--answers"):
        nninvert.invert(net, y, answers=500, context=Context(memory=10_000))
    monkeypatch.setattr("nninvert.tolerances.SVD_WORK", 1.0)
    with pytest.raises(UsageError, match="--family: got a Jacobian of 2 by 4 numbers"):
        nninvert.invert(net, y, family=True)


def test_whole_numbers_and_inequalities_are_kept(net):
    y = net.forward(np.array([[1.0, -1.0, 0.3, -0.2]]))
    found = nninvert.invert(
        net, y, integer=[0, 1], constraints=sum_at_most(1.0), lower=-2.0, upper=2.0
    )
    assert found.solved.all()
    assert (found.x[:, :2] == np.round(found.x[:, :2])).all()
    assert found.x.sum() <= 1.0 + 1e-12


def test_check_takes_them_too(net):
    y = net.forward(np.array([[0.5, 0.5, 0.5, 0.5]]))
    report = nninvert.check(net, target=y, constraints=sum_at_most(3.0))
    assert report.target.reachable == (True,)
    with pytest.raises(UsageError, match="--integer"):
        nninvert.check(net, target=y, integer=[7])


def test_a_session_takes_them_too(net):
    with nninvert.Session(net) as session:
        found = session.invert(np.array([[0.2, -0.1]]), answers=2)
    assert found.answers.count.tolist() == [2]
