"""What a file calls its several inputs and outputs, in networks and descriptions."""

import numpy as np
import pytest
from keras_files import called, dense, draw, functional, layer, sequential, write
from onnx_files import model, node, value

from nninvert import formats
from nninvert.formats import ReadOptions

K, B = draw((3, 2), (2,), seed=3)


def names(layout):
    return [part.name for part in layout.parts]


def keras(tmp_path, outputs, inputs=None):
    """left (1,) and right (2,) joined; p and q read that."""
    layers = [
        called(layer("Concatenate", "both", axis=-1), "left", "right"),
        called(dense("p", 2, "tanh"), "both"),
        called(dense("q", 2), "both"),
    ]
    made = functional(layers, {"left": (1,), "right": (2,)}, ["p", "q"])
    made["config"]["output_layers"] = outputs
    if inputs is not None:
        made["config"]["input_layers"] = inputs
    weights = {"left": [], "right": [], "both": [], "p": [K, B], "q": [K, B]}
    return write(tmp_path / "m.h5", made, weights)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        ([["p", 0, 0], ["q", 0, 0]], ["p", "q"]),
        ({"score": ["q", 0, 0], "logits": ["p", 0, 0]}, ["score", "logits"]),
        ([["p", 0, 0], ["p", 0, 0]], ["p", "p_1"]),
    ],
)
def test_outputs_of_keras(tmp_path, outputs, expected):
    path = keras(tmp_path, outputs)
    net = formats.load(path, ReadOptions())
    assert names(net.outputs) == expected
    found = formats.describe(path, ReadOptions())
    assert [part.name for part in found.output_parts] == expected
    x = net.inputs.pack({"left": np.ones((1, 1)), "right": np.ones((1, 2))})
    said = net.outputs.unpack(net.forward(x))
    wanted = np.tanh(np.ones(3) @ K.astype(float) + B)
    tanh = expected[1] if "logits" in expected else "p"
    np.testing.assert_allclose(said[tanh][0], wanted, rtol=1e-12)


def test_inputs_of_keras_by_their_keys(tmp_path):
    inputs = {"the right": ["right", 0, 0], "the left": ["left", 0, 0]}
    net = formats.load(keras(tmp_path, [["p", 0, 0]], inputs), ReadOptions())
    assert names(net.inputs) == ["the right", "the left"]
    assert [part.shape for part in net.inputs.parts] == [(2,), (1,)]
    assert net.input_names == ("the right[0]", "the right[1]", "the left")
    # One alone is y, whatever its layer is called.
    assert (names(net.outputs), net.output_names) == (["y"], None)


def test_an_output_of_a_nested_model_is_called_as_the_model(tmp_path):
    inner = sequential([dense("deep", 2)], (3,), name="head")
    layers = [
        called(inner, "x"),
        called(dense("p", 2), "x"),
    ]
    made = functional(layers, {"x": (3,)}, ["head", "p"])
    path = write(tmp_path / "m.h5", made, {"x": [], "head": [K, B], "p": [K, B]})
    net = formats.load(path, ReadOptions())
    assert names(net.outputs) == ["head", "p"]
    # A layer inside, which is asked for, has its own name; so has one end alone.
    assert names(formats.load(path, ReadOptions(until="head/deep")).outputs) == ["y"]


def onnx(tmp_path, *nodes, outputs):
    path = tmp_path / "m.onnx"
    inputs = [value("/left", ("N", 2, 1)), value("right:0", ("N", 3))]
    path.write_bytes(model(list(nodes), [], inputs, outputs))
    return str(path)


def test_names_of_onnx_are_those_of_values_and_lie_inside_an_archive(tmp_path):
    path = onnx(
        tmp_path,
        node("Flatten", "/left", "flat"),
        node("Concat", "right:0 flat", "both", name="joins", axis=1),
        node("Tanh", "both", "/fc/out", name="squashes"),
        node("Neg", "/left", "minus", name="negates"),
        outputs=[value("/fc/out", ("N", 5)), value("minus", ("N", 2, 1))],
    )
    net = formats.load(path, ReadOptions())
    assert (names(net.inputs), names(net.outputs)) == (
        ["left", "right:0"],
        ["fc/out", "minus"],
    )
    found = formats.describe(path, ReadOptions())
    assert found.inputs == ("/left", "right:0")
    assert [(p.name, p.shape, p.start) for p in found.input_parts] == [
        ("left", (2, 1), 0),
        ("right:0", (3,), 2),
    ]
    assert [(p.name, p.shape, p.start) for p in found.output_parts] == [
        ("fc/out", (5,), 0),
        ("minus", (2, 1), 5),
    ]


def test_parts_are_described_where_not_every_layer_is_known(tmp_path):
    path = onnx(
        tmp_path,
        node("Tanh", "/left", "first"),
        node("Strange", "right:0", "second", domain="of.mine"),
        outputs=[value("first", ("N", 2, 1)), value("second", ("N", "some"))],
    )
    found = formats.describe(path, ReadOptions())
    first, second = found.output_parts
    assert (first.name, first.shape, first.start, first.size) == ("first", (2, 1), 0, 2)
    assert (second.name, second.start, second.size) == ("second", 2, None)


def test_an_input_that_nothing_reads_is_no_part(tmp_path):
    path = onnx(
        tmp_path,
        node("Tanh", "right:0", "y"),
        outputs=[value("y", ("N", 3))],
    )
    found = formats.describe(path, ReadOptions())
    assert found.inputs == ("/left", "right:0")
    assert [(part.name, part.shape) for part in found.input_parts] == [("x", (3,))]
    told = formats.load(path, ReadOptions()).source.notes
    assert "input '/left' is left out: no layer reads it" in told
    part = formats.load(path, ReadOptions(until="0")).source.notes
    assert not any("left out" in note for note in part)


def test_own_files_keep_the_parts(tmp_path):
    net = formats.load(keras(tmp_path, {"b": ["q", 0, 0], "a": ["p", 0, 0]}), ReadOptions())
    for name in ("own.h5", "own.npz"):
        path = str(tmp_path / name)
        formats.save(net, path)
        again = formats.load(path, ReadOptions())
        assert (again.inputs, again.outputs) == (net.inputs, net.outputs)
        found = formats.describe(path, ReadOptions())
        assert [part.name for part in found.output_parts] == ["b", "a"]
        assert [part.start for part in found.output_parts] == [0, 2]
