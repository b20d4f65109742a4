"""Damaged model files end in an error of ours, whatever byte was hit."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from nninvert import formats
from nninvert.errors import NninvertError
from nninvert.formats import ReadOptions

FORMATS = Path(__file__).parents[1] / "formats"
DATA, ONNX = FORMATS / "data", FORMATS / "onnx_data"
TRIES = 60

FILES = {
    "keras1_theano_sequential.h5": ReadOptions(),
    "keras3_nested_frozen.h5": ReadOptions(),
    "keras3_nested_frozen.keras": ReadOptions(),
    "tf215_activations.h5": ReadOptions(),
    "tf215_weights_only.h5": ReadOptions(activations="tanh"),
    "torch_sequential.npz": ReadOptions(activations="tanh"),
    "torch_checkpoint.pt": ReadOptions(activations="tanh"),
    "torch_checkpoint_legacy.pt": ReadOptions(activations="tanh"),
    "torch_normal_old.onnx": ReadOptions(),
    "sklearn_classifier.onnx": ReadOptions(),
    "torch_up_new.onnx": ReadOptions(),
}


@pytest.fixture(autouse=True)
def little_memory():
    """A damaged length of a text makes the HDF5 library clear up to 4 GiB; not here."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + (1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _survives(path, options):
    """Read and describe; only what nninvert raises on purpose may come out."""
    for attempt in (formats.load, formats.describe):
        with suppress(NninvertError):
            attempt(str(path), options)


def _own(path):
    net = formats.load(str(DATA / "keras3_nested_frozen.h5"))
    formats.save(net, str(path))
    return path.read_bytes()


def _original(name, tmp_path):
    if name.startswith("own"):
        return _own(tmp_path / name)
    return ((ONNX if name.endswith(".onnx") else DATA) / name).read_bytes()


CASES = pytest.mark.parametrize("name", [*FILES, "own.npz", "own.h5"])


@CASES
def test_truncated(name, tmp_path):
    data = _original(name, tmp_path)
    path = tmp_path / f"cut_{name}"
    rng = np.random.default_rng(0)
    for end in [0, 1, 8, 100, *rng.integers(0, len(data), TRIES // 4)]:
        path.write_bytes(data[:end])
        _survives(path, FILES.get(name, ReadOptions()))


@CASES
@pytest.mark.parametrize("seed", range(2))
def test_bytes_flipped(name, seed, tmp_path):
    data = _original(name, tmp_path)
    path = tmp_path / f"flipped_{name}"
    rng = np.random.default_rng(seed)
    for _ in range(TRIES // 2):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 12)):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        _survives(path, FILES.get(name, ReadOptions()))


@CASES
def test_text_damaged(name, tmp_path):
    """Hit the descriptions, which are a small part of the bytes."""
    data = _original(name, tmp_path)
    path = tmp_path / f"text_{name}"
    rng = np.random.default_rng(3)
    places = [k for k in range(len(data)) if data[k : k + 1] in b'"[{,:0123456789nt']
    letters = b'"[{}],:0123456789-.ntf '
    for _ in range(TRIES):
        damaged = bytearray(data)
        for place in rng.choice(places, rng.integers(1, 4)):
            damaged[place] = letters[rng.integers(len(letters))]
        path.write_bytes(damaged)
        _survives(path, FILES.get(name, ReadOptions()))
