"""Keras 3 weights that lie in several files."""

import json

import h5py
import numpy as np
import pytest
from keras_files import dense, layer, sequential

from nninvert import formats
from nninvert.errors import FormatError, InputError, LimitError, UsageError
from nninvert.formats import ReadOptions, keras_shards


def shard(path, arrays, names=None):
    """One file of a tree: {"dense": {"0": kernel}}."""
    with h5py.File(path, "w") as file:
        for group, values in arrays.items():
            place = file.create_group(f"layers/{group}/vars")
            if names and group in names:
                place.attrs["name"] = names[group]
            for key, value in values.items():
                place[key] = value


@pytest.fixture
def values(rng):
    shapes = ((3, 4), (4,), (4, 2), (2,))
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


@pytest.fixture
def listed(tmp_path, values):
    """A kernel in one file and its bias in the next, as a full shard leaves it."""
    first, second = {"0": values[0]}, {"1": values[1]}
    shard(tmp_path / "m_00000.weights.h5", {"dense": first}, {"dense": "one"})
    head = {"0": values[2], "1": values[3]}
    shard(
        tmp_path / "m_00001.weights.h5",
        {"dense": second, "dense_1": head, "dropout": {}},
        {"dense_1": "two"},
    )
    both = ["m_00000.weights.h5", "m_00001.weights.h5"]
    return write(
        tmp_path, {"/layers/dense/vars": both, "/layers/dense_1/vars": "m_00001.weights.h5"}
    )


def write(folder, weight_map):
    path = folder / "m.weights.json"
    index = {"metadata": {"total_size": 104.0}, "weight_map": weight_map}
    path.write_text(json.dumps(index))
    return str(path)


def config(folder):
    layers = [dense("one", 4, "tanh"), layer("Dropout", "d"), dense("two", 2)]
    path = folder / "c.json"
    path.write_text(json.dumps(sequential(layers, (3,))))
    return ReadOptions(config=str(path))


def by_hand(values, x):
    w1, b1, w2, b2 = (value.astype(np.float64) for value in values)
    return np.tanh(x @ w1 + b1) @ w2 + b2


def test_the_files_are_one_tree(listed, values, tmp_path, rng):
    net = formats.load(listed, config(tmp_path))
    x = rng.standard_normal((5, 3))
    np.testing.assert_allclose(net.forward(x), by_hand(values, x), rtol=1e-14)
    assert net.source.format.startswith("Keras 3 weights in shards")
    where = [item.where for item in formats.describe(listed, config(tmp_path)).layers]
    assert where == ["/layers/dense/vars/0", "", "/layers/dense_1/vars/0"]


def test_dense_layers_alone_are_bare_weights(listed, values, rng):
    net = formats.load(listed, ReadOptions(activations="tanh,linear"))
    x = rng.standard_normal((5, 3))
    np.testing.assert_allclose(net.forward(x), by_hand(values, x), rtol=1e-14)
    with pytest.raises(UsageError, match="--activations"):
        formats.load(listed)


def test_a_shard_that_is_missing(listed, tmp_path):
    (tmp_path / "m_00001.weights.h5").unlink()
    with pytest.raises(InputError, match=r"m_00001\.weights\.h5: got no such file"):
        formats.load(listed, config(tmp_path))


@pytest.mark.parametrize("content", ["nothing", ""])
def test_a_shard_that_is_no_hdf5(listed, tmp_path, content):
    (tmp_path / "m_00001.weights.h5").write_text(content)
    with pytest.raises(FormatError, match=r"m_00001\.weights\.h5"):
        formats.load(listed, config(tmp_path))


def test_an_array_in_two_shards(listed, values, tmp_path):
    shard(tmp_path / "m_00000.weights.h5", {"dense": {"0": values[0], "1": values[1]}})
    with pytest.raises(FormatError, match="expected arrays named 0, 1, 2"):
        formats.load(listed, config(tmp_path))


@pytest.mark.parametrize(
    "name",
    ["../m.weights.h5", "/etc/m.weights.h5", "a\\m.weights.h5", "\0.weights.h5", "m.h5", 3],
)
def test_only_files_in_the_same_folder(tmp_path, name):
    path = write(tmp_path, {"a": ["m_0.weights.h5", name]})
    with pytest.raises(FormatError, match=r"weight_map: got .*same folder"):
        formats.load(path, ReadOptions(activations="tanh"))


def test_more_shards_than_can_be_open(tmp_path, monkeypatch):
    monkeypatch.setattr(keras_shards, "MAX_SHARDS", 2)
    path = write(tmp_path, {str(k): f"m_{k}.weights.h5" for k in range(3)})
    with pytest.raises(LimitError, match="got 3 files, expected at most 2"):
        formats.load(path, ReadOptions(activations="tanh"))


def test_json_that_lists_no_files(tmp_path):
    (tmp_path / "m.json").write_text('{"weight_map": {}, "about": ".weights.h5"}')
    with pytest.raises(FormatError, match="weight_map: got no files"):
        formats.load(str(tmp_path / "m.json"), ReadOptions(activations="tanh"))
