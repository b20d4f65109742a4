"""How Keras models hang together: dialects, nesting, the order of arrays."""

import json
from contextlib import suppress

import h5py
import numpy as np
import pytest
from keras_files import (
    called,
    dense,
    draw,
    forward,
    functional,
    layer,
    sequential,
    write,
    write_weights,
)

from nninvert import formats
from nninvert.errors import FormatError, LimitError, UnsupportedLayerError
from nninvert.formats import ReadOptions
from nninvert.linalg.file_matrix import FileMatrix

X = np.linspace(-1.5, 1.5, 12).reshape(3, 4)
K1, B1, K2, B2 = draw((4, 3), (3,), (3, 2), (2,))
WEIGHTS = {"a": [K1, B1], "b": [K2, B2]}
LAYERS = [dense("a", 3, "tanh"), dense("b", 2)]


def _two(x=X):
    return np.tanh(x @ K1.astype(float) + B1.astype(float)) @ K2.astype(float) + B2.astype(
        float
    )


def _check(path, expected=None, options=None):
    net = formats.load(path, options)
    np.testing.assert_allclose(
        forward(net, X), _two() if expected is None else expected, rtol=1e-13
    )
    return net


def _first_shape(**shape):
    first = {"class_name": "Dense", "config": {**LAYERS[0]["config"], **shape}}
    return [first, LAYERS[1]]


SEQUENTIALS = {
    "object with input layer": sequential(LAYERS, (4,)),
    "list": {
        "class_name": "Sequential",
        "config": _first_shape(batch_input_shape=[None, 4]),
    },
    "fixed batch": sequential(_first_shape(batch_input_shape=[25, 4])),
    "input_dim": {"class_name": "Sequential", "config": _first_shape(input_dim=4)},
    "build_input_shape": sequential(LAYERS, build_input_shape=[None, 4]),
    "first kernel": sequential(LAYERS),
    "open length": sequential(LAYERS, (None,)),
    "keras 3 build_config": sequential(
        [LAYERS[0] | {"build_config": {"input_shape": [None, 4]}}, LAYERS[1]]
    ),
}


@pytest.mark.parametrize("case", SEQUENTIALS)
def test_sequential_dialects(tmp_path, case):
    net = _check(write(tmp_path / "m.h5", SEQUENTIALS[case], WEIGHTS))
    assert [group[0].index for group in net.layers] == ["0", "1"]
    assert [node.label for node in net.layers[0]] == ["Dense", "Dense"]


def test_shape_from_the_first_kernel_behind_other_layers(tmp_path):
    model = sequential([layer("Dropout", "drop", rate=0.1), *LAYERS])
    _check(write(tmp_path / "m.h5", model, {"drop": [], **WEIGHTS}))


def _keras3_call(name, shape):
    tensor = {
        "class_name": "__keras_tensor__",
        "config": {
            "shape": [None, shape],
            "dtype": "float32",
            "keras_history": [name, 0, 0],
        },
    }
    return [{"args": [tensor], "kwargs": {}}]


def _functional(nodes, inputs, outputs):
    model = functional(
        [
            LAYERS[1] | {"name": "b", "inbound_nodes": nodes[1]},
            LAYERS[0] | {"name": "a", "inbound_nodes": nodes[0]},
        ],
        {"x": (4,)},
        ["b"],
    )
    model["config"] |= {"input_layers": inputs, "output_layers": outputs}
    return model


FUNCTIONALS = {
    "keras 1": _functional(
        ([[["x", 0, 0]]], [[["a", 0, 0]]]), [["x", 0, 0]], [["b", 0, 0]]
    ),
    "keras 2": _functional(
        ([[["x", 0, 0, {}]]], [[["a", 0, 0, {}]]]), [["x", 0, 0]], [["b", 0, 0]]
    ),
    "keras 3": _functional(
        (_keras3_call("x", 4), _keras3_call("a", 3)), [["x", 0, 0]], [["b", 0, 0]]
    ),
    "keras 3.12": _functional(
        (_keras3_call("x", 4), _keras3_call("a", 3)), ["x", 0, 0], ["b", 0, 0]
    ),
    "dict of inputs": _functional(
        (_keras3_call("x", 4), _keras3_call("a", 3)),
        {"in": ["x", 0, 0]},
        {"y": ["b", 0, 0]},
    ),
}


