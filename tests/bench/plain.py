"""What people do without nninvert: read, cast, solve. The other side of the ratios.

::

    python plain.py solve MODEL.h5 Y.npy X.npy
    python plain.py cond MODEL.h5
"""

import sys

import h5py
import numpy as np


def kernel(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Weights (n_in, n_out) and bias of the only layer, in float64."""
    with h5py.File(path) as file:
        return (
            file["dense/kernel"][()].astype(np.float64),
            file["dense/bias"][()].astype(np.float64),
        )


def solve(model: str, targets: str, output: str) -> None:
    """The formula for one tanh layer."""
    y = np.load(targets)
    weights, bias = kernel(model)
    np.save(output, np.linalg.solve(weights.T, (np.arctanh(y) - bias).T).T)


def cond(model: str) -> None:
    """The 2-norm condition number by SVD."""
    print(np.linalg.cond(kernel(model)[0]))


if __name__ == "__main__":
    {"solve": solve, "cond": cond}[sys.argv[1]](*sys.argv[2:])
