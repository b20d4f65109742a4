"""Which types of values are read, and what the others are called."""

from __future__ import annotations

import numpy as np

from nninvert.arrays.place import Place
from nninvert.errors import DataError

_NAMES = {"c": "complex numbers", "b": "booleans"}
_NEXT = {
    "c": "Save the real and the imaginary part as two outputs.",
    "b": "Save array.astype(float).",
}


def check_type(dtype: np.dtype, place: Place) -> None:
    """Refuse all but floats of 2, 4 or 8 bytes and integers.

    Raises
    ------
    DataError
        Naming what is there and what is read.
    """
    if dtype.kind in "iu" or (dtype.kind == "f" and dtype.itemsize <= 8):
        return
    raise DataError(
        place.inside(),
        got=_NAMES.get(dtype.kind, str(dtype)),
        expected="float16, float32, float64 or integers",
        next_step=_NEXT.get(dtype.kind, ""),
        file=place.file,
    )
