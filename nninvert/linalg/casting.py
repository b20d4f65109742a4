"""Short floating-point types cast to longer ones, without loss.

NumPy's own cast of float16 takes its numbers one by one and is slower than reading them;
shifting their bits into place takes many at a time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]

BFLOAT16 = "bfloat16"

BFLOAT16_EPS = 2.0**-7
"""Spacing of bfloat16 at 1: it has 8 significant bits, one of them not stored."""

_CHUNK = 1 << 16
"""Numbers cast at a time: the scratch of a chunk stays in the cache."""

# A float16 is sign, 5 bits of exponent (bias 15), 10 of fraction; 13 places up the fraction
# and the exponent stand where float32 has them, and the biases differ by 127 - 15.
_SHIFT = 13
_FIELDS = np.int32(-0x70000001)  # all bits but 28 - 30, where the sign was smeared
_REBIAS = np.float32(2.0**112)
_BEYOND = np.float32(65536.0)  # what the exponent of infinity and NaN becomes


def cast(values: Array, out: Array) -> None:
    """Cast `values` into `out`, of the same shape and any float type, either in any order.

    What is too large for the type of `out` becomes infinite, silently.
    """
    if values.dtype == np.float16 and out.dtype != np.float16:
        _cast_halves(values, out)
        return
    with np.errstate(over="ignore"):
        np.copyto(out, values, casting="unsafe")


def decode_bfloat16(raw: Array, out: Array) -> None:
    """Put bfloat16, given as two-byte unsigned integers, into a C-ordered float32 array.

    Its bits are the upper half of a float32.
    """
    bits = out.view(np.uint32)
    np.copyto(bits, raw)
    np.left_shift(bits, 16, out=bits)


def _cast_halves(values: Array, out: Array) -> None:
    if values.ndim == 2 and values.flags.f_contiguous and not values.flags.c_contiguous:
        values, out = values.T, out.T
    lines = max(1, _CHUNK // max(1, values.shape[-1])) if values.ndim == 2 else _CHUNK
    for start in range(0, values.shape[0], lines):
        _cast_chunk(values[start : start + lines], out[start : start + lines])


def _cast_chunk(values: Array, out: Array) -> None:
    bits = values.view(np.int16).astype(np.int32)
    np.left_shift(bits, _SHIFT, out=bits)
    np.bitwise_and(bits, _FIELDS, out=bits)
    single = bits.view(np.float32)
    np.multiply(single, _REBIAS, out=single)
    if single.size and max(single.max(), -single.min()) >= _BEYOND:
        np.copyto(out, values, casting="unsafe")
    else:
        np.copyto(out, single, casting="unsafe")
