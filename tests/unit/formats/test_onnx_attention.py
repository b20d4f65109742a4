"""Graphs written by hand: attention in parts and as one operator, masks, choices."""

import numpy as np
import pytest
from onnx_files import INT64, STRING, model, node, plain, tensor, value

import nninvert
from nninvert import formats
from nninvert.errors import NninvertError, UnsupportedLayerError

RNG = np.random.default_rng(23)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.onnx"


def load(path, content):
    path.write_bytes(content)
    return formats.load(str(path))


def same(net, x, wanted, error=1e-13):
    found = net.forward(x.reshape(len(x), -1))
    assert np.allclose(found, wanted.reshape(len(x), -1), rtol=error, atol=error)


def softmax(scores):
    terms = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return terms / terms.sum(axis=-1, keepdims=True)


def in_parts(mask, *, where=False):
    """Softmax(x x^T, masked) x for x of 4 positions and 3 numbers each."""
    hide = "Where seen s lowest m" if where else "Add s lowest m"
    kind, *names = hide.split()
    nodes = [
        node("Transpose", "x", "t", perm=[0, 2, 1]),
        node("MatMul", "x t", "s"),
        node(kind, " ".join(names[:-1]), names[-1]),
        node("Softmax", "m", "p", axis=-1),
        node("MatMul", "p x", "y"),
    ]
    tensors = [tensor(np.asarray(mask, "f4"), "lowest")]
    if where:
        seen = np.isfinite(mask).astype("u1")
        tensors = [
            tensor(seen, "seen", kind=9),
            tensor(np.array(-np.inf, "f4"), "lowest"),
        ]
    return plain(nodes, tensors, ("N", 4, 3))


CAUSAL = np.triu(np.full((4, 4), -np.inf), 1)
BESIDE = np.where(np.abs(np.subtract.outer(range(4), range(4))) > 1, -np.inf, 0.5)


class TestInParts:
    @pytest.mark.parametrize("mask", [np.zeros((4, 4)), CAUSAL, BESIDE, BESIDE[None]])
    @pytest.mark.parametrize("where", [False, True])
    def test_as_the_formula(self, path, mask, where):
        net = load(path, in_parts(mask, where=where))
        x = RNG.normal(size=(5, 4, 3))
        added = np.where(np.isfinite(mask), 0.0, -np.inf) if where else mask
        same(net, x, softmax(x @ x.swapaxes(1, 2) + added) @ x)

    def test_it_is_inverted(self, path):
        net = load(path, in_parts(CAUSAL))
        x = RNG.normal(size=(2, 12))
        found = nninvert.invert(net, net.forward(x))
        assert [str(status.name) for status in found.status] == ["SOLVED", "SOLVED"]

    @pytest.mark.parametrize("mask", [np.full((4, 4), -np.inf), np.full((4, 4), np.inf)])
    def test_masks_that_leave_nothing(self, path, mask):
        with pytest.raises(UnsupportedLayerError, match="infinite constant"):
            load(path, in_parts(mask))

    def test_minus_infinity_is_no_number_elsewhere(self, path):
        nodes = [node("Add", "x c", "m"), node("Relu", "m", "y")]
        tensors = [tensor(np.array([0, -np.inf], "f4"), "c")]
        with pytest.raises(UnsupportedLayerError, match="infinite constant"):
            load(path, plain(nodes, tensors, ("N", 2)))

    def test_a_guarded_softmax(self, path):
        nodes = [
            node("Softmax", "x", "p", axis=-1),
            node("IsNaN", "p", "bad"),
            node("Where", "bad zero p", "y"),
        ]
        net = load(path, plain(nodes, [tensor(np.zeros((), "f4"), "zero")], ("N", 3)))
        x = RNG.normal(size=(4, 3))
        same(net, x, softmax(x))

    def test_another_guard_is_a_choice(self, path):
        nodes = [
            node("Softmax", "x", "p", axis=-1),
            node("IsNaN", "x", "bad"),
            node("Where", "bad zero p", "y"),
        ]
        content = plain(nodes, [tensor(np.zeros((), "f4"), "zero")], ("N", 3))
        with pytest.raises(UnsupportedLayerError, match="chooses by what depends on x"):
            load(path, content)


