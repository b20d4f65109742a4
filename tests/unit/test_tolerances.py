"""Thresholds: each against the sentence that defines it."""

import numpy as np
import pytest

from nninvert import tolerances
from nninvert.tolerances import Precision


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (np.float16, 16 * 2.0**-10),
        (np.float32, 16 * 2.0**-23),
        (np.float64, 1e-9),
        (np.int32, 1e-9),
        (">f4", 16 * 2.0**-23),
    ],
)
def test_relative_target_tolerance(dtype, expected):
    assert tolerances.relative_target_tolerance(dtype) == expected


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_half_spacing_is_what_rounding_hides(dtype, rng):
    values = rng.standard_normal(200).astype(dtype)
    half = tolerances.half_spacing(values)
    assert half.dtype == np.float64
    exact = values.astype(np.longdouble)
    for sign in (-1.0, 1.0):
        np.testing.assert_array_equal((exact + sign * 0.9 * half).astype(dtype), values)
        moved = (exact + sign * 2.5 * half).astype(dtype)
        assert (moved != values).all()


def test_half_spacing_at_a_power_of_two_is_that_below():
    assert tolerances.half_spacing(np.array([1.0], dtype=np.float32))[0] == 2.0**-25


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_half_spacing_of_zero_and_of_the_largest(dtype):
    info = np.finfo(dtype)
    zero, largest = tolerances.half_spacing(np.array([0.0, -info.max], dtype=dtype))
    assert zero == info.smallest_normal
    assert 0.0 < largest < info.max


def test_half_spacing_of_integers_and_foreign_byte_order():
    np.testing.assert_array_equal(
        tolerances.half_spacing(np.array([3], dtype=np.int16)),
        tolerances.half_spacing(np.array([3.0])),
    )
    native = np.array([0.1, 7.0], dtype="<f4")
    np.testing.assert_array_equal(
        tolerances.half_spacing(native.astype(">f4")), tolerances.half_spacing(native)
    )


def test_singular_threshold_scales_with_size_and_norm():
    assert tolerances.singular_threshold((3, 7), 2.0) == 14 * tolerances.EPS64
    assert tolerances.singular_threshold((3, 7), 2.0, 1e-7) == 14e-7


def test_stored_eps():
    assert tolerances.stored_eps(np.float32) == 2.0**-23
    assert tolerances.stored_eps(np.int8) == tolerances.EPS64


def test_svd_is_cheap_up_to_two_thousand():
    assert tolerances.svd_is_cheap((2000, 2000))
    assert not tolerances.svd_is_cheap((2001, 2001))
    assert tolerances.svd_is_cheap((100_000, 100))


def test_tolerance_is_relative_to_the_larger_of_target_and_terms():
    precision = Precision.of_stored(np.array([[2.0, 0.5]], dtype=np.float32))
    found = precision.tolerance(np.array([[2.0, 0.5]]), np.array([[1.0, 3.0]]))
    np.testing.assert_allclose(found, [[2.0 * 2.0**-19, 3.0 * 2.0**-19]])
    assert (precision.label, precision.decimal) == ("float32", False)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_tolerance_is_never_zero(dtype):
    precision = Precision.of_stored(np.zeros((1, 1), dtype=dtype))
    found = precision.tolerance(np.zeros((1, 1)), np.zeros((1, 1)))
    assert found[0, 0] == np.finfo(dtype).smallest_normal


def test_half_the_last_decimal_is_a_tolerance():
    values = np.array([[0.25, 3.0]])
    precision = Precision.of_decimals(values, np.array([[0.005, 0.0]]))
    found = precision.tolerance(values, np.zeros((1, 2)))
    np.testing.assert_allclose(found, [[0.005, 3e-9]])
    assert precision.decimal
    assert (precision.half_step > 0.0).all()


def test_rows_of_a_precision():
    precision = Precision.of_stored(np.array([[1.0], [1024.0]]))
    np.testing.assert_array_equal(precision.rows(np.array([1])).half_step, [[2.0**-44]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_half_spacings_are_those_of_nextafter_for_any_number(dtype, rng):
    largest = 4.0 if dtype == np.float16 else 30.0
    values = (10.0 ** rng.uniform(-largest, largest, (3, 70_000))).astype(dtype)
    values[0, :20] = 2.0 ** np.arange(-10, 10)
    values *= rng.choice([-1, 1], values.shape)
    size = np.abs(values)
    below = (size - np.nextafter(size, dtype(0))).astype(np.float64)
    found = tolerances.half_spacing(values)
    normal = size >= np.finfo(dtype).smallest_normal
    assert normal.mean() > 0.9
    np.testing.assert_array_equal(found[normal], 0.5 * below[normal])
    np.testing.assert_array_equal(found[:, ::3], tolerances.half_spacing(values[:, ::3]))