@pytest.mark.parametrize("case", FUNCTIONALS)
def test_functional_dialects_in_any_order_of_layers(tmp_path, case):
    net = _check(write(tmp_path / "m.h5", FUNCTIONALS[case], WEIGHTS, "3.8.0"))
    assert [group[0].name for group in net.layers] == ["a", "b"]


def _inner(frozen=(), name="inner", **more):
    """A nested Sequential: dense, batch norm, dense."""
    layers = [
        dense("d1", 3),
        layer("BatchNormalization", "bn", axis=[-1], epsilon=1e-3),
        dense("d2", 3),
    ]
    for item in layers:
        item["config"]["trainable"] = item["config"]["name"] not in frozen
    made = sequential(layers, (4,), **more)
    made["config"]["name"] = name
    return made


ARRAYS = dict(
    zip(
        ("d1k", "d1b", "gamma", "beta", "mean", "var", "d2k", "d2b"),
        draw((4, 3), (3,), (3,), (3,), (3,), (3,), (3, 3), (3,), seed=3),
        strict=True,
    )
)


def _inner_forward(x):
    a = {name: values.astype(float) for name, values in ARRAYS.items()}
    h = x @ a["d1k"] + a["d1b"]
    h = a["gamma"] * (h - a["mean"]) / np.sqrt(a["var"] + 1e-3) + a["beta"]
    return h @ a["d2k"] + a["d2b"]


ORDERS = {
    "all trainable": ((), {}, "d1k d1b gamma beta d2k d2b mean var", "2.15.0"),
    "first frozen": (("d1",), {}, "gamma beta d2k d2b d1k d1b mean var", "2.15.0"),
    "batch norm frozen": (("bn",), {}, "d1k d1b d2k d2b gamma beta mean var", "3.8.0"),
    "model frozen, keras 2": (
        (),
        {"trainable": False},
        "d1k d1b gamma beta d2k d2b mean var",
        "2.1.0",
    ),
    "model frozen, keras 3": (
        (),
        {"trainable": False},
        "d1k d1b gamma beta mean var d2k d2b",
        "3.8.0",
    ),
    "everything frozen": (
        ("d1", "bn", "d2"),
        {"trainable": False},
        "d1k d1b gamma beta mean var d2k d2b",
        "2.15.0",
    ),
}


@pytest.mark.parametrize("case", ORDERS)
def test_arrays_of_a_nested_model_trainable_first(tmp_path, case):
    frozen, more, order, version = ORDERS[case]
    arrays = [ARRAYS[name] for name in order.split()]
    model = sequential([_inner(frozen, **more)])
    path = write(tmp_path / "m.h5", model, {"inner": arrays}, version)
    net = _check(path, _inner_forward(X))
    assert [group[0].name for group in net.layers] == ["inner/d1", "inner/bn", "inner/d2"]
    assert [group[0].index for group in net.layers] == ["0.0", "0.1", "0.2"]


def test_keras_1_writes_nested_sequentials_side_by_side(tmp_path):
    inner = {"class_name": "Sequential", "config": _inner()["config"]["layers"][1:]}
    inner["config"][0]["config"]["input_dim"] = 4
    groups = {
        "d1": [ARRAYS["d1k"], ARRAYS["d1b"]],
        "bn": [ARRAYS[k] for k in ("gamma", "beta", "mean", "var")],
        "d2": [ARRAYS["d2k"], ARRAYS["d2b"]],
    }
    model = {"class_name": "Sequential", "config": [inner]}
    _check(write(tmp_path / "m.h5", model, groups, None), _inner_forward(X))


def test_a_nested_sequential_without_a_name_is_found_by_its_place(tmp_path):
    inner = {"class_name": "Sequential", "config": _inner()["config"]["layers"][1:]}
    inner["config"][0]["config"]["batch_input_shape"] = [None, 4]
    order = ORDERS["all trainable"][2].split()
    model = {"class_name": "Sequential", "config": [inner]}
    groups = {"sequential_7": [ARRAYS[name] for name in order]}
    _check(write(tmp_path / "m.h5", model, groups, "2.1.0"), _inner_forward(X))


@pytest.mark.parametrize("node", [0, 1])
def test_a_nested_model_counts_itself_as_its_first_call(tmp_path, node):
    inner = _inner()
    inner["name"], inner["inbound_nodes"] = "inner", [[["x", 0, 0, {}]]]
    model = functional([inner], {"x": (4,)}, ["inner"])
    model["config"]["output_layers"] = [["inner", node, 0]]
    arrays = [ARRAYS[name] for name in ORDERS["all trainable"][2].split()]
    _check(write(tmp_path / "m.h5", model, {"inner": arrays}), _inner_forward(X))


