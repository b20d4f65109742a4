"""What flows along the edges of an ONNX graph while it is read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import UnsupportedLayerError
from nninvert.formats._arrays import StoredArray

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Signal:
    """What depends on the network's input.

    Attributes
    ----------
    source : int
        Position of the step that makes it; -1 - k is the network's input number k.
    shape : tuple of int
        Without the batch axis, if the batch is the first one.
    rows : bool
        Whether it is; else all axes of the file are in `shape`, of one row.
    whole : bool, default False
        Whether the file computes it in whole numbers.
    """

    source: int
    shape: Shape
    rows: bool
    whole: bool = False


@dataclass(frozen=True)
class Unknown:
    """What comes out of a step that cannot be built, its shape not told by the file."""

    source: int


@dataclass(frozen=True)
class Lengths:
    """Whole numbers some of which are the length of the batch: parts of a shape.

    Attributes
    ----------
    values : int64 array
        1 where the number of rows stands.
    rows : bool array, of the same shape
        Where it stands.
    """

    values: NDArray[np.int64]
    rows: NDArray[np.bool_]


Value = StoredArray | Signal | Unknown | Lengths


class RowsMixed(UnsupportedLayerError):
    """An operator that does not treat all rows of the first axis alike."""

    def __init__(self, what: str) -> None:
        super().__init__("", got=what, expected="the batch to stay the first axis")
