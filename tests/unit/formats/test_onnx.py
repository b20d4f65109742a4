"""Graphs written by hand: where the batch is, what is folded, joined, known, refused."""

import os
import time
import tracemalloc

import numpy as np
import pytest
from onnx_files import (
    FLOAT,
    INT64,
    STRING,
    chunk,
    external,
    model,
    node,
    number,
    plain,
    tensor,
    value,
    write_holes,
)

from nninvert import check, formats
from nninvert.errors import (
    DataError,
    FormatError,
    LimitError,
    UnsupportedLayerError,
    UsageError,
)
from nninvert.formats import ReadOptions
from nninvert.linalg.file_matrix import FileMatrix

RNG = np.random.default_rng(5)
W = RNG.normal(size=(3, 4)).astype("f4")
B = RNG.normal(size=3).astype("f4")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.onnx"


def load(path, content, **options):
    path.write_bytes(content)
    return formats.load(str(path), ReadOptions(**options))


def describe(path, content):
    path.write_bytes(content)
    return formats.describe(str(path))


def same(net, x, wanted, error=1e-12):
    found = net.forward(np.asarray(x, np.float64).reshape(-1, net.n_in))
    wanted = np.asarray(wanted, np.float64).reshape(found.shape)
    assert np.allclose(found, wanted, rtol=error, atol=error)


X = RNG.normal(size=(5, 4))
B4 = RNG.normal(size=4)


class TestMatrices:
    def test_gemm(self, path):
        gemm = node("Gemm", "x W b", "y", transB=1, alpha=0.5, beta=-2.0)
        net = load(path, plain([gemm], [tensor(W, "W"), tensor(B, "b")], ("N", 4)))
        same(net, X, 0.5 * X @ W.T.astype(float) - 2.0 * B)

    def test_matmul_and_the_bias_behind_it_are_one_layer(self, path):
        nodes = [node("MatMul", "x W", "z"), node("Add", "b z", "y", name="plus")]
        content = plain(nodes, [tensor(W.T, "W"), tensor(B[None], "b")], ("N", 4))
        net = load(path, content)
        same(net, X, X @ W.T.astype(float) + B)
        (node_,) = net.graph.nodes
        assert (node_.name, node_.label) == ("plus", "MatMul + Add")
        assert node_.layer.bias.dtype == np.float32

    def test_weights_from_the_left(self, path):
        nodes = [node("MatMul", "W x", "z"), node("Add", "z b", "y")]
        net = load(path, plain(nodes, [tensor(W, "W"), tensor(B, "b")], (4,)))
        same(net, X, X @ W.T.astype(float) + B)

    def test_columns(self, path):
        nodes = [
            node("Transpose", "x", "c", perm=[1, 0]),
            node("MatMul", "W c", "z"),
            node("Add", "z b", "y"),
        ]
        net = load(path, plain(nodes, [tensor(W, "W"), tensor(B[:, None], "b")], (1, 4)))
        same(net, X, X @ W.T.astype(float) + B)
        assert "one x" in net.source.notes[0]

    def test_large_weights_stay_in_the_file(self, path):
        large = RNG.normal(size=(600, 500)).astype("f4")
        nodes = [node("Transpose", "W", "T"), node("MatMul", "x T", "y")]
        net = load(path, plain(nodes, [tensor(large, "W")], ("N", 500)))
        matrix = net.graph.nodes[0].layer.matrix
        assert isinstance(matrix, FileMatrix)
        x = RNG.normal(size=(2, 500))
        same(net, x, x @ large.T.astype(float), 1e-10)


