"""What every command may tell: what was read, and what was left on the disk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class ModelSummary:
    """What was read.

    Attributes
    ----------
    path, format : str
    dtype : str
        The type that the weights are stored in.
    parameters : int
    input_shape, output_shape : tuple of int
        Of one row.
    notes : tuple of str
    input_parts, output_parts : tuple of (name, shape)
        What a row consists of, where that is several parts; else ().
    output_names : tuple of str
        What single outputs are called; () where nothing says it.
    """

    path: str
    format: str
    dtype: str
    parameters: int
    input_shape: Shape
    output_shape: Shape
    notes: tuple[str, ...]
    input_parts: tuple[tuple[str, Shape], ...] = ()
    output_parts: tuple[tuple[str, Shape], ...] = ()
    output_names: tuple[str, ...] = ()

    def output_label(self, index: int) -> str:
        """The number of an output, with its name where it has one."""
        return f"{index} '{self.output_names[index]}'" if self.output_names else str(index)


@dataclass(frozen=True)
class KeptFactors:
    """A file of factors that was left, and the seconds that making it took."""

    path: str
    nbytes: int
    seconds: float
