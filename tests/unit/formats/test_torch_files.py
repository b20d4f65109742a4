"""PyTorch files: state dicts as torch.save wrote them, and pickles that are code."""

import io
import pickletools
import zipfile
from pathlib import Path

import numpy as np
import pytest

from nninvert import formats
from nninvert.errors import FormatError, LimitError
from nninvert.formats import ReadOptions, torch_zip
from nninvert.formats.torch_pickle import Opaque, read_pickle, tensors_of
from nninvert.linalg.file_matrix import FileMatrix

DATA = Path(__file__).parents[2] / "formats" / "data"
READ = ReadOptions(activations="tanh,linear")


@pytest.mark.parametrize(
    ("name", "activations"),
    [
        ("torch_sequential", "tanh,leaky_relu:0.01,linear"),
        ("torch_no_bias", "sigmoid,linear"),
        ("torch_twelve", "tanh"),
    ],
)
def test_what_torch_saved_is_what_torch_computes(name, activations):
    net = formats.load(str(DATA / f"{name}.pt"), ReadOptions(activations=activations))
    golden = np.load(DATA / f"{name}_golden.npz")
    np.testing.assert_allclose(net.forward(golden["x"]), golden["y"], rtol=0, atol=1e-13)
    assert net.source.format == "PyTorch state dict"


def test_views_prefixes_and_other_objects_of_a_checkpoint(rng):
    net = formats.load(str(DATA / "torch_checkpoint.pt"), READ)
    w = {
        name: values.astype(np.float64)
        for name, values in np.load(DATA / "torch_checkpoint_golden.npz").items()
    }
    x = rng.standard_normal((5, 3))
    hidden = np.tanh(x @ w["0.weight"].T + w["0.bias"])
    np.testing.assert_allclose(
        net.forward(x), hidden @ w["2.weight"].T + w["2.bias"], rtol=1e-13
    )
    assert any("count" in note for note in net.source.notes)


# A pickle by hand: protocol 2, a dictionary with one tensor of a storage "0".
def tensor(key="0", kind="FloatStorage", count=6, offset=0, shape=(2, 3), strides=(3, 1)):
    ints = b"".join
    size = ints(b"K" + bytes([n]) for n in shape)
    step = ints(b"K" + bytes([n]) for n in strides)
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        b"(X\x07\x00\x00\x00storagectorch\n"
        + kind.encode()
        + b"\nX\x01\x00\x00\x00"
        + key.encode()
        + b"X\x03\x00\x00\x00cpuK"
        + bytes([count])
        + b"tQK"
        + bytes([offset])
        + b"("
        + size
        + b"t("
        + step
        + b"t\x89N"
        + b"tR"
    )


def state(content, name=b"weight"):
    return b"\x80\x02}X" + len(name).to_bytes(4, "little") + name + content + b"s."


def saved(path, pickled, method=zipfile.ZIP_STORED, **members):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("m/data.pkl", pickled)
        for name, content in members.items():
            archive.writestr(f"m/{name}".replace("data_", "data/"), content)
    return str(path)


SIX = np.arange(6, dtype="<f4")


def test_by_hand(tmp_path):
    path = saved(tmp_path / "m.pt", state(tensor()), data_0=SIX.tobytes())
    net = formats.load(path, ReadOptions(activations="linear"))
    np.testing.assert_array_equal(net.forward(np.eye(3)).T, SIX.reshape(2, 3))


def test_big_endian_and_bfloat16(tmp_path):
    big = saved(
        tmp_path / "b.pt",
        state(tensor()),
        data_0=SIX.astype(">f4").tobytes(),
        byteorder=b"big",
    )
    short = (SIX.view(np.uint32) >> 16).astype("<u2").tobytes()
    half = saved(tmp_path / "h.pt", state(tensor(kind="BFloat16Storage")), data_0=short)
    for path in (big, half):
        net = formats.load(path, ReadOptions(activations="linear"))
        np.testing.assert_array_equal(net.forward(np.eye(3)).T, SIX.reshape(2, 3))


def test_large_matrices_stay_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("nninvert.formats._arrays.HELD_BYTES", 8)
    for name, strides in (("a.pt", (3, 1)), ("b.pt", (1, 2))):
        path = saved(tmp_path / name, state(tensor(strides=strides)), data_0=SIX.tobytes())
        net = formats.load(path, ReadOptions(activations="linear"))
        matrix = net.graph.nodes[0].layer.linear_part[0].matrix
        assert FileMatrix in {type(matrix), type(matrix.transposed)}
        shape, order = ((2, 3), "C") if strides == (3, 1) else ((2, 3), "F")
        np.testing.assert_array_equal(matrix.to_float64(), SIX.reshape(shape, order=order))


RUNS = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00exit\x85R."


def test_nothing_is_run():
    assert read_pickle(RUNS) == Opaque("os.system")
    with pytest.raises(FormatError, match=r"the class os.system, which is code"):
        tensors_of(read_pickle(RUNS))


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (tensor(count=5), "a tensor of shape"),
        (tensor(offset=1), "a tensor of shape"),
        (tensor(strides=(200, 1)), "a tensor of shape"),
        (tensor(kind="OtherStorage"), "no storage that is known"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R", "damaged pickle"),
        (b"K\x01", "got no tensors by name"),
        (b"h\x07", "damaged pickle"),
        (b"\x86", "damaged pickle"),
        (b"ctorch\\q\nSize\n", "damaged pickle \\(invalid escape"),
        (b"I01\ni", "damaged pickle"),
    ],
)
def test_pickles_of_nothing_that_is_known(tmp_path, content, match):
    path = saved(tmp_path / "m.pt", state(content), data_0=SIX.tobytes())
    with pytest.raises(FormatError, match=match):
        formats.load(path, READ)


@pytest.mark.parametrize(
    ("how", "members", "match"),
    [
        (zipfile.ZIP_STORED, {}, "'m/data/0': got no such member"),
        (zipfile.ZIP_STORED, {"data_0": b"1234"}, "got 4 bytes"),
        (zipfile.ZIP_DEFLATED, {"data_0": SIX.tobytes()}, "compressed numbers"),
    ],
)
def test_numbers_that_are_not_there(tmp_path, how, members, match):
    path = saved(tmp_path / "m.pt", state(tensor()), how, **members)
    with pytest.raises(FormatError, match=match):
        formats.load(path, READ)


def test_a_pickle_that_is_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_zip, "MAX_PICKLE_BYTES", 10)
    with pytest.raises(LimitError, match="10 bytes of names and shapes"):
        formats.load(saved(tmp_path / "m.pt", state(tensor())), READ)


def test_the_pickle_by_hand_is_one():
    pickletools.dis(state(tensor()), out=io.StringIO())
