"""Short floating-point types cast to longer ones, without loss.

NumPy's own cast of float16 takes its numbers one by one and is slower than reading them;
shifting their bits into place takes many at a time.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

BFLOAT16 = "bfloat16"

BFLOAT16_EPS = 2.0**-7
"""Spacing of bfloat16 at 1: it has 8 significant bits, one of them not stored."""

_CHUNK = 1 << 17
"""Numbers cast at a time: the scratch of a chunk stays in the cache."""

# A float16 is sign, 5 bits of exponent (bias 15), 10 of fraction; 13 places up the fraction
# and the exponent stand where float32 has them, and the biases differ by 127 - 15.
_SHIFT = 13
_FIELDS = np.int32(-0x70000001)  # all bits but 28 - 30, where the sign was smeared
_REBIAS = np.float32(2.0**112)
_INFINITY = 0x7C00
_SIGN = 0x8000


def cast(values: Array, out: Array) -> None:
    """Cast `values` into `out`, of the same shape and any float type, either in any order.

    What is too large for the type of `out` becomes infinite, silently.
    """
    if values.dtype == np.float16 and out.dtype != np.float16:
        _cast_halves(values, out)
        return
    with np.errstate(over="ignore", invalid="ignore"):
        np.copyto(out, values, casting="unsafe")


def quiet(values: Array) -> Array:
    """The same values; of signalling NaN, which are made quiet, casts would complain."""
    odd = np.isnan(values) if values.dtype.kind == "f" else None
    if odd is None or not odd.any():
        return values
    return np.where(odd, np.array(np.nan, values.dtype), values)


def decode_bfloat16(raw: Array, out: Array) -> None:
    """Put bfloat16, given as two-byte unsigned integers, into a C-ordered float32 array.

    Its bits are the upper half of a float32.
    """
    bits = out.view(np.uint32)
    np.copyto(bits, raw)
    np.left_shift(bits, 16, out=bits)


def _cast_halves(values: Array, out: Array) -> None:
    if values.flags.f_contiguous:
        values, out = values.T, out.T
    bits = values.view(np.int16)
    if _has_infinity(bits):
        np.copyto(out, values, casting="unsafe")
        return
    lines = max(1, _CHUNK // max(1, math.prod(bits.shape[1:])))
    scratch = np.empty((min(lines, bits.shape[0]), *bits.shape[1:]), np.int32)
    for start in range(0, bits.shape[0], lines):
        part = bits[start : start + lines]
        wide = scratch[: part.shape[0]]
        np.copyto(wide, part)
        np.left_shift(wide, _SHIFT, out=wide)
        np.bitwise_and(wide, _FIELDS, out=wide)
        single = wide.view(np.float32)
        target = out[start : start + lines]
        if target.dtype == np.float32:
            np.multiply(single, _REBIAS, out=target)
        else:
            np.multiply(single, _REBIAS, out=single)
            np.copyto(target, single, casting="unsafe")


def _has_infinity(bits: NDArray[np.int16]) -> bool:
    """Whether float16 numbers, given as integers, have an infinity or NaN among them.

    These have the largest exponent: they are the largest integers of their sign.
    """
    if not bits.size:
        return False
    highest = max(int(bits.max()), int(bits.view(np.uint16).max()) - _SIGN)
    return highest >= _INFINITY
