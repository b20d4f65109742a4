"""Spectra: what is read off singular values, and what is estimated without them."""

import numpy as np
import pytest
from problems import conditioned, hilbert

from nninvert import tolerances
from nninvert.context import Context
from nninvert.linalg import condition
from nninvert.linalg.factor import select_factorisation
from nninvert.linalg.lu import factor_lu
from nninvert.linalg.map import DenseMap
from nninvert.linalg.stored import ArrayMatrix
from nninvert.outcome import Kind

EPS = tolerances.EPS64


def test_values_in_any_order_give_extremes_and_ranks():
    values = np.array([0.5, 2.0, 1e-8, 1e-17])
    found = condition.spectrum_of_values((4, 5), values, 1e-7, "SVD")
    assert (found.largest, found.smallest) == (2.0, 1e-17)
    assert (found.rank, found.rank_stored, found.full_rank) == (3, 2, False)
    assert found.condition == pytest.approx(2e17)


@pytest.mark.parametrize(("n", "stored"), [(1023, 3), (1024, None), (5000, None)])
def test_a_type_too_short_for_the_size_tells_no_rank(n, stored):
    """max(m, n) eps of float16 is 1 at 1,024: no singular value exceeds the largest."""
    values = np.full(3, 2.0)
    eps = tolerances.stored_eps(np.float16)
    found = condition.spectrum_of_values((3, n), values, eps, "SVD")
    assert found.rank == 3
    assert found.rank_stored == stored
    zero = condition.spectrum_of_values((3, n), np.zeros(3), eps, "SVD")
    assert zero.rank == zero.rank_stored == 0


def test_the_threshold_itself_counts_as_zero():
    zero = tolerances.singular_threshold((2, 3), 1.0)
    assert zero == 3 * EPS
    at, above = (
        condition.spectrum_of_values((2, 3), np.array([1.0, value]), EPS, "SVD").rank
        for value in (zero, np.nextafter(zero, 1.0))
    )
    assert (at, above) == (1, 2)


def test_no_values_at_all():
    found = condition.spectrum_of_values((0, 3), np.array([]), EPS, "SVD")
    assert (found.rank, found.full_rank, found.condition) == (0, True, np.inf)


def test_zero_matrix():
    found = condition.dense_spectrum(np.zeros((3, 3)), EPS)
    assert (found.rank, found.condition) == (0, np.inf)


def test_condition_beyond_the_largest_number_is_infinite():
    found = condition.spectrum_of_values((2, 2), np.array([1e300, 1e-300]), EPS, "diagonal")
    assert found.condition == np.inf


@pytest.mark.parametrize("cond", [1.0, 1e3, 1e9])
def test_estimate_is_a_lower_bound_and_usually_close(monkeypatch, rng, cond):
    matrix = conditioned(40, cond, rng)
    monkeypatch.setattr(tolerances, "SVD_WORK", 0.0)
    linear_map = DenseMap(ArrayMatrix(matrix))
    found = select_factorisation(linear_map, Context()).spectrum()
    assert found.kind is Kind.ESTIMATE
    assert found.rank == 40
    assert 0.95 * cond <= found.condition <= cond * (1 + 1e-6)


def test_estimate_of_a_singular_matrix_claims_no_rank(monkeypatch):
    monkeypatch.setattr(tolerances, "SVD_WORK", 0.0)
    monkeypatch.setattr(tolerances, "DOUBTFUL_RCOND", 0.0)
    found = factor_lu(DenseMap(ArrayMatrix(hilbert(15)))).spectrum()
    assert found.rank is None
    assert not found.full_rank


def test_repeated_counts_ranks_over_all_blocks():
    base = condition.spectrum_of_values((3, 2), np.array([2.0, 0.0]), EPS, "SVD")
    found = condition.repeated(base, 4)
    assert (found.shape, found.rank, found.rank_stored) == ((12, 8), 4, 4)
    unknown = condition.repeated(condition.replace(base, rank=None, rank_stored=None), 4)
    assert (unknown.rank, unknown.rank_stored) == (None, None)


def test_permutations_have_condition_one():
    assert condition.trivial_spectrum(5).condition == 1.0


def test_lanczos_steps_and_the_decomposition_count_the_same_rank(monkeypatch):
    monkeypatch.setattr(tolerances, "SVD_WORK", 0.0)
    found = select_factorisation(DenseMap(ArrayMatrix(hilbert(15))), Context()).spectrum()
    assert found.rank == np.linalg.matrix_rank(hilbert(15))
    assert not found.full_rank
