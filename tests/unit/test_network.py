"""Networks: flat rows in and out, products, terms, slices, repetition."""

from dataclasses import replace

import numpy as np
import pytest
from problems import dense, network

from nninvert.errors import DataError, ShapeError, UsageError
from nninvert.layers import Dense, Elementwise, Graph, Node, Normalization, Permute, Reshape
from nninvert.layers.activations import activation_from_text
from nninvert.layout import Layout, Part
from nninvert.linalg.stored import ArrayMatrix
from nninvert.network import Network, Source


@pytest.fixture
def image_net(rng):
    """(2, 3) to (3, 2) by Permute, Dense on the last axis, tanh."""
    return network(
        Permute((2, 3), (1, 0)),
        dense(rng.standard_normal((2, 2)), rng.standard_normal(2), shape=(3, 2)),
        "tanh",
    )


@pytest.fixture
def chain(rng):
    return network(
        dense(rng.standard_normal((4, 3)), rng.standard_normal(4)),
        "tanh",
        dense(rng.standard_normal((2, 4)).astype(np.float32)),
    )


def test_rows_are_flat(image_net, rng):
    x = rng.standard_normal((5, 6))
    y = image_net.forward(x)
    shaped = image_net.graph.forward(x.reshape(5, 2, 3))
    np.testing.assert_array_equal(y, shaped.reshape(5, 6))
    assert (image_net.n_in, image_net.n_out) == (6, 6)
    assert [part.shape for part in image_net.inputs.parts] == [(2, 3)]


def test_dense_jacobian_is_that_of_differences(image_net, chain, rng):
    wide = network(rng.standard_normal((2, 5)), "tanh")
    for net in (image_net, chain, wide):
        x = rng.standard_normal((3, net.n_in))
        near = net.linearize(x)
        h = 1e-6
        steps = h * np.eye(net.n_in)
        moved = [(net.forward(x + s) - net.forward(x - s)) / (2 * h) for s in steps]
        np.testing.assert_allclose(near.dense(), np.stack(moved, axis=2), atol=1e-8)
        np.testing.assert_array_equal(near.y, net.forward(x))


def test_products_take_leading_axes_and_agree(image_net, rng):
    near = image_net.linearize(rng.standard_normal((3, 6)))
    dx, dy = rng.standard_normal((2, 4, 3, 6))
    left = np.sum(near.jvp(dx) * dy, axis=-1)
    np.testing.assert_allclose(left, np.sum(dx * near.vjp(dy), axis=-1), atol=1e-12)
    assert (np.abs(near.jvp(dx)) <= near.magnitude(dx) + 1e-12).all()


def test_terms_of_a_last_dense(chain, rng):
    x = rng.standard_normal((5, 3))
    y, terms = chain.forward_with_terms(x)
    np.testing.assert_array_equal(y, chain.forward(x))
    hidden = np.tanh(chain.graph.nodes[0].layer.forward(x))
    matrix = chain.graph.nodes[2].layer.matrix.to_float64()
    np.testing.assert_allclose(terms, np.abs(hidden) @ np.abs(matrix).T, rtol=1e-13)


def test_terms_pass_through_the_slope_of_what_follows(rng):
    matrix, bias = rng.standard_normal((3, 3)), rng.standard_normal(3)
    net = network(dense(matrix, bias), "tanh")
    x = rng.standard_normal((4, 3))
    _, terms = net.forward_with_terms(x)
    z = x @ matrix.T + bias
    expected = (np.abs(x) @ np.abs(matrix).T + np.abs(bias)) / np.cosh(z) ** 2
    np.testing.assert_allclose(terms, expected, rtol=1e-10)


def test_terms_are_not_less_than_outputs_of_a_linear_end(rng):
    net = network(rng.standard_normal((3, 3)), "tanh", dense(rng.standard_normal((3, 3))))
    y, terms = net.forward_with_terms(rng.standard_normal((4, 3)))
    assert (terms >= np.abs(y) * (1 - 1e-14)).all()


def test_terms_without_any_weights_are_the_outputs(rng):
    net = network(Reshape((4,), (2, 2)), "tanh")
    y, terms = net.forward_with_terms(rng.standard_normal((3, 4)))
    np.testing.assert_array_equal(terms, np.abs(y))


def test_parameters_and_types(chain):
    assert chain.parameters == 12 + 4 + 8
    assert chain.dtype == "float64+float32"
    assert network("tanh", shape=(2,)).dtype == "float64"
    short = ArrayMatrix(np.ones((2, 3), np.float32), "bfloat16")
    bias = np.ones(2, np.float32)  # bfloat16 vectors are held as float32
    assert network(Dense((3,), short, bias)).dtype == "bfloat16"


