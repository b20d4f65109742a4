"""Inside one process: panelled LU beside one call of LAPACK, and a bare process.

::

    python panels.py rate N TIMES
    python panels.py imports
"""

import statistics
import sys
import time

import h5py  # noqa: F401  what a process of nninvert imports, too
import numpy as np
import scipy.linalg  # noqa: F401
from scipy.linalg import lapack

import nninvert.api  # noqa: F401
from nninvert.context import Context
from nninvert.linalg.map import DenseMap
from nninvert.linalg.panels.kernels import LapackKernels
from nninvert.linalg.panels.lu import Pace, factor
from nninvert.linalg.panels.store import Cuts, MemoryStore
from nninvert.linalg.plan import panel_plan
from nninvert.linalg.stored import ArrayMatrix


def rate(n: int, times: int) -> None:
    """Seconds and GFLOP/s of both, in alternation."""
    matrix = np.random.default_rng(0).standard_normal((n, n), dtype=np.float32)
    stored = ArrayMatrix(matrix).transposed
    plan = panel_plan(DenseMap(stored), np.dtype(np.float32), Context())
    ours, theirs = [], []
    for _ in range(times + 1):
        copy = np.array(matrix.T, order="F")
        begun = time.perf_counter()
        lapack.sgetrf(copy, overwrite_a=True)
        theirs.append(time.perf_counter() - begun)
        del copy
        begun = time.perf_counter()
        store = MemoryStore(Cuts(n, plan.width), np.dtype(np.float32))
        kernels = LapackKernels(np.dtype(np.float32))
        factor(stored, store, kernels, Context(), plan.most, Pace(1e11))
        ours.append(time.perf_counter() - begun)
        del store
    mine, one = statistics.median(ours[1:]), statistics.median(theirs[1:])
    flops = 2.0 / 3.0 * float(n) ** 3 / 1e9
    print(
        f"LU {n:,} float32: panels {mine:.2f} s ({flops / mine:.0f} GFLOP/s), "
        f"one sgetrf {one:.2f} s ({flops / one:.0f} GFLOP/s), rate {one / mine:.2f} of it"
    )


if __name__ == "__main__":
    if sys.argv[1] == "rate":
        rate(int(sys.argv[2]), int(sys.argv[3]))