@pytest.mark.parametrize("first_call", [0, 1])
def test_a_model_applied_twice(tmp_path, first_call):
    (kernel,) = draw((4, 4))
    inner = sequential([dense("d", 4, "tanh", use_bias=False)], (4,))
    inner["name"] = inner["config"]["name"] = "twice"
    inner["inbound_nodes"] = [[["x", 0, 0, {}]], [["twice", first_call, 0, {}]]]
    model = functional([inner], {"x": (4,)}, ["twice"])
    model["config"]["output_layers"] = [["twice", first_call + 1, 0]]
    path = write(tmp_path / "m.h5", model, {"twice": [kernel]})
    k = kernel.astype(float)
    net = _check(path, np.tanh(np.tanh(X @ k) @ k))
    assert [group[0].index for group in net.layers] == ["0.0", "1.0"]
    assert net.parameters == 32


def test_a_shared_layer_applied_twice(tmp_path):
    (kernel,) = draw((4, 4))
    entry = dense("d", 4, use_bias=False) | {"name": "d"}
    entry["inbound_nodes"] = [[["x", 0, 0, {}]], [["d", 0, 0, {}]]]
    model = functional([entry], {"x": (4,)}, ["d"])
    model["config"]["output_layers"] = [["d", 1, 0]]
    k = kernel.astype(float)
    _check(write(tmp_path / "m.h5", model, {"d": [kernel]}), X @ k @ k)


def _split(attributes, name):
    """Over several attributes, as Keras does with long lists."""
    for k, item in enumerate(attributes.pop(name)):
        attributes[f"{name}{k}"] = np.array([item])


def _of_variable_length(attributes, name):
    names = [item.decode() for item in attributes[name]]
    attributes.create(name, names, dtype=h5py.string_dtype())


@pytest.mark.parametrize("store", [_split, _of_variable_length])
def test_names_stored_in_other_ways(tmp_path, store):
    path = tmp_path / "m.h5"
    write(path, sequential(LAYERS, (4,)), WEIGHTS)
    with h5py.File(path, "a") as file:
        store(file["model_weights"].attrs, "layer_names")
        store(file["model_weights/a"].attrs, "weight_names")
    _check(str(path))


def test_order_comes_from_the_lists_of_names_and_not_from_the_groups(tmp_path):
    """Groups are iterated alphabetically: d10 before d2."""
    kernels = draw(*[(2, 2)] * 12, seed=5)
    names = [f"d{k}" for k in range(12)]
    model = sequential([dense(name, 2, use_bias=False) for name in names], (2,))
    weights = {name: [k] for name, k in zip(names, kernels, strict=True)}
    net = formats.load(write(tmp_path / "m.h5", model, weights))
    expected = np.eye(2)
    for kernel in kernels:
        expected = expected @ kernel.astype(float)
    np.testing.assert_allclose(net.forward(np.eye(2)), expected, rtol=1e-12)


def _joined():
    return functional(
        [
            called(dense("a", 3, "tanh"), "x"),
            called(dense("b", 2), "a"),
            called(dense("c", 2), "a"),
            called(layer("Add", "sum"), "b", "c"),
            called(dense("end", 2), "sum"),
        ],
        {"x": (4,)},
        ["end"],
    )


JOINED_WEIGHTS = {
    "x": [],
    "a": [K1, B1],
    "b": [K2, B2],
    "c": [K2 * 2, B2],
    "sum": [],
    "end": draw((2, 2), (2,)),
}


def test_branches_meet_and_are_shown(tmp_path, rng):
    path = write(tmp_path / "m.h5", _joined(), JOINED_WEIGHTS)
    x = rng.standard_normal((3, 4))
    b = formats.load(path, ReadOptions(until="b")).forward(x)
    c = formats.load(path, ReadOptions(until="c")).forward(x)
    behind = formats.load(path, ReadOptions(first="end"))
    np.testing.assert_allclose(
        formats.load(path).forward(x), behind.forward(b + c), rtol=1e-12
    )
    found = formats.describe(path)
    assert [item.inputs for item in found.layers] == [
        ("x",),
        ("a",),
        ("a",),
        ("b", "c"),
        ("sum",),
    ]
    assert found.inputs == ("x",)
    assert found.outputs == ("end",)
    assert found.layers[4].input_shape == (2,), "told by its kernel"


