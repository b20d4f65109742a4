"""nninvert's own files: the same numbers to the bit, whole or not at all."""

import json

import h5py
import numpy as np
import pytest

from nninvert import formats
from nninvert.errors import FormatError, OutputError, UnsupportedLayerError, UsageError
from nninvert.formats import ReadOptions
from nninvert.layers import BatchNormalization, Dense, Elementwise, Graph, Node, Rescaling
from nninvert.layers.activations import HardSigmoid, ReLU
from nninvert.linalg.file_matrix import FileMatrix
from nninvert.linalg.stored import ArrayMatrix, StoredMatrix
from nninvert.network import Network, Source

SUFFIXES = pytest.mark.parametrize("suffix", [".npz", ".h5", ".hdf5"])


def _network():
    """Every stored type, a nested graph, arrays with two axes that are no matrices."""
    rng = np.random.default_rng(1)
    kernel = rng.normal(size=(4, 4)).astype(">f4")
    inner = Graph(
        (4,),
        [
            Node(Dense((4,), ArrayMatrix(kernel), None), "0", "d", "Dense"),
            Node(Elementwise((4,), HardSigmoid(1 / 6)), "0", "d", "Dense"),
            Node(Rescaling((4,), np.full(4, 0.1), np.array(-1.0)), "1", "r", "Rescaling"),
        ],
    )
    half = rng.normal(size=(4, 3)).astype(np.float16)
    statistics = {k: rng.uniform(1, 2, 3).astype(np.float32) for k in ("mean", "variance")}
    nodes = [
        Node(inner, "0", "inner", "Functional"),
        Node(
            Dense((4,), ArrayMatrix(half).transposed, rng.normal(size=3)),
            "1",
            "out",
            "Dense",
        ),
        Node(Elementwise((3,), ReLU(0.1, None, 0.0)), "1", "out", "Dense"),
        Node(
            BatchNormalization((3,), statistics, 1e-3, (0,)),
            "2",
            "bn",
            "BatchNormalization",
        ),
    ]
    source = Source("m.h5", "Keras 3 HDF5", ("a note",))
    return Network.of_graph(Graph((4,), nodes), source, ("temperature", "yield"))


@SUFFIXES
def test_round_trip(tmp_path, suffix):
    net, path = _network(), str(tmp_path / f"m{suffix}")
    formats.save(net, path)
    again = formats.load(path)
    x = np.random.default_rng(2).normal(size=(5, 4))
    assert np.array_equal(again.forward(x), net.forward(x))
    assert again.graph.config() == net.graph.config()
    for name, values in net.graph.weights().items():
        read = again.graph.weights()[name]
        assert read.dtype == values.dtype.newbyteorder("=")
        assert read.shape == values.shape
    assert (again.inputs, again.outputs) == (net.inputs, net.outputs)
    assert again.source.notes == ("a note",)
    assert again.source.format.startswith("nninvert")


@SUFFIXES
def test_round_trip_of_parts_and_repeats(tmp_path, suffix):
    net, path = (
        _network().slice("inner/d", "inner/r").repeat(2),
        str(tmp_path / f"m{suffix}"),
    )
    formats.save(net, path)
    again = formats.load(path)
    x = np.random.default_rng(2).normal(size=(5, 4))
    assert np.array_equal(again.forward(x), net.forward(x))
    assert [g[0].index for g in again.layers] == [g[0].index for g in net.layers]
    half = formats.load(path, ReadOptions(until="pass_0"))
    assert np.array_equal(half.forward(x), _network().graph.nodes[0].layer.forward(x))


@SUFFIXES
def test_description(tmp_path, suffix):
    path = str(tmp_path / f"m{suffix}")
    formats.save(_network(), path)
    found = formats.describe(path)
    assert [
        (i.index, i.name, i.label, i.parameters, i.activation) for i in found.layers
    ] == [
        ("0.0", "inner/d", "Dense", 16, "hard_sigmoid"),
        ("0.1", "inner/r", "Rescaling", 5, ""),
        ("1", "out", "Dense", 15, "relu"),
        ("2", "bn", "BatchNormalization", 6, ""),
    ]


