"""Filling prose, aligning tables, proposing commands."""

import shlex

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nninvert.report.blocks import ASCII_SHADES, SHADES, picture, shades_for, side_by_side
from nninvert.report.colour import painted
from nninvert.report.commands import Commands
from nninvert.report.text import (
    fill,
    joined,
    kept,
    labelled,
    shortened,
    tab_separated,
    table,
)
from nninvert.report.values_text import values_lines, values_plain

WORDS = st.lists(st.text(st.characters(codec="ascii", categories=["L"]), min_size=1))


@given(words=WORDS, width=st.integers(20, 120))
def test_fill_loses_no_word_and_overflows_only_with_one(words, width):
    lines = fill(" ".join(words), width)
    assert " ".join(lines).split() == words
    for line in lines:
        assert len(line) <= width or " " not in line


def test_fill_keeps_a_command_whole():
    command = "nninvert check a.h5 --target y.npy"
    lines = fill(f"one two three four five {kept(command)} six", 36)
    assert lines == ["one two three four five", command, "six"]


def test_labels_are_aligned_and_empty_texts_left_out():
    items = [("plan", "exact"), ("none", ""), ("unreachable", "a b " * 10)]
    assert labelled(items, 34) == [
        "plan         exact",
        "unreachable  a b a b a b a b a b a",
        "             b a b a b a b a b",
    ]


def test_table_is_aligned_without_trailing_blanks():
    rows = [["0", "dense", "x"], ["10", "d", ""]]
    assert table(["#", "layer", "z"], rows, "r") == [
        " #  layer  z",
        " 0  dense  x",
        "10  d",
    ]


def test_table_without_rows():
    assert table(["a", "b"], []) == ["a  b"]


def test_tab_separated_has_an_empty_cell_for_none_and_no_stray_tab():
    assert tab_separated(["a", "b"], [[None, "x\ty"], [1.5, True]]) == [
        "a\tb",
        "\tx y",
        "1.5\tTrue",
    ]


@given(st.text(min_size=1), st.integers(3, 30))
def test_shortened_keeps_both_ends(text, width):
    short = shortened(text, width)
    if len(text) <= width:
        assert short == text
    else:
        head, _, tail = short.rpartition("~")
        assert len(short) == width
        assert text.startswith(head)
        assert text.endswith(tail)


def test_joined():
    assert joined([]) == ""
    assert joined(["a"]) == "a"
    assert joined(["a", "b", "c"]) == "a, b and c"


def test_commands_are_quoted_for_the_shell():
    commands = Commands("my net.h5", "it's.npy", ("--until", "a b"), ("--within", "3%"))
    assert commands.check("--target", commands.target) == (
        "nninvert check 'my net.h5' --until 'a b' --target 'it'\"'\"'s.npy'"
    )
    assert shlex.split(commands.invert("-o", "x.npy")) == [
        "nninvert",
        "invert",
        "my net.h5",
        "it's.npy",
        "--until",
        "a b",
        "--within",
        "3%",
        "-o",
        "x.npy",
    ]


def test_only_a_deciding_word_at_the_start_is_painted():
    assert painted("solved    2 of 2") == "\x1b[32;1msolved\x1b[0m    2 of 2"
    assert painted("solvedness") == "solvedness"
    assert painted("  image   solved") == "  image   solved"


def test_picture_levels():
    values = np.array([[0.0, 0.25, 0.5], [0.75, 1.0, np.nan], [-9.0, 9.0, 0.4]])
    assert picture(values) == ["  ░░▒▒", "▓▓██??", "  ██▒▒"]


def test_pictures_side_by_side_under_their_titles():
    one, two = np.array([[1.0]]), np.array([[0.0]])
    assert side_by_side([("a", one), ("title", two)], ASCII_SHADES) == [
        "a     title",
        "@@",
    ]


@pytest.mark.parametrize(
    ("encoding", "shades"),
    [("utf-8", SHADES), ("ascii", ASCII_SHADES), ("no-such-one", ASCII_SHADES)],
)
def test_shades_fit_the_encoding(encoding, shades):
    assert shades_for(encoding) == shades


def test_one_row_is_written_downwards():
    values = np.array([[0.5, -1 / 3]])
    assert values_lines(values, ("feed", "T"), 80) == [
        "name  value",
        "feed  0.5",
        "T     -0.3333333333",
    ]


def test_many_rows_are_cut_with_a_note():
    values = np.arange(12.0).reshape(12, 1) @ np.ones((1, 40))
    names = tuple(f"x{k}" for k in range(40))
    lines = values_lines(values, names, 30)
    assert lines[0] == "row  x0  x1  x2  x3  x4  x5"
    assert lines[10] == "  9   9   9   9   9   9   9"
    assert lines[11:] == ["(2 more rows and 34 more columns: -o FILE, or --plain for all)"]


def test_plain_values_keep_every_digit():
    values = np.array([[0.1, 1 / 3]])
    assert values_plain(values, ("a", "b")) == ["a\tb", "0.1\t0.3333333333333333"]
