"""Options that call numbers of x and y by name: NAME, or NAME=VALUE."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nninvert.cli._values import is_share, number_of
from nninvert.errors import UsageError
from nninvert.names import Names

_BETWEEN = re.compile(r",(?![^\[]*\])")
"""A comma, but not one in ``image[1,2]``."""


def named_values(text: str) -> list[tuple[str, str]] | None:
    """The pairs of NAME=VALUE,NAME=VALUE; None where `text` is anything else.

    A value is a number or a percentage: lr=0.1/x.npy is the name of a file.
    """
    pairs = [item.rpartition("=") for item in _BETWEEN.split(text)]
    for name, _, value in pairs:
        if not name.strip() or not (is_share(value) or number_of(value) is not None):
            return None
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def indices_of(items: Sequence[str], names: Names, option: str) -> list[int]:
    """The numbers that an option names several times over, each once, in their order.

    Raises
    ------
    UsageError
        For an unknown name.
    """
    return sorted({k for item in items for k in names.numbers(item.strip(), option)})


def fixed_of(items: Sequence[str], names: Names) -> dict[int, float]:
    """The inputs that ``--fix NAME=VALUE`` holds, by index.

    Raises
    ------
    UsageError
        For another form, an unknown name, or an input that is fixed twice.
    """
    fixed: dict[int, float] = {}
    for item in items:
        name, equals, text = item.rpartition("=")
        value = number_of(text)
        if not equals or not name or value is None:
            raise UsageError(
                "--fix",
                got=f"'{item}'",
                expected="NAME=VALUE with a number",
                next_step=f"For example: --fix {names.single[0]}=1.5",
            )
        for index in names.numbers(name.strip(), "--fix"):
            if index in fixed:
                raise names.twice(index, "--fix")
            fixed[index] = value
    return fixed


def values_by_name(
    pairs: Sequence[tuple[str, str]], names: Names, option: str
) -> dict[int, str]:
    """The texts that ``NAME=VALUE,NAME=VALUE`` gives to single numbers, by index.

    Raises
    ------
    UsageError
        For an unknown name, or a number that is given two values.
    """
    found: dict[int, str] = {}
    for name, text in pairs:
        for index in names.numbers(name, option):
            if index in found:
                raise names.twice(index, option)
            found[index] = text
    return found
