"""Graphs: order, nesting, segments, where a row leaves, descriptions."""

import json

import numpy as np
import pytest
from problems import dense

from nninvert.context import Context
from nninvert.errors import ShapeError, UnsupportedLayerError
from nninvert.layers import (
    LAYERS,
    AffineRun,
    Elementwise,
    Graph,
    Identity,
    Node,
    Rescaling,
    Reshape,
    layer_class,
)
from nninvert.layers.activations import activation_from_text
from nninvert.linalg.box import Box


def activation(name, *shape):
    return Elementwise(shape, activation_from_text(name))


def graph(*layers, names=None):
    nodes = [
        Node(layer, str(k), (names or [f"l{j}" for j in range(len(layers))])[k], "L")
        for k, layer in enumerate(layers)
    ]
    return Graph(layers[0].input_shape, nodes)


@pytest.fixture
def nested(rng):
    inner = graph(dense(rng.standard_normal((4, 4))), activation("tanh", 4))
    return graph(
        dense(rng.standard_normal((4, 4)), rng.standard_normal(4)),
        Identity((4,)),
        inner,
        dense(rng.standard_normal((2, 4))),
    )


def test_forward_is_in_order(nested, rng):
    x = rng.standard_normal((3, 4))
    expected = x
    for node in nested.leaves():
        expected = node.layer.forward(expected)
    np.testing.assert_array_equal(nested.forward(x), expected)
    np.testing.assert_array_equal(nested.linearize(x).y, expected)
    assert nested.output_shape == (2,)


def test_leaves_have_qualified_names_and_indices(nested):
    places = [(node.index, node.name) for node in nested.leaves()]
    assert places == [
        ("0", "l0"),
        ("1", "l1"),
        ("2.0", "l2/l0"),
        ("2.1", "l2/l1"),
        ("3", "l3"),
    ]


def test_segments_are_fused_across_nesting(nested):
    kinds = [type(segment.layer) for segment in nested.segments]
    assert kinds[0] is AffineRun
    assert len(kinds) == 3
    assert [node.index for node in nested.segments[0].nodes] == ["0", "1", "2.0"]
    assert nested.segments[0].main.index in ("0", "2.0")
    assert nested.segments[2].main.name == "l3"


def test_shapes_are_checked_once():
    with pytest.raises(
        ShapeError, match=r"layer 1 'l1' > input shape: got \(3,\), expected"
    ):
        graph(dense(np.ones((3, 4))), dense(np.ones((2, 5))))


def test_a_row_that_leaves_says_where_and_goes_on():
    net = graph(
        activation("tanh", 2), dense(np.eye(2)), activation("sigmoid", 2), dense(np.eye(2))
    )
    y = np.array([[0.6, 0.6], [1.2, 0.6], [0.9, 0.6], [0.99, 1.5]])
    found = net.preimage(y, np.full(y.shape, 1e-9), Context())
    np.testing.assert_array_equal(found.place, [0, 2, 0, 2])
    np.testing.assert_array_equal(found.outside, [0, 1, 1, 1])
    np.testing.assert_array_equal(found.unit, [-1, 0, 0, 1])
    np.testing.assert_array_equal(found.proved, [False, True, True, True])
    assert found.value[1] == 1.2
    assert found.value[2] == pytest.approx(np.log(0.9 / 0.1))
    assert np.isfinite(found.x).all()


def test_leaving_behind_a_fork_is_no_proof():
    """silu has two origins of -0.1; that one of them has none itself proves nothing."""
    net = graph(
        activation("tanh", 1),
        Rescaling((1,), np.array(5.0), np.array(-5.0)),
        activation("silu", 1),
    )
    y = net.forward(np.array([[-0.3]]))
    assert y[0, 0] < -0.004
    found = net.preimage(y, np.full(y.shape, 1e-12), Context())
    assert not found.proved[0]


def test_a_kernel_behind_is_searched_for_values_in_the_range_before():
    """3 + 0.2 is no sum of two values of tanh; (1.6, 0) is not the only way to 1.6."""
    net = graph(activation("tanh", 2), dense(np.array([[1.0, 1.0]]), np.array([-0.2])))
    y = np.array([[3.0], [1.6], [-1.6]])
    found = net.preimage(y, np.full(y.shape, 1e-9), Context())
    np.testing.assert_array_equal(found.outside, [1, 0, 0])
    np.testing.assert_array_equal(found.place, [1, 0, 0])
    np.testing.assert_array_equal(found.proved, [True, False, False])
    assert found.value[0] == pytest.approx(3.2)
    np.testing.assert_allclose(net.forward(found.x)[1:], y[1:], rtol=1e-12)
    np.testing.assert_array_equal(found.free_dimensions, [1, 1, 1])


