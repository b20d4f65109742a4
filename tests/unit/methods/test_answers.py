"""Several answers: found from many starts, told apart, spread out, sorted."""

from dataclasses import replace

import numpy as np
import pytest
from problems import network, random_net

from nninvert.context import Context
from nninvert.errors import UsageError
from nninvert.methods import driver
from nninvert.methods.answers import (
    MOST_ANSWERS,
    follow,
    require_answers,
    several,
    starts_for,
)
from nninvert.methods.domain import Constraints
from nninvert.methods.question import ask
from nninvert.outcome import RowStatus, Uniqueness


def newton(problem, starts):
    """A stand-in for the search: Gauss-Newton steps from each start, alone and short."""
    ends = starts.copy()
    for points in ends:
        for row in range(problem.rows):
            for _ in range(60):
                near = problem.network.linearize(points[row][None])
                lacking = problem.targets.values[row] - near.y[0]
                step = np.linalg.lstsq(near.dense()[0], lacking, rcond=1e-12)[0]
                points[row] = problem.domain.clip(points[row] + np.clip(step, -0.5, 0.5))
    return ends


def answers(net, y, most, search=newton, **options):
    problem = ask(net, np.atleast_2d(y), **options)
    result = driver.invert(problem)
    require_answers(problem, most)
    return problem, several(problem, result, most, search)


@pytest.fixture
def wave():
    """silu(x): two answers below zero, one above."""
    return network(np.eye(1), "silu")


def test_both_branches_are_found(wave):
    _, result = answers(wave, [-0.2], 5)
    found = result.answers
    assert (found.count[0], found.found[0]) == (2, 2)
    assert found.starts[0] >= 24
    x = found.x[0, :2, 0]
    np.testing.assert_allclose(wave.forward(x[:, None]), -0.2, atol=1e-12)
    assert x[0] > -1.278 > x[1]
    assert np.isnan(found.x[0, 2:]).all()
    assert np.isnan(found.residual[0, 2:]).all()
    assert np.isfinite(found.residual[0, :2]).all()
    assert result.unique[0] is Uniqueness.NO
    # A matrix first: its column is the unit.
    assert found.apart[0] == pytest.approx(abs(x[0] - x[1]))


def test_the_nearest_of_equal_ones_is_the_first_and_is_the_x_of_the_row(wave):
    for near, sign in ((0.0, 1), (-5.0, -1)):
        _, result = answers(wave, [-0.2], 2, near=[near])
        found = result.answers
        assert np.sign(found.x[0, 0, 0] + 1.278) == sign
        assert found.distance[0, 0] < found.distance[0, 1]
        np.testing.assert_array_equal(result.x, found.x[:, 0])


def test_a_better_first_answer_changes_all_that_is_said_of_the_row(wave):
    problem = ask(wave, np.array([[-0.2], [0.5]]), near=[-5.0])
    before = driver.invert(problem, method="pinv")
    assert before.x[0, 0] > -1.0
    after = several(problem, before, 2, newton)
    assert after.x[0, 0] < -1.5
    np.testing.assert_array_equal(after.fitted, wave.forward(after.x))
    assert after.method == ("lsq", "pinv")
    assert after.status == (RowStatus.SOLVED, RowStatus.SOLVED)
    # It depends on the terms that are added at x.
    assert after.tolerance[0] != before.tolerance[0]
    assert after.tolerance[1] == before.tolerance[1]
    assert after.plan.steps[-1].method == "lsq"


def test_an_x_that_meets_the_tolerance_only_just_is_made_exact(wave):
    problem = ask(wave, np.array([[-0.2]]), near=[-0.5])
    before = driver.invert(problem)
    off = before.x + 0.9 * before.tolerance / 0.2
    rough = replace(before, x=off, residual=0.9 * before.tolerance[:, 0])
    found = several(problem, rough, 2, newton)
    assert found.answers.residual[0, 0] < 1e-15
    assert found.x[0, 0] == pytest.approx(off[0, 0], abs=1e-8)


def test_an_exact_x_stays_as_it_is(wave):
    problem = ask(wave, np.array([[-0.2]]))
    before = driver.invert(problem)

    def nearer(problem, starts):
        return np.nextafter(newton(problem, starts), 0.0)

    after = several(problem, before, 2, nearer)
    np.testing.assert_array_equal(after.x, before.x)
    assert after.method == before.method


def test_a_family_gives_answers_that_lie_apart(rng):
    net = network(rng.standard_normal((1, 3)), "tanh")
    _, result = answers(net, [0.3], 4, lower=-1.0, upper=1.0)
    found = result.answers
    assert found.count[0] == 4
    assert found.found[0] > 4
    assert found.apart[0] > 0.5
    assert (np.abs(found.x) <= 1.0).all()
    np.testing.assert_allclose(net.forward(found.x[0]), 0.3, atol=1e-9)


def test_rows_with_one_answer_are_not_searched(rng):
    net = random_net(rng, n=3, depth=2)
    y = net.forward(0.3 * rng.standard_normal((2, 3)))

    def never(problem, starts):
        raise AssertionError

    _, result = answers(net, y, 3, never)
    assert result.unique == (Uniqueness.YES,) * 2
    assert result.answers.count.tolist() == [1, 1]
    assert result.answers.starts.tolist() == [0, 0]
    np.testing.assert_array_equal(result.answers.x[:, 0], result.x)
    assert np.isnan(result.answers.x[:, 1:]).all()


