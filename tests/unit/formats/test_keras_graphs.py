"""Functional models that are no chains: merges, functions between layers, several parts."""

import numpy as np
import pytest
from keras_files import called, dense, draw, forward, functional, layer, write

from nninvert import formats
from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats import ReadOptions

K, B = draw((3, 3), (3,), seed=5)


def _model(tmp_path, layers, shapes, outputs, weights=None, **more):
    """Write a model; layers without an entry in `weights` have none."""
    named = {entry["config"]["name"]: [] for entry in layers}
    path = tmp_path / "m.h5"
    return write(
        path, functional(layers, shapes, outputs), {**named, **(weights or {})}, **more
    )


def _function(name, function, node):
    """A function of TensorFlow, called as the node says."""
    kind = "SlicingOpLambda" if function.endswith("getitem") else "TFOpLambda"
    entry = layer(kind, name, function=function)
    return {**entry, "name": name, "inbound_nodes": [node]}


def _operation(kind, name, *positional, **config):
    """An operation of Keras 3."""
    named = config.pop("named", {})
    entry = {**layer(kind, name, **config), "name": name, "module": "keras.src.ops.numpy"}
    return {**entry, "inbound_nodes": [{"args": list(positional), "kwargs": named}]}


def _tensor(name, number=0):
    config = {"shape": [None], "dtype": "float32", "keras_history": [name, 0, number]}
    return {"class_name": "__keras_tensor__", "config": config}


def _slice(*ends):
    keys = ("start", "stop", "step")
    return {"class_name": "__slice__", "config": dict(zip(keys, ends, strict=True))}


def _flat(*parts):
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


@pytest.mark.parametrize(
    ("kind", "of"),
    [
        ("Add", lambda a, b, c: a + b + c),
        ("Average", lambda a, b, c: (a + b + c) / 3),
        ("Maximum", lambda a, b, c: np.maximum(np.maximum(a, b), c)),
        ("Minimum", lambda a, b, c: np.minimum(np.minimum(a, b), c)),
        ("Multiply", lambda a, b, c: a * b * c),
        ("Concatenate", lambda a, b, c: np.concatenate([a, b, c], axis=2)),
    ],
)
def test_merges_of_three(tmp_path, rng, kind, of):
    shapes = {"a": (2, 3), "b": (2, 3), "c": (2, 3)}
    path = _model(tmp_path, [called(layer(kind, "end"), *shapes)], shapes, ["end"])
    parts = [rng.standard_normal((4, 2, 3)) for _ in shapes]
    got = formats.load(path).forward(_flat(*parts))
    np.testing.assert_allclose(got, of(*parts).reshape(4, -1), rtol=1e-14)


def test_merges_broadcast_axes_in_front(tmp_path, rng):
    shapes = {"a": (2, 3), "b": (3,), "c": (1, 1)}
    path = _model(tmp_path, [called(layer("Add", "end"), *shapes)], shapes, ["end"])
    a, b, c = (rng.standard_normal((4, *shape)) for shape in shapes.values())
    got = formats.load(path).forward(_flat(a, b, c))
    np.testing.assert_allclose(got, (a + b[:, None] + c).reshape(4, -1), rtol=1e-14)


def test_concatenation_along_an_axis(tmp_path, rng):
    shapes = {"a": (2, 3), "b": (1, 3)}
    path = _model(
        tmp_path, [called(layer("Concatenate", "end", axis=1), *shapes)], shapes, ["end"]
    )
    a, b = (rng.standard_normal((4, *shape)) for shape in shapes.values())
    got = formats.load(path).forward(_flat(a, b))
    np.testing.assert_array_equal(got, np.concatenate([a, b], axis=1).reshape(4, -1))


