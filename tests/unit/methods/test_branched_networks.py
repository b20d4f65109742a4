"""Methods that look into layers, on residual ReLU blocks: used rightly, or refused."""

import numpy as np
import pytest
from problems import dense

import nninvert
from nninvert.errors import NninvertError
from nninvert.layers import Add, Elementwise, Graph, Node, _searched
from nninvert.layers.activations import activation_from_text
from nninvert.methods.milp.chain import obstacle
from nninvert.methods.pieces import Pieces
from nninvert.methods.smoothing import Kinks, RoundedNetwork, entering_sizes, has_kinks
from nninvert.network import Network
from nninvert.rootfind.levenberg_marquardt import levenberg_marquardt


def residual(
    rng, n: int = 5, hidden: int = 9, blocks: int = 2, gain: float = 1.5
) -> Network:
    """x + B relu(A x + a) + b, several times: not one-to-one, kinks in branches only."""
    nodes: list[Node] = []

    def add(layer, *inputs):
        place = len(nodes)
        nodes.append(Node(layer, str(place), f"layer_{place}", layer.kind, inputs))
        return place

    at = -1
    for _ in range(blocks):
        a = gain * rng.standard_normal((hidden, n)) / np.sqrt(n)
        b = gain * rng.standard_normal((n, hidden)) / np.sqrt(hidden)
        up = add(dense(a, 0.3 * rng.standard_normal(hidden)), at)
        bend = add(Elementwise((hidden,), activation_from_text("relu")), up)
        down = add(dense(b, 0.3 * rng.standard_normal(n)), bend)
        at = add(Add(((n,), (n,))), at, down)
    return Network.of_graph(Graph((n,), nodes))


def test_kinks_are_rounded_between_blocks_only(rng):
    """Blocks stay what they are, whatever the width."""
    net = residual(rng)
    assert not has_kinks(net)
    bent = Elementwise((5,), activation_from_text("leaky_relu:0.1"))
    whole = Network.of_graph(
        Graph((5,), [*net.graph.nodes, Node(bent, "8", "bent", "LeakyReLU")])
    )
    assert has_kinks(whole)
    x = rng.standard_normal((40, 5))
    before = net.forward(x)
    sizes = entering_sizes(whole, x)
    off = RoundedNetwork(whole, sizes, 0.3).forward(x) - whole.forward(x)
    expected = Kinks.of(bent.activation).rounding(before, 0.3 * sizes[-1])[0]
    np.testing.assert_allclose(off, expected, atol=1e-13)
    assert np.abs(off).max() > 0.01


def test_slopes_of_the_rounded_network_are_those_of_its_values(rng):
    net = residual(rng)
    x, dx = rng.standard_normal((2, 20, 5))
    bent = Elementwise((5,), activation_from_text("leaky_relu:0.1"))
    nodes = [*net.graph.nodes, Node(bent, "8", "bent", "LeakyReLU")]
    whole = Network.of_graph(Graph((5,), nodes))
    rounded = RoundedNetwork(whole, entering_sizes(whole, x), 0.3)
    near = rounded.linearize(x)
    np.testing.assert_allclose(near.y, rounded.forward(x), atol=1e-13)
    step = 1e-6
    moved = rounded.forward(x + step * dx) - rounded.forward(x - step * dx)
    np.testing.assert_allclose(near.jvp(dx), moved / (2 * step), atol=1e-7)


def test_milp_refuses_branches_and_says_why(rng):
    net = residual(rng)
    assert "does not consist of straight pieces that join" in obstacle(net)
    y = nninvert.forward(net, rng.standard_normal((1, 5)))
    with pytest.raises(NninvertError, match="straight pieces"):
        nninvert.invert(net, y, method="milp")


def test_pieces_take_blocks_for_smooth_and_not_for_straight(rng):
    pieces = Pieces(residual(rng))
    assert pieces.units == 0
    assert not pieces.straight


def test_reachable_targets_are_solved_and_judged_by_the_network_itself(rng):
    net = residual(rng)
    x = rng.standard_normal((30, 5))
    y = nninvert.forward(net, x)
    found = nninvert.invert(net, y)
    solved = np.asarray(found.solved)
    assert solved.mean() > 0.9
    off = np.abs(nninvert.forward(net, found.x[solved]) - y[solved])
    assert (off <= 1e-8 * (1.0 + np.abs(y[solved]))).all()


def test_the_nearest_x_meets_the_tolerance_and_is_no_farther_than_the_known_one(rng):
    net = residual(rng)
    x = rng.standard_normal((5, 5))
    near = x + 0.01 * rng.standard_normal(x.shape)
    y = nninvert.forward(net, x)
    found = nninvert.invert(net, y, within=1e-3, near=near)
    assert found.solved.all()
    assert (np.abs(nninvert.forward(net, found.x) - y) <= 1e-3 * (1 + 1e-12)).all()
    away = np.linalg.norm(found.x - near, axis=1)
    assert (away <= np.linalg.norm(x - near, axis=1) * (1 + 1e-9)).all()


def test_wide_blocks_do_not_keep_the_search_of_the_whole_network_waiting(rng, monkeypatch):
    """Blocks that no formula inverts get one start of few steps each."""
    calls = []

    def counted(*arguments, **options):
        calls.append(options["most_steps"])
        return levenberg_marquardt(*arguments, **options)

    monkeypatch.setattr(_searched, "levenberg_marquardt", counted)
    monkeypatch.setattr(_searched, "WIDE", 4)
    net = residual(rng, blocks=1, gain=4.0)
    x = rng.standard_normal((1, 5))
    found = nninvert.invert(net, nninvert.forward(net, x))
    assert found.solved.all()
    assert calls
    assert set(calls) == {_searched.WIDE_STEPS}
