"""Norms that do not overflow on the way, and no larger arrays than their results."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nninvert.linalg.row_blocks import row_blocks

Float64 = NDArray[np.float64]


def row_norms(rows: Float64) -> Float64:
    """2-norms along the last axis, (..., n) to (...,), for entries of any magnitude.

    The squares of entries beyond 1e154 overflow, and those below 1e-162 vanish; relative
    to the largest entry of the row they do neither. NaN and infinity stay what they are.
    """
    flat = rows.reshape(math.prod(rows.shape[:-1]), rows.shape[-1])
    found = np.empty(len(flat))
    for part in row_blocks(flat.shape):
        found[part] = _norms(flat[part])
    return found.reshape(rows.shape[:-1])


def row_maxima(rows: Float64) -> Float64:
    """The largest size of an entry along the last axis, (..., n) to (...,); 0 without any.

    NaN where there is one.
    """
    most, least = (part(rows, axis=-1, initial=0.0) for part in (np.max, np.min))
    return np.asarray(np.maximum(most, -least))


def _norms(rows: Float64) -> Float64:
    size = row_maxima(rows)
    unit = np.where((size > 0.0) & np.isfinite(size), size, 1.0)
    with np.errstate(over="ignore", under="ignore"):
        found = np.linalg.norm(rows / unit[..., None], axis=-1) * unit
    return np.asarray(found)