class TestBatch:
    @pytest.mark.parametrize("first", ["N", None, 1, 7])
    def test_the_first_axis(self, path, first):
        content = plain([node("Gemm", "x W", "y", transB=1)], [tensor(W, "W")], (first, 4))
        net = load(path, content)
        assert (net.n_in, net.n_out) == (4, 3)
        assert any("7" in note for note in net.source.notes) == (first == 7)

    def test_length_told_by_the_matrix(self, path):
        nodes = [node("Relu", "x", "z"), node("Gemm", "z W", "y", transB=1)]
        net = load(path, plain(nodes, [tensor(W, "W")], ("N", None)))
        assert net.n_in == 4

    def test_open_lengths_are_named(self, path):
        content = plain([node("Relu", "x", "y")], [], ("N", 3, "height", None))
        with pytest.raises(
            UnsupportedLayerError, match=r"'x' has open lengths: \(N, 3, h"
        ) as no:
            load(path, content)
        assert "--input_shape 1,3,64,64" in str(no.value)

    @pytest.mark.parametrize("shape", [[-1, 12], [0, -1], [1, 12], [1, -1]])
    def test_reshape(self, path, shape):
        nodes = [node("Reshape", "x s", "y")]
        net = load(path, plain(nodes, [tensor(np.array(shape), "s")], ("N", 3, 4)))
        assert net.graph.output_shape == (12,)

    def test_shape_arithmetic_is_folded(self, path):
        nodes = [
            node("Shape", "x", "s"),
            node("Gather", "s zero", "rows", axis=0),
            node("Unsqueeze", "rows axes", "row"),
            node("Slice", "s one three", "rest"),
            node("ReduceProd", "rest", "count", keepdims=1),
            node("Concat", "row count", "shape", axis=0),
            node("Reshape", "x shape", "y"),
        ]
        tensors = [
            tensor(np.array(0), "zero"),
            tensor(np.array([0]), "axes"),
            tensor(np.array([1]), "one"),
            tensor(np.array([3]), "three"),
        ]
        net = load(path, plain(nodes, tensors, ("N", 3, 4)))
        assert net.graph.output_shape == (12,)

    @pytest.mark.parametrize(
        "bad",
        [
            node("Reshape", "x two", "y"),
            node("Transpose", "x", "y", perm=[1, 0, 2]),
            node("Flatten", "x", "y", axis=0),
            node("Softmax", "x", "y", axis=0),
            node("Add", "x rows", "y"),
        ],
        ids=["reshape", "transpose", "flatten", "softmax", "add"],
    )
    def test_rows_that_are_mixed(self, path, bad):
        tensors = [tensor(np.array([2, -1]), "two"), tensor(np.ones((6, 3, 4)), "rows")]
        with pytest.raises(UnsupportedLayerError, match="batch to stay the first axis"):
            load(path, plain([bad], tensors, ("N", 3, 4)))

    def test_a_batch_that_is_another_axis(self, path):
        """As of torch's recurrent layers and transformers: positions, then rows."""
        nodes = [node("Softmax", "x", "p", axis=0), node("Add", "p x", "y")]
        content = model(
            nodes,
            [],
            [value("x", (3, "batch_size", 2))],
            [value("y", (3, "batch_size", 2))],
        )
        net = load(path, content)
        x = RNG.normal(size=(4, 3, 1, 2))
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        same(net, x.reshape(4, -1), (p + x).reshape(4, -1))
        assert net.graph.output_shape == (3, 1, 2)
        assert "'x' has its batch as axis 1" in net.source.notes[0]

    def test_a_batch_that_comes_back(self, path):
        """As in attention of torch: the batch moves, is joined with heads, and returns."""
        nodes = [
            node("Transpose", "x", "t", perm=[1, 0, 2]),
            node("Shape", "t", "s"),
            node("Gather", "s one", "rows", axis=0),
            node("Mul", "rows two", "heads"),
            node("Concat", "three heads halves", "by_heads", axis=0),
            node("Reshape", "t by_heads", "h"),
            node("Softmax", "h", "p", axis=0),
            node("Concat", "three rows six", "joined", axis=0),
            node("Reshape", "p joined", "j"),
            node("Transpose", "j", "y", perm=[1, 0, 2]),
        ]
        numbers = {"one": 1, "two": 2, "three": 3, "halves": 3, "six": 6}
        tensors = [tensor(np.array([n]), name) for name, n in numbers.items()]
        net = load(path, plain(nodes, tensors, ("N", 3, 6)))
        x = RNG.normal(size=(4, 3, 6))
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        same(net, x.reshape(4, -1), p.reshape(4, -1))
        assert net.graph.input_shape == net.graph.output_shape == (3, 6)
        assert "one row at a time" in net.source.notes[0]

    def test_or_else_the_whole_input_is_one_x(self, path):
        content = plain([node("Softmax", "x", "y", axis=0)], [], (3, 4))
        net = load(path, content)
        assert net.graph.input_shape == (3, 4)
        x = RNG.normal(size=(3, 4))
        same(net, x, np.exp(x) / np.exp(x).sum(axis=0))