def test_a_row_without_an_answer_keeps_its_best_x(wave):
    _, result = answers(wave, [[-0.2], [-0.9]], 2)
    found = result.answers
    assert found.count.tolist() == [2, 0]
    np.testing.assert_array_equal(found.x[1, 0], result.x[1])
    assert np.isnan(found.x[1, 1]).all()
    assert result.status[1] is not RowStatus.SOLVED


def test_what_a_search_claims_is_judged(wave):
    def liar(problem, starts):
        return starts + 1.0

    _, result = answers(wave, [-0.2], 3, liar)
    assert result.answers.count[0] == 1


def test_an_answer_that_only_the_search_finds_solves_the_row(wave):
    problem = ask(wave, np.array([[-0.2]]), lower=-10.0, upper=-2.0)
    before = driver.invert(problem, method="pinv")
    assert before.status[0] is not RowStatus.SOLVED
    after = several(problem, before, 2, newton)
    assert after.status[0] is RowStatus.SOLVED
    assert after.reason[0] == ""
    assert -10.0 <= after.x[0, 0] <= -2.0


def test_answers_within_a_tolerance_are_sorted_by_distance(wave):
    _, result = answers(wave, [-0.2], 2, within=0.01, near=[-1.0])
    found = result.answers
    assert found.count[0] == 2
    assert found.distance[0, 0] < found.distance[0, 1]
    # The nearest uses the tolerance to its edge; a smaller residual does not count more.
    assert found.residual[0, 0] == pytest.approx(0.01, rel=1e-6)
    assert found.residual[0, 1] < 0.005


def test_x_is_judged_as_it_is_written(wave):
    y = np.array([[-0.2]], dtype=np.float32)
    problem = ask(wave, y)
    result = several(problem, driver.invert(problem, dtype=np.float32), 2, newton)
    assert result.answers.x.dtype == np.float32
    assert result.answers.count[0] == 2


def test_the_end_of_the_time_ends_the_search(wave):
    problem = ask(wave, np.array([[-0.2]]))
    before = driver.invert(problem)
    problem.context.interrupt()
    found = several(problem, before, 2, newton).answers
    assert (found.count[0], found.starts[0]) == (1, 0)


def test_the_seed_decides(wave):
    """The same seed gives the same starts, another one others."""
    seen = []

    def recorded(problem, starts):
        seen.append(starts)
        return starts

    for seed in (3, 3, 4):
        problem = ask(wave, np.array([[-0.2]]), context=Context(seed=seed))
        several(problem, driver.invert(problem), 2, recorded)
    first, again, other = seen[:: len(seen) // 3]
    np.testing.assert_array_equal(first, again)
    assert (first[-1] != other[-1]).all()


def test_the_real_search_finds_both_branches(wave):
    _, result = answers(wave, [[-0.2], [-0.1]], 3, follow)
    assert result.answers.count.tolist() == [2, 2]
    assert (result.answers.residual[:, :2] < 1e-15).all()


def test_ways_back_on_other_branches_are_starts(wave):
    """Without any random start that arrives, both branches are still found."""

    def where_it_began(problem, starts):
        return np.where(np.arange(len(starts))[:, None, None] < 3, starts, np.nan)

    _, result = answers(wave, [-0.2], 2, where_it_began)
    assert result.answers.count[0] == 2


def test_inequalities_are_kept(rng):
    net = network(rng.standard_normal((1, 3)), "tanh")
    sums = Constraints.between(np.ones((1, 3)), np.array([-np.inf]), np.array([0.5]), ("",))
    problem, result = answers(
        net, [0.3], 3, follow, lower=-1.0, upper=1.0, constraints=sums
    )
    assert result.answers.count[0] == 3
    assert problem.domain.contain(result.answers.x[0]).all()
    assert result.answers.apart[0] > 0.1


def test_whole_numbers_are_whole():
    net = network(np.array([[1.0, 2.0]]))
    _, result = answers(net, [4.0], 3, follow, lower=0.0, upper=4.0, integer=[0, 1])
    found = result.answers
    assert found.count[0] == 3
    assert sorted(found.x[0].tolist()) == [[0.0, 2.0], [2.0, 1.0], [4.0, 0.0]]


@pytest.mark.parametrize("most", [0, -1, MOST_ANSWERS + 1])
def test_senseless_numbers_are_refused(wave, most):
    with pytest.raises(UsageError, match=r"--answers.*expected 1 to 1,000"):
        require_answers(ask(wave, np.array([[0.1]])), most)


def test_more_than_the_memory_holds_is_refused(wave):
    problem = ask(wave, np.zeros((100, 1)), context=Context(memory=4 * 8 * 100 * 40))
    require_answers(problem, 10)
    with pytest.raises(UsageError, match="expected at most 10 because the ends of 44"):
        require_answers(problem, 11)


def test_starts_grow_with_what_is_asked_for():
    assert starts_for(1) == starts_for(6) == 24
    assert starts_for(100) == 400
