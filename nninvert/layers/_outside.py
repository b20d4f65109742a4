"""Which rows of y lie outside a layer's image, told in the terms of `Preimage`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

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
