"""Arrays and tables out: the bytes that other programs see."""

from __future__ import annotations

import csv
import io
import os
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from nninvert.arrays import read_array, write_array, write_table
from nninvert.errors import OutputError, ShapeError, UsageError


class Pipe:
    """A stream that can only write, a little at a time, and counts."""

    def __init__(self, most=1 << 30):
        self.most = most
        self.largest = 0
        self.content = b""
        self.flushed = False

    def write(self, data):
        taken = bytes(data[: self.most])
        self.largest = max(self.largest, len(data))
        self.content += taken
        return len(taken)

    def flush(self):
        self.flushed = True


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5", ".hdf5", ".NPY"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i4", ">f8"])
def test_other_programs_read_what_is_written(tmp_path, suffix, dtype):
    path = str(tmp_path / f"x{suffix}")
    values = np.arange(6).reshape(2, 3).astype(dtype)
    write_array(path, values)
    if suffix in (".h5", ".hdf5"):
        with h5py.File(path) as file:
            assert list(file) == ["x"]
            read = file["x"][()]
    else:
        read = np.load(path)
        if suffix == ".npz":
            assert read.files == ["x"]
            read = read["x"]
    assert read.dtype == values.dtype
    np.testing.assert_array_equal(read, values)


def test_fortran_order_is_kept(tmp_path):
    values = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    write_array(str(tmp_path / "x.npy"), values)
    read = np.load(tmp_path / "x.npy")
    assert read.flags.f_contiguous
    np.testing.assert_array_equal(read, values)


def test_views_are_written_as_they_look(tmp_path):
    values = np.arange(60.0).reshape(3, 4, 5)[::2, ::-1, 1:4]
    write_array(str(tmp_path / "x.npy"), values)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), values)


def test_stdout_gets_npy_in_chunks_without_seeking():
    pipe = Pipe()
    values = np.random.default_rng(0).normal(size=(3, 1 << 20))
    write_array("-", values, stdout=pipe)
    assert pipe.largest == 1 << 24
    assert pipe.flushed
    np.testing.assert_array_equal(np.load(io.BytesIO(pipe.content)), values)


def test_a_raw_pipe_that_takes_a_part_gets_everything():
    reader, writer = os.pipe()
    values = np.random.default_rng(0).normal(size=(100, 1000))

    def send():
        with os.fdopen(writer, "wb", buffering=0) as raw:
            write_array("-", values, stdout=raw)

    thread = threading.Thread(target=send)
    thread.start()
    with os.fdopen(reader, "rb") as stream:
        loaded = read_array("-", stdin=stream)
    thread.join()
    np.testing.assert_array_equal(loaded.values, values)
    pipe = Pipe(most=1000)
    write_array("-", values, stdout=pipe)
    np.testing.assert_array_equal(np.load(io.BytesIO(pipe.content)), values)


def test_stdout_that_fails():
    with (
        open("/dev/full", "wb", buffering=0) as full,
        pytest.raises(OutputError, match="standard output: got a full disk"),
    ):
        write_array("-", np.ones(10), stdout=full)


def test_a_reader_that_went_away_is_not_an_error_of_ours():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb", buffering=0) as raw, pytest.raises(BrokenPipeError):
        write_array("-", np.ones(10), stdout=raw)


def test_stdout_must_be_given():
    with pytest.raises(UsageError, match="got '-'"):
        write_array("-", np.ones(2))


@pytest.mark.parametrize("target", ["x.mat", "x", "x.npy.gz", ""])
def test_unknown_suffixes_are_refused_with_the_list(tmp_path, target, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UsageError, match=r"suffix.*expected \.npy \.npz \.csv \.txt \.h5 \.hdf5"
    ):
        write_array(target, np.ones(2))
    assert not os.listdir(tmp_path)


def test_a_fifo_without_a_suffix_gets_npy(tmp_path):
    path = str(tmp_path / "pipe")
    os.mkfifo(path)
    got = []
    thread = threading.Thread(target=lambda: got.append(read_array(path)))
    thread.start()
    write_array(path, np.arange(3.0))
    thread.join()
    assert got[0].format == "npy"
    assert got[0].values.tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".csv"])
def test_a_fifo_with_a_suffix_gets_that(tmp_path, suffix):
    path = str(tmp_path / f"pipe{suffix}")
    os.mkfifo(path)
    got = []
    thread = threading.Thread(target=lambda: got.append(Path(path).read_bytes()))
    thread.start()
    write_array(path, np.arange(3.0))
    thread.join()
    again = tmp_path / f"again{suffix}"
    again.write_bytes(got[0])
    assert read_array(str(again)).values.ravel().tolist() == [0.0, 1.0, 2.0]


