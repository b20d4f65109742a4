"""How much memory factors in a file take: three blocks, whatever the matrix."""

import os
import subprocess
import sys

import numpy as np
import pytest

N, WIDTH = 4000, 256
BLOCK = 4 * N * WIDTH

FACTOR = """
import sys
import numpy as np
from panel_stores import in_memory, normal, quiet_context
from nninvert.linalg.file_matrix import FileMatrix
from nninvert.linalg.panels.factor_file import FactorFile
from nninvert.linalg.panels.factors import PanelFactors
from nninvert.linalg.panels.kernels import LapackKernels
from nninvert.linalg.panels.lu import Pace, factor
from nninvert.linalg.panels.region import Weights


def status(name):
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(name))

folder, n, width, most = sys.argv[1], *map(int, sys.argv[2:])
matrix = FileMatrix(folder + "/weights", 0, (n, n), np.dtype(np.float32)).transposed
in_memory(normal(800, "float32"), width)  # The buffers of BLAS, which stay.
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # The peak is counted from here.
before = status("VmRSS")
with FactorFile.begin(folder + "/factors") as file:
    region = file.add(Weights.of(matrix), True, n, width, "float32")
    store, kernels = file.store(region), LapackKernels(np.dtype(np.float32))
    factor(matrix, store, kernels, quiet_context(), most, Pace(1e12))
    x = np.ones((n, 1), np.float32, order="F")
    PanelFactors(store, kernels, True).solve(x)
    file.finish()
print(status("VmHWM") - before)
np.save(folder + "/x.npy", x)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("weights")
    generator = np.random.default_rng(0)
    with open(made / "weights", "wb") as file:
        for _ in range(0, N, 500):
            generator.standard_normal((500, N), np.float32).tofile(file)
    return made


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="asks Linux")
@pytest.mark.parametrize("most", [1, 4])
def test_a_file_takes_the_resident_blocks_and_two_that_are_streamed(folder, most):
    """With one or four resident blocks 37 or 50 MB are allowed; the matrix has 64."""
    done = subprocess.run(
        [sys.executable, "-c", FACTOR, str(folder), str(N), str(WIDTH), str(most)],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            "OPENBLAS_NUM_THREADS": "1",
        },
    )
    held = int(done.stdout)
    assert (most + 1.5) * BLOCK < held < (most + 2) * BLOCK + 25_000_000
    # It did solve: A x = 1, checked without A in memory.
    x = np.load(folder / "x.npy")[:, 0].astype(np.float64)
    weights = np.memmap(folder / "weights", np.float32, "r", shape=(N, N))
    residual = max(
        float(np.abs(weights[k : k + 500].astype(np.float64) @ x - 1).max())
        for k in range(0, N, 500)
    )
    assert residual < 1e-5 * N * np.abs(x).max()
