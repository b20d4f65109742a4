"""Own files of graphs whose ways part and meet, with several inputs and outputs."""

from dataclasses import replace

import numpy as np
import pytest
from problems import dense

import nninvert
from nninvert import formats
from nninvert.errors import UsageError
from nninvert.formats._options import ReadOptions
from nninvert.formats.own import save
from nninvert.layers import (
    Add,
    Concatenate,
    Elementwise,
    Graph,
    Multiply,
    Node,
    Reshape,
    Slice,
)
from nninvert.layers.activations import activation_from_text
from nninvert.layout import Layout, Part
from nninvert.network import Network


def node(index, name, layer, *inputs):
    return Node(layer, index, name, type(layer).__name__, tuple(inputs) or None)


@pytest.fixture
def network(rng):
    """Inputs a (2, 2) and b (4,); outputs p = D a_flat + b (4,), q = tanh(p) a_flat."""
    tanh = Elementwise((4,), activation_from_text("tanh"))
    inner = Graph((8,), [node("0", "join", Add([(4,), (4,)]))])
    graph = Graph(
        (8,),
        [
            node("in", "a", Slice((8,), [(0, 4, None)])),
            node("in", "a", Reshape((4,), (2, 2))),
            node("in", "b", Slice((8,), [(4, 8, None)]), -1),
            node("0", "flat", Reshape((2, 2), (4,)), 1),
            node("1", "d", dense(rng.standard_normal((4, 4)))),
            node("2", "p", inner, 4, 2),
            node("3", "t", tanh),
            node("4", "q", Multiply([(4,), (4,)]), 6, 3),
            node("out", "out", Concatenate([(4,), (4,)]), 5, 7),
        ],
    )
    return replace(
        Network.of_graph(graph),
        inputs=Layout((Part("a", (2, 2)), Part("b", (4,)))),
        outputs=Layout((Part("p", (4,)), Part("q", (4,)))),
    )


@pytest.mark.parametrize("suffix", [".h5", ".npz"])
def test_a_file_gives_the_graph_back(network, tmp_path, rng, suffix):
    path = str(tmp_path / f"m{suffix}")
    save(network, path)
    again = formats.load(path)
    x = rng.standard_normal((3, 8))
    np.testing.assert_array_equal(again.forward(x), network.forward(x))
    assert again.inputs == network.inputs
    assert again.outputs == network.outputs
    assert [n.name for n in again.graph.leaves()] == [
        n.name for n in network.graph.leaves()
    ]
    save(again, str(tmp_path / f"twice{suffix}"))
    twice = formats.load(str(tmp_path / f"twice{suffix}"))
    np.testing.assert_array_equal(twice.forward(x), network.forward(x))
    assert twice.inputs == network.inputs


def test_its_values_are_found_again(network, rng):
    x = rng.standard_normal((3, 8))
    y = network.forward(x)
    found = nninvert.invert(network, y)
    np.testing.assert_allclose(network.forward(found.x), y, rtol=1e-7, atol=1e-9)


def test_parts_of_the_file(network, tmp_path, rng):
    path = str(tmp_path / "m.h5")
    save(network, path)
    x = rng.standard_normal((3, 8))
    p = formats.load(path, ReadOptions(until="p"))
    np.testing.assert_array_equal(p.forward(x), network.forward(x)[:, :4])
    assert (p.inputs, p.n_out) == (network.inputs, 4)
    with pytest.raises(UsageError, match="go around"):
        formats.load(path, ReadOptions(first="t"))


def test_what_several_read_keeps_its_place(tmp_path, rng):
    """A Dense whose value is read before and behind its activation, all of one name."""
    tanh = Elementwise((3,), activation_from_text("tanh"))
    graph = Graph(
        (3,),
        [
            node("0", "d", dense(rng.standard_normal((3, 3)))),
            node("0", "d", tanh),
            node("1", "m", Multiply([(3,), (3,)]), 0, 1),
        ],
    )
    path = str(tmp_path / "m.h5")
    save(Network.of_graph(graph), path)
    x = rng.standard_normal((3, 3))
    np.testing.assert_array_equal(formats.load(path).forward(x), graph.forward(x))