class TestOpsets:
    def test_softmax_took_all_axes_from_one_on(self, path):
        x = RNG.normal(size=(2, 3, 4))
        together = np.exp(x) / np.exp(x).sum(axis=(1, 2), keepdims=True)
        alone = np.exp(x) / np.exp(x).sum(axis=2, keepdims=True)
        nodes = [node("Softmax", "x", "y")]
        same(load(path, plain(nodes, [], ("N", 3, 4), opset=12)), x, together)
        same(load(path, plain(nodes, [], ("N", 3, 4), opset=13)), x, alone)

    def test_clip(self, path):
        old = [node("Clip", "x", "y", min=-1.0, max=0.5)]
        same(load(path, plain(old, [], ("N", 4), opset=10)), X, X.clip(-1.0, 0.5))
        new = [node("Clip", "x low", "y")]
        low = [tensor(np.array(-0.25, "f4"), "low")]
        same(load(path, plain(new, low, ("N", 4))), X, X.clip(-0.25))

    def test_older_than_broadcasting(self, path):
        with pytest.raises(FormatError, match="opset 6, expected 7 or newer"):
            load(path, plain([node("Relu", "x", "y")], [], ("N", 4), opset=6))

    def test_newer_than_known_is_said(self, path):
        net = load(path, plain([node("Relu", "x", "y")], [], ("N", 4), opset=99))
        assert "opset 99 is newer" in net.source.notes[0]

    def test_initialisers_among_the_inputs(self, path):
        content = model(
            [node("Gemm", "x W", "y", transB=1)],
            [tensor(W, "W")],
            [value("W", (3, 4)), value("x", ("N", 4))],
            [value("y", ("N", 3))],
        )
        assert load(path, content).n_in == 4


def gelu_in_parts(half):
    nodes = [
        node("Div", "x root", "a"),
        node("Erf", "a", "b"),
        node("Add", "b one", "c"),
        node("Mul", "x c", "d"),
        node("Mul", "d half", "y", name="last"),
    ]
    tensors = [
        tensor(np.array(np.sqrt(2.0)), "root"),
        tensor(np.array(1.0), "one"),
        tensor(np.array(half), "half"),
    ]
    return plain(nodes, tensors, ("N", 4))


class TestActivationsInParts:
    def test_gelu(self, path):
        net = load(path, gelu_in_parts(0.5))
        (step,) = net.graph.nodes
        assert (step.name, step.layer.activation.name) == ("last", "gelu")
        assert net.source.notes == ()

    def test_almost_gelu_is_none(self, path):
        found = describe(path, gelu_in_parts(0.5001))
        assert "gelu" not in [layer.activation for layer in found.layers]

    def test_rounded_constants_are_said(self, path):
        content = gelu_in_parts(0.5).replace(
            np.sqrt(2.0).tobytes(), np.float64(np.float32(np.sqrt(2.0))).tobytes()
        )
        net = load(path, content)
        assert "are gelu but for 2e-09" in net.source.notes[0]

    def test_swish_with_a_factor(self, path):
        nodes = [
            node("Mul", "x beta", "a"),
            node("Sigmoid", "a", "b"),
            node("Mul", "b x", "y"),
        ]
        net = load(path, plain(nodes, [tensor(np.array(1.702, "f4"), "beta")], ("N", 4)))
        beta = float(np.float32(1.702))
        same(net, X, X / (1.0 + np.exp(-beta * X)))
        assert net.graph.nodes[0].layer.activation.beta == pytest.approx(beta, rel=1e-14)

    def test_mish_behind_another_activation(self, path):
        nodes = [
            node("Tanh", "x", "t"),
            node("Softplus", "t", "a"),
            node("Tanh", "a", "b"),
            node("Mul", "t b", "y"),
        ]
        net = load(path, plain(nodes, [], ("N", 4)))
        names = [one.layer.activation.name for one in net.graph.nodes]
        assert names == ["tanh", "mish"]


