"""Models and targets for the measurements, written once into a folder."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import scipy.sparse
from big_models import write_dense

BLOCK = 512


def dense(folder: str, n: int, rows: int) -> tuple[str, str, str]:
    """A tanh layer with Gaussian weights: names of the model, of y and of its x."""
    model = f"dense{n}.h5"
    path = Path(folder, model)
    if not path.exists():
        write_dense(path, n)
    return model, *_targets(folder, model, n, rows, lambda x: product(path, x))


def well_conditioned(folder: str, kind: str, n: int) -> tuple[str, str, str]:
    """A dense tanh layer: "orthogonal" (cosines, random signs), or "near-identity"."""
    model = f"{kind}{n}.h5"
    path = Path(folder, model)
    if not path.exists():
        # The file of a dense layer, its kernel replaced row by row.
        write_dense(path, n)
        with h5py.File(path, "r+") as file:
            kernel = file["dense/kernel"]
            for start in range(0, n, BLOCK):
                rows = np.arange(start, min(start + BLOCK, n))
                kernel[rows[0] : rows[-1] + 1] = _ROWS[kind](rows, n)
    return model, *_targets(folder, model, n, 1, lambda x: product(path, x))


def _cosines(rows: np.ndarray, n: int) -> np.ndarray:
    """Rows of the orthonormal DCT-II, each entry's column with a random sign."""
    angles = np.pi * np.outer(rows, 2 * np.arange(n) + 1) / (2 * n)
    signs = np.random.default_rng(1).choice([-1.0, 1.0], n)
    scale = np.where(rows == 0, np.sqrt(1.0 / n), np.sqrt(2.0 / n))
    return (np.cos(angles) * scale[:, None] * signs).astype(np.float32)


def _near_identity(rows: np.ndarray, n: int) -> np.ndarray:
    """Rows of I + 0.1 G / sqrt(n), G Gaussian."""
    noise = np.random.default_rng([2, rows[0]]).standard_normal((len(rows), n))
    found = (0.1 / np.sqrt(n)) * noise
    found[np.arange(len(rows)), rows] += 1.0
    return found.astype(np.float32)


_ROWS = {"orthogonal": _cosines, "near-identity": _near_identity}


def sparse(folder: str, kind: str, n: int) -> tuple[str, str, str]:
    """A sparse tanh layer as SciPy writes it: "banded", "grid" or "dominant"."""
    matrix = _SPARSE[kind](n).tocsr()
    model = f"{kind}{n}.npz"
    scipy.sparse.save_npz(Path(folder, model), matrix)
    scale = 1.0 / abs(matrix).sum(axis=1).max()
    x = np.random.default_rng(3).uniform(-1.0, 1.0, (1, matrix.shape[0])) * scale
    names = f"y-{kind}{n}.npy", f"x-{kind}{n}.npy"
    np.save(Path(folder, names[0]), np.tanh((matrix @ x.T).T))
    np.save(Path(folder, names[1]), x)
    return model, *names


def _banded(n: int) -> scipy.sparse.sparray:
    rng = np.random.default_rng(4)
    diagonals = [rng.standard_normal(n - abs(k)) for k in range(-5, 6)]
    diagonals[5] += 4.0
    return scipy.sparse.diags_array(diagonals, offsets=range(-5, 6))


def _grid(n: int) -> scipy.sparse.sparray:
    side = int(np.sqrt(n))
    line = scipy.sparse.diags_array(
        [-np.ones(side - 1), 2.0 * np.ones(side), -np.ones(side - 1)], offsets=(-1, 0, 1)
    )
    eye = scipy.sparse.eye_array(side)
    return scipy.sparse.kron(line, eye) + scipy.sparse.kron(eye, line)


def _dominant(n: int) -> scipy.sparse.sparray:
    """Random values on the pattern of the grid: a random pattern fills up completely."""
    rng = np.random.default_rng(5)
    off = _grid(n).tocoo()
    off.setdiag(0.0)
    off = off.tocsr()
    off.eliminate_zeros()
    off.data = rng.standard_normal(off.nnz)
    return off + scipy.sparse.diags_array(abs(off).sum(axis=1) * 1.5 + 0.1)


_SPARSE = {"banded": _banded, "grid": _grid, "dominant": _dominant}


def product(path: Path, x: np.ndarray) -> np.ndarray:
    """tanh(x K + b) in float64, block by block."""
    with h5py.File(path) as file:
        kernel, y = file["dense/kernel"], file["dense/bias"][()].astype(np.float64)
        y = np.broadcast_to(y, (len(x), len(y))).copy()
        for start in range(0, len(kernel), BLOCK):
            rows = slice(start, start + BLOCK)
            y += x[:, rows] @ kernel[rows].astype(np.float64)
    return np.tanh(y)


def _targets(folder, model, n, rows, forward) -> tuple[str, str]:
    stem = model.rpartition(".")[0]
    y, x = f"y-{stem}-{rows}.npy", f"x-{stem}-{rows}.npy"
    if not Path(folder, y).exists():
        truth = np.random.default_rng(7).uniform(-1.0, 1.0, (rows, n))
        np.save(Path(folder, x), truth)
        np.save(Path(folder, y), forward(truth))
    return y, x
