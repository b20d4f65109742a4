"""Triangular factors by LAPACK, for tests of what solves with them."""

import warnings

import numpy as np
from scipy.linalg import lapack

from nninvert.linalg.triangular import RoughSolver


class LapackFactors:
    """P A = L U in memory, exactly zero pivots replaced by eps max|A|."""

    def __init__(self, matrix, dtype):
        work = np.array(matrix, dtype=dtype, order="F")
        getrf = lapack.sgetrf if work.dtype == np.float32 else lapack.dgetrf
        with warnings.catch_warnings(action="ignore"):
            self._lu, self._pivots, _ = getrf(work)
        self.n, self.dtype, self.nbytes = len(work), work.dtype, work.nbytes
        zero = np.flatnonzero(np.diag(self._lu) == 0.0)
        self.zero_pivots = zero.size
        size = float(np.abs(work).max()) or 1.0
        self._lu[zero, zero] = np.finfo(dtype).eps * size
        self.solved = 0

    def solve(self, columns, transposed=False):
        assert columns.flags.f_contiguous
        assert columns.dtype == self.dtype
        getrs = lapack.sgetrs if self.dtype == np.float32 else lapack.dgetrs
        columns[...], _ = getrs(self._lu, self._pivots, columns, trans=int(transposed))
        self.solved += columns.shape[1]


def rough(matrix, dtype=np.float32, scales=None):
    """A `RoughSolver` with LAPACK's factors."""
    return RoughSolver(LapackFactors(matrix, dtype), scales)