class TestFolding:
    @pytest.mark.parametrize(
        "made",
        [
            node("Constant", "", "c", value=tensor(np.full(4, 2.0, "f4"))),
            node("Constant", "", "c", value_floats=[2.0] * 4),
            node("Constant", "", "c", value_float=2.0),
            node("ConstantOfShape", "four", "c", value=tensor(np.full(1, 2.0, "f4"))),
            node("Expand", "two four", "c"),
            node("Sqrt", "sixteenth", "c"),
            node("Cast", "two", "c", to=11),
        ],
        ids=["tensor", "floats", "float", "filled", "expanded", "computed", "cast"],
    )
    def test_constants_of_all_kinds(self, path, made):
        tensors = [
            tensor(np.array([4]), "four"),
            tensor(np.array(2.0, "f4"), "two"),
            tensor(np.array(4.0), "sixteenth"),
        ]
        net = load(path, plain([made, node("Mul", "x c", "y")], tensors, ("N", 4)))
        same(net, X, 2.0 * X)

    def test_nodes_in_any_order(self, path):
        nodes = [node("Tanh", "z", "y"), node("Gemm", "x W", "z", transB=1)]
        net = load(path, plain(nodes, [tensor(W, "W")], ("N", 4)))
        same(net, X, np.tanh(X @ W.T.astype(float)))

    @pytest.mark.parametrize("beta", [0.25, 2.0, 7.5])
    def test_softplus_with_a_limit(self, path, beta):
        """As torch has it: x itself where beta x is beyond 20."""
        nodes = [
            node("Mul", "x beta", "b"),
            node("Exp", "b", "e"),
            node("Add", "e one", "f"),
            node("Log", "f", "g"),
            node("Div", "g beta", "h"),
            node("Greater", "b limit", "far"),
            node("Where", "far x h", "y"),
        ]
        numbers = {"beta": beta, "one": 1.0, "limit": 20.0}
        tensors = [tensor(np.array(n, "f4"), name) for name, n in numbers.items()]
        net = load(path, plain(nodes, tensors, ("N", 4)))
        same(net, 3.0 * X, np.logaddexp(0.0, 3.0 * beta * X) / beta)
        assert [one.layer.kind for one in net.graph.nodes] == ["elementwise"]

    def test_what_no_output_needs_is_left_out(self, path):
        nodes = [node("Einsum", "x", "z"), node("Relu", "x", "y")]
        assert len(load(path, plain(nodes, [], ("N", 4))).graph.nodes) == 1


