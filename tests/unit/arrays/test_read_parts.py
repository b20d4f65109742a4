"""An .npz with an array for each part of a row: shapes, types, what is missing."""

import io

import h5py
import numpy as np
import pytest

from nninvert.arrays import read_array
from nninvert.arrays.parts import parts_of
from nninvert.errors import DataError, InputError, ShapeError

PARTS = (("a", (2, 2)), ("b", (1,)), ("c", ()))


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "x.npz")


def arrays(rng, rows=3):
    return {"a": rng.normal(size=(rows, 2, 2)), "b": rng.normal(size=(rows, 1))} | {
        "c": rng.normal(size=rows)
    }


def flat(found):
    rows = len(found["c"])
    return np.concatenate([found[k].reshape(rows, -1) for k in "abc"], axis=1)


def test_parts_lie_one_behind_the_other(path, rng):
    given = arrays(rng)
    np.savez(path, **given)
    found = read_array(path, parts=PARTS)
    np.testing.assert_array_equal(found.values, flat(given))
    assert found.coarsest is None
    for name, values in parts_of(found.values, PARTS).items():
        np.testing.assert_array_equal(values, given[name])


def test_they_are_read_from_a_pipe_too(path, rng):
    given = arrays(rng)
    held = io.BytesIO()
    np.savez_compressed(held, **given)
    held.seek(0)
    found = read_array("-", stdin=held, parts=PARTS)
    np.testing.assert_array_equal(found.values, flat(given))


def test_one_row_may_be_without_its_axis(path):
    np.savez(path, a=np.ones((2, 2)), b=np.zeros(1), c=np.float64(5.0))
    found = read_array(path, parts=PARTS)
    np.testing.assert_array_equal(found.values, [[1, 1, 1, 1, 0, 5]])


def test_flat_parts_and_vectors_of_single_numbers(path, rng):
    given = arrays(rng)
    np.savez(path, a=given["a"].reshape(3, 4), b=given["b"][:, 0], c=given["c"])
    np.testing.assert_array_equal(read_array(path, parts=PARTS).values, flat(given))


def test_other_arrays_are_left_alone(path, rng):
    given = arrays(rng)
    np.savez(path, **given, more=np.ones(7))
    np.testing.assert_array_equal(read_array(path, parts=PARTS).values, flat(given))
    assert read_array(f"{path}:more", parts=PARTS).values.shape == (7,)


def test_a_single_array_is_whole_rows(path):
    np.savez(path, rows=np.ones((2, 6)))
    assert read_array(path, parts=PARTS).values.shape == (2, 6)


def test_types_that_differ_leave_values_exact_and_precision_the_least(path):
    np.savez(path, a=np.full((2, 2), 0.1), b=np.float32([0.1]), c=np.int64(3))
    found = read_array(path, parts=PARTS)
    assert found.values.dtype == np.float64
    assert (found.values[0, 0], found.values[0, 4]) == (0.1, np.float32(0.1))
    assert found.targets.dtype == found.coarsest == np.float32


def test_a_value_that_the_least_precise_type_cannot_hold_is_named(path):
    np.savez(path, a=np.full((2, 2), 1e6), b=np.float16([0.1]), c=np.float64(1.0))
    with pytest.raises(DataError, match=r"float16 and one that holds 1e\+06"):
        _ = read_array(path, parts=PARTS).targets


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"c": None}, "y > c: got no array of this name among a, b, expected one"),
        (
            {"a": np.ones((3, 2, 3))},
            r"y > a: got shape \(3, 2, 3\), expected \(rows, 2",
        ),
        ({"c": np.ones(4)}, r"y > c: got shape \(4,\), expected \(3\)"),
        ({"b": np.float64(1.0)}, r"y > b: got shape \(\), expected \(3, 1\)"),
    ],
)
def test_what_does_not_fit_is_named(path, rng, changed, message):
    given = arrays(rng) | changed
    np.savez(path, **{name: held for name, held in given.items() if held is not None})
    with pytest.raises(ShapeError, match=message):
        read_array(path, parts=PARTS)


def test_a_part_that_holds_no_numbers_is_refused(path, rng):
    np.savez(path, **arrays(rng) | {"b": np.array(["x", "y", "z"])})
    with pytest.raises(InputError, match="b"):
        read_array(path, parts=PARTS)


def test_arrays_of_other_names_are_refused_with_what_would_do(path, tmp_path):
    np.savez(path, p=np.ones(3), q=np.ones(3))
    message = r"got 2 arrays \(p, q\), expected one of whole rows, or an .npz with a, b, c"
    with pytest.raises(InputError, match=message) as caught:
        read_array(path, parts=PARTS)
    assert "**{'a': ..., 'b': ..., ...})" in caught.value.next_step
    held = str(tmp_path / "x.h5")
    with h5py.File(held, "w") as file:
        file["a"], file["b"] = np.ones(3), np.ones(3)
    with pytest.raises(InputError, match=r"or an \.npz with a, b, c"):
        read_array(held, parts=PARTS)


def test_parts_of_several_answers_keep_both_axes(rng):
    values = rng.normal(size=(2, 5, 6))
    found = parts_of(values, PARTS)
    assert {name: part.shape for name, part in found.items()} == {
        "a": (2, 5, 2, 2),
        "b": (2, 5, 1),
        "c": (2, 5),
    }
    np.testing.assert_array_equal(found["a"][1, 4].ravel(), values[1, 4, :4])
