"""Scalers before and behind networks that branch, and what does not fit them."""

from dataclasses import replace

import numpy as np
import pytest

from nninvert.api.scaling import in_units, in_units_of
from nninvert.errors import ShapeError
from nninvert.layers import Dense, Elementwise, Graph, Node
from nninvert.layers.activations import activation_from_text
from nninvert.layers.merge import Add
from nninvert.linalg.stored import ArrayMatrix
from nninvert.network import Network

MEAN, SCALE = np.array([10.0, -3.0]), np.array([2.0, 0.5])


@pytest.fixture
def residual(rng):
    """x + tanh(A x), x from the graph's input and by position 0."""
    dense = Dense((2,), ArrayMatrix(0.5 * rng.standard_normal((2, 2))), None)
    bend = Elementwise((2,), activation_from_text("tanh"))
    nodes = [
        Node(dense, "0", "a", "Dense", (-1,)),
        Node(bend, "1", "b", "Activation"),
        Node(Add([(2,), (2,)]), "2", "c", "Add", (-1, 1)),
    ]
    return Network.of_graph(Graph((2,), nodes))


@pytest.fixture
def files(tmp_path):
    for name in ("in", "out"):
        np.savez(tmp_path / f"{name}.npz", mean=MEAN, scale=SCALE)
    return str(tmp_path / "in.npz"), str(tmp_path / "out.npz")


def test_branches_read_what_they_read_before(residual, files, rng):
    x = MEAN + SCALE * rng.standard_normal((5, 2))
    inner = residual.forward((x - MEAN) / SCALE)
    both = in_units(residual, *files)
    np.testing.assert_allclose(both.forward(x), MEAN + SCALE * inner, rtol=1e-13)
    before, behind = in_units(residual, files[0], None), in_units(residual, None, files[1])
    np.testing.assert_allclose(before.forward(x), inner, rtol=1e-12, atol=1e-14)
    wanted = MEAN + SCALE * residual.forward(x)
    np.testing.assert_allclose(behind.forward(x), wanted, rtol=1e-13)
    for made in (both, before, behind):
        again = in_units_of(residual, made)
        np.testing.assert_array_equal(again.forward(x), made.forward(x))


def test_one_number_stands_for_all(residual, tmp_path, rng):
    path = tmp_path / "one.csv"
    path.write_text("of,all\nmean,3\nscale,2\n")
    x = rng.standard_normal((3, 2))
    found = in_units(residual, str(path), None)
    np.testing.assert_allclose(found.forward(x), residual.forward((x - 3.0) / 2.0))
    assert found.input_names is None


def test_lengths_that_do_not_fit(residual, tmp_path):
    path = str(tmp_path / "three.npz")
    np.savez(path, mean=np.zeros(3), scale=np.ones(3))
    with pytest.raises(ShapeError, match="got 3 numbers, expected 2, one for each"):
        in_units(residual, path, None)
    with pytest.raises(ShapeError, match="the network's outputs"):
        in_units(residual, None, path)


def test_columns_are_put_in_the_order_of_the_names(residual, files, tmp_path, rng):
    named = replace(residual, input_names=("T", "flow"), output_names=("p", "q"))
    table = tmp_path / "in.csv"
    table.write_text("of,flow,T\nmean,-3,10\nscale,0.5,2\n")
    x = rng.standard_normal((4, 2))
    wanted = in_units(named, files[0], None).forward(x)
    np.testing.assert_array_equal(in_units(named, str(table), None).forward(x), wanted)
    # The names of others, as many, stay where they are.
    table.write_text("of,a,b\nmean,10,-3\nscale,2,0.5\n")
    found = in_units(named, str(table), None)
    np.testing.assert_array_equal(found.forward(x), wanted)
    assert found.input_names == ("T", "flow")
    table.write_text("of,q,p\nmean,-3,10\nscale,0.5,2\n")
    wanted = in_units(named, None, files[1]).forward(x)
    np.testing.assert_array_equal(in_units(named, None, str(table)).forward(x), wanted)
