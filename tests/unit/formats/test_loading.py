"""Choosing a reader, refusing what is no model, parts of a network, arrays in memory."""

import os
import zipfile

import h5py
import numpy as np
import pytest
from keras_files import dense, draw, forward, layer, sequential, write

from nninvert import formats
from nninvert.errors import DataError, FormatError, InputError, ShapeError, UsageError
from nninvert.formats import ReadOptions, from_arrays
from nninvert.layers.activations import Tanh

X = np.linspace(-1.0, 1.0, 8).reshape(2, 4)


def _zip(path, *names):
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x")


IMPOSTORS = {
    "empty.h5": (b"", "an empty file"),
    "model.onnx": (b"\x08\x07\x12\x07pytorch", "0 graphs in one model"),
    "m.pt": (b"\x80\x02\x8a\nl\xfc\x9c", "a pickle.*never unpickles"),
    "x.npy": (b"\x93NUMPY\x01\x00", "one NumPy array"),
    "arch.json": (b'{"class_name": "Sequential"}', "JSON\\) without weights.*load_weights"),
    "other.json": (b'{"a": 1}', "JSON, but no model"),
    "readme.h5": (b"hello\n", "a text file"),
    "page.h5": (b"<!DOCTYPE html><html>", "a web page"),
    "lfs.onnx": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "lite.h5": (b"\x1c\x00\x00\x00TFL3\x14", "TensorFlow Lite"),
    "noise.h5": (bytes(range(200, 256)), "first bytes c8 c9 ca"),
    "cut.npz": (b"PK\x03\x04\x14\x00", "cut off or damaged"),
}


@pytest.mark.parametrize("name", IMPOSTORS)
def test_what_is_no_model_is_called_by_its_name(tmp_path, name):
    data, match = IMPOSTORS[name]
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(FormatError, match=match) as caught:
        formats.load(str(path))
    assert caught.value.file == str(path)


@pytest.mark.parametrize(
    ("members", "match"),
    [
        (("a.txt", "b.txt"), "a zip archive with a.txt, b.txt"),
        ((), "an empty zip archive"),
    ],
)
def test_archives_are_told_apart_by_their_members(tmp_path, members, match):
    path = tmp_path / "model.npz"
    _zip(path, *members)
    with pytest.raises(FormatError, match=match):
        formats.load(str(path))


