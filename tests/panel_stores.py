"""Panelled LU for tests: a matrix factored in memory or in a file, and what it solves."""

import numpy as np

from nninvert.context import Context
from nninvert.linalg.panels.factor_file import FactorFile
from nninvert.linalg.panels.factors import PanelFactors
from nninvert.linalg.panels.kernels import LapackKernels
from nninvert.linalg.panels.lu import Pace, factor
from nninvert.linalg.panels.region import Weights
from nninvert.linalg.panels.store import Cuts, MemoryStore
from nninvert.linalg.stored import ArrayMatrix

FAST = 1e12
"""A rate at which no call of a small matrix is cut."""


def quiet_context(**options):
    """A context that does not look at the machine's memory."""
    return Context(memory=1 << 30, **options)


def normal(n, dtype, seed=0):
    """A random square matrix, column-major."""
    values = np.random.default_rng(seed).standard_normal((n, n))
    return np.asfortranarray(values.astype(dtype))


def factor_into(store, matrix, most=1, context=None, rate=FAST):
    """Factor an array into a store."""
    factor(
        ArrayMatrix(matrix),
        store,
        LapackKernels(store.dtype),
        context or quiet_context(),
        most,
        Pace(rate),
    )
    return store


def in_memory(matrix, width, most=1, dtype=None, rate=FAST):
    """A memory store with the factors of an array."""
    store = MemoryStore(Cuts(len(matrix), width), np.dtype(dtype or matrix.dtype))
    return factor_into(store, matrix, most, rate=rate)


def add_region(file, matrix, width, dtype=None, flipped=False):
    """A region of a factor file for an array."""
    weights = Weights.of(ArrayMatrix(matrix))
    name = np.dtype(dtype or matrix.dtype).name
    return file.add(weights, flipped, len(matrix), width, name)


def finished_file(path, matrix, width, most=1):
    """Make a factor file of one array."""
    with FactorFile.begin(str(path)) as file:
        store = file.store(add_region(file, matrix, width))
        factor_into(store, matrix, most)
        file.describe(0, ArrayMatrix(matrix).digest())
        file.finish()
    return str(path)


def pieces(store):
    """Copies of all lower and upper pieces and pivots of finished blocks."""
    blocks = range(len(store.pivots))
    return (
        [piece.copy() for piece in store.lowers(blocks)]
        + [piece.copy() for piece in store.uppers(blocks)]
        + list(store.pivots)
    )


def same_bits(one, other):
    """Whether two stores hold the same factors."""
    pairs = list(zip(pieces(one), pieces(other), strict=True))
    return all(a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in pairs)


def solve(store, right, transposed=False, flipped=False):
    """Solve with a store's factors."""
    x = np.array(right, dtype=store.dtype, order="F")
    PanelFactors(store, LapackKernels(store.dtype), flipped).solve(x, transposed)
    return x


def backward_error(matrix, x, b):
    """Normwise: max |A x - b| / (n eps (max-row-sum |A| max |x| + max |b|))."""
    exact, x, b = (np.asarray(v, np.float64) for v in (matrix, x, b))
    residual = np.abs(exact @ x - b).max(axis=0)
    size = np.abs(exact).sum(axis=1).max() * np.abs(x).max(axis=0) + np.abs(b).max(axis=0)
    return float((residual / size).max())
