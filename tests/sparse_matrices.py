"""Sparse matrices of the kinds that layers have: bands, grids, random dominant ones."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from nninvert.linalg.compressed import compressed
from nninvert.linalg.sparse import SparseMap


def band(n: int, width: int, seed: int = 0) -> sparse.csr_array:
    """Random diagonals up to `width` to each side, the main one not dominant."""
    rng = np.random.default_rng(seed)
    offsets = range(-width, width + 1)
    diagonals = [rng.standard_normal(n - abs(k)) for k in offsets]
    return sparse.csr_array(sparse.diags_array(diagonals, offsets=list(offsets)))


def grid(side: int, seed: int = 0) -> sparse.csr_array:
    """Five entries a row, on a square grid: symmetric in pattern, not in values."""
    rng = np.random.default_rng(seed)
    line = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    eye = sparse.eye_array(side)
    made = sparse.csr_array(sparse.kron(line, eye) + sparse.kron(eye, line))
    made.data *= 1.0 + 0.3 * rng.standard_normal(made.nnz)
    return made


def dominant(n: int, seed: int = 0, share: float = 0.6) -> sparse.csr_array:
    """Four random entries a row, `share` of the diagonal together."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(n), 4)
    made = sparse.csr_array(
        (rng.standard_normal(4 * n), (rows, rng.integers(0, n, 4 * n))), shape=(n, n)
    )
    made.setdiag(0.0)
    beside = np.asarray(abs(made).sum(axis=1)).ravel()
    signs = rng.choice([-1.0, 1.0], n)
    made.setdiag(signs * np.maximum(beside, 0.1) / share)
    return made


def map_of(matrix: sparse.sparray) -> SparseMap:
    """The map of a SciPy matrix."""
    rows = matrix.tocsr()
    parts = {name: getattr(rows, name) for name in ("data", "indices", "indptr")}
    return SparseMap(compressed("csr", parts, rows.shape))
