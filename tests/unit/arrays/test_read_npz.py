"""One array of an .npz file: which one, and where it comes from."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
from npy_files import npy_bytes

from nninvert.arrays import read_array
from nninvert.errors import DataError, FormatError, InputError


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "y.npz")


def zip_of(path, *members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)


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


def test_folders_beside_arrays_are_not_arrays(path):
    zip_of(path, ("a/", b""), ("a/x.npy", ONES), ("readme.txt", b""))
    assert read_array(path).values.tolist() == [1.0, 1.0, 1.0]
    with pytest.raises(InputError, match="no array 'a/'"):
        read_array(path + ":a/")


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.array([{}], object), "'x': got pickled Python objects"),
        (np.ones(2, complex), "y: got complex numbers"),
    ],
)
def test_what_is_no_number_is_refused_where_it_is_asked_for(path, values, match):
    np.savez(path, x=values, good=np.ones(2))
    assert read_array(path + ":good").values.tolist() == [1.0, 1.0]
    with pytest.raises(DataError, match=match):
        read_array(path + ":x")


def test_damage_is_reported(path):
    """All that `nninvert.npz` refuses is refused here: its tests are in test_npz.py."""
    zip_of(path, ("x.npy", ONES[:-1]))
    match = "y.npz > 'x': got 23 bytes of data, expected 24"
    with pytest.raises(FormatError, match=match):
        read_array(path)
    with open(path, "rb") as stream, pytest.raises(FormatError, match="input > 'x': got"):
        read_array("-", stdin=stream)
