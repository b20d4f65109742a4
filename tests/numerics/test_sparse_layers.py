"""Networks of sparse layers are checked and inverted without a dense matrix on the way."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

import nninvert
from nninvert.outcome import RowStatus, Uniqueness, Verdict
from tests.sparse_matrices import band, dominant, grid


def scaled(matrix: sparse.csr_array) -> sparse.csr_array:
    """Sums of a row at most 1, so that tanh does not saturate."""
    return sparse.csr_array(matrix / abs(matrix).sum(axis=1).max())


@pytest.mark.parametrize(
    "matrix",
    [
        band(20_000, 1) + 4.0 * sparse.eye_array(20_000),
        grid(140),
        grid(140)[::-1],
        dominant(20_000),
    ],
    ids=["band", "grid", "grid upside down", "dominant"],
)
def test_a_large_sparse_layer_costs_as_much_as_its_entries(
    matrix: sparse.csr_array,
) -> None:
    made, n = scaled(matrix), matrix.shape[0]
    network = nninvert.from_arrays([(made, np.full(n, 0.1), "tanh")])
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (2, n))
    y = network.forward(x)
    tracemalloc.start()
    report = nninvert.check(network)
    result = nninvert.invert(network, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert report.verdict is Verdict.BIJECTIVE
    assert result.status == (RowStatus.SOLVED,) * 2
    assert result.unique == (Uniqueness.YES,) * 2
    # As far off as the rounding of y explains, times what an estimate may be off.
    error = np.linalg.norm(result.x - x, axis=1) / np.linalg.norm(x, axis=1)
    assert (error <= 100.0 * result.movement + 1e-14).all()
    assert peak < 0.1 * 8 * n * n


def test_lost_directions_of_a_sparse_layer_are_named() -> None:
    matrix = grid(60).tolil()
    matrix[:, 7] = 0.0
    network = nninvert.from_arrays([(scaled(sparse.csr_array(matrix)), None, "tanh")])
    report = nninvert.check(network)
    assert report.verdict is Verdict.SINGULAR
    assert "rank 3599 of 3600" in report.sentence
    assert "row 7 of its kernel is zero" in report.sentence
    x = np.random.default_rng(0).uniform(-1.0, 1.0, (1, 3600))
    result = nninvert.invert(network, network.forward(x))
    assert result.status == (RowStatus.SOLVED,)
    assert result.unique != (Uniqueness.YES,)


def test_sparse_and_dense_layers_make_one_network() -> None:
    rng = np.random.default_rng(1)
    n = 60
    near = np.eye(n) + 0.1 * rng.standard_normal((n, n)) / np.sqrt(n)
    layers = [
        (scaled(dominant(n)), None, "tanh"),
        (near, np.full(n, 0.1), "leaky_relu:0.1"),
        (scaled(band(n, 1) + 4.0 * sparse.eye_array(n)), None, None),
    ]
    network = nninvert.from_arrays(layers)
    x = rng.uniform(-1.0, 1.0, (3, n))
    result = nninvert.invert(network, network.forward(x))
    assert nninvert.check(network).verdict is Verdict.BIJECTIVE
    assert result.status == (RowStatus.SOLVED,) * 3
    assert np.abs(result.x - x).max() <= 1e-10
