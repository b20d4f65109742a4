"""Keras archives: weights read where they lie, and what no Keras has written."""

import io
import json
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from keras_files import called, dense, functional, layer, sequential

from nninvert import formats
from nninvert.errors import FormatError, LimitError
from nninvert.formats import keras_archive
from nninvert.formats.keras_tree import snake_case
from nninvert.linalg.file_matrix import FileMatrix
from nninvert.linalg.hdf5_matrix import Hdf5Matrix

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


def tree(arrays, names=None, **how):
    """A weights file in memory: {"layers/dense": [kernel, bias]}."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for path, values in arrays.items():
            group = file.create_group(f"{path}/vars")
            if names:
                group.attrs["name"] = names[path]
            for k, value in enumerate(values):
                group.create_dataset(str(k), data=value, **how)
    return stream.getvalue()


def archive(path, config, weights, method=zipfile.ZIP_STORED, version="3.8.0", **more):
    """Write an archive; `more` adds or replaces members, None leaves them out."""
    members = {
        METADATA: json.dumps({"keras_version": version}),
        CONFIG: json.dumps(config),
        WEIGHTS: weights,
        **more,
    }
    with zipfile.ZipFile(path, "w", method) as made:
        for name, content in members.items():
            if content is not None:
                made.writestr(name, content)
    return str(path)


@pytest.fixture
def parts(rng):
    """Two layers from 3 to 4 to 2, and their arrays."""
    shapes = ((3, 4), (4,), (4, 2), (2,))
    values = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    config = sequential([dense("one", 4, "tanh"), dense("two", 2)], (3,))
    return config, values


def by_hand(values, x):
    w1, b1, w2, b2 = (value.astype(np.float64) for value in values)
    return np.tanh(x @ w1 + b1) @ w2 + b2


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_groups_are_named_by_class_and_number(parts, tmp_path, method, rng):
    config, values = parts
    weights = tree({"layers/dense": values[:2], "layers/dense_1": values[2:]})
    net = formats.load(archive(tmp_path / "m.keras", config, weights, method))
    x = rng.standard_normal((5, 3))
    np.testing.assert_allclose(net.forward(x), by_hand(values, x), rtol=1e-14)
    assert net.source.format == "Keras 3 archive"


@pytest.mark.parametrize("chunks", [None, (40, 100)])
def test_large_weights_stay_in_the_archive(tmp_path, rng, chunks):
    kernel = rng.standard_normal((600, 600)).astype(np.float32)
    config = sequential([dense("one", 600, use_bias=False)], (600,))
    weights = tree({"layers/dense": [kernel]}, chunks=chunks)
    net = formats.load(archive(tmp_path / "m.keras", config, weights))
    base = net.graph.nodes[0].layer.weights()["kernel"].columns_together.transposed
    assert isinstance(base, Hdf5Matrix if chunks else FileMatrix)
    np.testing.assert_array_equal(base.to_float64(), kernel)
    np.testing.assert_array_equal(base.read(slice(7, 90), slice(5, 6)), kernel[7:90, 5:6])


def test_compressed_weights_are_unpacked_into_memory(tmp_path, rng):
    kernel = rng.standard_normal((600, 600)).astype(np.float32)
    config = sequential([dense("one", 600, use_bias=False)], (600,))
    path = archive(
        tmp_path / "m.keras",
        config,
        tree({"layers/dense": [kernel]}),
        zipfile.ZIP_DEFLATED,
    )
    net = formats.load(path)
    Path(path).unlink()
    np.testing.assert_array_equal(net.forward(np.eye(600)), kernel)


def test_nested_models_repeat_the_tree(tmp_path, rng):
    inner = functional([called(dense("deep", 2, "tanh"), "i")], {"i": (3,)}, ["deep"])
    inner["config"]["name"] = "core"
    outer = functional(
        [called(inner, "x"), called(dense("head", 2), "core")], {"x": (3,)}, ["head"]
    )
    values = [rng.standard_normal(s).astype(np.float32) for s in ((3, 2), 2, (2, 2), 2)]
    weights = tree(
        {"layers/functional/layers/dense": values[:2], "layers/dense": values[2:]}
    )
    net = formats.load(archive(tmp_path / "m.keras", outer, weights))
    x = rng.standard_normal((4, 3))
    np.testing.assert_allclose(net.forward(x), by_hand(values, x), rtol=1e-14)


def test_what_groups_say_of_their_layer_is_compared(parts, tmp_path):
    config, values = parts
    arrays = {"layers/dense": values[:2], "layers/dense_1": values[2:]}
    right = {"layers/dense": "one", "layers/dense_1": "two"}
    wrong = {"layers/dense": "two", "layers/dense_1": "one"}
    formats.load(archive(tmp_path / "m.keras", config, tree(arrays, right)))
    with pytest.raises(FormatError, match="the arrays of a layer 'two'"):
        formats.load(archive(tmp_path / "n.keras", config, tree(arrays, wrong)))


def test_operations_do_not_count_as_layers(tmp_path, rng):
    operation = called(layer("NotEqual", "op"), "one")
    operation["module"] = "keras.src.ops.numpy"
    model = functional(
        [called(dense("one", 2), "x"), operation, called(dense("two", 2), "one")],
        {"x": (2,)},
        ["two"],
    )
    values = [rng.standard_normal(s).astype(np.float32) for s in ((2, 2), 2, (2, 2), 2)]
    weights = tree({"layers/dense": values[:2], "layers/dense_1": values[2:]})
    path = archive(tmp_path / "m.keras", model, weights)
    described = formats.describe(path)
    assert described.layers[-1].where == "/layers/dense_1/vars/0"


@pytest.mark.parametrize(
    ("class_name", "name"),
    [
        ("Dense", "dense"),
        ("PReLU", "p_re_lu"),
        ("ReLU", "re_lu"),
        ("LSTM", "lstm"),
        ("Conv2DTranspose", "conv2d_transpose"),
        ("BatchNormalization", "batch_normalization"),
        ("My>QDense", "q_dense"),
        ("TimeDistributed", "time_distributed"),
    ],
)
def test_class_names_as_keras_spells_them(class_name, name):
    assert snake_case(class_name) == name


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({WEIGHTS: None}, "'model.weights.h5': got no such member"),
        ({WEIGHTS: None, "model.weights.json": "{}"}, "got model.weights.json"),
        ({METADATA: None}, "'metadata.json': got no such member"),
        ({METADATA: "{}"}, "keras_version"),
        ({CONFIG: "[1]"}, "config.json: got JSON of type list"),
        ({WEIGHTS: b"nothing"}, "damaged or unusual HDF5"),
        ({"../x": "1"}, "a way out of the archive"),
    ],
)
def test_archives_that_are_none(parts, tmp_path, more, match):
    config, values = parts
    weights = tree({"layers/dense": values[:2], "layers/dense_1": values[2:]})
    with pytest.raises(FormatError, match=match):
        formats.load(archive(tmp_path / "m.keras", config, weights, **more))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_weights_that_lead_beyond_all_files(parts, tmp_path, method):
    """The address of the root's object header, in its symbol table entry."""
    config, values = parts
    weights = bytearray(tree({"layers/dense": values[:2], "layers/dense_1": values[2:]}))
    weights[64:72] = (2**63 - 8).to_bytes(8, "little")
    with pytest.raises(FormatError, match="damaged or unusual HDF5"):
        formats.load(archive(tmp_path / "m.keras", config, bytes(weights), method))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_free_blocks_that_lead_round(parts, tmp_path, method):
    """Addresses count from the beginning of the weights, not of the archive."""
    config, values = parts
    weights = bytearray(tree({"layers/dense": values[:2], "layers/dense_1": values[2:]}))
    heap = weights.index(b"HEAP")
    free, segment = struct.unpack_from("<QQ", weights, heap + 16)
    struct.pack_into("<Q", weights, segment + free, free)
    with pytest.raises(FormatError, match="damaged HDF5: the heap of names at byte"):
        formats.load(archive(tmp_path / "m.keras", config, bytes(weights), method))


