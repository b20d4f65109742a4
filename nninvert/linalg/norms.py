"""Norms that do not overflow on the way."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

_BLOCK = 2**16
"""Numbers that are taken at a time, so that what is made of them stays in the cache."""


def row_norms(rows: Float64) -> Float64:
    """2-norms along the last axis, (..., n) to (...,), for entries of any magnitude.

    The squares of entries beyond 1e154 overflow, and those below 1e-162 vanish; relative
    to the largest entry of the row they do neither. NaN and infinity stay what they are.
    """
    length = rows.shape[-1]
    step = max(1, _BLOCK // max(1, length))
    flat = rows.reshape(math.prod(rows.shape[:-1]), length)
    found = np.empty(len(flat))
    for start in range(0, len(flat), step):
        found[start : start + step] = _norms(flat[start : start + step])
    return found.reshape(rows.shape[:-1])


def _norms(rows: Float64) -> Float64:
    size = np.abs(rows).max(axis=-1, initial=0.0)
    unit = np.where((size > 0.0) & np.isfinite(size), size, 1.0)
    with np.errstate(over="ignore", under="ignore"):
        found = np.linalg.norm(rows / unit[..., None], axis=-1) * unit
    return np.asarray(found)
