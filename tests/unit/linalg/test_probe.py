"""What is worth iterating on: found out in a few passes, and never a singular matrix."""

import math

import numpy as np
import pytest

from nninvert.context import Context
from nninvert.linalg.fused import Pace, products_of
from nninvert.linalg.krylov import refine
from nninvert.linalg.map import ComposedMap, DenseMap, DiagonalMap
from nninvert.linalg.probe import KrylovMethod, inner_method, predicted_passes, probe
from nninvert.linalg.stored import ArrayMatrix

N = 300


def random(*shape, seed=11):
    return np.random.default_rng(seed).standard_normal(shape)


def orthogonal(n=N):
    return np.linalg.qr(random(n, n))[0]


def scales(n=N, seed=12):
    return np.random.default_rng(seed).uniform(0.5, 2.0, n)


def diagonally_dominant():
    a = random(N, N)
    np.fill_diagonal(a, 0.0)
    size = np.abs(a).sum(axis=1) * scales() ** 3
    return a + np.diag(np.where(random(N) > 0, size, -size) * 1.1)


GOOD = {
    "orthogonal": (orthogonal, 10),
    "scaled columns": (lambda: orthogonal() * scales(), 12),
    "scaled rows": (lambda: scales()[:, None] * orthogonal(), 12),
    "scaled both ways": (lambda: scales()[:, None] * orthogonal() * scales(seed=3), 60),
    "near identity": (lambda: np.eye(N) + 0.1 * random(N, N) / np.sqrt(N), 40),
    "not so near": (lambda: np.eye(N) + 0.5 * random(N, N) / np.sqrt(N), 110),
    "near -5 I": (lambda: -5 * np.eye(N) + 0.2 * random(N, N) / np.sqrt(N), 40),
    "diagonally dominant": (diagonally_dominant, 40),
    "diagonal": (lambda: np.diag(np.geomspace(1, 1e6, N)), 12),
    "tall, orthonormal columns": (lambda: orthogonal()[:, :200] * scales(200), 12),
    "wide, orthonormal rows": (lambda: scales(200)[:, None] * orthogonal()[:200], 12),
    "tall Gaussian": (lambda: random(900, N), 120),
}
BAD = {
    "Gaussian": (lambda: random(N, N), 1),
    "Glorot uniform": (lambda: np.random.default_rng(3).uniform(-1, 1, (N, N)), 1),
    "Gaussian, scaled columns": (lambda: random(N, N) * np.exp(3 * scales()), 2),
    "slowly decaying": (
        lambda: orthogonal() * np.geomspace(1, 1e-5, N) @ orthogonal().T,
        2,
    ),
    "zero": (lambda: np.zeros((N, N)), 1),
    "NaN": (lambda: np.full((N, N), np.nan), 1),
}


def equal_columns():
    q = orthogonal()
    q[:, 3] = q[:, 4]
    return q


def tall_of_lower_rank():
    q = orthogonal()
    return np.c_[q[:, :100], q[:, :1]]


def one_tiny_value(smallest):
    q = orthogonal()
    return q @ np.diag(np.r_[smallest, np.ones(N - 1)]) @ q.T


SINGULAR = {
    "one singular value at rounding": lambda: one_tiny_value(1e-15),
    "one diagonal entry at rounding": lambda: np.diag(np.r_[1e-16, np.ones(N - 1)]),
    "equal columns": equal_columns,
    "zero column": lambda: np.eye(N) - np.outer(np.eye(N)[5], np.eye(N)[5]),
    "a direction lost": lambda: np.eye(N) - np.full((N, N), 1.0 / N),
    "tall": tall_of_lower_rank,
    "wide": lambda: tall_of_lower_rank().T,
}


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("name", GOOD)
def test_good_matrices_are_solved_within_the_predicted_passes(name, order):
    make, most = GOOD[name]
    a = np.array(make(), dtype=np.float32, order=order)
    linear_map = DenseMap(ArrayMatrix(a))
    outlook = probe(linear_map, Context())
    assert outlook.worthwhile
    assert outlook.nonsingular
    assert outlook.passes() <= most
    assert outlook.passes_spent <= max(0.5 * most, 6)
    b, pace = random(2, a.shape[0], seed=5), Pace(lambda: False)
    products = products_of(linear_map, pace)
    inner = inner_method(linear_map, products, outlook, 2**26)
    found = refine(products, inner, b, None, 1000, outlook.norm)
    assert found.converged.all()
    assert pace.passes <= outlook.passes()
    assert outlook.norm <= np.linalg.norm(a.astype(np.float64), 2) * (1 + 1e-6)


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("name", BAD)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_hopeless_matrices_are_rejected_at_once(name, order):
    make, most = BAD[name]
    a = np.array(make(), dtype=np.float32, order=order)
    outlook = probe(DenseMap(ArrayMatrix(a)), Context())
    assert not outlook.worthwhile
    assert not outlook.nonsingular
    assert outlook.passes_spent <= most
    assert outlook.passes() > 200


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("name", SINGULAR)
def test_singular_matrices_are_not_called_nonsingular(name, order):
    a = np.array(SINGULAR[name](), order=order)
    outlook = probe(DenseMap(ArrayMatrix(a)), Context())
    assert not outlook.nonsingular
    assert not outlook.worthwhile


def test_one_small_singular_value_is_no_zero():
    outlook = probe(DenseMap(ArrayMatrix(one_tiny_value(1e-6))), Context())
    assert outlook.nonsingular
    assert outlook.worthwhile


def test_what_pays_is_for_the_caller_to_say():
    linear_map = DenseMap(ArrayMatrix(np.eye(N) + 0.5 * random(N, N) / np.sqrt(N)))
    assert probe(linear_map, Context()).worthwhile
    refused = probe(linear_map, Context(), most_passes=20)
    assert not refused.worthwhile
    assert refused.method is KrylovMethod.LSMR


def test_methods_are_chosen_by_what_they_like():
    near = DenseMap(ArrayMatrix(np.eye(N) + 0.1 * random(N, N) / np.sqrt(N)))
    assert probe(near, Context()).method is KrylovMethod.GMRES
    turned = DenseMap(ArrayMatrix(orthogonal()))
    assert probe(turned, Context()).method is KrylovMethod.LSMR


def test_other_maps_are_probed_by_their_products():
    linear_map = ComposedMap([DenseMap(ArrayMatrix(orthogonal())), DiagonalMap(scales())])
    outlook = probe(linear_map, Context())
    assert outlook.worthwhile
    assert outlook.scaling.trivial


def test_stopped_it_promises_nothing():
    context = Context()
    context.interrupt()
    outlook = probe(DenseMap(ArrayMatrix(orthogonal())), context)
    assert not outlook.worthwhile
    assert outlook.passes() == math.inf


def test_predicted_passes():
    assert predicted_passes(1.0) == predicted_passes(math.nan) == math.inf
    assert predicted_passes(0.0) < 10
    assert predicted_passes(0.9) > 4 * predicted_passes(0.5) > 0
    assert predicted_passes(0.5, 1e-4) < predicted_passes(0.5, 1e-12)
