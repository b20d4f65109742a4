"""What ``check --target`` says of each row."""

import numpy as np
import pytest
from problems import conditioned, dense, network, random_net

from nninvert.methods.question import ask
from nninvert.methods.targets import judge_targets
from nninvert.outcome import Proof, RowStatus


def judge(net, y, **options):
    return judge_targets(ask(net, np.asarray(y, dtype=np.float64), **options))


@pytest.fixture
def chain():
    """tanh of tanh: reachable up to tanh(1) = 0.7616."""
    return network(np.eye(2), "tanh", np.eye(2), "tanh")


def test_rows_come_back_or_leave_a_range(chain):
    report, result = judge(chain, [[0.1, -0.2], [0.9, 0.1], [0.1, 1.5]])
    assert report.reachable == (True, False, False)
    assert report.status == (
        RowStatus.SOLVED,
        RowStatus.UNREACHABLE,
        RowStatus.UNREACHABLE,
    )
    assert report.proof == (Proof.NONE, Proof.PULL_BACK, Proof.OUTPUT_RANGE)
    assert report.layer == (None, ("1", "layer_1"), ("3", "layer_3"))
    np.testing.assert_array_equal(report.units, [0, 1, 1])
    np.testing.assert_array_equal(report.unit, [-1, 0, 1])
    np.testing.assert_allclose(report.value, [np.nan, np.arctanh(0.9), 1.5], rtol=1e-6)
    np.testing.assert_allclose(
        report.overshoot, [0.0, np.arctanh(0.9) - 1.0, 0.5], rtol=1e-6
    )
    assert result.method[0] == "exact"


def test_one_to_one_networks_are_not_searched(chain):
    _, result = judge(chain, [[0.9, 0.1]])
    assert [step.method for step in result.plan.steps] == ["exact"]


def test_inputs_outside_the_bounds_are_a_proof(chain):
    y = chain.forward(np.array([[0.2, 0.3], [2.0, 0.3]]))
    report, _ = judge(chain, y, lower=-1.0, upper=1.0)
    assert report.reachable == (True, False)
    assert report.proof == (Proof.NONE, Proof.BOUNDS)


def test_networks_that_lose_something_are_searched(rng):
    net = network(rng.standard_normal((2, 4)), "tanh", conditioned(2, 2.0, rng))
    y = np.concatenate([net.forward(rng.standard_normal((2, 4))), [[90.0, 90.0]]])
    report, result = judge(net, y)
    assert report.reachable == (True, True, False)
    assert report.proof[2] is Proof.PULL_BACK
    assert result.plan.steps[0].method == "pinv"


def test_what_is_neither_found_nor_disproved_stays_open():
    """tanh(s) - tanh(s - 1) is at most 2 tanh(1/2), but no pull-back proves it."""
    first = dense(np.array([[1.0], [1.0]]), np.array([0.0, -1.0]))
    net = network(first, "tanh", np.array([[1.0, -1.0]]))
    report, _ = judge(net, [[0.95], [0.5]])
    assert report.reachable == (None, True)
    assert report.status[0] is RowStatus.NEAREST
    assert report.residual[0] == pytest.approx(0.95 - 2.0 * np.tanh(0.5))


def test_sums_beyond_what_an_activation_gives_are_disproved():
    """Many ways back from the sum, but none of them starts inside (-1, 1)."""
    net = network("tanh", np.array([[1.0, 1.0]]), shape=(2,))
    report, _ = judge(net, [[2.1], [1.9]])
    assert report.reachable == (False, True)


def test_a_tolerance_lets_a_row_in(chain):
    y = [[0.77, 0.0]]
    assert judge(chain, y)[0].reachable == (False,)
    report, _ = judge(chain, y, within=0.02)
    assert report.reachable == (True,)
    assert report.residual[0] <= 0.02
    assert report.layer == (None,)


def test_outputs_that_do_not_matter_are_not_judged(chain):
    report, _ = judge(chain, [[0.1, np.nan]], nan_is_free=True)
    assert report.reachable == (True,)


def test_residual_and_digits_are_those_of_the_inversion(rng):
    net = random_net(rng, n=3, depth=2)
    y = net.forward(rng.standard_normal((2, 3))).astype(np.float32)
    report, result = judge_targets(ask(net, y))
    np.testing.assert_array_equal(report.residual, result.residual)
    np.testing.assert_array_equal(report.digits, result.digits)
    assert (report.digits > 3).all()
    assert (report.digits < 8).all()
