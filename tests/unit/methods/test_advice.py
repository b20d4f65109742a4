"""Advice for targets that look measured."""

import numpy as np
import pytest
from problems import random_net

from nninvert.methods.driver import invert
from nninvert.methods.question import ask
from nninvert.methods.restating import restated


@pytest.fixture
def net(rng):
    return random_net(rng, n=8, depth=3, condition=100.0)


def notes(net, y, **options):
    return invert(ask(net, y, **options), method="exact").notes


def test_measured_targets_are_recognised(net, rng):
    y = net.forward(rng.standard_normal((10, 8)))
    noisy = y + 0.02 * rng.standard_normal(y.shape)
    (advice,) = notes(net, noisy)
    assert "look measured" in advice
    assert "--within" in advice


def test_computed_targets_need_no_advice(net, rng):
    y = net.forward(rng.standard_normal((10, 8)))
    assert notes(net, y) == ()
    assert notes(net, y.astype(np.float32)) == ()


def test_a_few_bad_rows_are_no_sign(net, rng):
    y = net.forward(rng.standard_normal((10, 8)))
    y[0] += 0.02
    assert notes(net, y) == ()


def test_targets_far_from_all_outputs_are_another_matter(net):
    assert notes(net, np.full((5, 8), 5.0)) == ()


def test_who_gives_a_tolerance_knows(net, rng):
    y = net.forward(rng.standard_normal((4, 8))) + 0.02
    problem = ask(net, y, within=1e-9)
    assert invert(problem, method="exact").notes == ()


def test_bounds_that_exclude_the_answer_are_no_sign(net, rng):
    y = net.forward(rng.standard_normal((6, 8)))
    assert notes(net, y, upper=0.1) == ()


def test_other_answers_change_the_advice(net, rng):
    x = rng.standard_normal((10, 8))
    y = net.forward(x)
    result = invert(ask(net, y + 0.02 * rng.standard_normal(y.shape)), method="exact")
    assert result.notes
    assert restated(ask(net, y), result, np.arange(9), x[:9]).notes == ()
