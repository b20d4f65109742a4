"""A target that some x reaches is never proved unreachable.

The search makes networks of every kind, takes y = f(x) of drawn x, stores y in some type,
and asks for a proof. There must be none. The named cases below are ones in which earlier
versions of the proof were wrong.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from problems import (
    bottleneck,
    conditioned,
    dense,
    hidden_gelu,
    network,
    random_net,
    saturated_tanh,
)
from strategies import LOSING, ONE_TO_ONE, generators, inputs, nets

from nninvert.analysis.reachability import (
    outside_bounds,
    pull_back_boxes,
    radii_are_trusted,
)
from nninvert.context import Context
from nninvert.layers.prelu import PReLU
from nninvert.layers.softmax import LogSoftmax, Softmax
from nninvert.outcome import Proof
from nninvert.tolerances import Precision

TYPES = (np.float16, np.float32, np.float64)


def proofs(net, x, stored=np.float64, smallest=False):
    """Proofs about y = f(x), stored in a type, with the tolerance that the driver takes."""
    with np.errstate(over="ignore", invalid="ignore"):
        y, terms = net.forward_with_terms(x)
        kept = y.astype(stored)
    usable = np.isfinite(kept).all(axis=1) & np.isfinite(terms).all(axis=1)
    if not usable.any():
        return None, x[usable]
    kept, terms = kept[usable], terms[usable]
    precision = Precision.of_stored(kept)
    values = kept.astype(np.float64)
    tolerance = precision.half_step if smallest else precision.tolerance(values, terms)
    return pull_back_boxes(net, values, tolerance, Context()), x[usable]


def assert_reachable(net, x, stored=np.float64, smallest=False):
    reach, x = proofs(net, x, stored, smallest)
    if reach is None:
        return
    assert all(p is Proof.NONE for p in reach.proof), f"{reach.proof} for x = {x!r}"
    if radii_are_trusted(net, Context()):
        assert not outside_bounds(reach, x.min(axis=0), x.max(axis=0)).any()


@given(net=nets(ONE_TO_ONE), data=st.data(), stored=st.sampled_from(TYPES))
@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
def test_reachable_through_one_to_one_layers(net, data, stored):
    assert_reachable(net, data.draw(inputs(net.n_in)), stored)


@given(net=nets((*ONE_TO_ONE, *LOSING), square=False), data=st.data())
@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
def test_reachable_through_any_layers(net, data):
    assert_reachable(net, data.draw(inputs(net.n_in)), data.draw(st.sampled_from(TYPES)))


@given(net=nets((*ONE_TO_ONE, *LOSING), condition=st.floats(0.0, 18.0)), data=st.data())
@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
def test_reachable_through_doubtful_ranks(net, data):
    assert_reachable(net, data.draw(inputs(net.n_in)), np.float64)


@given(net=nets(ONE_TO_ONE), data=st.data())
@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
def test_reachable_with_no_tolerance_but_rounding(net, data):
    """With boxes of `half_step` alone, rounding on the way must be covered by itself."""
    assert_reachable(net, data.draw(inputs(net.n_in)), smallest=True)


@given(rng=generators(), steep=st.floats(0.0, 3.0))
@settings(deadline=None, max_examples=60)
@example(rng=np.random.default_rng(0), steep=2.0)
def test_reachable_at_the_rim_of_an_inner_range(rng, steep):
    """Inner units are saturated: a pull-back with too small a radius leaves their range."""
    net = random_net(rng, n=4, depth=3, condition=100.0)
    x = 10.0**steep * rng.standard_normal((8, 4))
    assert_reachable(net, x)
    assert_reachable(net, x, smallest=True)


@given(rng=generators(), stored=st.sampled_from(TYPES), depth=st.integers(1, 3))
@settings(max_examples=60)
@example(rng=np.random.default_rng(130), stored=np.float64, depth=3)
def test_reachable_through_softmax_and_prelu(rng, stored, depth):
    n, parts = int(rng.integers(2, 5)), []
    for _ in range(depth):
        scale = 10.0 ** rng.integers(-1, 2)
        bias = rng.choice([0.0, 1.0, 10.0]) * rng.standard_normal(n)
        parts.append(dense(scale * conditioned(n, 100.0, rng), bias))
        slopes = PReLU((n,), rng.choice([-0.5, 0.0, 0.3, 1e-3], size=n))
        others = [slopes, Softmax((n,), 0), LogSoftmax((n,), 0), "tanh", "gelu"]
        parts.append(others[rng.integers(len(others))])
    x = 10.0 ** rng.integers(-2, 3) * rng.standard_normal((3, n))
    assert_reachable(network(*parts), x, stored)
    assert_reachable(network(*parts), x, smallest=True)


def test_triangular_layer_spreads_errors_to_the_right_units():
    """|A^-1| applied transposed made the radius of unit 1 nine orders too small."""
    lower = np.array([[1.0, 0.0], [1e3, 1.0]])
    net = network(np.eye(2), "tanh", lower, "tanh")
    rng = np.random.default_rng(1)
    x = np.column_stack([1e-3 * rng.standard_normal(200), np.full(200, 17.0)])
    assert_reachable(net, x, np.float32)


def test_other_branches_within_the_radius_count():
    assert_reachable(hidden_gelu(), np.array([[0.3]]))


def test_a_dropped_singular_value_proves_nothing():
    net = network(np.diag([1.0, 1e-17]))
    assert_reachable(net, np.array([[0.0, 1.0]]))


@pytest.mark.parametrize("seed", range(20))
def test_cancellation_between_fused_layers_counts(seed):
    """+1e10 and -1e10 between two tanh: the forward pass loses ten digits there."""
    rng = np.random.default_rng(seed)
    offset = 1e10 + rng.standard_normal(1)
    net = network(np.eye(1), "tanh", offset, -offset, "tanh")
    x = 10.0 ** rng.uniform(0.0, 1.5, size=(50, 1))
    y = net.forward(x)
    reach = pull_back_boxes(net, y, 1e-9 * np.abs(y), Context())
    assert all(p is Proof.NONE for p in reach.proof)


def test_saturated_outputs_are_reachable():
    x = np.array([[30.0, -30.0], [400.0, 0.0], [9.02, -9.02]])
    for stored in TYPES:
        assert_reachable(saturated_tanh(), x, stored)


def test_fused_widening_is_square():
    rng = np.random.default_rng(0)
    assert_reachable(bottleneck(rng), rng.standard_normal((20, 32)), np.float32)


# And proofs there must be: a test of reachability alone passes where nothing is proved.


def test_values_beyond_the_output_range_are_proved():
    net = network(np.eye(2), "tanh")
    reach = pull_back_boxes(
        net, np.array([[0.5, 1.1], [0.5, 0.9]]), np.full((2, 2), 1e-6), Context()
    )
    assert reach.proof == (Proof.OUTPUT_RANGE, Proof.NONE)
    np.testing.assert_array_equal(reach.proved, [True, False])
    assert reach.preimage.overshoot[0] == pytest.approx(0.1)


def test_most_random_targets_of_a_deep_tanh_net_are_proved():
    """Truth 1 of the design: its image is much smaller than the box of its outputs."""
    rng = np.random.default_rng(0)
    net = random_net(rng, n=32, depth=3, condition=300.0)
    y = rng.uniform(-0.9, 0.9, size=(50, 32))
    reach = pull_back_boxes(net, y, np.full(y.shape, 1e-9), Context())
    assert reach.proved.mean() > 0.9


def test_a_tall_linear_layer_proves_what_its_range_misses():
    net = network(np.array([[1.0], [1.0]]))
    y = np.array([[1.0, 1.0], [1.0, 1.1]])
    reach = pull_back_boxes(net, y, np.full(y.shape, 1e-3), Context())
    assert reach.proof == (Proof.NONE, Proof.OUTPUT_RANGE)


def test_an_output_that_does_not_matter_proves_nothing():
    net = network(np.eye(2), "tanh")
    y, tolerance = np.array([[0.5, 7.0]]), np.array([[1e-9, np.inf]])
    assert pull_back_boxes(net, y, tolerance, Context()).proof == (Proof.NONE,)


def test_bounds_exclude_the_only_input():
    net = network(2.0 * np.eye(2))
    reach = pull_back_boxes(net, np.array([[2.0, 2.0]]), np.full((1, 2), 0.1), Context())
    low, high = np.zeros(2), np.ones(2)
    assert not outside_bounds(reach, low, high)[0]
    assert not outside_bounds(reach, low + 1.04, high + 1.0)[0]
    assert outside_bounds(reach, low + 1.06, high + 1.0)[0]
    assert outside_bounds(reach, low, 0.94 * high)[0]


def test_bounds_prove_nothing_where_other_inputs_would_do():
    net = network(np.array([[1.0, 1.0]]))
    reach = pull_back_boxes(net, np.array([[2.0]]), np.full((1, 1), 1e-6), Context())
    assert not outside_bounds(reach, np.array([1.5, -9.0]), np.full(2, 9.0))[0]


def test_an_ill_conditioned_layer_is_not_trusted():
    good, bad = dense(np.diag([1.0, 1e-9])), dense(np.diag([1.0, 1e-11]))
    assert radii_are_trusted(network(good), Context())
    assert not radii_are_trusted(network(bad), Context())