def attended(q, k, v, mask, scale=None):
    """Arrays (rows, heads, positions, size)."""
    shared = q.shape[1] // k.shape[1]
    k, v = (np.repeat(one, shared, axis=1) for one in (k, v))
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    return softmax(scale * q @ k.swapaxes(2, 3) + mask) @ v


class TestAttention:
    """The operator of opset 23."""

    def net(self, path, shape, tensors=(), inputs="x x x", **attributes):
        nodes = [node("Attention", inputs, "y", **attributes)]
        return load(path, plain(nodes, tensors, ("N", *shape), opset=23))

    def test_four_axes(self, path):
        net = self.net(path, (2, 4, 3), is_causal=1)
        x = RNG.normal(size=(5, 2, 4, 3))
        same(net, x, attended(x, x, x, CAUSAL))

    @pytest.mark.parametrize("kind", ["number", "bool"])
    def test_a_mask(self, path, kind):
        values = BESIDE.astype("f4") if kind == "number" else np.isfinite(BESIDE)
        given = tensor(values, "m", kind=1 if kind == "number" else 9)
        net = self.net(path, (2, 4, 3), [given], "x x x m", scale=0.5)
        x = RNG.normal(size=(5, 2, 4, 3))
        mask = BESIDE if kind == "number" else np.where(values, 0.0, -np.inf)
        same(net, x, attended(x, x, x, mask, 0.5))

    def test_three_axes(self, path):
        net = self.net(path, (4, 6), q_num_heads=3, kv_num_heads=3)
        x = RNG.normal(size=(5, 4, 6))
        heads = x.reshape(5, 4, 3, 2).swapaxes(1, 2)
        wanted = attended(heads, heads, heads, 0.0).swapaxes(1, 2)
        same(net, x, wanted)

    def test_keys_that_heads_share(self, path):
        nodes = [
            node("Slice", "x zero two one", "k"),
            node("Attention", "x k k", "y"),
        ]
        numbers = {"zero": 0, "two": 2, "one": 1}
        tensors = [tensor(np.array([n]), name) for name, n in numbers.items()]
        net = load(path, plain(nodes, tensors, ("N", 4, 3, 2), opset=23))
        x = RNG.normal(size=(5, 4, 3, 2))
        same(net, x, attended(x, x[:, :2], x[:, :2], 0.0))

    @pytest.mark.parametrize(
        ("inputs", "attributes", "why"),
        [
            ("x x x", {"softcap": 2.0}, "softcap"),
            ("x x x", {"left_window_size": 1}, "left_window_size"),
            ("c x x", {}, "Q is a constant"),
            ("x x x m c c", {}, "earlier calls"),
            ("x x x m", {}, "sees no other"),
        ],
    )
    def test_what_is_refused(self, path, inputs, attributes, why):
        tensors = [
            tensor(np.ones((1, 2, 4, 3), "f4"), "c"),
            tensor(np.full((4, 4), -np.inf, "f4"), "m"),
        ]
        with pytest.raises(UnsupportedLayerError, match=why):
            self.net(path, (2, 4, 3), tensors, inputs, **attributes)


