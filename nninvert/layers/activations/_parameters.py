"""Parameters of activations: finite floats, each within what its formula allows."""

from __future__ import annotations

import math
from dataclasses import fields
from numbers import Real
from typing import Literal

from nninvert.errors import InputError
from nninvert.layers.activations._base import Activation

Rule = Literal["any", "positive", "not negative"]

_EXPECTED: dict[Rule, str] = {
    "any": "a finite number",
    "positive": "a finite number above 0",
    "not negative": "a finite number, 0 or above",
}


def check_parameters(activation: Activation, **rules: Rule) -> None:
    """Turn every parameter into a float, or say which one is not as its rule wants.

    A parameter without a rule may be any finite number. None stays where it is the
    default.

    Raises
    ------
    InputError
    """
    for field in fields(activation):  # type: ignore[arg-type]
        value = getattr(activation, field.name)
        if value is None and field.default is None:
            continue
        rule = rules.get(field.name, "any")
        if not _fits(value, rule):
            raise InputError(
                f"{activation.name} {field.name}",
                got=repr(value),
                expected=_EXPECTED[rule],
            )
        object.__setattr__(activation, field.name, float(value))


def _fits(value: object, rule: Rule) -> bool:
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    number = float(value)
    if not math.isfinite(number):
        return False
    return rule == "any" or number > 0.0 or (rule == "not negative" and number == 0.0)
