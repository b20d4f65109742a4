"""Graphs whose ways part and meet: passes, pieces, blocks and their inverses."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import dense

from nninvert.context import Context
from nninvert.errors import ShapeError
from nninvert.layers import (
    Add,
    Average,
    Block,
    Concatenate,
    Dense,
    Elementwise,
    Graph,
    LinearBlock,
    Maximum,
    Multiply,
    Node,
    Rescaling,
    Slice,
    Subtract,
)
from nninvert.layers.activations import activation_from_config, activation_from_text
from nninvert.layers.lipschitz import STEEPEST, norm_bound, steepest
from nninvert.linalg.map import DenseMap
from nninvert.linalg.stored import ArrayMatrix
from nninvert.network import Network


def node(layer, *inputs, name="l"):
    return Node(layer, "0", name, "L", tuple(inputs) or None)


def numbered(shape, *nodes):
    made = [
        Node(n.layer, str(k), f"l{k}", type(n.layer).__name__, n.inputs)
        for k, n in enumerate(nodes)
    ]
    return Graph(shape, made)


def activation(name, n):
    return Elementwise((n,), activation_from_text(name))


def residual(rng, n, size, merge=Add, act="tanh", swap=False):
    """y = x + B act(A x) with ||A|| ||B|| = size."""
    a, b = (rng.standard_normal((n, n)) for _ in range(2))
    a, b = a / np.linalg.norm(a, 2), size * b / np.linalg.norm(b, 2)
    ends = (2, -1) if swap else (-1, 2)
    return numbered(
        (n,),
        node(dense(a, rng.standard_normal(n))),
        node(activation(act, n)),
        node(dense(b, rng.standard_normal(n))),
        node(merge([(n,), (n,)]), *ends),
    )


def exactly(y):
    return 1e-15 * np.maximum(np.abs(y), 1.0)


def test_what_several_nodes_give_is_packed(rng):
    a, b = rng.standard_normal((3, 4)), rng.standard_normal((2, 4))
    net = numbered(
        (4,),
        node(dense(a)),
        node(activation("tanh", 3)),
        node(dense(b), -1),
        node(Concatenate([(3,), (2,)]), 1, 2),
        node(Multiply([(5,), (5,)]), 3, 3),
    )
    x = rng.standard_normal((6, 4))
    joined = np.concatenate([np.tanh(x @ a.T), x @ b.T], axis=1)
    np.testing.assert_allclose(net.forward(x), joined**2, rtol=1e-14)
    assert [n.name for n in net.trunk] == ["l3", "l4"]
    assert [n.index for n in net.trunk] == ["0-3", "4"]
    assert [n.label for n in net.trunk] == ["branches", "branches"]


@pytest.mark.parametrize("inputs", [(1,), (-2,), (0, 0)])
def test_inputs_that_do_not_fit_are_refused(inputs):
    with pytest.raises(ShapeError, match="layer 1 'l1' > input"):
        numbered((2,), node(dense(np.eye(2))), node(dense(np.eye(2)), *inputs))


def test_a_layer_that_nothing_reads_is_refused():
    with pytest.raises(ShapeError, match="layer 0 'l0' > inputs: got a layer that nothing"):
        numbered((2,), node(dense(np.eye(2))), node(dense(np.eye(2)), -1))


def test_chains_keep_their_pieces(rng):
    net = numbered((2,), node(dense(np.eye(2)), -1), node(activation("tanh", 2), 0))
    assert [type(s.layer) for s in net.segments] == [Dense, Elementwise]
    assert all(n.inputs is None for n in net.trunk)


def test_linear_branches_join_runs(rng):
    a, b, c = (rng.standard_normal((3, 3)) for _ in range(3))
    net = numbered(
        (3,),
        node(dense(a, rng.standard_normal(3))),
        node(dense(b, rng.standard_normal(3))),
        node(dense(c), 0),
        node(Subtract([(3,), (3,)]), 1, 2),
        node(activation("tanh", 3)),
    )
    assert [type(n.layer) for n in net.trunk] == [Dense, LinearBlock, Elementwise]
    assert len(net.segments) == 2
    fused, bias = net.segments[0].layer.linear_part
    np.testing.assert_allclose(fused.dense(), (b - c) @ a, rtol=1e-12, atol=1e-13)
    x = 0.2 * rng.standard_normal((5, 3))
    y = net.forward(x)
    found = net.preimage(y, exactly(y), Context())
    np.testing.assert_allclose(found.x, x, rtol=1e-7, atol=1e-8)
    assert (np.abs(found.x - x) <= found.radius).all()
    np.testing.assert_allclose(
        np.tanh(x @ fused.dense().T + bias), y, rtol=1e-12, atol=1e-13
    )


def test_magnitudes_of_linear_branches_do_not_cancel():
    net = numbered((1,), node(dense(np.eye(1))), node(Subtract([(1,), (1,)]), 0, -1))
    linear_map, _ = net.segments[0].layer.linear_part
    assert linear_map.apply(np.ones((1, 1)))[0, 0] == 0.0
    assert linear_map.magnitude(np.ones((1, 1)))[0, 0] == 2.0
    assert not net.preimage(np.ones((1, 1)), np.zeros((1, 1)), Context()).unique[0]


@pytest.mark.parametrize("merge", [Add, Subtract, Average])
@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("size", [0.3, 0.95])
def test_contractions_are_bijective(rng, merge, swap, size):
    net = residual(rng, 6, size, merge, swap=swap)
    (segment,) = net.segments
    assert isinstance(segment.layer, Block)
    assert segment.layer.residual.contraction == pytest.approx(size, rel=1e-6)
    assert net.facts.one_to_one is True
    assert net.facts.onto is True
    x = rng.standard_normal((5, 6))
    y = net.forward(x)
    found = net.preimage(y, exactly(y), Context())
    assert found.unique.all()
    np.testing.assert_allclose(found.x, x, rtol=1e-12, atol=1e-12)
    assert (np.abs(found.x - x) <= found.radius).all()
    far = 5.0 * rng.standard_normal((5, 6))
    reached = net.forward(net.preimage(far, exactly(far), Context()).x)
    np.testing.assert_allclose(reached, far, rtol=1e-12, atol=1e-12)


def test_the_radius_of_a_contraction_holds_all_origins(rng):
    net = residual(rng, 4, 0.9)
    x = rng.standard_normal((20, 4))
    radius = 1e-3 * rng.uniform(0.1, 1.0, x.shape)
    y = net.forward(x) + radius * rng.uniform(-1.0, 1.0, x.shape)
    found = net.preimage(y, radius, Context())
    assert (np.abs(found.x - x) <= found.radius).all()
    assert (found.radius < 1.0).all()


def test_nothing_is_claimed_where_the_slope_is_not_proved(rng):
    net = residual(rng, 4, 1.5)
    assert net.facts.one_to_one is None
    assert net.facts.onto is None
    assert "not proved" in net.facts.reason
    x = rng.standard_normal((4, 4))
    y = net.forward(x)
    found = net.preimage(y, exactly(y), Context())
    np.testing.assert_allclose(net.forward(found.x), y, rtol=1e-9, atol=1e-9)
    assert not found.unique.any()
    assert not found.proved.any()


def test_a_subtraction_from_itself_has_no_factor(rng):
    n = 3
    net = numbered(
        (n,),
        node(activation("tanh", n)),
        node(Subtract([(n,), (n,)]), -1, -1),
        node(Add([(n,), (n,)]), 0, 1),
    )
    assert net.segments[0].layer.residual is None
    assert net.facts.one_to_one is None


def test_couplings_are_solved(rng):
    """concat(x1, x2 + g(x1)): one-to-one, though that is not known."""
    net = numbered(
        (4,),
        node(Slice((4,), [(0, 2, None)])),
        node(Slice((4,), [(2, 4, None)]), -1),
        node(dense(rng.standard_normal((2, 2))), 0),
        node(activation("relu", 2)),
        node(Add([(2,), (2,)]), 1, 3),
        node(Concatenate([(2,), (2,)]), 0, 4),
    )
    x = rng.standard_normal((5, 4))
    y = net.forward(x)
    found = net.preimage(y, exactly(y), Context())
    np.testing.assert_allclose(found.x, x, rtol=1e-8, atol=1e-9)
    assert net.facts.one_to_one is None


def test_nested_graphs_of_several_inputs_are_written_out(rng):
    a = rng.standard_normal((2, 2))
    inner = numbered(
        (4,),
        node(Slice((4,), [(0, 2, None)])),
        node(Slice((4,), [(2, 4, None)]), -1),
        node(Multiply([(2,), (2,)]), 0, 1),
    )
    net = numbered(
        (2,),
        node(dense(a)),
        node(activation("tanh", 2), -1),
        node(inner, 1, 0),
        node(Graph((2,), ())),
    )
    x = rng.standard_normal((3, 2))
    expected = np.tanh(x) * (x @ a.T)
    np.testing.assert_allclose(net.forward(x), expected, rtol=1e-14)
    flat = Graph((2,), tuple(net.leaves()))
    np.testing.assert_array_equal(flat.forward(x), net.forward(x))
    assert [n.name for n in flat.nodes][2:] == ["l2/l0", "l2/l1", "l2/l2", "l3"]


def test_config_and_weights_rebuild_it(rng):
    net = residual(rng, 3, 0.5)
    again = Graph.from_config(json.loads(json.dumps(net.config())), net.weights(), (3,))
    x = rng.standard_normal((4, 3))
    np.testing.assert_array_equal(again.forward(x), net.forward(x))
    assert "inputs" not in net.config()["nodes"][1]
    assert net.config()["nodes"][3]["inputs"] == [-1, 2]
    cut = Graph((3,), [n for s in net.segments for n in s.nodes])
    rebuilt = Graph.from_config(cut.config(), cut.weights(), (3,))
    np.testing.assert_array_equal(rebuilt.forward(x), net.forward(x))
    assert [n.name for n in cut.leaves()] == [n.name for n in net.leaves()]


@pytest.mark.parametrize("name", sorted(STEEPEST))
def test_no_slope_is_steeper_than_what_is_said(name):
    made = activation_from_text(name)
    z = np.linspace(-40.0, 40.0, 400_001)
    slope = np.abs(made.derivative(z)).max()
    assert slope <= steepest(made) <= 1.3 * slope


@pytest.mark.parametrize(
    "text",
    [
        "leaky_relu:-2",
        "elu:3",
        "celu:0.5",
        "relu:3",
        "softplus:3",
        "silu:2",
        "squareplus:9",
        "soft_shrink:2",
        "hard_sigmoid:1/6",
        "leaky_relu:0.1",
    ],
)
def test_parameters_count_in_the_steepest_slope(text):
    made = activation_from_text(text)
    z = np.linspace(-40.0, 40.0, 400_001)
    assert np.abs(made.derivative(z)).max() <= steepest(made) < np.inf


def test_a_relu_that_jumps_has_no_steepest_slope():
    assert steepest(activation_from_config({"name": "relu", "threshold": 1.0})) == np.inf


def test_norms_are_bounded_from_above(rng):
    matrix = rng.standard_normal((5, 7))
    norm = np.linalg.norm(matrix, 2)
    assert norm <= norm_bound(DenseMap(ArrayMatrix(matrix))) <= 1.001 * norm


def test_terms_of_all_ways_add_up(rng):
    """c = |x| + |B| |h| + |b| for x + B tanh(A x) + b."""
    a, b = rng.standard_normal((2, 3, 3))
    bias = rng.standard_normal(3)
    net = numbered(
        (3,),
        node(dense(a)),
        node(activation("tanh", 3)),
        node(dense(b, bias)),
        node(Add([(3,), (3,)]), -1, 2),
        node(activation("tanh", 3)),
    )
    x = rng.standard_normal((4, 3))
    y, terms = Network.of_graph(net).forward_with_terms(x)
    h = np.tanh(x @ a.T)
    z = x + h @ b.T + bias
    size = np.abs(x) + np.abs(h) @ np.abs(b).T + np.abs(bias)
    np.testing.assert_allclose(y, np.tanh(z), rtol=1e-13)
    np.testing.assert_allclose(terms, size / np.cosh(z) ** 2, rtol=1e-12)


def test_terms_on_the_way_to_an_identity_branch_are_those_before_it(rng):
    a = rng.standard_normal((3, 3))
    net = numbered(
        (3,),
        node(dense(a)),
        node(activation("tanh", 3)),
        node(Add([(3,), (3,)]), 0, 1),
    )
    x = rng.standard_normal((4, 3))
    _, terms = Network.of_graph(net).forward_with_terms(x)
    size = np.abs(x) @ np.abs(a).T
    slope = 1.0 / np.cosh(x @ a.T) ** 2
    np.testing.assert_allclose(terms, size * (1.0 + slope), rtol=1e-12)


def test_networks_are_cut_at_places_that_every_way_passes(rng):
    net = Network.of_graph(
        numbered(
            (3,),
            node(dense(np.eye(3))),
            node(activation("tanh", 3)),
            node(Multiply([(3,), (3,)]), 0, 1),
            node(dense(2.0 * np.eye(3))),
        )
    )
    assert [[n.index for n in group] for group in net.layers] == [["0"], ["1-2"], ["3"]]
    x = rng.standard_normal((2, 3))
    part = net.slice("1-2", "3")
    np.testing.assert_allclose(part.forward(x), 2.0 * x * np.tanh(x), rtol=1e-14)
    np.testing.assert_allclose(net.slice(None, "l2").forward(x), x * np.tanh(x), rtol=1e-14)


# Random graphs against a naive evaluation.


@st.composite
def graphs(draw):
    """Nodes of one width that read any before them, and what each computes."""
    n = draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    nodes, computed, unread = [], [], {-1}
    for place in range(draw(st.integers(1, 7))):
        source = st.integers(-1, place - 1)
        kind = draw(st.sampled_from(["dense", "tanh", "scale", "add", "max", "times"]))
        count = 1 if kind in ("dense", "tanh", "scale") else draw(st.integers(2, 3))
        read = tuple(draw(source) for _ in range(count))
        nodes.append((kind, read))
        unread = (unread - set(read)) | {place}
        computed.append(rng.standard_normal((n, n)))
    rest = tuple(sorted(unread))
    if len(rest) > 1:
        nodes.append(("add", rest))
        computed.append(None)
    return n, nodes, computed


def made(n, kind, read, matrix):
    if kind == "dense":
        return dense(matrix, matrix[0])
    if kind == "tanh":
        return activation("tanh", n)
    if kind == "scale":
        return Rescaling((n,), np.array(0.5), np.array(0.25))
    return {"add": Add, "max": Maximum, "times": Multiply}[kind]([(n,)] * len(read))


def naive(x, nodes, computed):
    values = {-1: x}
    for place, ((kind, read), matrix) in enumerate(zip(nodes, computed, strict=True)):
        given = [values[k] for k in read]
        values[place] = {
            "dense": lambda g=given, m=matrix: g[0] @ m.T + m[0],
            "tanh": lambda g=given: np.tanh(g[0]),
            "scale": lambda g=given: 0.5 * g[0] + 0.25,
            "add": lambda g=given: sum(g),
            "max": lambda g=given: np.maximum.reduce(g),
            "times": lambda g=given: np.prod(g, axis=0),
        }[kind]()
    return values[len(nodes) - 1]


@settings(deadline=None, max_examples=150)
@given(graphs())
def test_random_graphs(case):
    n, nodes, computed = case
    net = numbered(
        (n,),
        *(
            node(made(n, kind, read, matrix), *read)
            for (kind, read), matrix in zip(nodes, computed, strict=True)
        ),
    )
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3, n))
    y = naive(x, nodes, computed)
    np.testing.assert_allclose(net.forward(x), y, rtol=1e-12, atol=1e-12)
    near = net.linearize(x)
    np.testing.assert_allclose(near.y, y, rtol=1e-12, atol=1e-12)
    dx, dy = rng.standard_normal((2, 3, n)), rng.standard_normal((2, 3, n))
    slope = near.jvp(dx)
    step = 1e-6
    ahead, behind = (naive(x + s * step * dx[0], nodes, computed) for s in (1.0, -1.0))
    size = 1.0 + np.abs(near.magnitude(np.abs(dx[0])))
    np.testing.assert_array_less(
        np.abs((ahead - behind) / (2 * step) - slope[0]) / size, 1e-4 * (1 + np.abs(y))
    )
    left, right = np.sum(slope * dy, axis=2), np.sum(dx * near.vjp(dy), axis=2)
    np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-9 * size.max())
    assert (np.abs(slope[0]) <= near.magnitude(dx[0]) * (1 + 1e-12) + 1e-12).all()
    cut = Graph((n,), [part for s in net.segments for part in s.nodes])
    np.testing.assert_array_equal(cut.forward(x), net.forward(x))