class TestChoices:
    """Where with a constant condition, Concat with constants."""

    def test_of_a_signal_and_a_constant(self, path):
        nodes = [node("Where", "c x b", "z"), node("Where", "c d z", "y")]
        chosen = np.array([[1, 0, 0], [0, 1, 1]], "u1")
        b, d = RNG.normal(size=(2, 3)).astype("f4"), RNG.normal(size=3).astype("f4")
        tensors = [tensor(chosen, "c", kind=9), tensor(b, "b"), tensor(d, "d")]
        net = load(path, plain(nodes, tensors, ("N", 2, 3)))
        x = RNG.normal(size=(4, 2, 3))
        same(net, x, np.where(chosen, d.astype(float), np.where(chosen, x, b)))

    def test_of_two_signals(self, path):
        nodes = [
            node("ReduceMax", "x axes", "most", keepdims=1),
            node("Where", "c x most", "y"),
        ]
        chosen = np.array([1, 0, 1], "u1")
        tensors = [tensor(chosen, "c", kind=9), tensor(np.array([2]), "axes")]
        net = load(path, plain(nodes, tensors, ("N", 2, 3), opset=18))
        x = RNG.normal(size=(4, 2, 3))
        same(net, x, np.where(chosen, x, x.max(axis=2, keepdims=True)))

    @pytest.mark.parametrize("given", ["x t", "x d", "d x"])
    def test_no_room_is_made_for_what_no_network_has(self, path, given):
        """Shapes of a few numbers that broadcast to more than any memory holds."""
        nodes = [
            node("ConstantOfShape", "wide", "c"),
            node("ConstantOfShape", "high", "d"),
            node("Transpose", "x", "t", perm=[0, 2, 1]),
            node("Cast", "c", "b", to=9),
            node("Where", f"b {given}", "y"),
        ]
        n = 1 << 20
        tensors = [
            tensor(np.array([1, n]), "wide"),
            tensor(np.array([n, 1]), "high"),
        ]
        with pytest.raises(UnsupportedLayerError, match="numbers in a row"):
            load(path, plain(nodes, tensors, ("N", n, 1)))

    def test_no_room_is_made_for_scores(self, path):
        n = 1 << 20
        content = plain([node("Attention", "x x x", "y")], [], ("N", 1, n, 1), opset=23)
        with pytest.raises(UnsupportedLayerError, match="numbers in a row"):
            load(path, content)

    @pytest.mark.parametrize("order", ["c x", "x c", "c x d", "x c t", "t c x d"])
    @pytest.mark.parametrize("axis", [1, -1])
    def test_constants_among_what_is_joined(self, path, order, axis):
        nodes = [node("Tanh", "x", "t"), node("Concat", order, "y", axis=axis)]
        given = {name: RNG.normal(size=(1, 2, 2)).astype("f4") for name in "cd"}
        tensors = [tensor(values, name) for name, values in given.items()]
        net = load(path, plain(nodes, tensors, ("N", 2, 2)))
        x = RNG.normal(size=(4, 2, 2))
        known = {name: np.repeat(values, 4, 0) for name, values in given.items()}
        known |= {"x": x, "t": np.tanh(x)}
        same(net, x, np.concatenate([known[one] for one in order.split()], axis=axis))

    def test_a_token_as_long_as_the_batch(self, path):
        """Expand to the number of rows, as exporters write class tokens."""
        nodes = [
            node("Shape", "x", "s"),
            node("Gather", "s zero", "rows", axis=0),
            node("Concat", "rows one two", "wanted", axis=0),
            node("Expand", "token wanted", "tokens"),
            node("Concat", "tokens x", "y", axis=1),
        ]
        token = RNG.normal(size=(1, 1, 2)).astype("f4")
        tensors = [
            tensor(np.array([n]), k) for k, n in {"zero": 0, "one": 1, "two": 2}.items()
        ]
        net = load(path, plain(nodes, [*tensors, tensor(token, "token")], ("N", 3, 2)))
        x = RNG.normal(size=(4, 3, 2))
        same(net, x, np.concatenate([np.repeat(token, 4, 0), x], axis=1))
        assert "counts the rows" in net.source.notes[0]

    def test_constants_of_other_shapes_are_refused(self, path):
        content = plain(
            [node("Concat", "x c", "y", axis=1)],
            [tensor(np.ones((1, 2, 3), "f4"), "c")],
            ("N", 2, 2),
        )
        with pytest.raises(UnsupportedLayerError, match="constant"):
            load(path, content)


