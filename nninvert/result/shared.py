"""What every command may tell: what was read, and what was left on the disk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class ModelSummary:
    """What was read."""

    path: str
    format: str
    dtype: str
    parameters: int
    input_shape: Shape
    output_shape: Shape
    notes: tuple[str, ...]


@dataclass(frozen=True)
class KeptFactors:
    """A file of factors that was left, and the seconds that making it took."""

    path: str
    nbytes: int
    seconds: float