def test_large_matrices_stay_in_the_file(tmp_path):
    kernel = np.random.default_rng(1).normal(size=(400, 500))
    net = formats.from_arrays([(kernel, None, None)], orientation="out,in")
    for name in ("m.npz", "m.h5"):
        path = str(tmp_path / name)
        formats.save(net, path)
        matrix = formats.load(path).graph.nodes[0].layer.matrix
        assert isinstance(matrix.transposed, FileMatrix)
        np.testing.assert_array_equal(matrix.to_float64(), kernel)


def test_npz_is_plain_numpy(tmp_path):
    path = str(tmp_path / "m.npz")
    formats.save(_network(), path)
    with np.load(path) as file:
        document = json.loads(file["nninvert"].tobytes())
        assert document["schema"] == "nninvert.model/1"
        assert file["1/kernel"].dtype == np.float16


def test_other_names_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"ends in \.h5, \.hdf5 or \.npz"):
        formats.save(_network(), str(tmp_path / "m.onnx"))
    assert not list(tmp_path.iterdir())


def test_nothing_half_written_is_left(tmp_path, monkeypatch):
    target = tmp_path / "m.npz"
    target.write_bytes(b"before")

    def fail(self):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(StoredMatrix, "blocks", fail)
    with pytest.raises(OutputError, match="full disk"):
        formats.save(formats.from_arrays([(np.eye(3), None, None)]), str(target))
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def _with_document(tmp_path, change):
    path = str(tmp_path / "m.h5")
    formats.save(_network(), path)
    with h5py.File(path, "a") as file:
        document = json.loads(file.attrs["nninvert"])
        made = change(document)
        file.attrs["nninvert"] = made if isinstance(made, str) else json.dumps(document)
    return path


DAMAGED = {
    "not JSON": (lambda d: "{", "not JSON"),
    "another schema": (lambda d: d.update(schema="nninvert.model/9"), "nninvert.model/1"),
    "no graph": (lambda d: d.pop("graph") and None, "does not fit"),
    "no config": (lambda d: d["graph"]["nodes"][1].pop("config") and None, "does not fit"),
    "nodes no list": (lambda d: d["graph"].update(nodes=3), "does not fit"),
    "no shape": (lambda d: d["input"].pop("shape") and None, "shape: got nothing"),
    "no weights": (
        lambda d: d["graph"]["nodes"].insert(0, d["graph"]["nodes"][1]),
        "fit|expected",
    ),
    "a negative shape": (
        lambda d: d["input"].update(shape=[-1, -3]),
        r"input > shape: got \(-1, -3\), expected lengths above 0",
    ),
    "matrices": (lambda d: d.update(matrices=[[1]]), "does not fit"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_descriptions(tmp_path, case):
    change, match = DAMAGED[case]
    path = _with_document(tmp_path, change)
    with pytest.raises(FormatError, match=match) as caught:
        formats.load(path)
    assert caught.value.file == path


def test_arrays_in_a_data_set_instead_of_a_group(tmp_path):
    path = _with_document(tmp_path, lambda d: None)
    with h5py.File(path, "a") as file:
        del file["weights"]
        file["weights"] = np.ones(3)
    with pytest.raises(FormatError, match="'/weights': got a data set, expected a group"):
        formats.load(path)


def test_a_graph_without_nodes(tmp_path):
    """Its output is its input, which is described and cannot be a network."""

    def empty(document):
        document["graph"]["nodes"] = []
        document["output"]["shape"] = document["input"]["shape"]

    path = _with_document(tmp_path, empty)
    told = formats.describe(path)
    assert (told.layers, told.inputs) == ((), told.outputs)
    with pytest.raises(FormatError, match="layers: got none"):
        formats.load(path)


def test_a_kind_of_a_later_version(tmp_path):
    path = _with_document(tmp_path, lambda d: d["graph"]["nodes"][1].update(kind="lstm"))
    with pytest.raises(UnsupportedLayerError, match="layer 1 'out' > kind: got 'lstm'"):
        formats.load(path)
