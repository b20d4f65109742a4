"""Fields of JSON are what they should be, or refused with their place."""

import pytest

from nninvert.errors import FormatError
from nninvert.formats._json import Fields


@pytest.mark.parametrize(
    "value",
    [10**400, -(10**400), float("inf"), float("nan")],
    ids=["long", "negative", "inf", "nan"],
)
def test_numbers_that_no_float_holds(value):
    with pytest.raises(FormatError, match=r"alpha: got .*expected a finite number"):
        Fields({"alpha": value}).number("alpha")


@pytest.mark.parametrize("value", [1e308, 3, -0.5])
def test_numbers(value):
    assert Fields({"alpha": value}).number("alpha") == value