# ---------------------------------------------------------------- text


def text_of(tmp_path, values, names=None, suffix=".csv"):
    path = tmp_path / f"x{suffix}"
    write_array(str(path), values, names=names)
    return path.read_bytes().decode()


def test_a_table_shows_every_digit_that_is_known(tmp_path):
    values = np.array([[0.5, 0.1, -0.0, 3.0], [1e-7, 1e300, np.nan, -np.inf]])
    assert text_of(tmp_path, values) == (
        "0.5000000000000000,0.1000000000000000,-0,3\n"
        "1.000000000000000e-07,1.000000000000000e+300,nan,-inf\n"
    )
    assert text_of(tmp_path, values[:1].astype("f4")) == "0.50000000,0.10000000,-0,3\n"
    assert text_of(tmp_path, values[:1].astype("f2")) == "0.5000,0.1000,-0,3\n"


def test_what_a_table_says_of_its_precision_is_below_the_types_rounding(tmp_path):
    values = np.random.default_rng(0).normal(size=(20, 50)) * 10.0 ** np.arange(-25, 25)
    values[0] = 0.5
    for dtype, eps in (("f8", 2.3e-16), ("f4", 1.2e-7)):
        path = str(tmp_path / "x.csv")
        write_array(path, values.astype(dtype))
        loaded = read_array(path)
        assert np.all(loaded.half_step <= 5 * eps * np.abs(loaded.values))


def test_whole_numbers_and_text_files(tmp_path):
    assert text_of(tmp_path, np.array([[1, -2]])) == "1,-2\n"
    assert text_of(tmp_path, np.array([[2**64 - 1]], "u8")) == "18446744073709551615\n"
    assert text_of(tmp_path, np.array([1, 2]), ["a", "b c"], ".txt") == 'a "b c"\n1 2\n'


def test_names_become_the_header(tmp_path):
    names = ["feed_T", "x[0]", "a,b", 'say "x"', "#1", "two words", "line\nend", "größe"]
    text = text_of(tmp_path, np.zeros((1, 8)), names)
    assert text.splitlines()[0] == (
        'feed_T,x[0],"a,b","say ""x""","#1","two words",line\\nend,größe'
    )
    names[6] = "line\\nend"
    assert read_array(str(tmp_path / "x.csv")).names == tuple(names)


@pytest.mark.parametrize("names", [["0", "1"], ["nan", "b"], ["1e5", "x"]])
def test_names_that_look_like_numbers_are_still_names(tmp_path, names):
    text_of(tmp_path, np.ones((2, 2)), names)
    loaded = read_array(str(tmp_path / "x.csv"))
    assert loaded.names == tuple(names)
    assert loaded.values.shape == (2, 2)


def test_every_column_has_a_name_or_none_has(tmp_path):
    with pytest.raises(ShapeError, match="got 1 names, expected one for each of 2"):
        text_of(tmp_path, np.ones((3, 2)), ["a"])
    assert not os.listdir(tmp_path)


def test_a_vector_is_one_row_and_a_scalar_one_cell(tmp_path):
    assert text_of(tmp_path, np.array([1, 2])) == "1,2\n"
    assert text_of(tmp_path, np.array(7)) == "7\n"


def test_three_axes_do_not_fit_into_a_table(tmp_path):
    with pytest.raises(UsageError, match=r"\.csv for an array of shape \(2, 2, 2\)"):
        text_of(tmp_path, np.ones((2, 2, 2)))
    assert not os.listdir(tmp_path)


def test_a_table_of_texts_and_numbers(tmp_path):
    path = tmp_path / "rows.csv"
    header = ["row", "status", "largest residual", "reason"]
    rows = [
        (0, "solved", 2e-15, None),
        (1, "nearest", np.float32(0.1), 'layer 2 "dense", beyond tanh'),
        (2, "failed", float("nan"), "a\nb"),
        (np.int64(3), "", np.float64(0.5), "="),
    ]
    write_table(str(path), header, rows)
    assert path.read_text().splitlines()[1:3] == [
        "0,solved,2e-15,",
        '1,nearest,0.1,"layer 2 ""dense"", beyond tanh"',
    ]
    with path.open(newline="") as stream:
        read = list(csv.reader(stream))
    assert read[0] == header
    assert read[3] == ["2", "failed", "nan", "a\\nb"]
    assert read[4] == ["3", "", "0.5", "="]


def test_a_table_is_csv_only(tmp_path):
    with pytest.raises(UsageError, match=r"suffix '\.npy', expected \.csv"):
        write_table(str(tmp_path / "rows.npy"), ["a"], [])
