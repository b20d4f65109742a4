"""One dense layer of any width in a file, written in blocks and never held.

::

    python tests/big_models.py MODEL.h5 10000 float32 tanh

writes a Keras model; a name in .npz gives bare weights, ``kernel`` and ``bias``.
"""

import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

BLOCK_ROWS = 256
TYPES = ("float16", "bfloat16", "float32", "float64")


def write_dense(
    path: str | Path,
    n: int,
    dtype: str = "float32",
    seed: int = 0,
    activation: str = "tanh",
) -> str:
    """Write a layer from n to n: entries of variance 1 / n, a bias of size 0.1.

    Parameters
    ----------
    path : path
        Ends in .h5: a Keras model, contiguous, of which ``dense/kernel`` and
        ``dense/bias`` are the arrays, from the root as well. Or in .npz: uncompressed,
        without activation.
    n : int
        The kernel takes n^2 numbers on the disk and `BLOCK_ROWS` n in memory.
    dtype : str
        One of `TYPES`; no bfloat16 in .npz.
    seed : int
        The same numbers, rounded, whatever the type and the kind of file.
    activation : str
        Keras's name for it.
    """
    if str(path).endswith(".npz"):
        _write_npz(str(path), n, np.dtype(dtype), seed)
    else:
        _write_keras(str(path), n, dtype, seed, activation)
    return str(path)


def blocks(n: int, seed: int) -> Iterator[np.ndarray]:
    """The kernel (n_in, n_out) in float32, some rows at a time."""
    scale = np.float32(1.0 / np.sqrt(n))
    for start in range(0, n, BLOCK_ROWS):
        rng = np.random.default_rng([seed, start])
        rows = min(BLOCK_ROWS, n - start)
        yield rng.standard_normal((rows, n), dtype=np.float32) * scale


def bias(n: int, seed: int) -> np.ndarray:
    """The bias in float32."""
    rng = np.random.default_rng([seed, n])
    return np.float32(0.1) * rng.standard_normal(n, dtype=np.float32)


def stored(values: np.ndarray, dtype: str) -> np.ndarray:
    """float32 values as they are stored; bfloat16 as two opaque bytes each."""
    if dtype != "bfloat16":
        return values.astype(dtype)
    bits = values.view(np.uint32)
    # Half of the part that is cut off rounds to nearest, and to even where it is a tie.
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16).view("V2")


def _write_keras(path: str, n: int, dtype: str, seed: int, activation: str) -> None:
    start = {"name": "input", "batch_input_shape": [None, n]}
    config = {"name": "dense", "units": n, "activation": activation, "use_bias": True}
    layers = [
        {"class_name": "InputLayer", "config": start},
        {"class_name": "Dense", "config": config},
    ]
    model = {
        "class_name": "Sequential",
        "config": {"name": "sequential", "layers": layers},
    }
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["keras_version"] = "2.15.0"
        file.attrs["backend"] = "tensorflow"
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = np.array([b"dense"])
        group = weights.create_group("dense")
        group.attrs["weight_names"] = np.array([b"kernel", b"bias"])
        short = np.dtype("V2" if dtype == "bfloat16" else dtype)
        kernel = group.create_dataset("kernel", (n, n), short)
        for k, block in enumerate(blocks(n, seed)):
            first = k * BLOCK_ROWS
            kernel[first : first + len(block)] = stored(block, dtype)
        made = group.create_dataset("bias", data=stored(bias(n, seed), dtype))
        if dtype == "bfloat16":
            kernel.attrs["dtype"] = made.attrs["dtype"] = "bfloat16"
        file["dense"] = group


def _write_npz(path: str, n: int, dtype: np.dtype, seed: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("kernel.npy", "w", force_zip64=True) as member:
            header = {"descr": dtype.str, "fortran_order": False, "shape": (n, n)}
            np.lib.format.write_array_header_1_0(member, header)
            for block in blocks(n, seed):
                member.write(block.astype(dtype).data)
        with archive.open("bias.npy", "w") as member:
            np.save(member, bias(n, seed).astype(dtype))


if __name__ == "__main__":
    target, size, kind, name = sys.argv[1:5]
    write_dense(target, int(size), kind, activation=name)
