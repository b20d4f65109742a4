"""Layouts: several named parts in one flat vector."""

import numpy as np
import pytest

from nninvert.errors import ShapeError
from nninvert.layout import Layout, Part


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