class TestBranches:
    @pytest.mark.parametrize(
        ("nodes", "wanted"),
        [
            ([node("Add", "x t", "y")], lambda x, t: x + t),
            ([node("Sub", "t x", "y")], lambda x, t: t - x),
            ([node("Mul", "x t", "y")], lambda x, t: x * t),
            ([node("Div", "t e", "y")], lambda x, t: t / np.exp(x)),
            ([node("Max", "x t", "y")], np.maximum),
            (
                [node("Min", "x t e", "y")],
                lambda x, t: np.minimum(np.minimum(x, t), np.exp(x)),
            ),
            ([node("Sum", "x b t", "y")], lambda x, t: x + t + B4),
            ([node("Mean", "x t", "y")], lambda x, t: (x + t) / 2.0),
            ([node("Add", "x x", "y")], lambda x, t: 2.0 * x),
            ([node("Pow", "t three", "y")], lambda x, t: t**3),
            ([node("Concat", "t x", "y", axis=-1)], lambda x, t: np.hstack([t, x])),
            (
                [node("Split", "t", "p q", axis=1), node("Sub", "p q", "y")],
                lambda x, t: t[:, :2] - t[:, 2:],
            ),
            ([node("Slice", "t last first one back", "y")], lambda x, t: t[:, :0:-2]),
            ([node("Gather", "t places", "y", axis=1)], lambda x, t: t[:, [3, 0, 3]]),
            ([node("Gather", "t third", "y", axis=1)], lambda x, t: t[:, 2]),
        ],
        ids=lambda value: None if callable(value) else str(value[-1][:40]),
    )
    def test_joined_and_parted(self, path, nodes, wanted):
        tensors = [
            tensor(B4, "b"),
            tensor(np.array(3.0), "three"),
            tensor(np.array([-1]), "last"),
            tensor(np.array([0]), "first"),
            tensor(np.array([1]), "one"),
            tensor(np.array([-2]), "back"),
            tensor(np.array([3, 0, -1]), "places"),
            tensor(np.array(2), "third"),
        ]
        before = [node("Tanh", "x", "t"), node("Exp", "x", "e")]
        net = load(path, plain([*before, *nodes], tensors, ("N", 4)))
        same(net, X, wanted(X, np.tanh(X)))

    def test_several_inputs_and_outputs_keep_their_names(self, path):
        content = model(
            [
                node("Concat", "right left", "both", axis=1),
                node("Tanh", "both", "first"),
                node("Neg", "left", "second"),
            ],
            [],
            [value("left", ("N", 2)), value("right", ("N", 3))],
            [value("first", ("N", 5)), value("second", ("N", 2))],
        )
        net = load(path, content)
        left, right = RNG.normal(size=(4, 2)), RNG.normal(size=(4, 3))
        x = net.inputs.pack({"left": left, "right": right})
        found = net.outputs.unpack(net.forward(x))
        assert list(found) == ["first", "second"]
        assert np.allclose(found["first"], np.tanh(np.hstack([right, left])))
        assert np.array_equal(found["second"], -left)

    def test_ranks_that_would_mix_rows(self, path):
        nodes = [node("ReduceSum", "x axes", "s", keepdims=0), node("Mul", "x s", "y")]
        content = plain(nodes, [tensor(np.array([1]), "axes")], ("N", 3, 4))
        with pytest.raises(UnsupportedLayerError, match="different numbers of axes"):
            load(path, content)

    def test_a_constant_that_repeats_x(self, path):
        nodes = [node("Gemm", "x w", "z"), node("Mul", "z b", "y")]
        column = RNG.normal(size=(4, 1))
        net = load(path, plain(nodes, [tensor(column, "w"), tensor(B4, "b")], ("N", 4)))
        same(net, X, (X @ column) * B4)


