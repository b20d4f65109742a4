"""Which rows of y lie outside a layer's image, told in the terms of `Preimage`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nninvert.layers._base import Preimage, capped

Float64 = NDArray[np.float64]


T = TypeVar("T", bound=np.generic)


def flat_rows(values: NDArray[T]) -> NDArray[T]:
    """Reshape (rows, *shape) to (rows, n), also where there are no rows."""
    return values.reshape(values.shape[0], math.prod(values.shape[1:]))


@dataclass(frozen=True)
class Outside:
    """The fields of `Preimage` that say how far a row is from the image."""

    outside: NDArray[np.int64]
    overshoot: Float64
    unit: NDArray[np.int64]
    value: Float64
    proved: NDArray[np.bool_]

    @classmethod
    def of(cls, y: Float64, nearest: Float64, out: NDArray[np.bool_]) -> Outside:
        """Compare y with the nearest values; `out` marks the units that are too far."""
        flat, marked = flat_rows(y), flat_rows(out)
        far = np.where(marked, np.abs(flat - flat_rows(nearest)), 0.0)
        worst = far.argmax(axis=1)
        proved: NDArray[np.bool_] = np.any(marked, axis=1)
        return cls(
            outside=np.count_nonzero(marked, axis=1),
            overshoot=far.max(axis=1, initial=0.0),
            unit=np.where(proved, worst, -1),
            value=np.where(proved, flat[np.arange(len(flat)), worst], np.nan),
            proved=proved,
        )

    def preimage(
        self,
        x: Float64,
        radius: Float64,
        *,
        free: NDArray[np.bool_],
        origins: Float64,
        kernel: int = 0,
    ) -> Preimage:
        """Say the same of an x that was found.

        Parameters
        ----------
        x, radius, origins
            As in `Preimage`; the radius may be infinite.
        free : bool array, shape (batch, n_in)
            Entries of x of which only an interval is known.
        kernel : int, default 0
            Dimensions of a kernel, which count as free ones do.
        """
        return Preimage(
            x=x,
            radius=capped(radius),
            outside=self.outside,
            overshoot=self.overshoot,
            unit=self.unit,
            value=self.value,
            place=np.zeros(len(self.outside), dtype=np.int64),
            proved=self.proved,
            free=free if free.any() else None,
            free_dimensions=kernel + np.count_nonzero(free, axis=1),
            origins=origins,
        )
