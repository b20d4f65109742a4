"""safetensors: what is read, where large arrays stay, and headers that lie."""

import json

import numpy as np
import pytest

from nninvert import formats
from nninvert.errors import FormatError, LimitError
from nninvert.formats import ReadOptions
from nninvert.linalg.file_matrix import FileMatrix

READ = ReadOptions(activations="tanh,linear")
NAMES = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64"}


def written(path, arrays, metadata=None, **changes):
    """Write arrays; `changes` replaces entries of the header, None takes one out."""
    header, parts, end = {}, [], 0
    if metadata:
        header["__metadata__"] = metadata
    for name, (kind, shape, raw) in arrays.items():
        header[name] = {
            "dtype": kind,
            "shape": shape,
            "data_offsets": [end, end + len(raw)],
        }
        end += len(raw)
        parts.append(raw)
    for name, change in changes.items():
        header[name] = {**header.get(name, {}), **change}
    text = json.dumps(header).encode() + b"   "
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts))
    return str(path)


def stored(values):
    return NAMES[values.dtype.name], list(values.shape), values.tobytes()


@pytest.fixture
def state(rng):
    shapes = {"0.weight": (4, 3), "0.bias": (4,), "2.weight": (2, 4), "2.bias": (2,)}
    return {
        name: rng.standard_normal(shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def test_a_state_dict_of_torch(state, tmp_path, rng):
    arrays = {name: stored(values) for name, values in state.items()}
    arrays["1.num_batches_tracked"] = stored(np.array(7))
    net = formats.load(written(tmp_path / "m.safetensors", arrays, {"format": "pt"}), READ)
    x = rng.standard_normal((5, 3))
    w = {name: values.astype(np.float64) for name, values in state.items()}
    hidden = np.tanh(x @ w["0.weight"].T + w["0.bias"])
    np.testing.assert_allclose(
        net.forward(x), hidden @ w["2.weight"].T + w["2.bias"], rtol=1e-14
    )
    assert net.source.format == "safetensors"
    assert any("num_batches_tracked" in note for note in net.source.notes)


@pytest.mark.parametrize("kind", ["F64", "F16", "BF16"])
def test_other_types(kind, tmp_path):
    exact = np.array([[1.0, -2.0], [0.5, 3.0]])
    raw = {
        "F64": exact.tobytes(),
        "F16": exact.astype(np.float16).tobytes(),
        "BF16": (exact.astype(np.float32).view(np.uint32) >> 16).astype("<u2").tobytes(),
    }[kind]
    path = written(tmp_path / "m.safetensors", {"weight": (kind, [2, 2], raw)})
    net = formats.load(path, ReadOptions(activations="tanh", orientation="out,in"))
    np.testing.assert_array_equal(net.forward(np.eye(2)), np.tanh(exact.T))


def test_large_matrices_stay_in_the_file(tmp_path, rng):
    values = rng.standard_normal((600, 500)).astype(np.float32)
    path = written(tmp_path / "m.safetensors", {"fc.weight": stored(values)})
    net = formats.load(path, ReadOptions(activations="tanh"))
    matrix = net.graph.nodes[0].layer.linear_part[0].matrix
    assert isinstance(matrix, FileMatrix)
    np.testing.assert_array_equal(matrix.to_float64(), values)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"w": {"dtype": "F8"}}, "got type 'F8'"),
        ({"w": {"shape": [2, 3]}}, "'w': got 16 bytes, expected 24"),
        ({"w": {"shape": [-2, -2]}}, "shape \\[-2, -2\\]"),
        ({"w": {"shape": [10**18] * 60}}, "'w': got 16 bytes, expected 4,000,"),
        ({"w": {"shape": [10**19]}}, "got shape"),
        ({"w": {"shape": [1] * 65}}, "got shape"),
        ({"w": {"data_offsets": [16, 0]}}, "data_offsets"),
        ({"w": {"data_offsets": [4, 20]}}, "byte 4, expected byte 0, where 'the header'"),
        (
            {"v": {"dtype": "F32", "shape": [1], "data_offsets": [16, 20]}},
            "got 16 bytes of numbers, expected 20",
        ),
    ],
)
def test_headers_that_lie(tmp_path, changes, match):
    arrays = {"w": stored(np.ones((2, 2), np.float32))}
    with pytest.raises(FormatError, match=match):
        formats.load(written(tmp_path / "m.safetensors", arrays, **changes), READ)


def test_a_header_longer_than_the_file(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes((60).to_bytes(8, "little") + b'{"a":1}')
    with pytest.raises(LimitError, match="60 bytes in a file of 15"):
        formats.load(str(path), READ)


def test_no_weights_in_it(tmp_path):
    path = written(tmp_path / "m.safetensors", {"count": stored(np.array([1, 2]))})
    with pytest.raises(FormatError, match="no array of floating-point numbers"):
        formats.load(path, READ)
