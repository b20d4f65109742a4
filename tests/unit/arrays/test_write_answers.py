"""Several answers to each target, and several arrays in one file."""

import os

import h5py
import numpy as np
import pytest

from nninvert.arrays.answers import answer_places, write_answers
from nninvert.arrays.several import write_arrays
from nninvert.errors import OutputError, ShapeError, UsageError
from nninvert.npz import list_npz

ANSWERS = np.array(
    [
        [[0.1, 0.2], [0.3, 0.4]],
        [[0.5, 0.6], [np.nan, np.nan]],
    ]
)
GIVEN = np.array([2, 1])


def test_a_table_has_one_line_for_each_answer(tmp_path):
    path = tmp_path / "x.csv"
    write_answers(str(path), ANSWERS, GIVEN, names=("a", "b"))
    lines = [line.split(",") for line in path.read_text().splitlines()]
    assert lines[0] == ["row", "answer", "a", "b"]
    assert [line[:2] for line in lines[1:]] == [["0", "0"], ["0", "1"], ["1", "0"]]
    read = np.loadtxt(path, delimiter=",", skiprows=1)
    np.testing.assert_array_equal(read[:, 2:], [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])


def test_blanks_in_text_and_numbers_as_names_in_quotes(tmp_path):
    path = tmp_path / "x.txt"
    write_answers(str(path), ANSWERS, GIVEN, names=("1", "b"))
    assert path.read_text().splitlines()[0] == '"row" "answer" "1" "b"'


def test_other_files_hold_the_whole_array(tmp_path):
    for suffix, load in ((".npy", np.load), (".npz", lambda p: np.load(p)["x"])):
        path = str(tmp_path / f"x{suffix}")
        write_answers(path, ANSWERS.reshape(2, 2, 1, 2), GIVEN, names=("a", "b"))
        np.testing.assert_array_equal(load(path), ANSWERS.reshape(2, 2, 1, 2))


def test_one_name_for_each_column(tmp_path):
    with pytest.raises(ShapeError, match="3 names, expected one for each of 4 columns"):
        write_answers(str(tmp_path / "x.csv"), ANSWERS, GIVEN, names=("a",))


def test_places():
    found = answer_places(np.array([1, 0, 3]))
    assert found.tolist() == [[0, 0], [2, 0], [2, 1], [2, 2]]


ARRAYS = {
    "x": np.eye(2, dtype=np.float32),
    "a/b/count": np.array(3),
    "a/none": np.zeros((0, 2)),
}


def test_hdf5_and_npz_hold_the_same_names(tmp_path):
    write_arrays(str(tmp_path / "all.h5"), ARRAYS)
    write_arrays(str(tmp_path / "all.npz"), ARRAYS)
    with h5py.File(tmp_path / "all.h5") as file, np.load(tmp_path / "all.npz") as archive:
        for name, values in ARRAYS.items():
            for found in (file[name][()], archive[name]):
                assert found.dtype == values.dtype
                np.testing.assert_array_equal(found, values)
    with open(tmp_path / "all.npz", "rb") as stream:
        assert len(list_npz(stream, file="all.npz").arrays) == 3


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"suffix '.npy', expected .h5 .hdf5 .npz"):
        write_arrays(str(tmp_path / "all.npy"), ARRAYS)


def test_the_old_file_stays_where_the_new_one_cannot_be_written(tmp_path):
    path = tmp_path / "all.npz"
    path.write_bytes(b"old")
    with pytest.raises(OutputError):
        write_arrays(str(tmp_path / "none" / "all.npz"), ARRAYS)

    class Broken(dict):
        def items(self):
            yield "x", np.eye(2)
            raise OSError(28, "no space")

    with pytest.raises(OutputError, match="full disk"):
        write_arrays(str(path), Broken())
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["all.npz"]
