"""How fast this machine is, measured in a few hundredths of a second.

Plans are made of these numbers. They are predictions: what a result says about time was
measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

DISK = 4e8
"""Bytes per second that a disk is taken to read and write: an ordinary solid-state one."""

_PRODUCT = 640
"""Smaller matrices than this are multiplied more slowly, larger ones as fast."""

_COPIED = 32 * 2**20
_LU_SHARE = 0.85
"""Share of the rate of large products that a panelled LU reaches; 0.86 to 0.95 measured."""


@dataclass(frozen=True)
class Rates:
    """Operations and bytes per second.

    Attributes
    ----------
    single, double : float
        Floating-point operations of large matrix products in float32 and float64.
    memory : float
        Bytes read from memory, and cast to float64 on the way.
    """

    single: float
    double: float
    memory: float

    def product(self, dtype: np.dtype[np.floating[Any]]) -> float:
        """Operations per second of matrix products in a type."""
        return self.single if dtype.itemsize == 4 else self.double

    def lu(self, dtype: np.dtype[np.floating[Any]]) -> float:
        """Operations per second of a panelled LU in a type."""
        return _LU_SHARE * self.product(dtype)


@cache
def machine_rates() -> Rates:
    """Measure once in a process."""
    return Rates(_product_rate(np.float32), _product_rate(np.float64), _cast_rate())


def _product_rate(dtype: type[np.floating[Any]]) -> float:
    a = np.ones((_PRODUCT, _PRODUCT), dtype)
    out = np.empty_like(a)
    return 2.0 * _PRODUCT**3 / _fastest(lambda: np.matmul(a, a, out=out))


def _cast_rate() -> float:
    stored = np.ones(_COPIED // 4, np.float32)
    block = np.empty(2**16)

    def cast() -> None:
        for start in range(0, stored.size, block.size):
            block[...] = stored[start : start + block.size]

    return _COPIED / _fastest(cast)


def _fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of three runs: the first one also wakes threads up."""
    best = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begun)
    return best