class TestFunctions:
    """Nodes that stand for other nodes of the same file."""

    def function(self, name, inputs, outputs, *nodes, domain="here"):
        made = chunk(1, name) + b"".join(chunk(4, one) for one in inputs.split())
        made += b"".join(chunk(5, one) for one in outputs.split())
        made += b"".join(chunk(7, one) for one in nodes)
        return chunk(25, made + chunk(9, number(2, 17)) + chunk(10, domain))

    def test_each_call_has_values_of_its_own(self, path):
        given = chunk(1, "alpha") + chunk(21, "slope") + number(20, 1)
        leaky = node("LeakyRelu", "z", "out", name="act") + chunk(5, given)
        inner = self.function("Act", "z", "out", leaky)
        layer = self.function(
            "Layer",
            "x w",
            "y",
            node("Gemm", "x w", "z", transB=1),
            node("Act", "z", "y", domain="here", slope=0.25),
        )
        nodes = [
            node("Layer", "x W", "h", name="first", domain="here"),
            node("Layer", "h V", "y", name="second", domain="here"),
        ]
        square = RNG.normal(size=(2, 3)).astype("f4")
        content = plain(nodes, [tensor(W, "W"), tensor(square, "V")], ("N", 4))
        net = load(path, content + inner + layer)

        def leak(z):
            return np.where(z < 0.0, 0.25 * z, z)

        same(net, X, leak(leak(X @ W.T.astype(float)) @ square.T.astype(float)))
        names = [group[0].name for group in net.layers]
        assert names[0] == "first_0/Gemm"
        assert len(set(names)) == 4

    def test_unknown_nodes_inside_are_named(self, path):
        inside = self.function("F", "a", "b", node("Hardmax", "a", "b", name="odd"))
        content = plain([node("F", "x", "y", domain="here")], [], ("N", 4)) + inside
        with pytest.raises(UnsupportedLayerError, match="F_0/odd"):
            load(path, content)

    def test_functions_that_hold_each_other(self, path):
        inside = self.function("F", "a", "b", node("F", "a", "b", domain="here"))
        content = plain([node("F", "x", "y", domain="here")], [], ("N", 4)) + inside
        with pytest.raises(LimitError, match="hold each other"):
            load(path, content)

    def test_functions_that_grow(self, path):
        levels = [self.function("F0", "a", "b")]
        for k in range(1, 30):
            calls = [node(f"F{k - 1}", "a", f"b{n}", domain="here") for n in range(2)]
            levels.append(self.function(f"F{k}", "a", "b0 b1", *calls))
        content = plain([node("F29", "x", "y", domain="here")], [], ("N", 4))
        with pytest.raises(LimitError, match="letters"):
            load(path, content + b"".join(levels))

    def test_more_inputs_than_the_function_has(self, path):
        inside = self.function("F", "a", "b", node("Relu", "a", "b"))
        content = plain([node("F", "x x", "y", domain="here")], [], ("N", 4)) + inside
        with pytest.raises(FormatError, match="2 inputs"):
            load(path, content)


class TestRefusals:
    def test_all_unknown_operators_are_named(self, path):
        nodes = [
            node("Gemm", "x W", "a", transB=1, name="first"),
            node("Hardmax", "a", "b", name="one"),
            node("Relu", "b", "c"),
            node("FusedMatMul", "c W", "d", name="two", domain="com.microsoft"),
            node("Tanh", "d", "y"),
        ]
        content = plain(nodes, [tensor(W, "W")], ("N", 4))
        with pytest.raises(UnsupportedLayerError) as caught:
            load(path, content)
        text = str(caught.value)
        assert "layer 1 'one'" in text
        assert "'Hardmax' (not supported)" in text
        assert "3 'two' 'com.microsoft.FusedMatMul' (not supported)" in text
        assert "--until first" in text
        assert "Tanh" not in text

    def test_labels_of_a_classifier(self, path):
        nodes = [
            node("Gemm", "x W", "z", transB=1),
            node("Softmax", "z", "p", name="probabilities"),
            node("ArgMax", "p", "label", name="label", axis=1),
        ]
        content = plain(nodes, [tensor(W, "W")], ("N", 4), last="label")
        with pytest.raises(UnsupportedLayerError, match="--until probabilities"):
            load(path, content)
        assert load(path, content, until="probabilities").n_out == 3

    def test_training_is_refused(self, path):
        tensors = [tensor(np.ones(4, "f4"), name) for name in "abcd"]
        nodes = [node("BatchNormalization", "x a b c d", "y", training_mode=1)]
        with pytest.raises(UnsupportedLayerError, match="training_mode"):
            load(path, plain(nodes, tensors, ("N", 4)))

    @pytest.mark.parametrize("kind", [STRING, 0])
    def test_inputs_that_are_no_numbers(self, path, kind):
        content = model(
            [node("Relu", "x", "y")],
            [],
            [value("x", ("N", 4), kind)],
            [value("y", ("N", 4))],
        )
        with pytest.raises(UnsupportedLayerError, match="input 'x' holds"):
            load(path, content)

    def test_whole_numbers_need_a_cast(self, path):
        def content(*nodes):
            return model(
                nodes, [], [value("x", ("N", 4), INT64)], [value("y", ("N", 4), FLOAT)]
            )

        assert load(path, content(node("Cast", "x", "y", to=1))).n_in == 4
        with pytest.raises(UnsupportedLayerError, match="whole numbers"):
            load(path, content(node("Abs", "x", "y")))

    def test_options_for_bare_weights(self, path):
        with pytest.raises(UsageError, match="--activations"):
            load(path, plain([node("Relu", "x", "y")], [], ("N", 4)), activations="tanh")