def test_a_layer_that_is_called_twice(tmp_path, rng):
    shared = {**dense("twice", 3, "tanh"), "name": "twice"}
    shared["inbound_nodes"] = [[["x", 0, 0, {}]], [["twice", 0, 0, {}]]]
    end = {**layer("Subtract", "end"), "name": "end"}
    end["inbound_nodes"] = [[["twice", 1, 0, {}], ["twice", 0, 0, {}]]]
    path = _model(tmp_path, [shared, end], {"x": (3,)}, ["end"], {"twice": [K, B]})
    x = rng.standard_normal((4, 3))
    once = np.tanh(x @ K.astype(float) + B)
    twice = np.tanh(once @ K.astype(float) + B)
    np.testing.assert_allclose(formats.load(path).forward(x), twice - once, rtol=1e-12)


def test_an_input_that_is_an_output(tmp_path, rng):
    shapes = {"a": (3,), "b": (2,)}
    path = _model(tmp_path, [called(dense("d", 3), "a")], shapes, ["d", "b"], {"d": [K, B]})
    a, b = (rng.standard_normal((4, *shape)) for shape in shapes.values())
    got = formats.load(path).forward(_flat(a, b))
    np.testing.assert_allclose(got, _flat(a @ K.astype(float) + B, b), rtol=1e-12)


def test_models_that_are_called_on_dicts_match_by_key(tmp_path, rng):
    inner = functional(
        [called(layer("Subtract", "less"), "p", "q")], {"p": (3,), "q": (3,)}, ["less"]
    )
    inner["config"]["name"] = "inner"
    inner["config"]["input_layers"] = {"p": ["p", 0, 0], "q": ["q", 0, 0]}
    entry = {**inner, "name": "inner"}
    given = {"q": _tensor("a"), "p": _tensor("b")}
    entry["inbound_nodes"] = [{"args": [given], "kwargs": {}}]
    path = _model(tmp_path, [entry], {"a": (3,), "b": (3,)}, ["inner"], {"inner": []})
    a, b = (rng.standard_normal((4, 3)) for _ in range(2))
    np.testing.assert_array_equal(formats.load(path).forward(_flat(a, b)), b - a)


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        (called(layer("Dot", "end", axes=1), "a", "b"), "'Dot' (not supported)"),
        (called(layer("Concatenate", "end", axis=0), "a", "b"), "axis 0"),
        (called(layer("Dense", "end", units=2), "a", "b"), "called on 2 tensors"),
        (called(layer("Merge", "end", mode="dot"), "a", "b"), "mode 'dot'"),
        (called(layer("Merge", "end", mode=["gA=="]), "a", "b"), "mode somebody's code"),
        (called(layer("Dropout", "end"), "a", training=True), "training=True"),
        (called(layer("MultiHeadAttention", "end"), "a", "b"), "called on 2 tensors"),
        (
            called(layer("TimeDistributed", "end", layer={"class_name": "LSTM"}), "a"),
            "'LSTM'",
        ),
        (_function("end", "linalg.matmul", ["a", 0, 0, {"b": [[1.0]]}]), "'linalg.matmul'"),
        (_function("end", "concat", [["a", 0, 0, {"axis": 0}], ["b", 0, 0]]), "axis 0"),
        (
            _function("end", "math.add", ["a", 0, 0, {"y": [[1.0], [2.0]]}]),
            "constant of shape",
        ),
        (
            _function(
                "end", "math.truediv", ["_CONSTANT_VALUE", -1, 1.0, {"y": ["a", 0, 0]}]
            ),
            "tensor behind it",
        ),
        (_function("end", "transpose", ["a", 0, 0, {"perm": [1, 0]}]), "move the batch"),
        (_function("end", "reshape", ["a", 0, 0, {"shape": [-1, 2]}]), "across samples"),
        (_operation("GetItem", "end", _tensor("a"), [_slice(0, 1, None)]), "picks samples"),
        (_operation("Matmul", "end", _tensor("a"), _tensor("b")), "'Matmul'"),
    ],
)
def test_refused_by_name(tmp_path, entry, match):
    path = _model(tmp_path, [entry], {"a": (3,), "b": (3,)}, ["end"])
    with pytest.raises(UnsupportedLayerError) as caught:
        formats.load(path)
    assert match in str(caught.value)
    assert formats.describe(path).layers[0].problem


