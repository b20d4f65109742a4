"""Every vintage: files that the frameworks wrote, and what they computed from them."""

import json
from pathlib import Path

import numpy as np
import pytest

from nninvert import formats
from nninvert.errors import FormatError, UnsupportedLayerError, UsageError
from nninvert.formats import ReadOptions

DATA = Path(__file__).parent / "data"
INDEX = json.loads((DATA / "index.json").read_text())

# float32 sums of a few terms of size 1, as the frameworks make them.
TOLERANCE = {"float64": 1e-12, "float32": 1e-6}

# Golden values that were computed in float64, but with constants in float32.
COARSER = {
    "keras1_theano_sequential.h5": "Theano: the 0.2 of hard_sigmoid, among others",
    "keras3_activations.h5": "TensorFlow: the slope of leaky_relu",
    "tf215_activations.h5": "TensorFlow: the slope of leaky_relu",
}


def _of(outcome):
    return pytest.mark.parametrize(
        "entry",
        [entry for entry in INDEX if entry["outcome"] == outcome],
        ids=lambda entry: entry["file"],
    )


def _options(entry):
    if "activations" not in entry:
        return ReadOptions()
    texts = [text.replace(" ", ":") for text in entry["activations"]]
    return ReadOptions(activations=",".join(texts))


def _compare(entry, net):
    golden = np.load(DATA / entry["golden"])
    x, y = golden["x"], golden["y"].reshape(len(golden["y"]), -1)
    got = net.forward(x.reshape(len(x), -1))
    difference = np.abs(got - y).max() / np.abs(y).max()
    precision = "float32" if entry["file"] in COARSER else entry["golden_precision"]
    assert difference <= TOLERANCE[precision]


@_of("read")
def test_forward_is_the_frameworks(entry):
    _compare(entry, formats.load(str(DATA / entry["file"])))


@_of("read")
def test_layers_are_described(entry):
    found = formats.describe(str(DATA / entry["file"])).layers
    assert [(item.label, item.name) for item in found] == [
        (item["class"], item["name"]) for item in entry["layers"]
    ]
    assert [list(item.output_shape) for item in found] == [
        item["output_shape"] for item in entry["layers"]
    ]
    assert not any(item.problem for item in found)


@_of("read")
def test_the_network_has_the_files_layers(entry):
    net = formats.load(str(DATA / entry["file"]))
    names = [group[0].name for group in net.layers]
    assert names == [item["name"] for item in entry["layers"]]
    assert [list(group[-1].layer.output_shape) for group in net.layers] == [
        item["output_shape"] for item in entry["layers"]
    ]


@_of("read")
@pytest.mark.parametrize("suffix", [".npz", ".h5"])
def test_own_files_are_the_same_to_the_bit(entry, suffix, tmp_path):
    net = formats.load(str(DATA / entry["file"]))
    path = str(tmp_path / f"own{suffix}")
    formats.save(net, path)
    again = formats.load(path)
    x = np.load(DATA / entry["golden"])["x"].reshape(5, -1)
    assert np.array_equal(again.forward(x), net.forward(x))
    assert again.graph.config() == net.graph.config()
    assert again.dtype == net.dtype


@_of("refused")
def test_refused_naming_every_unknown_layer(entry):
    path = str(DATA / entry["file"])
    with pytest.raises(FormatError) as caught:
        formats.load(path)
    if entry["file"] != "keras3_subclassed.keras":  # which has no layers to refuse
        assert isinstance(caught.value, UnsupportedLayerError)
    for name in entry["refused_for"]:
        assert f"'{name}'" in str(caught.value)


def _architecture(entry):
    """Where weights have it: beside them, under the same name."""
    path = DATA / entry["file"]
    beside = path.with_name(path.name.partition(".")[0] + ".json")
    return ReadOptions(config=str(beside) if ".weights." in path.name else None)


@_of("graph")
def test_graphs_are_the_frameworks(entry):
    path, options = str(DATA / entry["file"]), _architecture(entry)
    found = formats.describe(path, options)
    golden = np.load(DATA / entry["golden"])
    x = [golden[f"x {name}"] for name in found.inputs]
    y = [golden[f"y {name}"] for name in found.outputs]
    net = formats.load(path, options)
    rows = len(x[0])
    got = net.forward(np.concatenate([part.reshape(rows, -1) for part in x], axis=1))
    expected = np.concatenate([part.reshape(rows, -1) for part in y], axis=1)
    difference = np.abs(got - expected).max() / np.abs(expected).max()
    assert difference <= TOLERANCE[entry["golden_precision"]]
    assert not any(item.problem for item in found.layers)


@_of("branched")
def test_branches_are_the_frameworks(entry):
    found = formats.describe(str(DATA / entry["file"]))
    assert [(item.label, item.name) for item in found.layers] == [
        (item["class"], item["name"]) for item in entry["layers"]
    ]
    golden = np.load(DATA / entry["golden"])
    x = np.concatenate([golden[f"x{k}"] for k in range(len(found.inputs))], axis=1)
    got = formats.load(str(DATA / entry["file"])).forward(x)
    assert np.abs(got - golden["y"]).max() <= 1e-12 * np.abs(golden["y"]).max()


@_of("graph")
def test_own_files_of_graphs_are_the_same(entry, tmp_path, rng):
    net = formats.load(str(DATA / entry["file"]), _architecture(entry))
    formats.save(net, str(tmp_path / "own.h5"))
    again = formats.load(str(tmp_path / "own.h5"))
    x = rng.standard_normal((3, net.n_in))
    assert np.array_equal(again.forward(x), net.forward(x))


@_of("weights only")
def test_bare_weights_with_activations(entry):
    path = str(DATA / entry["file"])
    if "batch norm, elu" in entry.get("activations", ()):
        with pytest.raises(FormatError, match=r"running_mean.*no part of a Dense layer"):
            formats.load(path)
        return
    with pytest.raises(UsageError, match="--activations"):
        formats.load(path)
    _compare(entry, formats.load(path, _options(entry)))
