"""Tables of numbers: what is read, what each written decimal means, what is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest

from nninvert.arrays import read_array
from nninvert.arrays.table import half_step_of
from nninvert.errors import DataError


def read(text):
    content = text if isinstance(text, bytes) else text.encode()
    return read_array("-", stdin=io.BytesIO(content))


@pytest.mark.parametrize(
    "text",
    [
        "1,2.5\n-3,4e2\n",
        "1;2.5\n-3;4e2",
        "1\t2.5\n-3\t4e2\n",
        "1 2.5\n-3 4e2\n",
        "  1   2.5  \n -3\t4e2\n",
        "1, 2.5\r\n-3, 4e2\r\n",
        "1,2.5\r-3,4e2\r",
        "\n# a comment\n1,2.5 # and one here\n\n  # more\n-3,4e2\n\n",
        "\ufeff1,2.5\n-3,4e2\n",
        '"1","2.5"\n-3,4e2\n'.replace('"1","2.5"', '1,"2.5"'),
        "+1,2.5\n-3,+4E+2\n",
    ],
)
def test_reads_each_dialect(text):
    loaded = read(text)
    assert loaded.format == "csv"
    assert loaded.names is None
    assert loaded.values.dtype == np.float64
    assert loaded.values.tolist() == [[1.0, 2.5], [-3.0, 400.0]]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("a,b\n1,2\n", ("a", "b")),
        ("# remark\n\na;b\n1;2\n", ("a", "b")),
        ("feed_T p\n1 2\n", ("feed_T", "p")),
        ('"feed, T","p ""x"" #1"\n1,2\n', ("feed, T", 'p "x" #1')),
        ('"feed T" p\n1 2\n', ("feed T", "p")),
        ("größe,x:0\n1,2\n", ("größe", "x:0")),
        ('"1","2"\n1,2\n', ("1", "2")),
        ("\ufeffa,b\n1,2\n", ("a", "b")),
    ],
)
def test_reads_a_header(text, names):
    loaded = read(text)
    assert loaded.names == names
    assert loaded.values.tolist() == [[1.0, 2.0]]


def test_one_value_one_row_one_column_have_two_axes():
    assert read("0.5").values.shape == (1, 1)
    assert read("1,2,3\n").values.shape == (1, 3)
    assert read("1\n2\n3\n").values.shape == (3, 1)
    assert read("a\n2\n3\n").values.shape == (2, 1)


def test_nan_and_infinity_are_values():
    loaded = read("nan,NaN\n-inf,Infinity\n")
    assert np.isnan(loaded.values[0]).all()
    assert loaded.values[1].tolist() == [-np.inf, np.inf]
    assert not loaded.half_step.any()


@pytest.mark.parametrize(
    ("cell", "half"),
    [
        ("0.25", 0.005),
        ("-0.2", 0.05),
        ("+12.000", 0.0005),
        (".5", 0.05),
        ("5.", 0.5),
        ("1.50e3", 5.0),
        ("1e-3", 0.0005),
        ("2E4", 5000.0),
        ("3", 0.0),
        ("-120", 0.0),
        ("nan", 0.0),
        ("-inf", 0.0),
        ("0.1234567890123456", 5e-17),
        ("0e999", 0.0),
        ("1e-" + "9" * 5000, 0.0),  # longer than Python reads as a whole number
        ("2.5e-0000000000003", 5e-5),
    ],
)
def test_half_of_the_last_written_decimal(cell, half):
    assert half_step_of(cell) == half
    assert read(cell).half_step.tolist() == [[half]]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "y: got an empty file"),
        ("\n\n# nothing\n", "got no numbers, expected at least one row"),
        ("a,b\n", "got a header and no rows"),
        ("1,2\n3\n", "line 2: got 1 cells, expected 2 because the first row has"),
        ("a,b\n1,2,3\n", "line 2: got 3 cells, expected 2 because the header"),
        ("1,2\n\n3,x\n", "line 3 > column 1: got 'x', expected a number"),
        ("a,b\n1,oops\n", "line 2 > column 1 'b': got 'oops', expected a number"),
        ("1,abc,3\n", "line 1 > column 1: got 'abc', expected a number"),
        ("1,2,\n", "line 1 > column 2: got an empty cell.*Write nan"),
        ("1,,3\n", "line 1 > column 1: got an empty cell"),
        ("1_000,2\n", "'1_000', expected a number"),
        ("1,1e999\n", "'1e999', expected a number"),
        ("1,\uff11\n", "got '\uff11', expected a number"),
        ("1,0x10\n", "got '0x10'"),
        ("0,5;0,6\n", r"column 0: got '0,5', a decimal comma, expected a decimal "),
        ("0,5 0,6\n1,5 2,5\n", r"decimal comma.*Write 0\.5, not 0,5"),
        ("0,5\t0,6\n", "decimal comma"),
        ("1.5;2\n1,5;2\n", "line 2 > column 0: got '1,5', a decimal comma"),
        ("a;b\n1,5;2\n", "column 0 'a': got '1,5', a decimal comma"),
        ("1 2\n0,5 0,7,3\n", "line 2 > column 0: got '0,5', a decimal comma"),
        ("1.000,5;1\n", "a decimal comma"),
        (",a,b\n0,1,2\n", "line 1: got a first column without a name, as pandas.*index"),
        ("0,1,2\n0.5,0.2,0.1\n", "line 1: got 0, 1, 2, ... above rows with decimals"),
        ("a,b,a\n1,2,3\n", "line 1: got the name 'a' twice"),
        ("a,,b\n1,2,3\n", "line 1: got an empty name"),
        ('""\n1\n', "line 1: got an empty name"),
        ('"1","2"\n"3","4"\n', "numbers in quotes in the first line and in others"),
        ('1,"2\n', "line 1: got quotes that do not match"),
        (b"1,2\n3,\xb5\n", "line 2: got the byte 0xb5, which is not UTF-8"),
        ("1,2\n".encode("utf-16"), "got UTF-16 text.*Save it as UTF-8"),
        (b"1\x002\n", "binary data of an unknown kind"),
        ("[0.2, 0.5]", "got JSON, expected .npy, .npz, HDF5 or a table"),
        ("{}", "got JSON"),
        ("<html>", "got a web page"),
        ("version https://git-lfs.github.com/spec/v1\n", "Git-LFS pointer"),
    ],
)
def test_says_where_a_table_is_wrong(text, match):
    with pytest.raises(Exception, match=match) as caught:
        read(text)
    assert caught.value.exit_code == 3
    assert caught.value.file == "standard input"


def test_whole_numbers_that_count_up_are_a_row_like_any_other():
    assert read("0,1,2\n5,6,7\n").values.tolist() == [[0, 1, 2], [5, 6, 7]]
    assert read("0,1\n0.5,0.6\n").values.tolist() == [[0, 1], [0.5, 0.6]]


def test_a_cell_cannot_move_the_cursor():
    with pytest.raises(DataError) as caught:
        read("1,\x1b[2J\n")
    assert "\x1b" not in str(caught.value)
    assert "\\x1b[2J" in str(caught.value)
