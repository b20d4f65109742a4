"""Model files with holes: as large as one likes, with nothing on the disk."""

from pathlib import Path

import h5py
import numpy as np

DTYPES = {"float16": h5py.h5t.IEEE_F16LE, "float32": h5py.h5t.IEEE_F32LE}


def write_holes(path: Path, n: int, dtype: str = "float16", layers: int = 1) -> None:
    """Write square layers W1, b1, ... of zeros whose weights take no room on the disk.

    A contiguous data set whose space is reserved at once and never filled is a hole in
    the file, which reads as zeros.
    """
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_layout(h5py.h5d.CONTIGUOUS)
    creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple((n, n))
    with h5py.File(path, "w") as file:
        for layer in range(1, layers + 1):
            name = f"W{layer}".encode()
            h5py.h5d.create(file.id, name, DTYPES[dtype], space, creation)
            file[f"b{layer}"] = np.zeros(n, dtype)