@pytest.mark.parametrize(
    ("function", "node", "of"),
    [
        (
            "math.subtract",
            ["_CONSTANT_VALUE", -1, 3.0, {"y": ["a", 0, 0]}],
            lambda a: 3 - a,
        ),
        ("math.subtract", ["a", 0, 0, {"y": [1.0, 2.0, 4.0]}], lambda a: a - [1, 2, 4]),
        (
            "math.add",
            ["a", 0, 0, {"y": [[1.0, 2.0, 4.0]]}],
            lambda a: a + np.array([1, 2, 4]),
        ),
        ("math.truediv", ["a", 0, 0, {"y": 4.0}], lambda a: a / 4),
        ("math.minimum", ["a", 0, 0, {"y": 0.25}], lambda a: np.minimum(a, 0.25)),
        ("math.maximum", ["a", 0, 0, {"y": 0}], lambda a: np.maximum(a, 0)),
        ("math.square", ["a", 0, 0, {}], np.square),
        ("math.add", ["a", 0, 0, {"y": ["a", 0, 0]}], lambda a: a + a),
        (
            "clip_by_value",
            ["a", 0, 0, {"clip_value_min": -0.5, "clip_value_max": 1}],
            lambda a: np.clip(a, -0.5, 1),
        ),
        ("reverse", ["a", 0, 0, {"axis": [1]}], lambda a: a[:, ::-1]),
        (
            "pad",
            ["a", 0, 0, {"paddings": [[0, 0], [1, 2]]}],
            lambda a: np.pad(a, [(0, 0), (1, 2)]),
        ),
        (
            "nn.softmax",
            ["a", 0, 0, {"axis": -1}],
            lambda a: np.exp(a) / np.exp(a).sum(axis=1, keepdims=True),
        ),
        ("identity", ["a", 0, 0, {"name": None}], lambda a: a),
    ],
)
def test_functions_of_tensorflow(tmp_path, rng, function, node, of):
    path = _model(tmp_path, [_function("end", function, node)], {"a": (3,)}, ["end"])
    a = rng.standard_normal((4, 3))
    np.testing.assert_allclose(forward(formats.load(path), a), of(a), rtol=1e-14)
    assert formats.describe(path).layers[0].label == f"tf.{function}"


FULL = _slice(None, None, None)


@pytest.mark.parametrize(
    ("key", "of"),
    [
        ([FULL, 1], np.s_[:, 1]),
        ([FULL, -1, _slice(1, None, None)], np.s_[:, -1, 1:]),
        (
            [FULL, _slice(None, None, 2), FULL, _slice(-3, -1, None)],
            np.s_[:, ::2, :, -3:-1],
        ),
        ([FULL, _slice(None, None, -1), _slice(2, 0, -1)], np.s_[:, ::-1, 2:0:-1]),
        ([{"class_name": "__ellipsis__", "config": {}}, 2], np.s_[..., 2]),
        (
            [FULL, None, 0, {"class_name": "__ellipsis__", "config": {}}, None],
            np.s_[:, None, 0, ..., None],
        ),
        (FULL, np.s_[:]),
    ],
)
def test_items_are_numpys(tmp_path, rng, key, of):
    entry = _operation("GetItem", "end", _tensor("a"), key)
    path = _model(tmp_path, [entry], {"a": (3, 3, 4)}, ["end"], version="3.8.0")
    a = rng.standard_normal((2, 3, 3, 4))
    got = formats.load(path)
    np.testing.assert_array_equal(forward(got, a), a[of].reshape(2, -1))
    assert got.layers[-1][-1].layer.output_shape == a[of].shape[1:]