class TestReductions:
    @pytest.mark.parametrize("kind", ["Max", "Min", "Prod", "SumSquare"])
    @pytest.mark.parametrize("axes", [[1], [-1], [1, 2]])
    @pytest.mark.parametrize("keepdims", [0, 1])
    def test_along_axes(self, path, kind, axes, keepdims):
        nodes = [node(f"Reduce{kind}", "x axes", "y", keepdims=keepdims)]
        net = load(
            path, plain(nodes, [tensor(np.array(axes), "axes")], ("N", 2, 3), opset=18)
        )
        x = RNG.normal(size=(4, 2, 3))
        formulas = {
            "Max": np.max,
            "Min": np.min,
            "Prod": np.prod,
            "SumSquare": lambda values, axis: (values**2).sum(axis=axis),
        }
        same(net, x, formulas[kind](x, axis=tuple(axes)))
        lost = len(axes) * (1 - keepdims)
        assert len(net.graph.output_shape) == 2 - lost

    def test_bounds_of_their_own(self, path):
        nodes = [node("Max", "x low", "z"), node("Min", "high z", "y")]
        low, high = np.array([-1, 0, 0.5], "f4"), np.array([0, 0.25, 2], "f4")
        net = load(path, plain(nodes, [tensor(low, "low"), tensor(high, "high")], ("N", 3)))
        x = RNG.normal(size=(20, 3))
        same(net, x, np.clip(x, low, high))

    @pytest.mark.parametrize("bound", ["none", "Clip", "Max"])
    @pytest.mark.parametrize("wide", [False, True])
    def test_a_unit_norm_in_parts(self, path, bound, wide):
        nodes = [node("ReduceL2", "x", "r", axes=[-1], keepdims=1)]
        nodes += [node(bound, "r floor", "f")] if bound != "none" else []
        last = "f" if bound != "none" else "r"
        nodes += [node("Expand", f"{last} shape", "e")] if wide else []
        nodes.append(node("Div", f"x {'e' if wide else last}", "y"))
        tensors = [tensor(np.array(0.5, "f4"), "floor"), tensor(np.array([1, 3]), "shape")]
        net = load(path, plain(nodes, tensors, ("N", 3)))
        x = RNG.normal(size=(5, 3))
        least = 0.5 if bound != "none" else 0.0
        same(net, x, x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), least))
        assert [one.layer.kind for one in net.graph.nodes] == ["unit_normalization"]


class TestClassifiers:
    """Scores are read; the class that wins is no number that can be asked for."""

    def content(self, coefficients, label=INT64, transform="LOGISTIC"):
        nodes = [
            node(
                "LinearClassifier",
                "x",
                "label scores",
                domain="ai.onnx.ml",
                coefficients=coefficients,
                intercepts=[0.5, -0.25],
                post_transform=transform,
            ),
            node("Normalizer", "scores", "p", domain="ai.onnx.ml", norm="L1"),
        ]
        outputs = [value("label", ("N",), label), value("p", ("N", 2))]
        return model(nodes, [], [value("x", ("N", 2))], outputs, ml=3)

    @pytest.mark.parametrize("label", [INT64, STRING])
    def test_scores_of_a_linear_one(self, path, label):
        net = load(path, self.content([1.0, 2.0, -0.5, 0.25], label))
        x = RNG.normal(size=(4, 2))
        scores = x @ np.array([[1.0, 2.0], [-0.5, 0.25]]).T + [0.5, -0.25]
        p = 1.0 / (1.0 + np.exp(-scores))
        same(net, x, p / p.sum(axis=1, keepdims=True))
        assert "'label' is a class" in net.source.notes[0]

    def test_a_sum_that_is_one(self, path):
        net = load(path, self.content([1.0, 2.0, -0.5, 0.25]))
        assert "graph" in [one.layer.kind for one in net.graph.nodes]
        net = load(path, self.content([1.0, 2.0, -0.5, 0.25], transform="SOFTMAX"))
        assert "graph" not in [one.layer.kind for one in net.graph.nodes]
        x = RNG.normal(size=(4, 2))
        same(net, x, softmax(x @ np.array([[1.0, 2.0], [-0.5, 0.25]]).T + [0.5, -0.25]))

    def test_one_score_for_two_classes_is_refused(self, path):
        with pytest.raises(UnsupportedLayerError, match="one score for two classes"):
            load(path, self.content([1.0, 2.0]))

    def test_scores_that_have_no_name(self, path):
        made = node(
            "LinearClassifier",
            "x",
            "label",
            domain="ai.onnx.ml",
            coefficients=[1.0, 2.0, -0.5, 0.25],
        )
        label = value("label", ("N",), INT64)
        with pytest.raises(NninvertError, match="outputs 1; expected 2 or more"):
            load(path, model([made], [], [value("x", ("N", 2))], [label], ml=3))

    def test_a_class_alone_is_refused(self, path):
        nodes = [node("ArgMax", "x", "y", axis=1)]
        content = model(nodes, [], [value("x", ("N", 2))], [value("y", ("N", 1), INT64)])
        with pytest.raises(UnsupportedLayerError, match="ArgMax"):
            load(path, content)

    def test_own_layers_are_offered(self, path):
        path.write_bytes(plain([node("Exotic", "x", "y")], [], ("N", 2)))
        with pytest.raises(
            UnsupportedLayerError,
            match=r"\. Build layers of your own in Python: help\(nninvert.load\)$",
        ):
            nninvert.load(str(path))
