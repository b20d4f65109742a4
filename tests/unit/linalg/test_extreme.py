"""Norms estimated from products."""

import numpy as np
import pytest
from problems import conditioned, with_singular_values

from nninvert.linalg.extreme import least_value, one_norm, two_norm


def products(matrix):
    return lambda x: x @ matrix.T, lambda y: y @ matrix


def matrices(rng):
    yield rng.standard_normal((60, 60))
    yield rng.uniform(-1.0, 1.0, (200, 200))
    yield conditioned(80, 1e9, rng)
    yield np.linalg.inv(conditioned(80, 1e9, rng))
    yield np.eye(5)
    yield np.array([[3.0]])
    yield rng.standard_normal((30, 50))
    yield with_singular_values(np.r_[np.ones(49), 1e-12], (50, 50), rng)


def test_the_two_norm_is_found_from_below_and_nearly_reached(rng):
    for matrix in matrices(rng):
        found = two_norm(products(matrix), matrix.shape[1], seed=3)
        truth = np.linalg.norm(matrix, 2)
        assert 0.95 * truth <= found.value <= truth * (1.0 + 1e-10)
        assert np.linalg.norm(found.vector) == pytest.approx(1.0)
        reached = np.linalg.norm(matrix @ found.vector)
        assert reached == pytest.approx(found.value, rel=1e-6)


def test_few_products_suffice(rng):
    matrix = rng.uniform(-1.0, 1.0, (300, 300))
    forward, backward = products(matrix)
    calls = []
    two_norm((lambda x: calls.append(len(x)) or forward(x), backward), 300, seed=0)
    assert len(calls) <= 10
    assert max(calls) <= 4


def test_a_zero_matrix_has_norm_zero():
    assert two_norm(products(np.zeros((4, 4))), 4, seed=0).value == 0.0
    assert one_norm(products(np.zeros((4, 4))), 4, seed=0) == 0.0


def test_products_that_overflow_give_infinity():
    def overflow(x):
        return np.full_like(x, np.inf)

    assert two_norm((overflow, overflow), 3, seed=0).value == np.inf
    assert one_norm((overflow, overflow), 3, seed=0) == np.inf


def test_a_stop_keeps_the_estimate_so_far(rng):
    matrix = rng.standard_normal((40, 40))
    found = two_norm(products(matrix), 40, seed=0, should_stop=lambda: True)
    assert 0.3 * np.linalg.norm(matrix, 2) < found.value < np.linalg.norm(matrix, 2)


def test_the_one_norm_is_found_from_below_to_a_factor_of_three(rng):
    for matrix in matrices(rng):
        truth = np.linalg.norm(matrix, 1)
        found = one_norm(products(matrix), matrix.shape[1], seed=1)
        assert truth / 3.0 <= found <= truth * (1.0 + 1e-12)
        turned = one_norm(products(matrix)[::-1], matrix.shape[0], seed=1)
        assert np.linalg.norm(matrix, np.inf) / 3.0 <= turned


def test_one_large_column_among_many_is_found(rng):
    matrix = rng.standard_normal((200, 200))
    matrix[:, 117] *= 50.0
    found = one_norm(products(matrix), 200, seed=0)
    assert found == pytest.approx(np.linalg.norm(matrix, 1))


@pytest.mark.parametrize("shape", [(40, 40), (70, 50), (3, 2)])
def test_the_smallest_singular_value_from_above(rng, shape):
    """A rough inverse of the square guides the search; the value is that of the matrix."""
    values = np.geomspace(1.0, 1e-4, min(shape))
    matrix = with_singular_values(values, shape, rng)
    m, n = shape
    near = matrix + 0.3 * rng.standard_normal((m, m)) / np.sqrt(m) @ matrix
    rough = np.linalg.inv(near.T @ near)
    found = least_value(
        (lambda x: x @ matrix.T, lambda y: y @ matrix), lambda v: v @ rough, n, 3
    )
    assert values[-1] * (1.0 - 1e-6) <= found <= 1.02 * values[-1]


def test_the_search_for_it_restarts_and_can_be_stopped(rng):
    """Without a good inverse more vectors are needed than are held."""
    values = np.linspace(1.0, 0.02, 300)
    matrix = with_singular_values(values, (300, 300), rng)
    pair = (lambda x: x @ matrix.T, lambda y: y @ matrix)
    found = least_value(pair, lambda v: v, 300, 0)
    early = least_value(pair, lambda v: v, 300, 0, lambda: True)
    assert values[-1] <= found < 0.5 * early
