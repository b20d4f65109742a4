"""The round trip: for y = f(x0), x0 standard normal, the driver finds x0 again.

Wanted: a relative residual of 1e-11 and ||x - x0|| / ||x0|| <= 10 cond(J) u.
The second cannot hold for any method where values have offsets (biases, sigmoid): what a
layer gives, h = g(x0), is rounded relative to ||h||, which may be much larger than
||G|| ||x0||, G being the Jacobian of g; a later bias may hide that from y. The relative
condition number of the inversion problem is

    k = max(cond(J(x0)), max_g ||G(x0)^-1|| ||g(x0)|| / ||x0||)

over the first layers g = f_1, f_2 f_1, ..., f: the relative condition numbers of their
inverses, joined with that of solving with J.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from problems import SMOOTH, bottleneck, network, random_net
from strategies import generators

from nninvert import tolerances
from nninvert.context import Context
from nninvert.methods.driver import invert
from nninvert.methods.question import ask
from nninvert.outcome import RowStatus, Uniqueness

UNIT = tolerances.EPS64 / 2


def inversion_condition(net, x):
    """k of each row, see above."""
    norms = np.linalg.norm(x, axis=1)
    found = np.zeros(len(x))
    for node in net.graph.leaves():
        part = net.slice(last=node.index)
        sizes = np.linalg.svd(part.linearize(x).dense(), compute_uv=False)
        offset = np.linalg.norm(part.forward(x), axis=1) / norms / sizes[:, -1]
        found = np.maximum(found, offset)
    return np.maximum(found, sizes[:, 0] / sizes[:, -1])


def assert_round_trip(net, x, margin=10.0):
    y = net.forward(x)
    result = invert(ask(net, y))
    assert all(s is RowStatus.SOLVED for s in result.status), result.reason
    assert all(u is Uniqueness.YES for u in result.unique)
    residual = np.linalg.norm(result.fitted - y, axis=1)
    assert (residual <= 1e-11 * np.linalg.norm(y, axis=1)).all()
    error = np.linalg.norm(result.x - x, axis=1) / np.linalg.norm(x, axis=1)
    limit = margin * inversion_condition(net, x) * UNIT
    assert (error <= limit).all(), f"error / limit = {(error / limit).max():.3g}"


@pytest.mark.parametrize("activation", SMOOTH)
@given(
    rng=generators(), n=st.integers(1, 12), depth=st.integers(1, 3), cond=st.floats(0, 3)
)
def test_one_to_one_nets_give_their_inputs_back(activation, rng, n, depth, cond):
    net = random_net(rng, n=n, depth=depth, activation=activation, condition=10.0**cond)
    assert_round_trip(net, rng.standard_normal((3, n)))


@given(rng=generators(), n=st.integers(1, 20), cond=st.floats(0, 8))
def test_linear_nets_give_their_inputs_back(rng, n, cond):
    net = random_net(rng, n=n, depth=2, activation="linear", condition=10.0 ** (cond / 2))
    assert_round_trip(net, rng.standard_normal((3, n)))


@given(rng=generators())
def test_fused_widening_gives_its_inputs_back(rng):
    """32 to 64 to 32: neither layer is invertible, the product is."""
    assert_round_trip(bottleneck(rng), 0.3 * rng.standard_normal((2, 32)))


@given(rng=generators(), stored=st.sampled_from([np.float16, np.float32]))
def test_rounded_targets_are_solved_to_their_precision(rng, stored):
    """y stored in a short type: SOLVED, and x moves by no more than |J^-1| times it."""
    net = random_net(rng, n=5, depth=2, condition=5.0, last=False)
    x = 0.5 * rng.standard_normal((4, 5))
    y = net.forward(x).astype(stored)
    result = invert(ask(net, y))
    assert all(s is RowStatus.SOLVED for s in result.status), result.reason
    for row in range(4):
        jacobian = net.linearize(x[row : row + 1]).dense()[0]
        half = result.tolerance[row] + np.abs(y[row].astype(float) - net.forward(x)[row])
        reach = np.linalg.norm(np.abs(np.linalg.inv(jacobian)) @ half)
        assert np.linalg.norm(result.x[row] - x[row]) <= 2.0 * reach


@pytest.mark.parametrize("method", ["exact", "pinv"])
@given(rng=generators(), batch=st.integers(1, 6))
def test_rows_do_not_depend_on_each_other(method, rng, batch):
    net = random_net(rng, n=4, depth=2)
    y = rng.uniform(-1.2, 1.2, size=(batch, 4))
    order = rng.permutation(batch)
    whole, permuted = (invert(ask(net, part), method=method) for part in (y, y[order]))
    assert permuted.status == tuple(whole.status[k] for k in order)
    np.testing.assert_allclose(
        permuted.residual, whole.residual[order], rtol=1e-5, atol=1e-9
    )
    solved = whole.solved[order]
    np.testing.assert_allclose(permuted.x[solved], whole.x[order][solved], rtol=1e-9)


@given(rng=generators())
def test_inputs_and_outputs_can_be_renamed(rng):
    """Permuting the rows of the last matrix permutes y, not x."""
    net = random_net(rng, n=5, depth=2, last=False)
    order = rng.permutation(5)
    other = network(*[node.layer for node in net.graph.nodes], np.eye(5)[order])
    x = rng.standard_normal((2, 5))
    found = invert(ask(other, net.forward(x)[:, order]))
    np.testing.assert_allclose(found.x, x, rtol=1e-9, atol=1e-10)


@given(rng=generators())
def test_forward_of_the_inverse_is_the_identity_on_the_image(rng):
    """Inverse of inverse: inverting f at f(g(y)) gives g(y) again."""
    net = random_net(rng, n=4, depth=2, condition=20.0)
    y = net.forward(rng.standard_normal((3, 4)))
    once = invert(ask(net, y)).x
    twice = invert(ask(net, net.forward(once))).x
    np.testing.assert_allclose(twice, once, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-30, 1e-8, 1e8, 1e30])
def test_magnitudes_scale_through(rng, scale):
    """A leaky net without biases is homogeneous: f(s x) = s f(x)."""
    net = network(
        rng.standard_normal((4, 4)), "leaky_relu:0.3", rng.standard_normal((4, 4))
    )
    x = scale * rng.standard_normal((5, 4))
    assert_round_trip(net, x)


def test_a_shared_context_changes_nothing(rng):
    net = random_net(rng, n=4, depth=2)
    y = net.forward(rng.standard_normal((3, 4)))
    context = Context()
    first, second = (invert(ask(net, y, context=context)) for _ in range(2))
    np.testing.assert_array_equal(first.x, second.x)
    np.testing.assert_array_equal(first.x, invert(ask(net, y)).x)
