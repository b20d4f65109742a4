"""Row norms of entries of any magnitude."""

import numpy as np
import pytest

from nninvert.linalg.norms import row_maxima, row_norms


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1.0, 1e170, 1e300])
def test_any_magnitude(size):
    rows = size * np.array([[3.0, 4.0], [0.0, -2.0]])
    np.testing.assert_allclose(row_norms(rows), size * np.array([5.0, 2.0]), rtol=1e-14)


def test_zero_nan_infinity_and_leading_axes():
    rows = np.array([[[0.0, 0.0], [np.nan, 1.0]], [[np.inf, 1.0], [3.0, 4.0]]])
    found = row_norms(rows)
    assert found.shape == (2, 2)
    assert found[0, 0] == 0.0
    assert np.isnan(found[0, 1])
    assert found[1, 0] == np.inf
    assert found[1, 1] == 5.0


def test_the_largest_size_of_each_row():
    rows = np.array([[[3.0, -4.0], [np.nan, 1.0]], [[-np.inf, 1.0], [-0.0, -0.0]]])
    np.testing.assert_array_equal(row_maxima(rows), [[4.0, np.nan], [np.inf, 0.0]])
    np.testing.assert_array_equal(row_maxima(np.empty((2, 0))), [0.0, 0.0])
