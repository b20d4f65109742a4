"""What reading an array gives."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nninvert.errors import DataError


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
    coarsest : numpy type or None, default None
        Of parts that were stored in different types, the least precise: `values` are
        exact, but known no better than that.
    """

    values: np.ndarray
    names: tuple[str, ...] | None
    half_step: np.ndarray | None
    source: str
    format: str
    coarsest: np.dtype[np.generic] | None = None

    @property
    def targets(self) -> np.ndarray:
        """The values in a type that says how precisely they are known.

        Raises
        ------
        DataError
            If parts have different types, and not all values fit into the coarsest.
        """
        if self.coarsest is None:
            return self.values
        with np.errstate(over="ignore"):
            found = self.values.astype(self.coarsest)
        beyond = np.isfinite(self.values) & ~np.isfinite(found)
        if beyond.any():
            raise DataError(
                "",
                got=f"parts of different types, {self.coarsest} and one that holds "
                f"{self.values[beyond][0]:g}",
                expected="one type that holds all values",
                next_step="Save all parts as float32 or float64.",
                file=self.source,
            )
        return found

    def ordered(self, names: tuple[str, ...] | None) -> LoadedArray:
        """The columns in the order of `names`, where a table has just these."""
        if names is None or self.names is None or sorted(names) != sorted(self.names):
            return self
        order = [self.names.index(name) for name in names]
        half_step = None if self.half_step is None else self.half_step[:, order]
        return replace(self, values=self.values[:, order], names=names, half_step=half_step)
