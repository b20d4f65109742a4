"""Keras weights without an architecture, and with one from another file."""

import json
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from keras_files import dense, layer, sequential

from nninvert import formats
from nninvert.errors import FormatError, LimitError, UsageError
from nninvert.formats import ReadOptions, keras_apart

DATA = Path(__file__).parents[2] / "formats" / "data"


@pytest.fixture
def taken_apart(tmp_path):
    """A whole model of the fixtures as weights and architecture."""

    def take(name):
        config, weights = tmp_path / "config.json", tmp_path / "m.weights.h5"
        if name.endswith(".keras"):
            with zipfile.ZipFile(DATA / name) as archive:
                config.write_bytes(archive.read("config.json"))
                weights.write_bytes(archive.read("model.weights.h5"))
        else:
            with h5py.File(DATA / name) as file, h5py.File(weights, "w") as made:
                config.write_text(file.attrs["model_config"])
                group = file["model_weights"]
                made.attrs.update(group.attrs)
                for key in group:
                    group.copy(key, made)
        return str(weights), ReadOptions(config=str(config))

    return take


@pytest.mark.parametrize(
    "name",
    [
        "keras3_nested_frozen.keras",
        "keras333_sequential.keras",
        "tf215_nested_frozen.keras",
        "keras3_nested_frozen.h5",
        "keras231_nested_frozen.h5",
    ],
)
def test_together_they_are_the_whole_model(name, taken_apart, rng):
    weights, options = taken_apart(name)
    net, whole = formats.load(weights, options), formats.load(str(DATA / name))
    x = rng.standard_normal((4, whole.n_in))
    np.testing.assert_array_equal(net.forward(x), whole.forward(x))
    assert net.source.format.endswith("architecture from config.json")
    assert [item.name for item in formats.describe(weights, options).layers] == [
        item.name for item in formats.describe(str(DATA / name)).layers
    ]


def tree(path, arrays):
    with h5py.File(path, "w") as file:
        for group, values in arrays.items():
            file.create_group(f"layers/{group}/vars")
            for k, value in enumerate(values):
                file[f"layers/{group}/vars/{k}"] = value
    return str(path)


def test_dense_layers_alone_are_bare_weights(tmp_path, rng):
    kernels = [rng.standard_normal((3, 3)) for _ in range(11)]
    names = ["dense", *(f"dense_{k}" for k in range(1, 11))]
    arrays = {name: [kernel] for name, kernel in zip(names, kernels, strict=True)}
    arrays["dropout"] = []
    path = tree(tmp_path / "m.weights.h5", arrays)
    net = formats.load(path, ReadOptions(activations="linear"))
    expected = np.eye(3)
    for kernel in kernels:
        expected = expected @ kernel
    np.testing.assert_allclose(net.forward(np.eye(3)), expected, rtol=1e-12)
    with pytest.raises(UsageError, match="--activations"):
        formats.load(path)


@pytest.mark.parametrize("name", ["batch_normalization", "functional"])
def test_other_layers_need_the_architecture(tmp_path, name):
    path = tree(tmp_path / "m.weights.h5", {"dense": [np.eye(2)], name: [np.ones(2)]})
    with pytest.raises(FormatError, match=rf"got {name}.*to_json.*--config"):
        formats.load(path, ReadOptions(activations="tanh"))


def test_an_architecture_of_another_model(tmp_path):
    path = tree(tmp_path / "m.weights.h5", {"dense": [np.eye(2), np.ones(2)]})
    config = tmp_path / "c.json"
    config.write_text(json.dumps(sequential([dense("a", 3)], (2,))))
    with pytest.raises(FormatError, match=r"m\.weights\.h5 > layer 0 'a'.*units"):
        formats.load(path, ReadOptions(config=str(config)))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", r"c\.json > --config: got text that is not JSON"),
        ('{"class_name": "Mine", "config": {}}', r"c\.json > class_name: got 'Mine'"),
    ],
)
def test_a_file_that_is_no_architecture(tmp_path, text, match):
    path = tree(tmp_path / "m.weights.h5", {"dense": [np.eye(2)]})
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(FormatError, match=match):
        formats.load(path, ReadOptions(config=str(tmp_path / "c.json")))


def test_an_architecture_of_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setattr(keras_apart, "MAX_JSON_BYTES", 3)
    path = tree(tmp_path / "m.weights.h5", {"dense": [np.eye(2)]})
    (tmp_path / "c.json").write_text("{   }")
    with pytest.raises(LimitError, match="5 bytes"):
        formats.load(path, ReadOptions(config=str(tmp_path / "c.json")))


def test_options_that_the_architecture_answers(tmp_path):
    path = tree(tmp_path / "m.weights.h5", {"dense": [np.eye(2)]})
    config = tmp_path / "c.json"
    config.write_text(json.dumps(sequential([layer("Dense", "a", units=2)], (2,))))
    with pytest.raises(UsageError, match="--activations"):
        formats.load(path, ReadOptions(config=str(config), activations="tanh"))


def test_whole_models_have_their_own(tmp_path):
    path = tmp_path / "m.keras"
    shutil.copy(DATA / "keras333_sequential.keras", path)
    with pytest.raises(UsageError, match=r"--config: got 'c.json'.*Keras archive"):
        formats.load(str(path), ReadOptions(config="c.json"))


def counted(path, layers, **more):
    """Weights as Keras up to 0.3 wrote them: counted, without a name."""
    with h5py.File(path, "w") as file:
        file.attrs["nb_layers"] = len(layers)
        for k, arrays in enumerate(layers):
            group = file.create_group(f"layer_{k}")
            group.attrs["nb_params"] = len(arrays)
            for j, values in enumerate(arrays):
                group[f"param_{j}"] = values
        file.attrs.update(more)
    return str(path)


def test_layers_that_are_only_counted(tmp_path, rng):
    shapes = ((3, 3), (3,)) * 11
    values = [rng.standard_normal(shape) for shape in shapes]
    layers = []
    for k in range(0, 22, 2):
        layers += [values[k : k + 2], []]
    path = counted(tmp_path / "m.h5", layers)
    steps = [
        entry
        for k in range(11)
        for entry in (
            layer("Dense", f"dense_{k}", output_dim=3, activation="linear"),
            layer("Activation", f"act_{k}", activation="tanh"),
        )
    ]
    config = tmp_path / "c.json"
    config.write_text(json.dumps({"class_name": "Sequential", "config": steps}))
    x = expected = rng.standard_normal((4, 3))
    for k in range(0, 22, 2):
        expected = np.tanh(expected @ values[k] + values[k + 1])
    for options in (ReadOptions(config=str(config)), ReadOptions(activations="tanh")):
        net = formats.load(path, options)
        np.testing.assert_allclose(net.forward(x), expected, rtol=1e-12)


@pytest.mark.parametrize("number", [-1, 2, [1, 1], 10**9])
def test_layers_that_are_counted_wrongly(tmp_path, number):
    path = counted(tmp_path / "m.h5", [[np.eye(2)]], nb_layers=number)
    with pytest.raises(FormatError, match=r"'nb_layers'.*expected one number up to 1"):
        formats.load(path, ReadOptions(activations="tanh"))