@pytest.mark.parametrize(("until", "factor"), [("b", 1), ("1", 1), ("c", 2)])
def test_one_way_through_branches(tmp_path, until, factor):
    path = write(tmp_path / "m.h5", _joined(), JOINED_WEIGHTS)
    h = np.tanh(X @ K1.astype(float) + B1.astype(float))
    expected = h @ (factor * K2.astype(float)) + B2.astype(float)
    net = _check(path, expected, ReadOptions(until=until))
    assert [group[0].name for group in net.layers] == ["a", "c" if until == "c" else "b"]


def test_the_part_behind_a_join(tmp_path):
    path = write(tmp_path / "m.h5", _joined(), JOINED_WEIGHTS)
    net = formats.load(path, ReadOptions(first="end"))
    assert (net.n_in, net.n_out) == (2, 2)


def test_several_outputs_are_parts_of_one(tmp_path):
    model = _joined()
    model["config"]["output_layers"] = [["b", 0, 0], ["c", 0, 0]]
    path = write(tmp_path / "m.h5", model, JOINED_WEIGHTS)
    both = formats.load(path)
    assert [(part.name, part.shape) for part in both.outputs.parts] == [
        ("b", (2,)),
        ("c", (2,)),
    ]
    x = np.linspace(-1.0, 1.0, both.n_in)[None]
    single = [formats.load(path, ReadOptions(until=name)).forward(x) for name in "bc"]
    np.testing.assert_array_equal(both.forward(x), np.concatenate(single, axis=1))
    assert formats.load(path, ReadOptions(until="c")).n_out == 2


def test_several_inputs(tmp_path):
    model = functional(
        [called(layer("Concatenate", "cat"), "x", "z"), called(dense("d", 2), "cat")],
        {"x": (2,), "z": (3,)},
        ["d"],
    )
    path = write(tmp_path / "m.h5", model, {"cat": [], "d": draw((5, 2), (2,))})
    assert formats.load(path).n_in == 5
    assert formats.describe(path).inputs == ("x", "z")


def test_every_unknown_layer_is_named_at_once(tmp_path):
    model = sequential(
        [
            dense("a", 3, "tanh"),
            dense("b", 2),
            {"class_name": "Pkg>AttnPool", "config": {"name": "pool"}},
            layer("Reshape", "shape", target_shape=[1, 2]),
            layer("Lambda", "fn", function=["gAR9cQ==", None, None]),
            layer("Dense", "mine", units=2)
            | {"registered_name": "Pkg>Dense", "module": "x"},
        ],
        (4,),
    )
    weights = {**WEIGHTS, "pool": [], "shape": [], "fn": [], "mine": draw((2, 2))}
    path = write(tmp_path / "m.h5", model, weights)
    with pytest.raises(UnsupportedLayerError) as caught:
        formats.load(path)
    assert str(caught.value) == (
        f"{path} > layer 2 'pool' > class_name: got 'Pkg>AttnPool' (custom); also "
        "4 'fn' 'Lambda' (never run), 5 'mine' 'Dense' (custom), expected layers that "
        "nninvert knows (nninvert info --layers). Layers 0-1 can be inverted alone: "
        f"nninvert invert {path} h.npy --until b -o x.npy; or build layers of your own in "
        "Python: help(nninvert.load)"
    )
    _check(path, options=ReadOptions(until="b"))
    problems = [item.problem for item in formats.describe(path).layers]
    assert problems == [
        "",
        "",
        "custom",
        "its input shape is not known",
        "never run",
        "custom",
    ]


def test_an_unknown_layer_inside_a_nested_model(tmp_path):
    inner = _inner()
    inner["config"]["layers"].append(layer("LSTM", "lstm", units=2))
    path = write(tmp_path / "m.h5", sequential([inner]), {"inner": draw((1, 1))})
    with pytest.raises(UnsupportedLayerError, match="'inner/lstm' 'LSTM'"):
        formats.load(path)


def test_a_nested_model_with_too_few_arrays(tmp_path):
    path = write(tmp_path / "m.h5", sequential([_inner()]), {"inner": draw((4, 3))})
    with pytest.raises(
        FormatError, match="layer 0 'inner' > weights: got 1 arrays, expected 8"
    ):
        formats.load(path)


