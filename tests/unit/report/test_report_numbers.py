"""How numbers are written for people."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nninvert.report import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (263.0, "2.6e2"),
        (1.9e-15, "1.9e-15"),
        (66.96, "6.7e1"),
        (1e-16, "1e-16"),
        (9.96, "1e1"),
        (-3.25e7, "-3.2e7"),
        (0.0, "0"),
        (-0.0, "0"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, "nan"),
    ],
)
def test_scientific(value, text):
    assert numbers.scientific(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.21, "0.21"),
        (2.4203, "2.42"),
        (9.01, "9.01"),
        (415.4, "415"),
        (12345.0, "12,300"),
        (-0.5, "-0.5"),
        (0.9999, "1"),
        (3.14e-5, "3.1e-5"),
        (2.0e5, "2e5"),
        (0.0, "0"),
        (math.inf, "inf"),
    ],
)
def test_decimal(value, text):
    assert numbers.decimal(value) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0.0042, "0.42 %"),
        (0.004, "0.4 %"),
        (0.03, "3 %"),
        (1.0, "100 %"),
        (12.34, "1,200 %"),
        (1e4, "1e6 %"),
        (1e-9, "1e-7 %"),
        (0.0, "0 %"),
        (math.inf, "inf %"),
    ],
)
def test_percent(fraction, text):
    assert numbers.percent(fraction) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.0476, "0.05 s"),
        (1.26, "1.3 s"),
        (12.4, "12 s"),
        (59.7, "1 min 0 s"),
        (200.0, "3 min 20 s"),
        (599.9, "10 min"),
        (3540.0, "59 min"),
        (3600.0, "1 h 0 min"),
        (6720.0, "1 h 52 min"),
    ],
)
def test_duration(seconds, text):
    assert numbers.duration(seconds) == text


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [(0, "0 MB"), (47_297_478, "47 MB"), (4e8, "0.4 GB"), (1.2345e12, "1,234.5 GB")],
)
def test_gigabytes(nbytes, text):
    assert numbers.gigabytes(nbytes) == text


@given(st.floats(1e-300, 1e300))
def test_rounded_up_is_never_less_and_at_most_a_tenth_more(value):
    limit = float(numbers.rounded_up(value))
    assert value <= limit <= 1.2 * value


def test_rounded_up_is_short():
    assert numbers.rounded_up(0.2134) == "0.22"
    assert numbers.rounded_up(0.21) == "0.21"
    assert numbers.rounded_up(0.0) == "0"


def test_counts_and_shapes():
    assert numbers.count(12480) == "12,480"
    assert numbers.plural(1, "row") == "1 row"
    assert numbers.plural(12480, "parameter") == "12,480 parameters"
    assert numbers.shape((28, 28, 1)) == "28x28x1"
    assert numbers.shape(()) == "1"
    assert numbers.digits(6.349) == "6.3"
    assert numbers.digits(math.nan) == "nan"