def test_a_member_said_to_begin_beyond_the_file(parts, tmp_path):
    """A header's offset in 64 bits, as the directory of a large archive may say it."""
    weights = tree({"layers/dense": parts[1][:2], "layers/dense_1": parts[1][2:]})
    path = Path(archive(tmp_path / "m.keras", parts[0], weights))
    with zipfile.ZipFile(path, "a") as changed:
        info = changed.getinfo(WEIGHTS)
        info.header_offset = 2**64 - 2
        changed._didModify = True
    with pytest.raises(FormatError, match="a header at byte 18,446,744,073,709,551,614"):
        formats.load(str(path))


def test_a_description_that_is_too_long(parts, tmp_path, monkeypatch):
    monkeypatch.setattr(keras_archive, "MAX_JSON_BYTES", 100)
    config, values = parts
    with pytest.raises(LimitError, match="at most 100 bytes of JSON"):
        formats.load(archive(tmp_path / "m.keras", config, tree({"layers/dense": values})))


@pytest.mark.parametrize(
    ("arrays", "match"),
    [
        ({"other": [1.0]}, "no group 'layers'"),
        ({"layers/dense": [np.ones((3, 4))]}, "got 1 arrays"),
        ({"layers/dense": [np.ones((3, 4)), np.ones(5)]}, "expected \\(4,\\)"),
    ],
)
def test_weights_of_another_model(parts, tmp_path, arrays, match):
    with pytest.raises(FormatError, match=match):
        formats.load(archive(tmp_path / "m.keras", parts[0], tree(arrays)))


def test_arrays_without_numbers_as_names(parts, tmp_path):
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["layers/dense/vars/kernel"] = np.ones((3, 4))
    with pytest.raises(FormatError, match="arrays named 0, 1, 2"):
        formats.load(archive(tmp_path / "m.keras", parts[0], stream.getvalue()))
