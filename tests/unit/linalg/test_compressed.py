"""Sparse layouts brought into one form; arrays that do not fit are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from nninvert.errors import FormatError, LimitError
from nninvert.linalg.compressed import PARTS, compressed


def parts_of(matrix: sparse.sparray) -> dict[str, NDArray[np.generic]]:
    return {name: np.asarray(getattr(matrix, name)) for name in PARTS[matrix.format]}


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(PARTS)), st.integers(0, 1000))
def test_each_layout_of_scipy_gives_its_matrix(layout: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = 2 * int(rng.integers(1, 6)), 3 * int(rng.integers(1, 5))
    dense = rng.standard_normal(shape) * (rng.random(shape) < 0.4)
    if layout == "bsr":
        given_matrix = sparse.bsr_array(dense, blocksize=(2, 3))
    else:
        given_matrix = getattr(sparse, f"{layout}_array")(dense)
    made = compressed(layout, parts_of(given_matrix), shape)
    assert np.array_equal(made.to_float64(), dense)
    assert made.column_major == (layout == "csc")


def test_unsorted_and_repeated_entries_are_put_in_order_and_summed() -> None:
    parts: dict[str, NDArray[np.generic]] = {
        "data": np.array([1.0, 2.0, 3.0, 4.0, 5.0], dtype=np.float32),
        "indices": np.array([2, 0, 2, 1, 0], dtype=np.uint16),
        "indptr": np.array([0, 3, 3, 5], dtype=np.uint64),
    }
    made = compressed("csr", parts, (3, 3))
    assert made.to_float64().tolist() == [[2, 0, 4], [0, 0, 0], [5, 4, 0]]
    assert made.indices.tolist() == [0, 2, 0, 1]
    assert made.indptr.tolist() == [0, 2, 2, 4]


def test_empty_lines_at_both_ends_are_kept() -> None:
    parts = {"data": np.ones(1), "indices": np.array([1]), "indptr": np.array([0, 0, 1, 1])}
    assert compressed("csr", parts, (3, 2)).to_float64().tolist() == [
        [0, 0],
        [0, 1],
        [0, 0],
    ]


def test_short_types_stay_as_stored() -> None:
    zero = np.zeros(1, int)
    parts = {"data": np.ones(1, np.float16), "row": zero, "col": zero}
    assert compressed("coo", parts, (1, 1)).dtype == np.float16


GOOD = {
    "data": np.ones(3),
    "indices": np.array([0, 1, 2]),
    "indptr": np.array([0, 1, 2, 3]),
}


@pytest.mark.parametrize(
    ("changed", "shape", "said"),
    [
        ({"indices": np.array([0, 1, 3])}, (3, 3), "indices from 0 to 3"),
        ({"indices": np.array([-1, 1, 2])}, (3, 3), "indices from -1 to 2"),
        ({"indices": np.array([0, 2**63, 1], np.uint64)}, (3, 3), "indices from 0"),
        ({"indptr": np.array([0, 2, 1, 3])}, (3, 3), "indptr that falls"),
        ({"indptr": np.array([-1, 1, 2, 3])}, (3, 3), "does not begin with 0"),
        ({"indptr": np.array([1, 1, 2, 3])}, (3, 3), "does not begin with 0"),
        ({"indptr": np.array([0, 2**63, 2, 3], np.uint64)}, (3, 3), "indptr that falls"),
        ({"indptr": np.array([0, 1, 2, 9])}, (3, 3), "indptr ending in 9"),
        ({"indptr": np.array([0, 1, 2])}, (3, 3), r"indptr of shape \(3,\)"),
        ({"indptr": np.array([0, 1.5, 2, 3])}, (3, 3), "indptr of type float64"),
        ({"data": np.ones(3, complex)}, (3, 3), "data of type complex128"),
        ({"data": np.ones((3, 1))}, (3, 3), "data"),
        ({}, (3,), r"shape \(3,\)"),
        ({}, (3, 0), r"shape \(3, 0\)"),
        ({}, (3, -1), r"shape \(3, -1\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    changed: dict[str, NDArray[np.generic]], shape: tuple[int, ...], said: str
) -> None:
    with pytest.raises(FormatError, match=said) as caught:
        compressed("csr", {**GOOD, **changed}, shape, "W1")
    assert "\n" not in str(caught.value)
    assert caught.value.field == "W1"


def test_a_claimed_shape_is_in_proportion_to_what_is_stored() -> None:
    with pytest.raises(LimitError, match="1000000000000"):
        compressed("csr", GOOD, (3, 10**12))
    one = np.zeros(1, dtype=int)
    with pytest.raises(LimitError, match="entries"):
        compressed("coo", {"data": np.ones(1), "row": one, "col": one}, (10**8, 10**8))


@pytest.mark.parametrize(
    ("layout", "parts"),
    [
        ("coo", {"data": np.ones(2), "row": np.array([0, 3]), "col": np.array([0, 1])}),
        ("coo", {"data": np.ones(2), "row": np.array([0, 1]), "col": np.array([0, -1])}),
        ("coo", {"data": np.ones(2), "row": np.array([0]), "col": np.array([0, 1])}),
        ("coo", {"data": np.ones(2), "row": np.array([0, 1])}),
        ("dia", {"data": np.ones((2, 3)), "offsets": np.array([0])}),
        ("dia", {"data": np.ones((1, 3)), "offsets": np.array([2**63 - 1])}),
        ("bsr", {**GOOD, "data": np.ones((3, 2, 2))}),
        ("bsr", {**GOOD, "data": np.ones((3, 0, 1))}),
        ("lil", GOOD),
    ],
)
def test_other_layouts_are_checked_as_well(
    layout: str, parts: dict[str, NDArray[np.generic]]
) -> None:
    with pytest.raises(FormatError):
        compressed(layout, parts, (3, 3))


def test_diagonals_beyond_the_shape_are_cut_as_scipy_cuts_them() -> None:
    data, offsets = np.arange(1.0, 13.0).reshape(3, 4), np.array([-2, 0, 5])
    parts = {"data": data, "offsets": offsets}
    for shape in ((3, 3), (4, 7), (2, 6)):
        expected = sparse.dia_array((data, offsets), shape=shape).toarray()
        assert np.array_equal(compressed("dia", parts, shape).to_float64(), expected)