def _functional_with(**config):
    model = functional([called(dense("a", 3), "x")], {"x": (4,)}, ["a"])
    model["config"] |= config
    return model


DAMAGED = {
    "subclassed": ({"class_name": "Mine", "config": {}}, "a model of its own class"),
    "no class": ({"config": {}}, "class_name: got nothing"),
    "unknown source": (
        functional([called(dense("a", 3), "nowhere")], {"x": (4,)}, ["a"]),
        "'nowhere', expected the name of a layer",
    ),
    "circle": (
        functional(
            [called(dense("a", 4), "b"), called(dense("b", 4), "a")], {"x": (4,)}, ["b"]
        ),
        "layers in a circle",
    ),
    "no layers": (sequential([], (4,)), "layers: got none"),
    "layers no list": (
        {"class_name": "Sequential", "config": {"layers": 3}},
        "list of objects",
    ),
    "one name twice": (
        functional(
            [called(dense("a", 3), "x"), called(dense("a", 3), "x")], {"x": (4,)}, ["a"]
        ),
        "one name twice",
    ),
    "call that is not there": (
        functional(
            [
                dense("a", 4)
                | {"name": "a", "inbound_nodes": [[["x", 0, 0]], [["a", 7, 0]]]}
            ],
            {"x": (4,)},
            ["a"],
        ),
        "call 7 of layer 'a', which has 2",
    ),
    "unknown output": (_functional_with(output_layers=[["q", 0, 0]]), "'q'"),
    "negative shape": (sequential(LAYERS, (-4,)), "lengths of 1 or more"),
    "text shape": (sequential(LAYERS, ("4",)), "a whole number"),
    "not JSON": ("{'a': 1}", "text that is not JSON"),
    "not an object": ("[1]", "JSON of type list"),
    "key twice": ('{"class_name": "Sequential", "class_name": "Model"}', "stands twice"),
    "empty": ("", "text that is not JSON"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_architectures(tmp_path, case):
    config, match = DAMAGED[case]
    path = write(tmp_path / "m.h5", config, WEIGHTS)
    with pytest.raises(FormatError, match=match) as caught:
        formats.load(path)
    assert caught.value.file == path


def test_json_bombs(tmp_path):
    path = write(tmp_path / "m.h5", '{"a":' + "[" * 200 + "]" * 200 + "}", WEIGHTS)
    with pytest.raises(LimitError, match="nested very deeply"):
        formats.load(path)
    path = write(tmp_path / "n.h5", "[" * 500_000, WEIGHTS)
    with pytest.raises(LimitError, match="nested very deeply"):
        formats.load(path)


def test_models_that_double_at_every_level(tmp_path):
    model = sequential([layer("Dropout", "d")], (4,))
    for level in range(20):
        name = f"m{level}"
        model["config"]["name"] = name
        model |= {"name": name, "inbound_nodes": [[["x", 0, 0]], [[name, 1, 0]]]}
        model = functional([model], {"x": (4,)}, [name])
        model["config"]["output_layers"] = [[name, 2, 0]]
    path = write(tmp_path / "m.h5", json.dumps(model), {})
    with pytest.raises(LimitError, match="models inside models"):
        formats.load(path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda f: f.attrs.__setitem__("backend", "tvm.relay"), "got 'tvm.relay'"),
        (lambda f: f.attrs.__setitem__("keras_version", "new"), "a version such as"),
        (lambda f: f.__delitem__("model_weights"), "the architecture alone"),
        (
            lambda f: f["model_weights"].attrs.__delitem__("layer_names"),
            "names of the layers",
        ),
        (lambda f: f["model_weights"].__delitem__("a"), "no 'a' in '/model_weights'"),
        (lambda f: f["model_weights/a"].__delitem__("a/v1:0"), "no 'v1:0'"),
    ],
)
def test_damaged_containers(tmp_path, change, match):
    path = write(tmp_path / "m.h5", sequential(LAYERS, (4,)), WEIGHTS)
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(FormatError, match=match):
        formats.load(path)


def test_a_group_that_links_out_of_the_file(tmp_path):
    path = write(tmp_path / "m.h5", sequential(LAYERS, (4,)), WEIGHTS)
    with h5py.File(path, "a") as file:
        del file["model_weights/a"]
        file["model_weights/a"] = h5py.ExternalLink("other.h5", "/a")
    with pytest.raises(FormatError, match="external link"):
        formats.load(path)


