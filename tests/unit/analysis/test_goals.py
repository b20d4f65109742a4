"""Linear programs about targets: what they certify holds, and what they know is used."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from problems import dense, network
from strategies import LOSING, ONE_TO_ONE, generators, nets

from nninvert.analysis.bounds import relax
from nninvert.analysis.bounds.box import Box
from nninvert.analysis.bounds.goal import Goal, goal_before, origins
from nninvert.analysis.bounds.inputs import Inequalities
from nninvert.analysis.bounds.program import loosening, program
from nninvert.analysis.bounds.units import ActivationUnits
from nninvert.context import Context
from nninvert.layers import LogSoftmax, PReLU, Softmax
from nninvert.layers.activations import ACTIVATIONS, activation_from_text

REQUIRED = {"leaky_relu": ":0.1", "hard_sigmoid": ":0.2", "threshold": ":0.5:-2"}
FREE = 20.0


def nothing(n):
    return Inequalities(np.zeros((0, n)), np.zeros(0))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_origins_hold_what_gives_the_values(name):
    rng = np.random.default_rng(1)
    activation = activation_from_text(name + REQUIRED.get(name, ""))
    z = np.concatenate([rng.standard_normal(200) * 3.0, np.round(rng.normal(0, 3, 40))])
    y = activation.forward(z)
    radius = np.abs(y) * 10.0 ** rng.uniform(-16.0, -1.0, y.size)
    for half in (np.inf, 25.0):
        box = Box(np.full(z.size, -half), np.full(z.size, half))
        low, high = origins(ActivationUnits(activation), box, y - radius, y + radius)
        assert (low <= z).all()
        assert (z <= high).all()


def test_origins_are_close_where_a_function_rises():
    box = Box(np.full(3, -np.inf), np.full(3, np.inf))
    y = np.array([-0.5, 0.1, 0.9])
    low, high = origins(ActivationUnits(activation_from_text("tanh")), box, y, y)
    assert low == pytest.approx(np.arctanh(y), abs=1e-6)
    assert high == pytest.approx(np.arctanh(y), abs=1e-6)


def test_values_that_are_never_taken_have_no_origin():
    box = Box(np.array([-1.0]), np.array([1.0]))
    units = ActivationUnits(activation_from_text("tanh"))
    low, high = origins(units, box, np.array([0.9]), np.array([1.1]))
    assert low[0] > high[0]


@pytest.mark.parametrize(
    "layer", [Softmax((2, 3), 1), Softmax((3,), 0), LogSoftmax((3,), 0)]
)
def test_goals_of_groups_hold_up_to_a_constant(layer):
    rng = np.random.default_rng(2)
    for _ in range(50):
        z = rng.standard_normal((1, *layer.input_shape)) * 10.0 ** rng.uniform(-1, 1.5)
        y = layer.forward(z).ravel()
        goal = goal_before(layer, Box.everything(y.size), y, y)
        probability = np.exp(z - z.max(axis=layer.axis + 1, keepdims=True))
        total = probability.sum(axis=layer.axis + 1, keepdims=True)
        constant = z.max(axis=layer.axis + 1, keepdims=True) + np.log(total)
        shifted = (z - constant).ravel()
        assert (goal.lower <= shifted + 1e-15 * np.abs(z).max()).all()
        assert (shifted <= goal.upper + 1e-15 * np.abs(z).max()).all()
        assert goal.group is not None
        assert np.unique(goal.group).size == y.size // layer.group_size


def test_a_slope_for_each_unit_has_goals():
    layer = PReLU((2,), np.array([0.5, -1.0]))
    goal = goal_before(
        layer, Box(-np.ones(2), np.ones(2)), np.full(2, 0.3), np.full(2, 0.4)
    )
    assert goal.lower == pytest.approx([0.3, -0.4], abs=1e-9)
    assert goal.upper == pytest.approx([0.4, 0.4], abs=1e-9)


def loosened(net, y, lower, upper, allowed=None):
    lower, upper = np.full(net.n_in, lower), np.full(net.n_in, upper)
    found = relax(net, lower, upper, Context())
    made = program(net, found, len(net.segments), allowed or nothing(net.n_in))
    return loosening(made, Goal(y - 1e-9, y + 1e-9, None), FREE)


def test_the_loosening_of_affine_networks_is_exact():
    # Both outputs are x, so that 0.2 and 0.6 meet in the middle: 0.2 of a width of 2.
    net = network(np.array([[1.0], [1.0]]))
    found = loosened(net, np.array([0.2, 0.6]), -1.0, 1.0)
    assert isinstance(found, Fraction)
    assert float(found) == pytest.approx(0.1, abs=1e-6)
    assert loosened(net, np.array([0.4, 0.4]), -1.0, 1.0) == 0


def test_inequalities_are_kept():
    net = network(np.array([[1.0, 1.0]]))
    most = Inequalities(np.array([[1.0, 1.0]]), np.array([0.5]))
    assert loosened(net, np.array([1.0]), 0.0, 1.0, most) > 0
    assert loosened(net, np.array([0.4]), 0.0, 1.0, most) == 0
    unknown = Inequalities(np.array([[1.0, 1.0]]), np.array([np.inf]))
    assert loosened(net, np.array([1.0]), 0.0, 1.0, unknown) == 0


def test_large_programs_are_not_made(monkeypatch):
    net = network(np.eye(3), "tanh", np.eye(3))
    found = relax(net, -np.ones(3), np.ones(3), Context())
    assert program(net, found, 3, nothing(3)) is not None
    monkeypatch.setattr("nninvert.analysis.bounds.program.PROGRAM_SIZE", 20)
    assert program(net, found, 3, nothing(3)) is None


@given(net=nets((*ONE_TO_ONE, *LOSING), square=False), rng=generators(), data=st.data())
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
def test_what_an_input_gives_needs_no_loosening(net, rng, data):
    size = 10.0 ** data.draw(st.integers(-2, 1))
    lower = size * rng.standard_normal(net.n_in)
    upper = lower + size * 10.0 ** rng.uniform(-6.0, 1.0, net.n_in)
    with np.errstate(over="ignore", invalid="ignore"):
        x = rng.choice([lower, upper])
        y = net.forward(x[None])[0]
        if not (np.abs(y) < 1e100).all():
            return
        found = relax(net, lower, upper, Context())
        made = program(net, found, len(net.segments), nothing(net.n_in))
    assert loosening(made, Goal(y, y, None), FREE) == 0


def test_relu_networks_are_judged_as_a_whole():
    # |x| = 0.3 and x = 0.9: each is possible, together they are not, nor nearly so.
    net = network(np.array([[1.0], [-1.0]]), "relu", np.array([[1.0, 1.0], [1.0, -1.0]]))
    assert loosened(net, np.array([0.3, 0.9]), -1.0, 1.0) > Fraction(1, 10)
    assert loosened(net, np.array([0.9, 0.9]), -1.0, 1.0) == 0
    assert loosened(network(dense([[2.0]])), np.array([1.0]), -1.0, 1.0) == 0
