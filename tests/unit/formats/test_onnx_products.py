"""ONNX graphs written by hand: products of signals, of stacks, Einsum."""

import numpy as np
import pytest
from onnx_files import node, plain, tensor

from nninvert import formats
from nninvert.errors import FormatError, UnsupportedLayerError

RNG = np.random.default_rng(7)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.onnx"


def load(path, content):
    path.write_bytes(content)
    return formats.load(str(path))


def same(net, x, wanted):
    assert np.allclose(net.forward(x), wanted, rtol=1e-12, atol=1e-12)


class TestProducts:
    def test_a_matrix_that_depends_on_x(self, path):
        net = load(path, plain([node("MatMul", "x x", "y")], [], (4, 4)))
        x = RNG.normal(size=(3, 4, 4))
        same(net, x.reshape(3, -1), (x @ x).reshape(3, -1))

    @pytest.mark.parametrize(
        ("left", "right"), [("x", "t"), ("v", "t"), ("x", "w"), ("W", "x"), ("W", "v")]
    )
    def test_products_of_stacks(self, path, left, right):
        """Of two signals, and with a stack of constants, which repeats along axes of 1."""
        weights = {"t": (2, 4, 3), "w": (2, 4, 2), "W": (2, 5, 3), "v": (1, 3, 4)}
        arrays = {k: RNG.normal(size=shape).astype("f4") for k, shape in weights.items()}
        nodes = [
            node("Transpose", "x", "t", perm=[0, 1, 3, 2]),
            node("ReduceMean", "x axes", "v", keepdims=1),
            node("MatMul", f"{left} {right}", "y"),
        ]
        tensors = [tensor(arrays[k], k) for k in ("w", "W")]
        tensors.append(tensor(np.array([1]), "axes"))
        net = load(path, plain(nodes, tensors, ("N", 2, 3, 4), opset=18))
        x = RNG.normal(size=(5, 2, 3, 4))
        known = {
            "x": x,
            "t": x.swapaxes(2, 3),
            "v": x.mean(1, keepdims=True),
            **{k: arrays[k].astype(float) for k in ("w", "W")},
        }
        same(net, x.reshape(5, -1), (known[left] @ known[right]).reshape(5, -1))

    @pytest.mark.parametrize(
        "equation",
        [
            "bij,bkj->bik",
            "bij,bkj->bki",
            "...ij,...kj",
            "bij,jk->bik",
            "bij,ki->bkj",
            "bij,kji->bk",
            "bij->bji",
        ],
    )
    def test_einsum(self, path, equation):
        kernel = RNG.normal(size={"jk": (3, 4), "ki": (4, 2)}.get(equation[4:6], (4, 3, 2)))
        inputs = "x" if "," not in equation else "x t" if equation[4] in "b." else "x W"
        inputs = "x t" if equation.startswith("...") else inputs
        nodes = [node("Tanh", "x", "t"), node("Einsum", inputs, "y", equation=equation)]
        net = load(path, plain(nodes, [tensor(kernel, "W")], ("N", 2, 3)))
        x = RNG.normal(size=(5, 2, 3))
        given = {"x": [x], "x t": [x, np.tanh(x)], "x W": [x, kernel]}[inputs]
        same(net, x.reshape(5, -1), np.einsum(equation, *given).reshape(5, -1))

    def test_a_product_of_three(self, path):
        content = plain([node("MatMul", "x x x", "y")], [], ("N", 4, 4))
        with pytest.raises(FormatError, match="MatMul 3 inputs; expected 2"):
            load(path, content)

    @pytest.mark.parametrize("equation", ["bij,cij->bc", "bij,bij->ij", "bii->bi", "b,"])
    def test_einsums_that_are_no_layer(self, path, equation):
        inputs = "x x" if "," in equation else "x"
        content = plain([node("Einsum", inputs, "y", equation=equation)], [], ("N", 3, 3))
        with pytest.raises(UnsupportedLayerError):
            load(path, content)
