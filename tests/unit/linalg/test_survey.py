"""What one pass tells: norms, the diagonal, and how the singular values spread."""

import numpy as np
import pytest

from nninvert.linalg.fused import Pace
from nninvert.linalg.map import DenseMap
from nninvert.linalg.stored import ArrayMatrix
from nninvert.linalg.survey import survey_of

N = 600


def random(*shape, seed=21):
    return np.random.default_rng(seed).standard_normal(shape)


def orthogonal(n=N):
    return np.linalg.qr(random(n, n))[0]


def survey(matrix, order="C"):
    pace = Pace(lambda: False)
    found = survey_of(DenseMap(ArrayMatrix(np.array(matrix, order=order))), pace, 0)
    assert pace.passes == 1
    return found


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("shape", [(30, 30), (50, 20), (20, 50)])
def test_sizes_are_exact_over_several_stripes(shape, order, monkeypatch):
    monkeypatch.setattr("nninvert.tolerances.STRIPE_BYTES", 8 * max(shape) * 3)
    a = random(*shape)
    sizes = survey(a, order).sizes
    np.testing.assert_allclose(sizes.rows, (a**2).sum(axis=1))
    np.testing.assert_allclose(sizes.columns, (a**2).sum(axis=0))
    np.testing.assert_array_equal(sizes.diagonal, np.diag(a))


def true_deviation(a):
    squares = np.linalg.svd(a, compute_uv=False) ** 2
    return squares.std() / squares.mean()


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("shape", [(N, N), (N, 300), (300, N)])
def test_deviation_is_that_of_the_squared_singular_values(shape, order):
    a = random(*shape)
    assert survey(a, order).deviation == pytest.approx(true_deviation(a), rel=0.12)


def test_scales_explain_the_spread_of_a_scaled_orthogonal_matrix():
    generator = np.random.default_rng(5)
    rows, columns = np.exp(generator.uniform(-1, 1, (2, N)))
    found = survey(rows[:, None] * orthogonal() * columns)
    assert found.deviation > 0.9
    assert found.least_scaled_deviation < 0.35
    pace = Pace(lambda: False)
    scalings = found.lsmr_scalings()
    deviations = found.deviations(scalings, pace)
    assert pace.passes == 1
    assert min(deviations) < 0.25
    a = rows[:, None] * orthogonal() * columns
    for scaling, deviation in zip(scalings, deviations, strict=True):
        r = np.ones(N) if scaling.rows is None else scaling.rows
        c = np.ones(N) if scaling.columns is None else scaling.columns
        true = true_deviation(r[:, None] * a * c)
        assert deviation == pytest.approx(true, rel=0.3, abs=0.02)


def test_smaller_scales_are_explained_as_well():
    generator = np.random.default_rng(5)
    rows, columns = np.exp(generator.uniform(-0.3, 0.3, (2, N)))
    found = survey(rows[:, None] * orthogonal() * columns)
    assert found.deviation > 0.4
    assert found.least_scaled_deviation < 0.15


def test_scales_do_not_explain_a_gaussian_matrix():
    assert survey(random(N, N)).least_scaled_deviation > 0.9


@pytest.mark.parametrize("order", "CF")
def test_distance_from_the_identity_and_from_the_diagonal(order):
    noise = 0.1 * random(N, N) / np.sqrt(N)
    plain, by_diagonal = survey(2.0 * (np.eye(N) + noise), order).gmres_options()
    assert plain[0] == pytest.approx(0.1, rel=0.1)
    scale = np.geomspace(1.0, 1e6, N)
    plain, by_diagonal = survey((np.eye(N) + noise) * scale, order).gmres_options()
    assert plain[0] > 0.5
    assert by_diagonal[0] == pytest.approx(0.1, rel=0.15)
    assert by_diagonal[1].rows is None


def test_the_question_stays_what_it_is():
    tall, wide = survey(random(50, 20)), survey(random(20, 50))
    assert all(scaling.rows is None for scaling in tall.lsmr_scalings())
    assert all(scaling.columns is None for scaling in wide.lsmr_scalings())
    assert tall.gmres_options() == wide.gmres_options() == []


def test_a_zero_row_is_not_divided_by():
    a = random(20, 20)
    a[3] = 0.0
    assert survey(a).lsmr_scalings() == []