def test_missing_files_folders_and_streams(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        formats.load(str(tmp_path / "no.h5"))
    with pytest.raises(InputError, match="a directory"):
        formats.load(str(tmp_path))
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(FormatError, match="SavedModel"):
        formats.load(str(tmp_path))
    with pytest.raises(UsageError, match="MODEL: got -"):
        formats.load("-")


def test_a_pipe_is_not_waited_for(tmp_path):
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    with pytest.raises(InputError, match="a pipe or a device"):
        formats.load(path)


def test_content_decides_and_not_the_name(tmp_path):
    path = tmp_path / "model.npz"
    write(path, sequential([dense("a", 3)], (4,)), {"a": draw((4, 3), (3,))})
    assert formats.load(str(path)).source.format == "Keras 2 HDF5"


def test_a_truncated_model(tmp_path):
    path = tmp_path / "m.h5"
    write(path, sequential([dense("a", 30)], (40,)), {"a": draw((40, 30), (30,))})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(FormatError, match="a truncated HDF5 file"):
        formats.load(str(path))


def test_the_table_of_formats():
    rows = formats.known_formats()
    assert [row.name for row in rows] == [reader.name for reader in formats.READERS]
    assert all(row.suffixes and row.reads for row in rows)


K = draw((4, 4), (4, 4), (4, 4))


def _three(tmp_path):
    layers = [dense(name, 4, "tanh", use_bias=False) for name in ("a", "b", "c")]
    weights = dict(zip("abc", ([k] for k in K), strict=True))
    return write(tmp_path / "m.h5", sequential(layers, (4,)), weights)


@pytest.mark.parametrize(
    ("first", "until", "taken"),
    [
        (None, None, [0, 1, 2]),
        ("b", None, [1, 2]),
        (None, "1", [0, 1]),
        ("b", "b", [1]),
        ("2", "c", [2]),
    ],
)
def test_parts_by_name_and_index_as_slices_are(tmp_path, first, until, taken):
    path = _three(tmp_path)
    net = formats.load(path, ReadOptions(first=first, until=until))
    expected = X
    for k in taken:
        expected = np.tanh(expected @ K[k].astype(float))
    np.testing.assert_allclose(forward(net, X), expected, rtol=1e-13)
    sliced = formats.load(path).slice(first, until)
    assert np.array_equal(sliced.forward(X), net.forward(X))


def test_parts_that_are_not_there(tmp_path):
    path = _three(tmp_path)
    with pytest.raises(
        UsageError, match="--until: got 'z', expected a layer: 0 'a', 1 'b', 2 'c'"
    ):
        formats.load(path, ReadOptions(until="z"))
    with pytest.raises(UsageError, match="--from: got '3'"):
        formats.load(path, ReadOptions(first="3"))
    with pytest.raises(UsageError, match="got 'c', which does not lead to 'a'"):
        formats.load(path, ReadOptions(first="c", until="a"))


def test_a_nested_model_is_a_part(tmp_path):
    def inner(name):
        made = sequential([dense("d", 4, use_bias=False), layer("Dropout", "drop")], (4,))
        made["config"]["name"] = name
        return made

    weights = {"encoder": [K[0]], "decoder": [K[1]]}
    path = write(
        tmp_path / "m.h5", sequential([inner("encoder"), inner("decoder")]), weights
    )
    for until in ("encoder", "0", "encoder/drop", "0.1"):
        net = formats.load(path, ReadOptions(until=until))
        np.testing.assert_allclose(forward(net, X), X @ K[0].astype(float), rtol=1e-13)
    net = formats.load(path, ReadOptions(first="decoder"))
    np.testing.assert_allclose(forward(net, X), X @ K[1].astype(float), rtol=1e-13)
    with pytest.raises(UsageError, match=r"expected a layer: 0.0 'encoder/d'"):
        formats.load(path, ReadOptions(until="d"))


def test_a_name_that_stands_for_two_layers(tmp_path):
    layers = [
        dense("a", 4, use_bias=False),
        layer("Activation", "s", activation="tanh"),
    ] * 2
    path = write(tmp_path / "m.h5", sequential(layers, (4,)), {"a": [K[0]], "s": []})
    with pytest.raises(UsageError, match=r"stands for 0 'a' and 2 'a'.*--from 0"):
        formats.load(path, ReadOptions(first="a"))


def test_arrays_in_memory():
    w1, w2 = (k.astype(float) for k in K[:2])
    net = from_arrays([(w1, None, "tanh"), (w2, np.ones(4), None)], names=["in", "out"])
    np.testing.assert_allclose(forward(net, X), np.tanh(X @ w1.T) @ w2.T + 1.0, rtol=1e-13)
    assert [group[0].name for group in net.layers] == ["in", "out"]
    turned = from_arrays([(w1, None, Tanh())], orientation="in,out")
    np.testing.assert_allclose(forward(turned, X), np.tanh(X @ w1), rtol=1e-13)
    assert [group[0].name for group in from_arrays([(w1, None, None)] * 2).layers] == [
        "dense",
        "dense_1",
    ]
    assert from_arrays([(w1, None, "softmax")]).graph.nodes[1].layer.kind == "softmax"


W = np.ones((3, 4))


@pytest.mark.parametrize(
    ("layers", "more", "error", "match"),
    [
        ([], {}, UsageError, "layers: got none"),
        ([(W, None, "tan")], {}, UsageError, "'dense' > activation: got 'tan'"),
        ([(W, None, None), (W, None, None)], {}, ShapeError, "expected"),
        ([(W, np.ones(4), None)], {}, ShapeError, r"layer 0 'dense' > bias"),
        ([(np.ones(3), None, None)], {}, ShapeError, r"W: got shape \(3,\)"),
        ([(W.astype(str), None, None)], {}, DataError, "expected real numbers"),
        ([(W, None, None)], {"orientation": "rows"}, UsageError, "out,in or in,out"),
        ([(W, None, None)], {"names": []}, UsageError, "names: got 0, expected 1"),
    ],
)
def test_arrays_that_are_no_network(layers, more, error, match):
    with pytest.raises(error, match=match):
        from_arrays(layers, **more)


def test_a_damaged_hdf5_name(tmp_path):
    """A name that is not UTF-8 must end in an error of ours."""
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(b"W\xff1", data=np.eye(2))
    with pytest.raises(FormatError):
        formats.load(str(path), ReadOptions(activations="tanh"))
