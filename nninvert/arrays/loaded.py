"""What reading an array gives."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False, slots=True)
class LoadedArray:
    """An array as it was stored, and what its file told about it.

    Parameters
    ----------
    values : ndarray
        float16, float32, float64 or integers, in this machine's byte order; a CSV is
        float64, and bfloat16 became float32. Private to the caller, or a read-only map.
    names : tuple of str or None
        The header of a CSV: one name for each column.
    half_step : ndarray or None
        CSV only, float64, shape of `values`: half the last decimal that was written, so
        0.005 for ``0.25``; 0 for whole numbers, which are taken as exact, and for
        ``nan`` and ``inf``.
    source : str
        Where it came from, for messages.
    format : str
        ``npy``, ``npz``, ``csv`` or ``hdf5``.
    """

    values: np.ndarray
    names: tuple[str, ...] | None
    half_step: np.ndarray | None
    source: str
    format: str

    def ordered(self, names: tuple[str, ...] | None) -> LoadedArray:
        """The columns in the order of `names`, where a table has just these."""
        if names is None or self.names is None or sorted(names) != sorted(self.names):
            return self
        order = [self.names.index(name) for name in names]
        half_step = None if self.half_step is None else self.half_step[:, order]
        return replace(self, values=self.values[:, order], names=names, half_step=half_step)
