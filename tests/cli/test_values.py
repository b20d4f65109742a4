"""What stands behind options: numbers, shares, lists, names."""

import io

import numpy as np
import pytest

from nninvert import from_arrays
from nninvert.cli._options import Wanted
from nninvert.cli._streams import Streams
from nninvert.cli._values import (
    Sources,
    is_share,
    number_of,
    numbers_of,
    require_known,
)
from nninvert.cli._wanted import resolve
from nninvert.errors import UsageError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.5", 0.5),
        ("-1e-3", -1e-3),
        ("inf", np.inf),
        ("1,2,3", [1.0, 2.0, 3.0]),
        ("-inf, 2", [-np.inf, 2.0]),
        ("1,", None),
        ("y.npy", None),
        ("3%", None),
        ("", None),
    ],
)
def test_numbers(text, value):
    assert numbers_of(text) == value


def test_number():
    assert number_of("2") == 2.0
    assert number_of("two") is None


@pytest.mark.parametrize(
    ("text", "share"),
    [("3%", True), ("0.5 %", True), ("%", False), ("x%", False), ("3", False)],
)
def test_shares(text, share):
    assert is_share(text) is share


def test_words_are_known_or_refused_with_the_nearest():
    require_known("--method", "lsq", ("auto", "lsq"))
    with pytest.raises(UsageError, match=r"one of auto, lsq. Did you mean lsq\?"):
        require_known("--method", "lsqr", ("auto", "lsq"))


@pytest.fixture
def network(rng):
    return from_arrays([(rng.standard_normal((2, 3)), None, "tanh")])


def asked(network, stdin=b"", **options):
    streams = Streams(io.BytesIO(stdin), io.StringIO(), io.StringIO())
    return resolve(Wanted(**options), network, Sources(streams))


def test_nothing_asked_for(network):
    found = asked(network)
    assert found.names == ("x0", "x1", "x2")
    assert all(value is None for value in found.keywords.values())


def test_tolerances(network, tmp_path):
    assert asked(network, within="0.1").keywords["within"] == 0.1
    assert asked(network, within="3 %").keywords["within"] == "3%"
    assert asked(network, within="0.1,0.2").keywords["within"] == [0.1, 0.2]
    assert asked(network, within="3 %, 0.2").keywords["within"] == ["3%", 0.2]
    np.save(tmp_path / "t.npy", np.ones((5, 2)))
    assert asked(network, within=str(tmp_path / "t.npy")).keywords["within"].shape == (5, 2)


def test_near(network, tmp_path):
    assert asked(network, near="0.5").keywords["near"].tolist() == [0.5] * 3
    assert asked(network, near="1,2,3").keywords["near"].tolist() == [1, 2, 3]
    (tmp_path / "n.csv").write_text("a,b,c\n1,2,3\n")
    found = asked(network, near=str(tmp_path / "n.csv"), fix=["b=7"])
    assert found.names == ("a", "b", "c")
    assert found.keywords["fix"] == {1: 7.0}
    np.save(tmp_path / "n.npy", np.zeros((4, 3)))
    assert asked(network, near=str(tmp_path / "n.npy")).keywords["near"].shape == (4, 3)


def test_near_from_stdin(network):
    assert asked(network, stdin=b"1,2,3\n", near="-").keywords["near"].tolist() == [1, 2, 3]


def test_table_of_bounds(network, tmp_path):
    table = tmp_path / "b.csv"
    table.write_text("name,lower,upper,fixed,near\na,-1,1,,\nb,,,5,\nc,,2,,0.5\n")
    found = asked(network, bounds=str(table))
    assert found.names == ("a", "b", "c")
    assert found.keywords["lower"].tolist() == [-1, -np.inf, -np.inf]
    assert found.keywords["upper"].tolist() == [1, np.inf, 2]
    assert found.keywords["fix"] == {1: 5.0}
    # What is fixed, or has bounds, is not near to what it cannot be.
    assert found.keywords["near"].tolist() == [0, 5, 0.5]


def test_options_replace_columns_of_the_table(network, tmp_path):
    table = tmp_path / "b.csv"
    table.write_text("name,lower,upper,fixed,near\na,-1,1,,9\nb,,,5,\nc,,2,,0.5\n")
    found = asked(network, bounds=str(table), lower="0", near="1,1,1", fix=["b=6"])
    assert found.keywords["lower"] == 0.0
    assert found.keywords["upper"].tolist() == [1, np.inf, 2]
    assert found.keywords["near"].tolist() == [1, 1, 1]
    assert found.keywords["fix"] == {1: 6.0}


def test_a_table_of_some_inputs_names_them_by_index(network, tmp_path):
    table = tmp_path / "b.csv"
    table.write_text("name,lower\nx2,4\n")
    found = asked(network, bounds=str(table))
    assert found.names == ("x0", "x1", "x2")
    assert found.keywords["lower"].tolist() == [-np.inf, -np.inf, 4]
    assert found.keywords["near"] is None


def test_keyboard_input_is_announced():
    err = io.StringIO()
    streams = Streams(io.BytesIO(b"1,2\n"), io.StringIO(), err, stdin_is_terminal=True)
    assert Sources(streams).read("-", "y").values.tolist() == [[1, 2]]
    assert err.getvalue() == "reading y from the keyboard: end with Ctrl-D\n"