@pytest.mark.parametrize(
    ("entries", "of"),
    [
        (
            [_operation("Take", "end", _tensor("a"), [[2, 0], [1, 1]], axis=1)],
            lambda a: np.take(a, [[2, 0], [1, 1]], axis=1),
        ),
        ([_operation("Take", "end", _tensor("a"), -1, axis=2)], lambda a: a[:, :, -1]),
        (
            [_operation("Swapaxes", "end", _tensor("a"), axis1=1, axis2=-1)],
            lambda a: a.swapaxes(1, 2),
        ),
        (
            [_operation("Stack", "end", [_tensor("a"), _tensor("a")], axis=2)],
            lambda a: np.stack([a, a], axis=2),
        ),
        (
            [
                _operation("Split", "s", _tensor("a"), indices_or_sections=[1, 3], axis=2),
                _operation("Multiply", "end", _tensor("s", 1), _tensor("s", 1)),
            ],
            lambda a: a[:, :, 1:3] ** 2,
        ),
        (
            [_operation("LeakyRelu", "end", _tensor("a"), negative_slope=0.3)],
            lambda a: np.where(a > 0, a, 0.3 * a),
        ),
        (
            [
                _operation(
                    "Add",
                    "end",
                    _tensor("a"),
                    {
                        "class_name": "__numpy__",
                        "config": {"value": [[1.0], [2.0], [3.0]], "dtype": "float32"},
                    },
                )
            ],
            lambda a: a + np.array([[1.0], [2.0], [3.0]]),
        ),
    ],
)
def test_operations_of_keras_3(tmp_path, rng, entries, of):
    path = _model(tmp_path, entries, {"a": (3, 4)}, ["end"], version="3.8.0")
    a = rng.standard_normal((2, 3, 4))
    got = forward(formats.load(path), a)
    np.testing.assert_allclose(got, of(a).reshape(2, -1), rtol=1e-14)


def test_parts_of_a_split_have_their_own_places(tmp_path, rng):
    entries = [
        _operation("Split", "s", _tensor("a"), indices_or_sections=2, axis=1),
        _operation("Subtract", "end", _tensor("s", 0), _tensor("s", 1)),
    ]
    path = _model(tmp_path, entries, {"a": (4,)}, ["end"], version="3.8.0")
    names = [(item.index, item.name) for item in formats.describe(path).layers]
    assert names == [("0", "s"), ("0[1]", "s[1]"), ("1", "end")]
    a = rng.standard_normal((2, 4))
    second = formats.load(path, ReadOptions(until="s[1]"))
    np.testing.assert_array_equal(second.forward(a), a[:, 2:])


@pytest.mark.parametrize("wanted", [3, [3, 1], [-1, -1]])
def test_splits_that_do_not_fit(tmp_path, wanted):
    node = ["a", 0, 0, {"num_or_size_splits": wanted, "axis": 1}]
    path = _model(tmp_path, [_function("end", "split", node)], {"a": (5,)}, ["end"])
    with pytest.raises(FormatError, match="split"):
        formats.load(path)


def test_self_attention_takes_one_tensor_twice(tmp_path):
    entry = layer("MultiHeadAttention", "end", num_heads=1, key_dim=2, use_bias=False)
    calls = {"value": ["a", 0, 0], "attention_mask": ["b", 0, 0]}
    arrays = draw((2, 1, 2), (2, 1, 2), (2, 1, 2), (1, 2, 2))
    path = _model(
        tmp_path,
        [called(entry, "a", **calls)],
        {"a": (3, 2), "b": (3, 3)},
        ["end"],
        {"end": arrays},
    )
    with pytest.raises(UnsupportedLayerError, match="called on 3 tensors"):
        formats.load(path)
    del calls["attention_mask"]
    path = _model(
        tmp_path,
        [called(entry, "a", return_attention_scores=True, **calls)],
        {"a": (3, 2)},
        ["end"],
        {"end": arrays},
    )
    with pytest.raises(UnsupportedLayerError, match="called with return_attention_scores"):
        formats.load(path)