def test_layers_group_a_dense_with_its_activation(rng):
    tanh = Elementwise((2,), activation_from_text("tanh"))
    nodes = [
        Node(dense(np.eye(2)), "0", "a", "Dense"),
        Node(tanh, "0", "a", "Dense"),
        Node(dense(np.eye(2)), "1", "b", "Dense"),
    ]
    net = Network.of_graph(Graph((2,), nodes))
    assert [[n.name for n in group] for group in net.layers] == [["a", "a"], ["b"]]
    part = net.slice(last="a")
    assert len(part.graph.nodes) == 2
    x = rng.standard_normal((3, 2))
    np.testing.assert_array_equal(part.forward(x), np.tanh(x))


def test_slices_are_inclusive_and_compose(chain, rng):
    x = rng.standard_normal((3, 3))
    head, tail = chain.slice(last="layer_1"), chain.slice(first="2")
    np.testing.assert_array_equal(tail.forward(head.forward(x)), chain.forward(x))
    assert chain.slice("1", "1").n_in == 4
    assert head.inputs is chain.inputs
    assert tail.outputs is chain.outputs


def test_parts_are_those_of_an_end_that_is_not_cut_off(rng):
    net = network(rng.standard_normal((4, 4)), "tanh", rng.standard_normal((4, 4)))
    parts = Layout((Part("a", (1,)), Part("b", (3,))))
    net = replace(net, inputs=parts, outputs=parts, output_names=parts.number_names)
    head = net.slice(last="layer_0")
    assert (head.inputs, len(head.outputs.parts)) == (parts, 1)
    assert (head.output_names, head.output_label(1)) == (None, "1")
    tail = net.slice(first="layer_2")
    assert (len(tail.inputs.parts), tail.outputs) == (1, parts)
    assert tail.output_label(1) == net.repeat(2).output_label(1) == "1 'b[0]'"


def test_unknown_and_crossed_slices_are_refused(chain):
    with pytest.raises(
        UsageError, match=r"--until: got 'x', expected a layer: 0 'layer_0'"
    ):
        chain.slice(last="x")
    with pytest.raises(UsageError, match="--from: got 2, which comes after 0"):
        chain.slice(first="2", last="0")


def test_repeat_applies_the_network_again(rng):
    net = network(rng.standard_normal((3, 3)), "tanh")
    x = rng.standard_normal((4, 3))
    np.testing.assert_array_equal(
        net.repeat(3).forward(x), net.forward(net.forward(net.forward(x)))
    )
    assert net.repeat(1) is net
    assert [n.index for n in net.repeat(2).graph.leaves()] == ["0.0", "0.1", "1.0", "1.1"]


def test_repeat_refuses_what_cannot_follow_itself(chain):
    with pytest.raises(UsageError, match="--repeat: got 0"):
        chain.repeat(0)
    with pytest.raises(UsageError, match=r"a network from \(3,\) to \(2,\)"):
        chain.repeat(2)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_bad_weights_are_named(value):
    matrix = np.eye(3)
    matrix[2, 1] = value
    net = network(matrix, "tanh")
    with pytest.raises(
        DataError,
        match=r"layer 0 'layer_0' > kernel: got (nan|inf) from input 1 to output 2 ",
    ):
        net.require_finite()
    scaler = Normalization((2,), np.array([0.0, value]), np.ones(2), (0,), invert=False)
    with pytest.raises(DataError, match=r"mean: got (nan|inf) at index 1"):
        network(scaler).require_finite()
    network(np.eye(2), "tanh").require_finite()


def test_no_layers_are_no_network():
    with pytest.raises(ShapeError, match="layers: got none"):
        Network.of_graph(Graph((2,), ()))


def test_names_and_source():
    net = network("tanh", shape=(2,))
    made = Network.of_graph(net.graph, Source("m.h5", "Keras"), ("feed", "yield"))
    assert (made.inputs.parts[0].name, made.outputs.parts[0].name) == ("feed", "yield")
    assert made.slice().source.path == "m.h5"


def test_one_pass_tells_values_terms_and_slopes(chain, rng):
    x = rng.standard_normal((4, chain.n_in))
    found, near = chain.evaluate(x), chain.linearize(x)
    y, terms = chain.forward_with_terms(x)
    np.testing.assert_array_equal(found.y, y)
    np.testing.assert_array_equal(found.terms, terms)
    np.testing.assert_array_equal(found.near.dense(), near.dense())


def test_fused_layers_need_another_pass_for_slopes(image_net, rng):
    x = rng.standard_normal((2, image_net.n_in))
    found = image_net.evaluate(x)
    y, terms = image_net.forward_with_terms(x)
    np.testing.assert_array_equal(found.y, y)
    np.testing.assert_array_equal(found.terms, terms)
    assert found.near is None