class TestHostile:
    @pytest.mark.parametrize(
        ("nodes", "what"),
        [
            ([node("Relu", "y", "z"), node("Relu", "z", "y")], "wait for each other"),
            ([node("Relu", "y", "y")], "wait for each other"),
            ([node("Relu", "x", "y"), node("Tanh", "x", "y")], "'y' made twice"),
            ([node("Relu", "x", "x"), node("Relu", "x", "y")], "'x' made twice"),
            ([node("Relu", "nowhere", "y")], "'nowhere', which nothing makes"),
            ([], "'y', which nothing makes"),
        ],
        ids=["circle", "itself", "twice", "input", "nowhere", "empty"],
    )
    def test_graphs_that_are_none(self, path, nodes, what):
        with pytest.raises(FormatError, match=what):
            load(path, plain(nodes, [], ("N", 4)))

    @pytest.mark.parametrize(
        "made", [node("Concat", "x c", "y", axis=1), node("Mul", "x c", "y")]
    )
    def test_a_nan_that_casts_complain_of(self, path, made):
        """Signalling NaN, of which NumPy warns when they are cast to float64."""
        odd = np.array([[0x7F800001] * 3], np.uint32).view(np.float32)
        with pytest.raises((DataError, UnsupportedLayerError), match=r"nan|infinite"):
            check(load(path, plain([made], [tensor(odd, "c")], ("N", 3))))

    def test_two_initialisers_of_one_name(self, path):
        content = plain(
            [node("Mul", "x W", "y")], [tensor(B, "W"), tensor(B, "W")], ("N", 3)
        )
        with pytest.raises(FormatError, match="two initialisers"):
            load(path, content)

    @pytest.mark.parametrize(
        "made",
        [
            node("ConstantOfShape", "huge", "c"),
            node("Expand", "one huge", "c"),
            node("Tile", "ones huge", "c"),
            node("Range", "zero far one", "c"),
        ],
        ids=["filled", "expanded", "tiled", "counted"],
    )
    def test_constants_that_grow(self, path, made):
        tensors = [
            tensor(np.array([1 << 20, 1 << 20]), "huge"),
            tensor(np.ones((1, 1), "f4"), "ones"),
            tensor(np.array(0), "zero"),
            tensor(np.array(1), "one"),
            tensor(np.array(1 << 40), "far"),
        ]
        with pytest.raises(LimitError):
            load(path, plain([made, node("Mul", "x c", "y")], tensors, ("N", 4)))

    @pytest.mark.parametrize(
        "nodes",
        [
            [node("Tile", "x counts", "y")],
            [node("Expand", "x far", "y")],
            [node("Pad", "x pads", "y")],
        ],
        ids=["tiled", "expanded", "padded"],
    )
    def test_signals_that_grow(self, path, nodes):
        tensors = [
            tensor(np.array([1, 1 << 40]), "counts"),
            tensor(np.array([1, 1 << 40]), "far"),
            tensor(np.array([0, 1 << 40, 0, 0]), "pads"),
        ]
        with pytest.raises(UnsupportedLayerError, match=r"at most 16,777,216"):
            load(path, plain(nodes, tensors, ("N", 1)))

    def test_an_input_that_is_too_large(self, path):
        content = plain([node("Relu", "x", "y")], [], ("N", 1 << 40))
        with pytest.raises(UnsupportedLayerError, match="too large"):
            load(path, content)

    def test_many_constants_have_a_limit_together(self, path, monkeypatch):
        monkeypatch.setattr("nninvert.formats.onnx.fold.MAX_FOLDED", 1000)
        nodes = [node("Neg", f"c{k}", f"c{k + 1}") for k in range(12)]
        nodes.append(node("Mul", "x c12", "y"))
        with pytest.raises(LimitError, match="1,000"):
            load(path, plain(nodes, [tensor(np.ones(100), "c0")], ("N", 100)))

    def test_a_long_chain_is_no_recursion(self, path):
        nodes = [node("Neg", "x" if not k else f"v{k}", f"v{k + 1}") for k in range(5000)]
        nodes.append(node("Relu", "v5000", "y"))
        found = describe(path, plain(nodes, [], ("N", 4)))
        assert len(found.layers) == 5001


