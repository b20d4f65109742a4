"""The family of answers around each row that is solved."""

from dataclasses import replace

import numpy as np
import pytest
from problems import dense, network

from nninvert.context import Context
from nninvert.errors import UsageError
from nninvert.methods import driver
from nninvert.methods.domain import Constraints, Domain
from nninvert.methods.families import (
    DIRECTIONS,
    families,
    line_limits,
    require_families,
)
from nninvert.methods.question import ask
from nninvert.outcome import Kind


@pytest.fixture
def net(rng):
    return network(dense(rng.standard_normal((3, 6)), np.full(3, 0.1)), "tanh")


def described(net, y, **options):
    problem = ask(net, y, **options)
    result = driver.invert(problem)
    return problem, result, families(problem, result)


def test_all_points_of_the_intervals_meet(rng):
    net = network(rng.standard_normal((4, 6)), "tanh", rng.standard_normal((3, 4)))
    x0 = 0.3 * rng.standard_normal((2, 6))
    y = net.forward(x0)
    _, result, found = described(net, y)
    assert [family.row for family in found] == [0, 1]
    for family in found:
        assert family.dimension == len(family.basis) == 3
        assert family.kind is Kind.ESTIMATE
        np.testing.assert_array_equal(family.x, result.x[family.row])
        for direction, (low, high) in zip(family.basis, family.intervals, strict=True):
            assert low < 0.0 < high
            points = family.x + np.linspace(0.99 * low, 0.99 * high, 7)[:, None] * direction
            error = np.abs(net.forward(points) - y[family.row])
            assert (error <= result.tolerance[family.row]).all()


def test_one_affine_layer_keeps_y_for_ever_along_its_kernel(rng):
    net = network(rng.standard_normal((2, 4)))
    _, _, (family,) = described(net, net.forward(np.ones((1, 4))))
    assert family.dimension == 2
    assert (family.lengths > 1e3).all()


def test_bounds_and_fixed_inputs_end_intervals(net, rng):
    x0 = rng.uniform(0.2, 0.8, (1, 6))
    _, _, (family,) = described(
        net, net.forward(x0), lower=0.0, upper=1.0, fix={0: float(x0[0, 0])}, within=0.3
    )
    assert family.dimension == 2
    assert (family.basis[:, 0] == 0.0).all()
    for direction, ends in zip(family.basis, family.intervals, strict=True):
        points = family.x + ends[:, None] * direction
        assert ((points >= 0.0) & (points <= 1.0)).all()


def test_equations_and_whole_inputs_take_directions_away(rng):
    net = network(rng.standard_normal((2, 6)))
    problem = ask(net, np.array([[0.5, 0.2]]), fix={0: 1.0})
    result = driver.invert(problem)
    total = result.x.sum(axis=1)
    domain = replace(
        Domain.unlimited(6),
        integer=np.arange(6) == 0,
        constraints=Constraints.between(np.ones((1, 6)), total, total, ("sum",)),
    )
    moved = replace(problem, domain=domain)
    (family,) = families(moved, result)
    assert family.dimension == 2
    np.testing.assert_allclose(family.basis.sum(axis=1), 0.0, atol=1e-14)
    assert (family.basis[:, 0] == 0.0).all()
    assert (family.lengths > 0.0).all()


def test_an_interval_reaches_the_bound_itself():
    net = network(np.array([[1.0, 1.0]]))
    _, _, (family,) = described(
        net, np.array([[0.6]]), lower=0.0, upper=0.5, near=[0.4, 0.2]
    )
    ends = family.x + family.intervals[0][:, None] * family.basis[0]
    assert np.abs(ends).max() == pytest.approx(0.5, abs=1e-13)
    assert ((ends >= 0.0) & (ends <= 0.5)).all()


def test_rows_without_an_answer_are_left_out(net):
    y = np.array([[0.1, 0.2, 0.3], [2.0, 0.0, 0.0]])
    _, result, found = described(net, y)
    assert result.solved.tolist() == [True, False]
    assert [family.row for family in found] == [0]


def test_outputs_that_do_not_matter_leave_more_freedom(net, rng):
    y = net.forward(0.3 * rng.standard_normal((1, 6)))
    y[0, 1] = np.nan
    _, _, (family,) = described(net, y, nan_is_free=True)
    assert family.dimension == 4


def test_only_some_of_many_directions_are_made(rng):
    net = network(rng.standard_normal((1, DIRECTIONS + 20)))
    _, _, (family,) = described(net, np.array([[0.5]]))
    assert family.dimension == DIRECTIONS + 19
    assert len(family.basis) == DIRECTIONS


def test_little_memory_makes_fewer_directions(rng):
    net = network(rng.standard_normal((1, 40)))
    problem = ask(net, np.array([[0.5]]), context=Context(memory=40 * 8 * 4 * 3))
    result = driver.invert(problem)
    assert len(families(problem, result)[0].basis) == 3


def test_a_jacobian_that_is_too_large_is_refused(net, monkeypatch):
    problem = ask(net, np.array([[0.1, 0.2, 0.3]]))
    require_families(problem)
    monkeypatch.setattr("nninvert.tolerances.SVD_WORK", 10.0)
    with pytest.raises(UsageError, match="a Jacobian of 3 by 6 numbers"):
        require_families(problem)


def test_the_end_of_the_time_ends_the_work(net):
    problem = ask(net, np.array([[0.1, 0.2, 0.3]]))
    result = driver.invert(problem)
    problem.context.interrupt()
    assert families(problem, result) == ()


def test_where_lines_leave_the_domain():
    domain = Domain(
        np.array([-1.0, -np.inf]),
        np.array([2.0, np.inf]),
        np.zeros(2, dtype=bool),
        Constraints(np.array([[0.0, 1.0]]), np.array([3.0]), ("c",)),
    )
    found = line_limits(domain, np.array([0.0, 1.0]), np.array([[1.0, 0.0], [0.0, 2.0]]))
    np.testing.assert_allclose(found, [[-1.0, 2.0], [-np.inf, 1.0]], rtol=1e-14)
    assert found[0, 0] > -1.0
    assert found[0, 1] < 2.0
