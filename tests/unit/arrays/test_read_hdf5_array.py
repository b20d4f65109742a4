"""Arrays out of HDF5 files."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pytest

from nninvert.arrays import dataset, read_array
from nninvert.errors import FormatError, InputError


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "y.h5")


def test_the_only_data_set_is_taken(path):
    values = np.random.default_rng(0).normal(size=(4, 5)).astype("f4")
    with h5py.File(path, "w") as file:
        file["deep/down/y"] = values
        file.create_group("empty")
        file["link"] = h5py.SoftLink("/deep/down/y")
    loaded = read_array(path)
    assert loaded.format == "hdf5"
    assert loaded.values.dtype == np.float32
    np.testing.assert_array_equal(loaded.values, values)


def test_a_key_chooses(path):
    with h5py.File(path, "w") as file:
        file["a"] = [1.0]
        file["g/kernel:0"] = [2.0]
    assert read_array(f"{path}:a").values.tolist() == [1.0]
    assert read_array(f"{path}:/g/kernel:0").values.tolist() == [2.0]
    with pytest.raises(FormatError, match=r"no 'b' in '/'.*It holds a, g"):
        read_array(f"{path}:b")
    match = r"several data sets \(a, g/kernel:0\), expected one\. Name it, .*h5:"
    with pytest.raises(InputError, match=match + "a$"):
        read_array(path)
    with pytest.raises(InputError, match=match + "g/kernel:0$"):
        read_array(path, field="g/kernel:0")


def test_a_file_without_data_sets(path):
    with h5py.File(path, "w") as file:
        file.create_group("g")
    with pytest.raises(InputError, match=r"without a data set.*It holds: g \(group\)"):
        read_array(path)


def test_axes_of_matlab_are_turned_back(path):
    # save -v7.3 stores the 2 by 3 matrix [1 2 3; 4 5 6] as 3 rows of 2, and says so.
    with h5py.File(path, "w", userblock_size=512) as file:
        file["y"] = np.array([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]])
        file["y"].attrs["MATLAB_class"] = np.bytes_("double")
    with open(path, "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64")
    assert read_array(path).values.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_text_of_matlab_is_refused(path):
    with h5py.File(path, "w") as file:
        file["y"] = np.array([[104], [105]], "u2")
        file["y"].attrs["MATLAB_class"] = np.bytes_("char")
    with pytest.raises(InputError, match="'y': got text, as MATLAB stores it"):
        read_array(path)


def test_a_text_that_the_library_would_read_for_ever(path, tmp_path):
    with h5py.File(path, "w") as file:
        file["y"] = [1.0]
        file["y"].attrs["MATLAB_class"] = "double"
    content = bytearray((tmp_path / "y.h5").read_bytes())
    first = content.index(b"GCOL") + 16
    content[first : first + 16] = bytes(16)  # free space of length 0: no step forward
    (tmp_path / "y.h5").write_bytes(bytes(content))
    with pytest.raises(FormatError, match="the heap of texts at byte"):
        read_array(path)


def test_large_data_sets_are_mapped(path, monkeypatch):
    monkeypatch.setattr(dataset, "MAP_FROM", 100)
    with h5py.File(path, "w") as file:
        file["y"] = np.arange(100.0)
    values = read_array(path).values
    assert isinstance(values, np.memmap)
    assert values.tolist() == list(range(100))


def test_no_rows(path):
    with h5py.File(path, "w") as file:
        file["y"] = np.ones((0, 3))
    with pytest.raises(InputError, match=r"got shape \(0, 3\): no values"):
        read_array(path)


def test_hdf5_does_not_come_through_a_pipe(path):
    with h5py.File(path, "w") as file:
        file["y"] = [1.0]
    with open(path, "rb") as stream:
        content = stream.read()
    with pytest.raises(FormatError, match=r"standard input > y: got HDF5.*Save it to a"):
        read_array("-", stdin=io.BytesIO(content))
