"""Networks of several inputs and outputs: .npz with an array for each, in and out."""

from dataclasses import replace

import numpy as np
import pytest
from cli_runner import run
from problems import dense

from nninvert.formats.own import save
from nninvert.layers import Add, Concatenate, Elementwise, Graph, Node, Reshape, Slice
from nninvert.layers.activations import activation_from_text
from nninvert.layout import Layout, Part
from nninvert.network import Network


@pytest.fixture
def two(folder, rng):
    """m.h5 from a (2, 2) and b (3,) to p (4,) and q (3,): linear maps, a sum, a tanh."""
    layers = [
        ("a", Slice((7,), [(0, 4, None)]), (-1,)),
        ("a", Reshape((4,), (2, 2)), (0,)),
        ("b", Slice((7,), [(4, 7, None)]), (-1,)),
        ("flat", Reshape((2, 2), (4,)), (1,)),
        ("p", dense(np.eye(4) + 0.1 * rng.standard_normal((4, 4))), (3,)),
        ("d", dense(0.3 * rng.standard_normal((3, 4))), (3,)),
        ("t", Elementwise((3,), activation_from_text("tanh")), (5,)),
        ("q", Add([(3,), (3,)]), (6, 2)),
        ("out", Concatenate([(4,), (3,)]), (4, 7)),
    ]
    nodes = [
        Node(layer, str(k), name, type(layer).__name__, read)
        for k, (name, layer, read) in enumerate(layers)
    ]
    network = replace(
        Network.of_graph(Graph((7,), nodes)),
        inputs=Layout((Part("a", (2, 2)), Part("b", (3,)))),
        outputs=Layout((Part("p", (4,)), Part("q", (3,)))),
    )
    save(network, "m.h5")
    a, b = rng.standard_normal((5, 2, 2)), rng.standard_normal((5, 3))
    np.savez("x.npz", b=b, a=a)
    y = network.forward(np.concatenate([a.reshape(5, 4), b], axis=1))
    np.savez("y.npz", p=y[:, :4], q=y[:, 4:])
    return folder


def test_forward_takes_and_gives_parts(two):
    ran = run("forward", "m.h5", "x.npz", "-o", "again.npz")
    assert ran.code == 0, ran.err
    again, y = np.load("again.npz"), np.load("y.npz")
    assert sorted(again) == ["p", "q"]
    for name in again:
        np.testing.assert_array_equal(again[name], y[name])


def test_invert_takes_and_gives_parts(two):
    ran = run("invert", "m.h5", "y.npz", "-o", "found.npz")
    assert ran.code == 0, ran.err
    found, x = np.load("found.npz"), np.load("x.npz")
    assert found["a"].shape == (5, 2, 2)
    for name in ("a", "b"):
        np.testing.assert_allclose(found[name], x[name], rtol=1e-7, atol=1e-8)


def test_flat_rows_are_taken_too(two):
    y = np.load("y.npz")
    np.save("y.npy", np.concatenate([y["p"], y["q"]], axis=1))
    ran = run("invert", "m.h5", "y.npy", "-o", "found.npy", "--near", "x.npz")
    assert ran.code == 0, ran.err
    assert np.load("found.npy").shape == (5, 7)


def test_a_part_that_is_missing_or_of_another_shape_is_named(two):
    y = np.load("y.npz")
    np.savez("less.npz", p=y["p"])
    ran = run("invert", "m.h5", "less.npz", "-o", "found.npz")
    assert (ran.code, "y > q: got no array of this name" in ran.err) == (3, True)
    np.savez("other.npz", p=y["p"], q=y["q"][:, :2])
    ran = run("invert", "m.h5", "other.npz", "-o", "found.npz")
    assert (ran.code, "y > q: got shape (5, 2), expected (5, 3)" in ran.err) == (3, True)


def test_check_and_info_open_it(two):
    ran = run("check", "m.h5", "--target", "y.npz")
    assert ran.code in (0, 4), ran.err
    assert run("info", "m.h5").code == 0


def test_columns_of_tables_are_named_by_part_and_place(two):
    ran = run("invert", "m.h5", "y.npz", "-o", "found.csv")
    assert ran.code == 0, ran.err
    header, *_ = (two / "found.csv").read_text().splitlines()
    assert header == "a[0],a[1],a[2],a[3],b[0],b[1],b[2]"
    ran = run("forward", "m.h5", "found.csv", "-o", "again.csv")
    assert ran.code == 0, ran.err
    assert (two / "again.csv").read_text().startswith("p[0],p[1],p[2],p[3],q[0]")
