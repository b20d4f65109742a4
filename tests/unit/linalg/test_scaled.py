"""Matrices whose rows and columns have sizes of their own: ranks, solutions, spreads."""

import numpy as np
import pytest
from problems import dense, network

from nninvert import tolerances
from nninvert.context import Context
from nninvert.layers import Softmax
from nninvert.linalg.factor import factorise
from nninvert.linalg.map import DenseMap
from nninvert.linalg.scaled import ScaledFactor, uneven_scales
from nninvert.linalg.stored import ArrayMatrix
from nninvert.methods.driver import invert
from nninvert.methods.question import ask
from nninvert.outcome import RowStatus

ROWS = np.array([1e6, 1e33, 1.0, 1e-6, 1e3])
COLUMNS = np.array([1e-9, 1e6, 1.0, 1e3, 1e-3, 1e9, 1e-6])


def factor_of(matrix):
    return factorise(DenseMap(ArrayMatrix(matrix)), Context())


@pytest.mark.parametrize(("m", "n"), [(5, 5), (5, 7), (5, 3)])
def test_ranks_and_solutions_do_not_depend_on_units(m, n, rng):
    plain = rng.standard_normal((m, n))
    matrix = ROWS[:m, None] * plain * COLUMNS[:n]
    factor = factor_of(matrix)
    assert factor.rank == min(m, n)
    assert factor.reason.endswith("rows and columns scaled to one size")
    x = rng.standard_normal((4, n)) / COLUMNS[:n]
    found = factor.solve(x @ matrix.T)
    np.testing.assert_allclose((found @ matrix.T) / ROWS[:m], (x @ matrix.T) / ROWS[:m])
    y = rng.standard_normal((4, m)) / ROWS[:m]
    back = factor.solve_transposed(y @ matrix)
    np.testing.assert_allclose((back @ matrix) * 1.0, y @ matrix, rtol=1e-9)
    assert factor.spectrum().rank == min(m, n)
    assert factor.spectrum().condition > 1e10


def test_what_is_of_low_rank_stays_so(rng):
    plain = np.outer(rng.standard_normal(5), rng.standard_normal(7))
    assert factor_of(ROWS[:, None] * plain * COLUMNS).rank == 1


def test_spreads_bound_what_a_radius_does(rng):
    matrix = ROWS[:, None] * rng.standard_normal((5, 7)) * COLUMNS
    factor = factor_of(matrix)
    radius = ROWS * rng.uniform(0.0, 1.0, (1, 5))
    bound = factor.spread(radius) * (1.0 + 1e-12)
    for _ in range(50):
        moved = radius * rng.choice([-1.0, 1.0], radius.shape)
        assert (np.abs(factor.solve(moved)) <= bound).all()


def test_tall_residuals_are_least_in_scaled_units(rng):
    matrix = ROWS[:, None] * rng.standard_normal((5, 2))
    factor, y = factor_of(matrix), ROWS * rng.standard_normal((1, 5))
    scale = factor.residual_scale
    left = scale * (y - factor.solve(y) @ matrix.T)
    np.testing.assert_allclose((scale[:, None] * matrix).T @ left[0], 0.0, atol=1e-12)


def test_even_matrices_and_zeros_are_left_alone(rng):
    matrix = rng.standard_normal((4, 6))
    assert uneven_scales(matrix) is None
    matrix[1], matrix[:, 2] = 0.0, 0.0
    assert uneven_scales(matrix) is None
    assert uneven_scales(np.zeros((2, 2))) is None
    matrix[0] *= 1e9
    rows, columns = uneven_scales(matrix)
    assert (np.log2(rows) % 1.0 == 0.0).all()
    assert (np.log2(columns) % 1.0 == 0.0).all()
    largest = np.abs(rows[:, None] * matrix * columns)
    for axis in (0, 1):
        sizes = largest.max(axis=axis)
        assert (sizes[sizes > 0.0] >= 0.25).all()
        assert (sizes < 1.0).all()


@pytest.mark.parametrize(("n", "m"), [(5, 5), (7, 5)])
def test_networks_in_raw_units_are_inverted_layer_by_layer(n, m, rng):
    first = rng.standard_normal((5, n)) / np.sqrt(n) * COLUMNS[:n]
    last = ROWS[:m, None] * rng.standard_normal((m, 5)) / np.sqrt(5)
    net = network(first, "tanh", last)
    x = rng.standard_normal((10, n)) / COLUMNS[:n]
    result = invert(ask(net, net.forward(x)), method="pinv")
    assert result.status == (RowStatus.SOLVED,) * 10


def test_targets_beyond_the_range_of_a_tall_layer_are_proved_in_its_units(rng):
    layer = dense(ROWS[:, None] * rng.standard_normal((5, 2)))
    x = rng.standard_normal((2, 2))
    y = layer.forward(x)
    y[1, 3] += 0.5 * ROWS[3]
    found = layer.preimage(y, tolerances.half_spacing(y), Context())
    np.testing.assert_array_equal(found.outside > 0, [False, True])
    np.testing.assert_array_equal(found.proved, [False, True])


def test_logits_of_uneven_rows_have_a_common_constant(rng):
    net = network(np.array([1e7, 1.0, 1e-3])[:, None] * np.eye(3), Softmax((3,), 0))
    x = np.array([[1e-8, 0.3, 200.0]])
    y = net.forward(x)
    assert not isinstance(factor_of(np.eye(3)), ScaledFactor)
    found = net.graph.preimage(y, tolerances.half_spacing(y), Context())
    np.testing.assert_allclose(net.forward(found.x), y, rtol=1e-9)
