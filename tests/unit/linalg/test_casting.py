"""Casts of short types are exact for every number there is."""

import numpy as np
import pytest

from nninvert.linalg.casting import cast, decode_bfloat16, quiet

HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
FINITE = HALVES[np.isfinite(HALVES)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("values", [FINITE, HALVES], ids=["finite", "all"])
def test_every_float16(values, dtype):
    out = np.empty(values.size, dtype)
    cast(values, out)
    np.testing.assert_array_equal(out, values)
    np.testing.assert_array_equal(np.signbit(out), np.signbit(values))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, -np.nan])
def test_one_float16_that_is_not_finite(value):
    values = np.ones(5, np.float16)
    values[3] = value
    out = np.empty(5, np.float32)
    cast(values, out)
    np.testing.assert_array_equal(out, values)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("stored", [np.float16, ">f2", ">f4", np.float64, np.int8])
def test_any_order_and_type(order, stored, rng):
    values = (10 * rng.standard_normal((300, 400))).astype(stored)
    for given in (values, np.asfortranarray(values), values[::1, 1:]):
        out = np.empty(given.shape, np.float32, order=order)
        cast(given, out)
        np.testing.assert_array_equal(out, given.astype(np.float32))


def test_no_numbers_and_too_large_ones():
    out = np.empty((0, 3))
    cast(np.empty((0, 3), np.float16), out)
    short = np.empty(1, np.float32)
    cast(np.array([1e300]), short)
    assert short[0] == np.inf


def test_every_bfloat16():
    raw = np.arange(1 << 16, dtype=np.uint16)
    out = np.empty(raw.size, np.float32)
    decode_bfloat16(raw, out)
    # The exponent has 8 bits, the fraction 7; the rest is IEEE 754 as of any type.
    exponent, fraction = (raw >> 7 & 0xFF).astype(int), (raw & 0x7F) / 128.0
    with np.errstate(over="ignore"):
        size = np.where(
            exponent == 0,
            np.ldexp(fraction, -126),
            np.ldexp(1.0 + fraction, exponent - 127),
        )
    size = np.where(exponent == 255, np.where(fraction == 0, np.inf, np.nan), size)
    np.testing.assert_array_equal(out, np.where(raw >> 15 == 1, -size, size))


@pytest.mark.parametrize(
    "odd", [np.uint16(0x7D00), np.uint32(0x7F800001), np.uint64(0x7FF0000000000001)]
)
def test_signalling_nan_are_made_quiet(odd):
    stored = np.array([odd, 0], odd.dtype).view(f"f{odd.dtype.itemsize}")
    made = quiet(stored)
    assert made.dtype == stored.dtype
    with np.errstate(all="raise"):
        assert np.isnan(made.astype(np.float64)).tolist() == [True, False]
        out = np.empty(2)
        cast(stored, out)
    assert np.isnan(out).tolist() == [True, False]


def test_what_is_quiet_is_not_copied():
    for values in (np.array([1.0, np.inf]), np.arange(3), np.array(["a"])):
        assert quiet(values) is values
