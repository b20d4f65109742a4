"""Linear layers before a softmax: the constant of the logits is solved for."""

from itertools import pairwise

import numpy as np
import pytest
from problems import dense, network

from nninvert import tolerances
from nninvert.analysis.reachability import pull_back_boxes
from nninvert.context import Context
from nninvert.layers import Dense, Graph, LayerNormalization, LogSoftmax, Node, Softmax
from nninvert.layers.projected import Projected
from nninvert.linalg.centring import CentringMap
from nninvert.linalg.factor import factorise
from nninvert.linalg.map import ComposedMap, RepeatedMap
from nninvert.linalg.stored import ArrayMatrix
from nninvert.methods.driver import invert
from nninvert.methods.question import ask
from nninvert.outcome import Proof, RowStatus, Uniqueness

kinds = pytest.mark.parametrize("kind", [Softmax, LogSoftmax])


def classifier(kind, rng, *widths):
    parts = []
    for n, m in pairwise(widths):
        a = 2.0 * rng.standard_normal((m, n)) / np.sqrt(n)
        parts += [dense(a, 0.3 * rng.standard_normal(m)), "tanh"]
    return network(*parts[:-1], kind((widths[-1],), 0))


@kinds
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("widths", "unique"),
    [
        ((5, 10), Uniqueness.YES),
        ((3, 3, 10), Uniqueness.YES),
        ((10, 10), Uniqueness.NO),
        ((20, 10), Uniqueness.NO),
        ((20, 15, 10), Uniqueness.NO),
    ],
)
def test_probabilities_are_inverted_layer_by_layer(kind, dtype, widths, unique, rng):
    """Rows in float32 add up to 1 only up to rounding."""
    net = classifier(kind, rng, *widths)
    y = net.forward(rng.standard_normal((30, widths[0]))).astype(dtype)
    result = invert(ask(net, y), method="pinv")
    assert result.status == (RowStatus.SOLVED,) * 30
    # A float32 target near an unattained end may have far origins: then it is not known.
    known = [found for found in result.unique if found is not Uniqueness.LOCALLY]
    assert set(known) == {unique}
    assert len(known) >= 25


@kinds
def test_more_classes_than_inputs_leave_one_input(kind, rng):
    net = classifier(kind, rng, 4, 9)
    x = rng.standard_normal((6, 4))
    y = net.forward(x)
    found = net.graph.preimage(y, tolerances.half_spacing(y), Context())
    np.testing.assert_allclose(found.x, x, rtol=1e-9, atol=1e-10)
    assert found.unique.all()
    assert (np.abs(found.x - x) <= found.radius).all()


@kinds
def test_the_constant_brings_hidden_values_into_their_range(kind):
    """Logits with mean zero would need tanh to give -4.35 and -5.65."""
    net = network("tanh", dense(np.eye(2), np.full(2, 5.0)), kind((2,), 0), shape=(2,))
    logits = np.array([[2.2, 0.9]])
    y = net.segments[2].layer.forward(logits)
    found = net.graph.preimage(y, tolerances.half_spacing(y), Context())
    np.testing.assert_allclose(net.forward(found.x), y, rtol=1e-12)
    assert found.outside[0] == 0
    assert found.free_dimensions[0] == 1


@kinds
def test_targets_that_no_constant_brings_into_the_range_are_proved_unreachable(kind):
    net = network("tanh", np.eye(2), kind((2,), 0), shape=(2,))
    y = net.segments[2].layer.forward(np.array([[2.2, 0.9], [3.1, 0.9]]))
    found = net.graph.preimage(y, tolerances.half_spacing(y), Context())
    np.testing.assert_array_equal(found.outside > 0, [False, True])
    np.testing.assert_array_equal(found.proved, [False, True])


@kinds
def test_classes_that_do_not_fit_together_are_proved_unreachable(kind, rng):
    net = classifier(kind, rng, 2, 5)
    y = net.forward(rng.standard_normal((1, 2)))
    other = y[:, ::-1].copy()
    radius = np.full((1, 5), 1e-9)
    assert pull_back_boxes(net, y, radius, Context()).proof == (Proof.NONE,)
    assert pull_back_boxes(net, other, radius, Context()).proof == (Proof.PULL_BACK,)