def test_large_kernels_stay_in_the_file(tmp_path):
    kernel = np.eye(600, dtype=np.float32)
    model = sequential([dense("d", 600, use_bias=False)], (600,))
    path = write(tmp_path / "m.h5", model, {"d": [kernel]})
    net = formats.load(path)
    matrix = net.graph.nodes[0].layer.matrix
    assert isinstance(matrix.transposed, FileMatrix)
    assert matrix.column_major
    np.testing.assert_array_equal(matrix.to_float64(), kernel.T)


def test_compressed_kernels_are_read_in_blocks(tmp_path):
    path = tmp_path / "m.h5"
    kernel = np.eye(600, dtype=np.float32) * 3
    model = sequential([dense("d", 600, use_bias=False)], (600,))
    write(path, model, {"d": []})
    with h5py.File(path, "a") as file:
        group = file["model_weights/d"]
        group.attrs["weight_names"] = np.array([b"k"])
        group.create_dataset("k", data=kernel, compression="gzip")
    net = formats.load(str(path))
    assert type(net.graph.nodes[0].layer.matrix.transposed).__name__ == "Hdf5Matrix"
    np.testing.assert_array_equal(net.forward(np.ones((1, 600))), np.full((1, 600), 3.0))


def test_weights_alone_keep_the_layers_names(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        write_weights(file, {"drop": [], **WEIGHTS})
    options = ReadOptions(activations="tanh,linear")
    net = _check(str(path), options=options)
    assert [group[0].name for group in net.layers] == ["a", "b"]
    assert net.source.format == "Keras 1 HDF5 weights"


def test_weights_of_other_layers_are_refused(tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        write_weights(file, {**WEIGHTS, "bn": draw((2,), (2,), (2,), (2,))})
    with pytest.raises(FormatError, match=r"'bn'.*only Dense layers"):
        formats.load(str(path), ReadOptions(activations="tanh"))


def test_activations_for_a_file_that_states_them(tmp_path):
    path = write(tmp_path / "m.h5", sequential(LAYERS, (4,)), WEIGHTS)
    with pytest.raises(Exception, match="--activations: got 'tanh', expected nothing"):
        formats.load(path, ReadOptions(activations="tanh"))


def test_a_heap_that_never_ends(tmp_path):
    """The HDF5 library would read it for ever: an object that leads to length 0."""
    path = tmp_path / "m.h5"
    write(path, sequential(LAYERS, (4,)), WEIGHTS)
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL")
    data[heap + 5] = 1  # the library takes no notice of this
    data[heap + 16 : heap + 32] = bytes(16)
    path.write_bytes(data)
    with pytest.raises(FormatError, match="damaged HDF5: the heap of texts at byte"):
        formats.load(str(path))


def test_a_tree_that_leads_round(tmp_path):
    """The HDF5 library would go from neighbour to neighbour for ever."""
    path = tmp_path / "m.h5"
    write(path, sequential(LAYERS, (4,)), WEIGHTS)
    data = bytearray(path.read_bytes())
    first = data.index(b"TREE")
    second = data.index(b"TREE", first + 1)
    data[first + 16 : first + 24] = second.to_bytes(8, "little")
    path.write_bytes(data)
    with suppress(FormatError):
        formats.load(str(path))  # two nodes side by side are no circle
    data[second + 16 : second + 24] = first.to_bytes(8, "little")
    path.write_bytes(data)
    with pytest.raises(FormatError, match="damaged HDF5: the B-tree node at byte"):
        formats.load(str(path))


def test_free_blocks_that_lead_round(tmp_path):
    """The HDF5 library would follow them until no memory is left."""
    path = tmp_path / "m.h5"
    write(path, sequential(LAYERS, (4,)), WEIGHTS)
    data = bytearray(path.read_bytes())
    heap = data.index(b"HEAP")
    free = int.from_bytes(data[heap + 16 : heap + 24], "little")
    segment = int.from_bytes(data[heap + 24 : heap + 32], "little")
    data[segment + free : segment + free + 8] = free.to_bytes(8, "little")
    data[heap + 7] = 1  # the library takes no notice of this
    path.write_bytes(data)
    with pytest.raises(FormatError, match="damaged HDF5: the heap of names at byte"):
        formats.load(str(path))