def test_a_kernel_later_on_makes_leaving_no_proof():
    """Of all (a, b) with a - b = 0.5 one is asked for; that it has none says little."""
    net = graph(
        activation("sigmoid", 1),
        dense(np.array([[1.0], [1.0]])),
        activation("tanh", 2),
        dense(np.array([[1.0, -1.0]])),
    )
    found = net.preimage(np.array([[0.5]]), np.full((1, 1), 1e-9), Context())
    assert found.outside[0] > 0
    assert not found.proved[0]


def test_the_choice_lies_near_what_the_centre_of_the_inputs_gives(rng):
    net = graph(
        dense(rng.standard_normal((4, 6)) / 3.0),
        activation("tanh", 4),
        dense(rng.standard_normal((2, 4)) / 2.0),
    )
    x = 0.7 * rng.standard_normal((5, 6))
    aim = Box.around(x + 0.01)
    found = net.preimage(net.forward(x), np.full((5, 2), 1e-12), Context(), aim)
    assert np.abs(found.x - x).max() < 0.05
    np.testing.assert_allclose(net.forward(found.x), net.forward(x), rtol=1e-9)


def test_the_choice_lies_inside_the_bounds(rng):
    net = graph(dense(rng.standard_normal((2, 6))), activation("tanh", 2))
    low, high = np.full(6, -0.4), np.array([0.4, 0.4, 0.4, 0.4, 0.4, -0.4])
    x = rng.uniform(low, high, (5, 6))
    box = Box(low, high, np.zeros(6, dtype=bool), np.full(6, 9.0))
    found = net.preimage(net.forward(x), np.full((5, 2), 1e-12), Context(), box)
    assert (found.x >= low).all()
    assert (found.x <= high).all()
    np.testing.assert_allclose(net.forward(found.x), net.forward(x), rtol=1e-9)


def test_free_dimensions_and_origins_add_up():
    net = graph(
        activation("relu", 2),
        Rescaling((2,), np.ones(()), np.zeros(())),
        activation("relu", 2),
    )
    found = net.preimage(np.array([[0.0, 1.0]]), np.zeros((1, 2)), Context())
    assert found.free_dimensions[0] == 2
    assert not found.unique[0]


def test_config_and_weights_rebuild_it(nested, rng):
    config = json.loads(json.dumps(nested.config()))
    again = Graph.from_config(config, nested.weights(), (4,))
    x = rng.standard_normal((3, 4))
    np.testing.assert_array_equal(again.forward(x), nested.forward(x))
    assert [n.name for n in again.leaves()] == [n.name for n in nested.leaves()]
    assert sorted(nested.weights()) == ["0/bias", "0/kernel", "2/0/kernel", "3/kernel"]


def test_more_than_ten_nodes_keep_their_weights_apart(rng):
    layers = [dense(rng.standard_normal((2, 2))) for _ in range(12)]
    net = graph(*layers)
    again = Graph.from_config(net.config(), net.weights(), (2,))
    x = rng.standard_normal((3, 2))
    np.testing.assert_array_equal(again.forward(x), net.forward(x))


def test_unknown_kinds_are_named_with_the_known_ones():
    with pytest.raises(
        UnsupportedLayerError, match="layer 3 'a' > kind: got 'conv', expected"
    ):
        layer_class("conv", (3, "a"))
    assert layer_class("dense", (0, "d")) is LAYERS["dense"]


def test_an_empty_graph_is_the_identity(rng):
    empty, x = Graph((2, 3), ()), rng.standard_normal((4, 2, 3))
    np.testing.assert_array_equal(empty.forward(x), x)
    np.testing.assert_array_equal(empty.preimage(x, np.abs(x), Context()).x, x)
    assert (empty.facts.one_to_one, empty.facts.onto, empty.facts.lost) == (True, True, 0)


def test_products_take_leading_axes(nested, rng):
    near = nested.linearize(rng.standard_normal((3, 4)))
    assert near.jvp(rng.standard_normal((5, 2, 3, 4))).shape == (5, 2, 3, 2)
    assert near.vjp(rng.standard_normal((5, 2, 3, 2))).shape == (5, 2, 3, 4)


def test_reshaping_between_segments(rng):
    net = graph(
        Reshape((2, 3), (6,)),
        dense(rng.standard_normal((6, 6))),
        Reshape((6,), (3, 2)),
        activation("tanh", 3, 2),
    )
    x = 0.3 * rng.standard_normal((4, 2, 3))
    found = net.preimage(net.forward(x), np.full((4, 3, 2), 1e-15), Context())
    np.testing.assert_allclose(found.x, x, rtol=1e-8, atol=1e-10)
    assert found.radius.shape == (4, 2, 3)