class TestOtherFiles:
    def content(self, *arguments, **entries):
        nodes = [node("Gemm", "x W", "y", transB=1)]
        return plain(nodes, [external(W, *arguments, **entries)], ("N", 4))

    def test_weights_beside_the_model(self, path):
        (path.parent / "weights.bin").write_bytes(bytes(16) + W.tobytes())
        net = load(path, self.content("W", "weights.bin", offset=16, length=48))
        same(net, X, X @ W.T.astype(float))

    @pytest.mark.parametrize(
        "location", ["../w.bin", "/etc/passwd", "a/../../w.bin", "..\\w.bin", "", "link"]
    )
    def test_only_in_the_models_folder(self, path, location):
        outside = path.parent.parent / "w.bin"
        outside.write_bytes(W.tobytes())
        os.symlink(outside, path.parent / "link")
        with pytest.raises(FormatError, match="a file in the model's own folder"):
            load(path, self.content("W", location))

    @pytest.mark.parametrize(
        "entries", [{"offset": 1}, {"length": 4}, {"offset": "x"}, {"offset": 10**30}]
    )
    def test_places_beyond_the_file(self, path, entries):
        (path.parent / "w.bin").write_bytes(W.tobytes())
        with pytest.raises(FormatError, match="'W'"):
            load(path, self.content("W", "w.bin", **entries))

    def test_no_pipe_is_opened(self, path):
        os.mkfifo(path.parent / "pipe")
        with pytest.raises(Exception, match="a pipe or a device"):
            load(path, self.content("W", "pipe"))


def test_two_gigabytes_open_in_a_moment_and_in_little_memory(path):
    write_holes(path, 20_000, 25_000)
    assert path.stat().st_size > 2_000_000_000
    tracemalloc.start()
    begin = time.perf_counter()
    net = formats.load(str(path))
    took = time.perf_counter() - begin
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert net.parameters == 20_000 * 25_000
    assert took < 0.5
    assert peak < 2_000_000


class TestSniffing:
    def test_by_content(self, path):
        other = path.with_suffix(".bin")
        other.write_bytes(plain([node("Relu", "x", "y")], [], ("N", 4)))
        assert formats.load(str(other)).n_in == 4

    def test_cut_off(self, path):
        content = plain([node("Relu", "x", "y")], [], ("N", 4))
        with pytest.raises(FormatError, match="protobuf"):
            load(path, content[:-3])

    def test_other_protobuf(self, path):
        with pytest.raises(FormatError, match="another kind"):
            load(path.with_suffix(".pb"), number(1, 1) + chunk(2, bytes(100)))