@kinds
def test_saturated_values_before_are_no_proof(kind):
    """In a corner of (-1, 1)^3 the search finds no point inside, but there is one."""
    net = network("tanh", np.eye(3), kind((3,), 0), shape=(3,))
    y = net.forward(np.array([[40.0, 40.0, -40.0], [20.0, 20.0, -4.0]]))
    found = net.graph.preimage(y, np.full(y.shape, 1e-12), Context())
    assert (found.outside > 0).any()
    assert not found.proved.any()
    assert pull_back_boxes(net, y, np.full(y.shape, 1e-9), Context()).proof == (
        Proof.NONE,
        Proof.NONE,
    )


def test_it_is_the_layer_but_for_its_solves(rng):
    layer = dense(rng.standard_normal((6, 4)), rng.standard_normal(6))
    seen = Projected(layer, CentringMap((6,), (0,)))
    x, dx = rng.standard_normal((2, 3, 4))
    np.testing.assert_array_equal(seen.forward(x), layer.forward(x))
    near, plain = seen.linearize(x), layer.linearize(x)
    np.testing.assert_array_equal(near.y, plain.y)
    np.testing.assert_array_equal(near.jvp(dx), plain.jvp(dx))
    dy = near.jvp(dx) + 7.0
    np.testing.assert_allclose(near.solve(dy, Context()), dx, atol=1e-12)
    assert np.abs(plain.solve(dy, Context()) - dx).max() > 0.1
    with pytest.raises(TypeError, match="derived"):
        seen.config()
    with pytest.raises(TypeError, match="derived"):
        Projected.from_config({}, {}, (4,))


@pytest.mark.parametrize("axes", [((3, 6), (1,)), ((3, 2, 3), (2,)), ((3, 2, 3), (1, 2))])
def test_a_matrix_over_and_over_stays_one(axes, rng):
    layer = Dense((3, 4), ArrayMatrix(rng.standard_normal((6, 4))), rng.standard_normal(6))
    centring = CentringMap(*axes)
    linear_map, bias = Projected(layer, centring).linear_part
    assert isinstance(linear_map, RepeatedMap)
    plain, whole = layer.linear_part
    np.testing.assert_allclose(linear_map.dense(), centring.dense() @ plain.dense())
    np.testing.assert_allclose(bias, centring.apply(whole))
    x = rng.standard_normal((2, 12))
    solved = factorise(linear_map, Context()).solve(linear_map.apply(x))
    np.testing.assert_allclose(solved, x, rtol=1e-10, atol=1e-12)


def test_groups_across_the_pieces_take_the_whole(rng):
    layer = Dense((3, 4), ArrayMatrix(rng.standard_normal((6, 4))), None)
    for centring in (CentringMap((3, 6), (0,)), CentringMap((3, 6), (0, 1))):
        linear_map, _ = Projected(layer, centring).linear_part
        assert isinstance(linear_map, ComposedMap)
        x = rng.standard_normal((2, 12))
        wanted = centring.apply(layer.linear_part[0].apply(x))
        np.testing.assert_allclose(linear_map.apply(x), wanted)


def test_a_long_sequence_before_a_normalisation_takes_no_matrix_of_its_own(rng):
    """256 positions of 32 and 64 features: the whole map would have 1 GiB."""
    dense_layer = Dense((256, 32), ArrayMatrix(rng.standard_normal((64, 32))), None)
    normal = LayerNormalization((256, 64), (-1,), 1e-3)
    nodes = [Node(dense_layer, "0", "a", "Dense"), Node(normal, "1", "b", "Norm")]
    graph = Graph((256, 32), nodes)
    x = rng.standard_normal((2, 256, 32))
    y = graph.forward(x)
    found = graph.preimage(y, 1e-15 * np.abs(y), Context())
    np.testing.assert_allclose(found.x, x, rtol=1e-8, atol=1e-9)
    assert found.unique.all()
