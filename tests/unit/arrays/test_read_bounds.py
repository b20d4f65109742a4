"""The table of bounds: free order, named columns, no contradictions."""

from __future__ import annotations

import math

import pytest

from nninvert.arrays import BoundsRow, read_bounds
from nninvert.errors import InputError


@pytest.fixture
def read(tmp_path):
    def _read(text):
        path = tmp_path / "bounds.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_bounds(str(path))

    return _read


def test_all_columns(read):
    assert read(
        "name,lower,upper,fixed,near\n"
        "feed_T,300,400,,320.5\n"
        '"p, bar",-inf,inf,,\n'
        "x[0],,,2,\n"
        "plain,,,,\n"
    ) == (
        BoundsRow("feed_T", 300.0, 400.0, None, 320.5),
        BoundsRow("p, bar", -math.inf, math.inf, None, None),
        BoundsRow("x[0]", None, None, 2.0, None),
        BoundsRow("plain", None, None, None, None),
    )


@pytest.mark.parametrize(
    "text",
    [
        "upper,name\n1.5,a\n",
        "upper;name\r\n1.5;a\r\n",
        "\ufeffname\tupper\na\t1.5\n",
        "# comment\nname upper\n\na 1.5 # note\n",
    ],
)
def test_columns_in_any_order_and_dialect(read, text):
    assert read(text) == (BoundsRow("a", None, 1.5, None, None),)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "got an empty file"),
        ("# x\n", "without the column 'name'"),
        ("name,lower\n", "bounds: got no rows"),
        ("lower,upper\n0,1\n", "line 1: got the header 'lower,upper' without the"),
        ("a,0,1\n", "without the column 'name', expected a header of name, lower"),
        ("name,min\na,0\n", "an unknown column 'min', expected .*fixed, near because"),
        ("name,lower,lower\na,0,1\n", "the column 'lower' twice"),
        ("name,lower\na,0\nb,1\na,2\n", "line 4: got 'a' once more"),
        ("name,lower\na\n", "line 2: got 1 cells, expected 2"),
        ("name,lower\n,1\n", "line 2: got no name"),
        ("name,lower\na,x\n", "line 2 > lower: got 'x', expected a number"),
        ("name;lower\na;0,5\n", "line 2 > lower: got '0,5', a decimal comma"),
        ("name,lower\na,nan\n", "line 2 > lower: got nan, expected a finite number"),
        ("name,fixed\na,inf\n", "line 2 > fixed: got inf"),
        ("name,near\na,-inf\n", "line 2 > near: got -inf"),
        ("name,lower,upper\na,2,1\n", r"line 2 > 'a': got lower 2\.0 and upper 1\.0"),
        ("name,lower\na,inf\n", "got lower inf and upper inf"),
        ("name,upper\na,-inf\n", "got lower -inf and upper -inf"),
        ("name,lower,fixed\n\na,2,1\n", r"line 3 > 'a': got fixed 1\.0, expected .*2\.0"),
        ("name,upper,fixed\na,2,3\n", r"fixed 3\.0, expected a value within"),
        ("<html>", "got a web page"),
        (b"name,lower\n\xff,1\n", "line 2: got the byte 0xff"),
    ],
)
def test_contradictions_are_located(read, text, match):
    with pytest.raises(InputError, match=match) as caught:
        read(text)
    assert caught.value.file.endswith("bounds.csv")


def test_equal_bounds_and_a_value_on_a_bound_are_fine(read):
    row = BoundsRow("a", 1.0, 1.0, 1.0, 5.0)
    assert read("name,lower,upper,fixed,near\na,1,1,1,5\n") == (row,)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_bounds(str(tmp_path / "no.csv"))
