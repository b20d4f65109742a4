"""Lost and nearly lost directions, against singular value decompositions."""

import numpy as np
import pytest
from lapack_factors import rough
from problems import conditioned, with_singular_values

from nninvert import tolerances
from nninvert.linalg.deflation import DeflatedInverse
from nninvert.linalg.map import DenseMap
from nninvert.linalg.nullspace import lost_directions
from nninvert.linalg.stored import ArrayMatrix

N = 300


def weights(rng):
    return (rng.uniform(-1.0, 1.0, (N, N)) * np.sqrt(3.0 / N)).astype(np.float32)


def duplicated(k, rng):
    matrix = weights(rng)
    matrix[N - k :] = matrix[:k]
    return matrix


def zero_rows(k, rng):
    matrix = weights(rng)
    matrix[rng.choice(N, k, replace=False)] = 0.0
    return matrix


def pruned(k, rng):
    matrix = zero_rows(k, rng)
    matrix[:, rng.choice(N, k, replace=False)] = 0.0
    return matrix


def low_rank(k, rng):
    values = np.linspace(1.0, 0.1, N)
    values[N - k :] = 0.0
    return with_singular_values(values, (N, N), rng)


def found_in(matrix, dtype, threshold=None):
    matrix = matrix.astype(float)
    largest = np.linalg.norm(matrix, 2)
    inverse = rough(matrix, dtype)
    if threshold is None:
        threshold = (1e-5 if dtype == np.float32 else 1e-9) * largest
    linear_map = DenseMap(ArrayMatrix(matrix))
    pivots = inverse.factors.zero_pivots
    return lost_directions(linear_map, inverse, threshold, seed=0, suspected=pivots)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lost", [1, 3, 10, 32, 100])
@pytest.mark.parametrize("make", [duplicated, zero_rows, pruned, low_rank])
def test_null_spaces_of_both_sides(make, lost, dtype, rng):
    matrix = make(lost, rng).astype(float)
    zero = tolerances.singular_threshold((N, N), np.linalg.norm(matrix, 2))
    found = found_in(matrix, dtype)
    assert len(found.values) == lost == N - np.linalg.matrix_rank(matrix)
    assert (found.values <= zero).all()
    for rows, image in (
        (found.right, found.right @ matrix.T),
        (found.left, found.left @ matrix),
    ):
        assert rows @ rows.T == pytest.approx(np.eye(lost), abs=1e-12)
        assert np.linalg.norm(image, 2) <= zero


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_nonsingular_matrix_loses_nothing(dtype, rng):
    assert len(found_in(weights(rng), dtype).values) == 0


@pytest.mark.parametrize("make", [duplicated, pruned, low_rank])
def test_more_than_can_be_treated_is_not_claimed(make, rng):
    assert found_in(make(140, rng), np.float32) is None
    assert found_in(make(140, rng), np.float64) is None


@pytest.mark.parametrize("tiny", [1e-6, 1e-9, 1e-12])
def test_tiny_singular_values_are_found_beyond_what_float32_factors_see(tiny, rng):
    values = np.r_[np.linspace(1.0, 0.1, N - 3), 3.0 * tiny, 2.0 * tiny, tiny]
    matrix = with_singular_values(values, (N, N), rng)
    u, s, vt = np.linalg.svd(matrix)
    found = found_in(matrix, np.float32)
    assert found.values == pytest.approx(s[::-1][:3], rel=1e-2)
    assert found.right @ matrix.T == pytest.approx(
        found.values[:, None] * found.left, abs=1e-2 * tiny
    )
    for rows, truth in ((found.right, vt[-3:]), (found.left, u.T[-3:])):
        assert np.linalg.norm(rows @ truth.T, -2) == pytest.approx(1.0, abs=1e-9)


def test_spectra_without_a_gap_are_not_cut_at_random(rng):
    assert found_in(conditioned(N, 1e9, rng), np.float32) is None


def test_fewer_rows_than_a_block(rng):
    matrix = with_singular_values(np.array([1.0, 0.5, 0.2, 0.0]), (4, 4), rng)
    found = found_in(matrix, np.float32)
    assert len(found.values) == 1
    assert found.right @ matrix.T == pytest.approx(np.zeros((1, 4)), abs=1e-15)


def test_a_deflated_inverse_is_a_rough_pseudoinverse(rng):
    values = np.r_[np.linspace(1.0, 0.1, N - 2), 1e-9, 0.0]
    matrix = with_singular_values(values, (N, N), rng)
    lost = found_in(matrix, np.float32)
    inverse = DeflatedInverse(rough(matrix), lost, zero=1e-13)
    assert (len(lost.values), len(inverse.null.values)) == (2, 1)
    pseudo = np.linalg.pinv(matrix, rcond=1e-12)
    b = rng.standard_normal((4, N))
    for made, truth, apart in (
        (inverse.solve(b), b @ pseudo.T, lost.right),
        (inverse.solve_transposed(b), b @ pseudo, lost.left),
    ):
        assert np.linalg.norm(made - truth) <= 1e-4 * np.linalg.norm(truth)
        made, truth = (rows - rows @ apart.T @ apart for rows in (made, truth))
        # Order, condition and unit roundoff: what LU in float32 leaves.
        assert np.linalg.norm(made - truth) <= N * 10.0 * 6e-8 * np.linalg.norm(truth)
    x = rng.standard_normal((4, N))
    assert inverse.reachable(x @ matrix.T) == pytest.approx(x @ matrix.T, abs=1e-12)
    assert inverse.reachable_transposed(x @ matrix) == pytest.approx(x @ matrix, abs=1e-12)
    assert inverse.reachable(inverse.null.left) == pytest.approx(0.0, abs=1e-12)
