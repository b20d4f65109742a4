"""The formula layer by layer, with its Newton corrections."""

from dataclasses import replace

import numpy as np
import pytest
from problems import bottleneck, conditioned, dense, network, random_net

from nninvert.context import Context
from nninvert.methods.layerwise import Exact, PseudoInverse, pull_back, refine
from nninvert.methods.question import ask


@pytest.mark.parametrize(
    ("parts", "obstacle"),
    [
        ((np.eye(2), "tanh"), ""),
        ((np.ones((3, 2)) + np.eye(3, 2), "tanh"), ""),
        ((np.eye(2), "relu"), "layer 1 'layer_1' relu is constant on"),
        ((np.eye(2, 3), "tanh"), "layer 0 'layer_0' maps 3 numbers to 2"),
        ((np.ones((2, 2)), "tanh"), "layer 0 'layer_0' has rank 1 of 2"),
    ],
)
def test_obstacles_name_the_layer(parts, obstacle):
    net = network(*parts)
    problem = ask(net, np.zeros((1, net.n_out)))
    assert Exact().obstacle(problem).startswith(obstacle)
    assert bool(Exact().obstacle(problem)) == bool(obstacle)
    assert PseudoInverse().obstacle(problem) == ""


def test_fused_widening_is_no_obstacle(rng):
    net = bottleneck(rng)
    assert Exact().obstacle(ask(net, np.zeros((1, 32)))) == ""


def test_pull_back_is_the_formula(rng):
    a, b = conditioned(3, 5.0, rng), rng.standard_normal(3)
    net = network(dense(a, b), "tanh")
    y = rng.uniform(-0.9, 0.9, (4, 3))
    attempt = pull_back(ask(net, y))
    np.testing.assert_allclose(attempt.x, np.linalg.solve(a, (np.arctanh(y) - b).T).T)
    assert attempt.reason == ("",) * 4
    assert attempt.preimage.unique.all()
    assert not attempt.stopped.any()


def test_refinement_regains_the_digits_that_were_lost(rng):
    net = random_net(rng, n=5, depth=3, condition=30.0)
    x = rng.standard_normal((4, 5))
    problem = ask(net, net.forward(x))
    start = x * (1 + 1e-4)
    found, stopped = refine(problem, start)
    np.testing.assert_allclose(found, x, rtol=1e-9, atol=1e-10)
    assert not stopped.any()
    np.testing.assert_array_equal(start, x * (1 + 1e-4))


def test_refinement_of_a_fused_run_is_newton_on_the_product(rng):
    net = bottleneck(rng)
    x = 0.3 * rng.standard_normal((3, 32))
    problem = ask(net, net.forward(x))
    found, _ = refine(problem, x + 1e-5 * rng.standard_normal(x.shape))
    np.testing.assert_allclose(found, x, atol=1e-11)


def test_refinement_keeps_the_best(rng):
    """From a hopeless start no step helps, and the start is what comes back."""
    net = network(np.eye(2), "tanh")
    problem = ask(net, np.array([[0.1, 0.2]]))
    start = np.array([[300.0, 300.0]])
    np.testing.assert_array_equal(refine(problem, start)[0], start)


def test_refinement_stops_when_asked(rng):
    net = random_net(rng, n=3, depth=2)
    context = Context()
    context.interrupt()
    x = rng.standard_normal((2, 3))
    problem = ask(net, net.forward(x), context=context)
    found, stopped = refine(problem, x + 0.1)
    np.testing.assert_array_equal(found, x + 0.1)
    assert stopped.all()


def test_values_on_an_unattained_end_are_not_chased():
    net = network(np.eye(2), "tanh")
    attempt = pull_back(ask(net, np.array([[1.0, 0.5]], dtype=np.float32)))
    assert attempt.x[0, 0] == pytest.approx(9.01, abs=0.01)
    assert attempt.x[0, 1] == pytest.approx(np.arctanh(0.5), rel=1e-12)


def test_departures_are_told_with_layer_unit_and_distance():
    net = network(np.eye(3), "sigmoid", 2.0 * np.eye(3))
    attempt = pull_back(ask(net, np.array([[1.0, 2.5, -1.0], [0.5, 0.5, 0.5]])))
    assert attempt.reason[0] == (
        "inverting layer 1 'layer_1' needs values beyond its range: 2 of 3 units, the "
        "worst (unit 2) by 0.5"
    )
    assert attempt.reason[1] == ""


def test_units_of_the_last_layer_are_outputs():
    net = replace(network(np.eye(2), "tanh"), output_names=("T", "p"))
    attempt = pull_back(ask(net, np.array([[0.5, 1.25]])))
    assert "1 of 2 units, the worst (output 1 'p') by 0.25" in attempt.reason[0]


def test_pseudo_inverses_give_the_smallest_input(rng):
    a = rng.standard_normal((2, 5))
    net = network(a)
    y = rng.standard_normal((3, 2))
    attempt = PseudoInverse().attempt(ask(net, y), None)
    np.testing.assert_allclose(attempt.x, y @ np.linalg.pinv(a).T, rtol=1e-10, atol=1e-12)
    assert (attempt.preimage.free_dimensions == 3).all()


def test_refinement_reports_progress(rng):
    events = []
    net = random_net(rng, n=4, depth=3)
    x = rng.standard_normal((2, 4))
    asked = ask(net, net.forward(x), context=Context(listener=events.append))
    found, stopped = refine(asked, x + 1e-4)
    np.testing.assert_allclose(found, x, rtol=1e-9)
    assert not stopped.any()
    assert events
    assert all(event.stage == "refining" for event in events)
