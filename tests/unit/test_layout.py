"""Layouts: several named parts in one flat vector."""

import numpy as np
import pytest

from nninvert.errors import ShapeError
from nninvert.layout import Layout, Part, part_names


@pytest.fixture
def layout():
    return Layout((Part("image", (2, 3)), Part("label", ()), Part("extra", (4,))))


def test_sizes_and_offsets(layout):
    assert layout.size == 11
    assert [part.size for part in layout.parts] == [6, 1, 4]
    assert layout.offsets == {
        "image": slice(0, 6),
        "label": slice(6, 7),
        "extra": slice(7, 11),
    }


def test_pack_and_unpack_are_inverse(layout, rng):
    flat = rng.standard_normal((5, 11))
    arrays = layout.unpack(flat)
    assert {name: array.shape for name, array in arrays.items()} == {
        "image": (5, 2, 3),
        "label": (5,),
        "extra": (5, 4),
    }
    np.testing.assert_array_equal(layout.pack(arrays), flat)


def test_parts_are_in_row_major_order():
    image = np.arange(6.0).reshape(1, 2, 3)
    packed = Layout((Part("image", (2, 3)),)).pack({"image": image})
    np.testing.assert_array_equal(packed, [np.arange(6.0)])


def test_unpack_gives_views(layout):
    flat = np.zeros((2, 11))
    layout.unpack(flat)["extra"][:] = 1.0
    np.testing.assert_array_equal(flat[:, 7:], 1.0)


def test_a_wrong_shape_is_named(layout, rng):
    arrays = layout.unpack(rng.standard_normal((5, 11)))
    arrays["image"] = arrays["image"].transpose(0, 2, 1)
    with pytest.raises(
        ShapeError, match=r"image: got shape \(5, 3, 2\), expected \(rows, 2, 3\)"
    ):
        layout.pack(arrays)


def test_numbers_are_called_by_part_and_place(layout):
    names = layout.number_names
    assert names[:2] == ("image[0]", "image[1]")
    assert names[6:8] == ("label", "extra[0]")
    assert [layout.numbers(name) for name in names] == [range(k, k + 1) for k in range(11)]
    assert Layout((Part("x", (3,)),)).number_names is None


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("image", range(6)),
        ("extra", range(7, 11)),
        ("image[1,2]", range(5, 6)),
        ("image[1, 0]", range(3, 4)),
        ("label[0]", range(6, 7)),
        ("image[6]", None),
        ("image[2,0]", None),
        ("extra[0,0]", None),
        ("image[-1]", None),
        ("image[]", None),
        ("imag[0]", None),
        ("more", None),
    ],
)
def test_parts_and_numbers_are_found_by_name(layout, name, numbers):
    assert layout.numbers(name) == numbers


def test_a_layout_of_one_part_has_no_names_of_numbers():
    assert Layout((Part("x", (3,)),)).numbers("x[1]") is None


def test_names_of_single_numbers_do_not_meet():
    layout = Layout((Part("h", (2,)), Part("h[1]", (1,))))
    assert layout.number_names == ("h[0]", "h[1]", "h[1][0]")
    assert layout.numbers("h[1][0]") == range(2, 3)


def test_names_that_occur_twice_are_told_apart():
    assert part_names(["y", "z", "y", "y_1"]) == ("y", "z", "y_1", "y_1_1")


def test_names_lead_nowhere_outside_an_archive():
    names = ["/fc/out", "a\\b", "../../up", "/", "in:0"]
    assert part_names(names) == ("fc/out", "a/b", "up", "part", "in:0")
