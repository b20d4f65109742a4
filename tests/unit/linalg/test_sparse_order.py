"""Bands, and predictions of fill against what SuperLU fills."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import splu

from nninvert.linalg.sparse_factors import SuperLuFactors
from nninvert.linalg.sparse_order import Pattern
from tests.sparse_matrices import band, dominant, grid, map_of


def pattern_of(matrix: sparse.sparray) -> Pattern:
    return Pattern(map_of(matrix).matrix)


def test_a_band_is_seen_as_it_stands() -> None:
    made = band(300, 3)
    found = pattern_of(sparse.csr_array(sparse.tril(made, k=1))).narrow_band()
    assert found is not None
    assert (found.lower, found.upper) == (3, 1)
    assert found.order is None
    assert found.storage(300) == 300 * 8


def test_a_hidden_band_is_found() -> None:
    shuffle = np.random.default_rng(0).permutation(2000)
    found = pattern_of(band(2000, 2)[shuffle][:, shuffle]).narrow_band()
    assert found is not None
    assert found.order is not None
    assert sorted(found.order) == list(range(2000))
    assert max(found.lower, found.upper) <= 4


@pytest.mark.parametrize("matrix", [grid(60), dominant(1000)])
def test_what_lies_in_no_narrow_band_is_not_forced_into_one(matrix: sparse.sparray) -> None:
    assert pattern_of(matrix).narrow_band() is None


def test_symmetry_is_that_of_the_pattern_with_a_full_diagonal() -> None:
    matrix = grid(20)
    assert pattern_of(matrix).is_symmetric
    assert not pattern_of(matrix[::-1]).is_symmetric
    assert not pattern_of(sparse.csr_array(sparse.triu(matrix))).is_symmetric
    holes = sparse.csr_array(matrix - sparse.diags_array(matrix.diagonal()))
    holes.eliminate_zeros()
    assert not pattern_of(holes).is_symmetric


def shuffled(matrix: sparse.csr_array) -> sparse.csr_array:
    return matrix[np.random.default_rng(1).permutation(matrix.shape[0])]


@pytest.mark.parametrize(
    ("matrix", "symmetric"),
    [
        (grid(40), True),
        (grid(70), True),
        (shuffled(grid(40)), False),
        (dominant(800), True),
        (band(1000, 3), True),
    ],
)
def test_predicted_fill_bounds_that_of_superlu_and_is_not_far_above(
    matrix: sparse.csr_array, symmetric: bool
) -> None:
    filled = SuperLuFactors(map_of(matrix).matrix, symmetric).entries
    bound = pattern_of(matrix).fill(np.inf, symmetric=symmetric)
    estimate = pattern_of(matrix).fill(0.0, symmetric=symmetric)
    assert bound.bound
    assert not estimate.bound
    assert filled <= bound.entries * 1.2 + 3 * matrix.shape[0]
    assert 0.3 * filled <= estimate.entries <= 8 * filled
    assert estimate.work <= bound.work * 1.01


def test_a_row_that_reads_everything_does_not_square_the_pattern() -> None:
    n = 3000
    made = sparse.eye_array(n, format="lil")
    made[0, :] = 1.0
    made[:, 5] = 1.0
    found = pattern_of(sparse.csr_array(made)).fill(np.inf, symmetric=False)
    assert not found.bound
    assert found.entries >= splu(sparse.csc_array(made)).nnz * 0.3
