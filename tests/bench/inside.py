"""Inside one process: what is compared without the time that a process takes to start.

::

    python inside.py rate N TIMES                 panelled LU beside one call of LAPACK
    python inside.py sparse MODEL.npz Y.npy TIMES  factor and solve beside spsolve
    python inside.py imports                      nothing: a process to compare memory with
"""

import statistics
import sys
import time

import h5py  # noqa: F401  what a process of nninvert imports, too
import numpy as np
import scipy.sparse.linalg
from scipy.linalg import lapack

import nninvert
import nninvert.api
from nninvert.context import Context
from nninvert.linalg.factor import factorise
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


def sparse(model: str, targets: str, times: int) -> None:
    """Seconds to solve with one target, in alternation."""
    matrix = scipy.sparse.load_npz(model).tocsc()
    b = np.arctanh(np.load(targets))
    ours, theirs = [], []
    for _ in range(times + 1):
        begun = time.perf_counter()
        truth = scipy.sparse.linalg.spsolve(matrix, b[0])
        theirs.append(time.perf_counter() - begun)
        layer = nninvert.from_arrays([(matrix, None, None)]).segments[0].layer
        with Context() as context:
            begun = time.perf_counter()
            found = factorise(layer.linear_part[0], context).solve(b)[0]
            ours.append(time.perf_counter() - begun)
    mine, one = statistics.median(ours[1:]), statistics.median(theirs[1:])
    apart = np.linalg.norm(found - truth) / np.linalg.norm(truth)
    print(
        f"{model}: factor and solve {mine:.3f} s, spsolve {one:.3f} s, "
        f"ratio {mine / one:.2f}, x differs by {apart:.1e}"
    )


if __name__ == "__main__":
    if sys.argv[1] == "rate":
        rate(int(sys.argv[2]), int(sys.argv[3]))
    if sys.argv[1] == "sparse":
        sparse(sys.argv[2], sys.argv[3], int(sys.argv[4]))
