"""The .npz reader: one member, judged before it is unpacked."""

from __future__ import annotations

import io
import struct
import warnings
import zipfile

import numpy as np
import pytest

from nninvert.arrays import npz, read_array
from nninvert.errors import DataError, FormatError, InputError, LimitError


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "y.npz")


def zip_of(path, *members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of duplicate names
        for name, content in members:
            archive.writestr(name, content)


def npy_bytes(values):
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


ONES = npy_bytes(np.ones(3))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_only_array_is_taken(path, save):
    values = np.random.default_rng(0).normal(size=(20, 30)).astype("f4")
    save(path, anything=values)
    loaded = read_array(path)
    assert loaded.format == "npz"
    assert loaded.values.dtype == np.float32
    np.testing.assert_array_equal(loaded.values, values)
    with open(path, "rb") as stream:
        np.testing.assert_array_equal(read_array("-", stdin=stream).values, values)


def test_the_example_is_the_part_it_plays(path):
    np.savez(path, W=np.ones(2), y=np.ones(3))
    with pytest.raises(InputError, match=r"example: .*y\.npz:y$"):
        read_array(path)
    with pytest.raises(InputError, match=r"example: .*y\.npz:W$"):
        read_array(path, field="x")


def test_a_key_chooses(path):
    arrays = {"a": np.ones(2), "g/b": np.zeros(3), "kernel:0": np.ones(4)}
    np.savez(path, **arrays)
    for key, values in arrays.items():
        assert read_array(f"{path}:{key}").values.tolist() == values.tolist()
    assert read_array(f"{path}:a.npy").values.tolist() == [1.0, 1.0]


def test_several_arrays_need_a_key(path):
    np.savez(path, *[np.ones(1)] * 9)
    match = r"y: got 9 arrays \(arr_0, .*arr_7, \.\.\.\), expected one. "
    with pytest.raises(InputError, match=match + r"Name it, .*y\.npz:arr_0"):
        read_array(path)
    with pytest.raises(InputError, match="no array 'b', expected one of arr_0, arr_1"):
        read_array(path + ":b")


@pytest.mark.parametrize(
    ("members", "match"),
    [
        ([("x.npy", ONES), ("x.npy", ONES)], "'x.npy': got two members of this name"),
        ([("../x.npy", ONES)], "'../x.npy': got a way out of the archive"),
        ([("a/../../x.npy", ONES)], "a way out"),
        ([("/x.npy", ONES)], "'/x.npy': got an absolute path"),
        ([("a\\x.npy", ONES)], "an absolute path or a backslash"),
        ([("config.json", b"{}")], "zip archive with config.json.*a model or a spread"),
        ([("a/", b""), ("b", b"")], "zip archive with a/, b"),
        ([], "zip archive with nothing in it"),
        ([("x.npy", ONES + b"1")], "got 25 bytes of data, expected 24"),
        ([("x.npy", ONES[:-1])], "got 23 bytes of data, expected 24"),
        ([("x.npy", b"text")], r"no \.npy magic number"),
    ],
)
def test_refuses_archives_that_savez_does_not_write(path, members, match):
    zip_of(path, *members)
    with pytest.raises(FormatError, match=match):
        read_array(path)


def test_folders_beside_arrays_are_not_arrays(path):
    zip_of(path, ("a/", b""), ("a/x.npy", ONES), ("readme.txt", b""))
    assert read_array(path).values.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(InputError, match="no array 'a/'"):
        read_array(path + ":a/")


def test_objects_are_refused(path):
    np.savez(path, x=np.array([{}], object))
    with pytest.raises(DataError, match="pickled Python objects"):
        read_array(path)


def test_other_compressions_are_refused(path):
    zip_of(path, ("x.npy", ONES), method=zipfile.ZIP_BZIP2)
    with pytest.raises(FormatError, match="compression method 12, expected stored or"):
        read_array(path)


def test_encrypted_members_are_refused(path, tmp_path):
    zip_of(path, ("x.npy", ONES))
    content = bytearray((tmp_path / "y.npz").read_bytes())
    flags = content.index(b"PK\x01\x02") + 8
    content[flags] |= 1
    (tmp_path / "y.npz").write_bytes(bytes(content))
    with pytest.raises(FormatError, match="an encrypted member"):
        read_array(path)


def test_a_bomb_is_not_unpacked(path, tmp_path):
    zip_of(path, ("x.npy", ONES))
    content = bytearray((tmp_path / "y.npz").read_bytes())
    size = content.index(b"PK\x01\x02") + 24
    content[size : size + 4] = struct.pack("<I", 2**32 - 2)
    (tmp_path / "y.npz").write_bytes(bytes(content))
    # 4 GiB is a size that real files have; a hundred times the packed one is not.
    with pytest.raises(FormatError, match=r"got 4,294,967,166 bytes of data"):
        read_array(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(npz, "MAX_UNCHECKED_BYTES", 1 << 20)
        with pytest.raises(LimitError, match="got 4,294,967,294 bytes packed into"):
            read_array(path)


def test_well_packed_zeros_are_no_bomb(path):
    np.savez_compressed(path, np.zeros((1000, 1000)))
    assert not read_array(path).values.any()


def test_damage_is_reported(path, tmp_path):
    np.savez_compressed(path, np.random.default_rng(0).normal(size=1000))
    content = (tmp_path / "y.npz").read_bytes()
    (tmp_path / "y.npz").write_bytes(content[:4000] + b"\xff" + content[4001:])
    with pytest.raises(FormatError, match=r"a damaged zip archive \(.*Copy or save"):
        read_array(path)
    (tmp_path / "y.npz").write_bytes(content[:5000])
    with pytest.raises(FormatError, match="damaged zip archive"):
        read_array(path)
