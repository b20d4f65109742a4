"""Products of many vectors, which BLAS adds to the sum where it lies."""

import tracemalloc

import numpy as np
import pytest

from nninvert import tolerances
from nninvert.linalg import passes, streamed
from nninvert.linalg.row_blocks import row_blocks
from nninvert.linalg.stored import ArrayMatrix

MANY = 40


@pytest.fixture(autouse=True)
def few_lines(monkeypatch):
    """Stripes of eight of the longest lines of `matrices`, never the whole of one."""
    monkeypatch.setattr(tolerances, "STRIPE_BYTES", 8 * 83)


def matrices(dtype):
    """The same numbers by rows, by columns, and as a part of something larger."""
    values = (np.random.default_rng(1).standard_normal((61, 83)) * 9).astype(dtype)
    apart = np.zeros((122, 249), dtype)
    apart[::2, ::3] = values
    return [
        ArrayMatrix(values),
        ArrayMatrix(values.T.copy()).transposed,
        ArrayMatrix(np.asfortranarray(values)),
        ArrayMatrix(apart[::2, ::3]),
    ]


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f4", "f8"])
@pytest.mark.parametrize("turned", [False, True])
def test_products_of_many_vectors_are_those_of_the_whole(dtype, turned):
    for stored in matrices(dtype):
        matrix = stored.transposed if turned else stored
        whole = matrix.to_float64()
        assert passes.leaves_blas_its_threads(matrix, MANY)
        x = np.random.default_rng(2).standard_normal((matrix.shape[1], MANY)).T
        terms = np.abs(x) @ np.abs(whole).T
        y, size = streamed.product_with_magnitude(matrix, x)
        bound = 100 * tolerances.EPS64
        assert (np.abs(y - x @ whole.T) <= bound * terms).all()
        np.testing.assert_array_equal(streamed.product(matrix, x), y)
        precise = 1e-14 if dtype == "f8" else 1e-6
        np.testing.assert_allclose(size, terms, rtol=precise)
        np.testing.assert_array_equal(streamed.magnitude(matrix, x), size)


def test_many_vectors_give_what_a_few_give(monkeypatch):
    """To the rounding of another order of the same sums."""
    for matrix in matrices("f4"):
        x = np.random.default_rng(3).standard_normal((MANY, 83))
        many = streamed.product_with_magnitude(matrix, x)
        with monkeypatch.context() as few:
            few.setattr(passes, "_MANY", MANY + 1)
            assert not passes.leaves_blas_its_threads(matrix, MANY)
            each = streamed.product_with_magnitude(matrix, x)
        np.testing.assert_allclose(many[0], each[0], rtol=1e-13, atol=1e-12)
        np.testing.assert_allclose(many[1], each[1], rtol=1e-6)


def test_sums_in_float32_keep_five_digits():
    """Positive terms of very different sizes, added up line by line of 20,000."""
    values = np.exp(5.0 * np.random.default_rng(4).standard_normal((20_000, 3)))
    matrix = ArrayMatrix(values.astype(np.float32)).transposed
    x = np.random.default_rng(5).standard_normal((MANY, 20_000))
    exact = np.abs(x) @ matrix.to_float64().T
    np.testing.assert_allclose(streamed.magnitude(matrix, x), exact, rtol=1e-5)


def test_sums_too_large_for_float32_are_made_in_float64():
    values = np.full((5, 7), np.finfo(np.float32).max, np.float32)
    matrix = ArrayMatrix(values).transposed
    x = np.ones((MANY, 5))
    expected = np.abs(x) @ matrix.to_float64().T
    np.testing.assert_allclose(streamed.magnitude(matrix, x), expected, rtol=1e-14)


def test_no_product_is_written_down_beside_the_sum():
    """Beside x and the result there are only stripes."""
    values = np.random.default_rng(6).standard_normal((64, 20_000)).astype(np.float32)
    matrix, x = ArrayMatrix(values).transposed, np.ones((64, 64))
    streamed.product(matrix, x)  # imports, once
    tracemalloc.start()
    streamed.product(matrix, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    result = 8 * 64 * 20_000
    assert result < peak < 1.2 * result


@pytest.mark.parametrize("shape", [(0, 5), (1, 10**6), (1000, 300), (7, 0)])
def test_blocks_of_rows_cover_them_once(shape):
    rows = np.arange(shape[0])
    parts = [rows[part] for part in row_blocks(shape)]
    np.testing.assert_array_equal(np.concatenate([rows[:0], *parts]), rows)
    assert all(part.size for part in parts)
    assert all(part.size == 1 or part.size * shape[1] <= 2**16 for part in parts)
