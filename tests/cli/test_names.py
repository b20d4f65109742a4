"""How numbers of x and y are named on the command line: names, parts, indices."""

import pytest

from nninvert.cli._names import (
    fixed_of,
    indices_of,
    named_values,
    values_by_name,
)
from nninvert.errors import UsageError
from nninvert.layout import Layout, Part
from nninvert.names import Names

NAMES = Names(("feed_T", "flow", "x2"))

LAYOUT = Layout((Part("image", (2, 2)), Part("flow", (3,)), Part("T", (1,))))
PARTS = Names(LAYOUT.number_names, LAYOUT)


@pytest.mark.parametrize(
    ("name", "index"), [("flow", 1), ("0", 0), ("x1", 1), ("x2", 2), ("2", 2)]
)
def test_names_and_indices(name, index):
    assert NAMES.index(name, "--fix") == index


@pytest.mark.parametrize("name", ["3", "x3", "-1", "flo", "²", "flow[0]"])
def test_unknown_names_are_refused(name):
    with pytest.raises(UsageError, match="expected one of feed_T, flow, x2, or an index"):
        NAMES.index(name, "--fix")


def test_the_nearest_name_is_proposed():
    with pytest.raises(UsageError, match=r"Did you mean feed_T\?"):
        NAMES.index("feedT", "--fix")
    with pytest.raises(UsageError, match=r"Did you mean image\?"):
        PARTS.index("imge", "--fix")


def test_outputs_have_indices_of_their_own():
    outputs = Names(("y0", "y1"), kind="output")
    assert outputs.index("y1", "--within") == 1
    with pytest.raises(UsageError, match="got the output 'x1', expected one of y0, y1"):
        outputs.index("x1", "--within")


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("image", range(4)),
        ("image[3]", range(3, 4)),
        ("image[1,0]", range(2, 3)),
        ("flow[2]", range(6, 7)),
        ("T", range(7, 8)),
        ("T[0]", range(7, 8)),
        ("x5", range(5, 6)),
        ("7", range(7, 8)),
    ],
)
def test_parts_and_their_numbers(name, numbers):
    assert PARTS.numbers(name, "--fix") == numbers


def test_a_place_that_a_part_does_not_have_is_refused_with_what_there_is():
    with pytest.raises(UsageError) as caught:
        PARTS.numbers("image[4]", "--fix")
    assert str(caught.value) == (
        "--fix: got the input 'image[4]', expected one of image, flow, T, a number of one "
        "such as image[0], or an index up to 7. Did you mean image[3]?"
    )


def test_a_part_is_no_single_number():
    message = (
        r"got 'flow', which is 3 inputs, expected one of them. They are called flow\[0\]"
    )
    with pytest.raises(UsageError, match=message):
        PARTS.index("flow", "--constraints")
    assert PARTS.index("T", "--constraints") == 7


def test_fixed():
    assert fixed_of(["flow=3", "0=-1.5"], NAMES) == {1: 3.0, 0: -1.5}
    assert fixed_of(["a=b=2"], Names(("a=b",))) == {0: 2.0}
    assert fixed_of(["flow=2", "image[1,1]=1"], PARTS) == {4: 2, 5: 2, 6: 2, 3: 1}


@pytest.mark.parametrize("item", ["flow", "=3", "flow=", "flow=three"])
def test_malformed_fix_is_refused(item):
    with pytest.raises(UsageError, match="expected NAME=VALUE"):
        fixed_of([item], NAMES)


def test_fixed_twice_is_refused():
    with pytest.raises(UsageError, match="one value for each input"):
        fixed_of(["flow=3", "1=3"], NAMES)
    with pytest.raises(UsageError, match=r"got 'flow\[1\]' twice"):
        fixed_of(["flow=3", "flow[1]=3"], PARTS)


def test_whole_numbers_of_a_part():
    assert indices_of(["flow", "x0", "flow[1]"], PARTS, "--integer") == [0, 4, 5, 6]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("a=1", [("a", "1")]),
        ("a=1, b[1,2]=-inf,c=3 %", [("a", "1"), ("b[1,2]", "-inf"), ("c", "3 %")]),
        ("a=b=2", [("a=b", "2")]),
        ("0.5", None),
        ("1,2", None),
        ("a=1,2", None),
        ("lr=0.1/x.npy", None),
        ("=3", None),
        ("", None),
    ],
)
def test_values_by_name_are_told_from_lists_and_files(text, pairs):
    assert named_values(text) == pairs


def test_values_of_parts():
    assert values_by_name([("flow", "2"), ("T", "1")], PARTS, "--lower") == {
        **dict.fromkeys((4, 5, 6), "2"),
        7: "1",
    }
    with pytest.raises(UsageError, match=r"--lower: got 'flow\[0\]' twice"):
        values_by_name([("flow", "2"), ("x4", "1")], PARTS, "--lower")
