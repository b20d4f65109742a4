"""What the numbers of x and y are called on the command line: by name, part or index."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nninvert.cli._values import is_share, number_of
from nninvert.errors import UsageError, shortlist

if TYPE_CHECKING:
    from nninvert.layout import Layout

_BETWEEN = re.compile(r",(?![^\[]*\])")
"""A comma, but not one in ``image[1,2]``."""


@dataclass(frozen=True)
class Names:
    """Names of the single numbers of a row, and of the parts that it consists of.

    Attributes
    ----------
    single : tuple of str
        One for each number.
    layout : Layout or None
        The parts, where they may be named.
    kind : str
        "input" or "output".
    """

    single: tuple[str, ...]
    layout: Layout | None = None
    kind: str = "input"

    def numbers(self, name: str, option: str) -> range:
        """The numbers that `name` means: one of `single`, a part, an index, or x0, ...

        Raises
        ------
        UsageError
            With the nearest names, if it is none of them.
        """
        if name in self.single:
            place = self.single.index(name)
            return range(place, place + 1)
        found = None if self.layout is None else self.layout.numbers(name)
        if found is not None:
            return found
        digits = name.removeprefix("x" if self.kind == "input" else "y")
        if digits.isascii() and digits.isdigit() and int(digits) < len(self.single):
            return range(int(digits), int(digits) + 1)
        close = difflib.get_close_matches(name, (*self.parts, *self.single))
        raise UsageError(
            option,
            got=f"the {self.kind} '{name}'",
            expected=f"one of {self._shown}, or an index up to {len(self.single) - 1}",
            next_step=f"Did you mean {close[0]}?" if close else "",
        )

    def index(self, name: str, option: str) -> int:
        """The one number that `name` means.

        Raises
        ------
        UsageError
            As `numbers`, or if it is a part of several.
        """
        found = self.numbers(name, option)
        if len(found) > 1:
            first, last = self.single[found[0]], self.single[found[-1]]
            raise UsageError(
                option,
                got=f"'{name}', which is {len(found)} {self.kind}s",
                expected="one of them",
                next_step=f"They are called {first} to {last}.",
            )
        return found[0]

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts; () where there is one."""
        if self.layout is None:
            return ()
        return tuple(name for name, _ in self.layout.named_shapes)

    @property
    def _shown(self) -> str:
        if not self.parts:
            return shortlist(self.single, 6)
        single = next((name for name in self.single if name not in self.parts), "")
        numbers = f", a number of one such as {single}" if single else ""
        return shortlist(self.parts, 6) + numbers


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
                raise _twice("--fix", names.single[index], names)
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
                raise _twice(option, names.single[index], names)
            found[index] = text
    return found


def _twice(option: str, name: str, names: Names) -> UsageError:
    return UsageError(
        option, got=f"'{name}' twice", expected=f"one value for each {names.kind}"
    )
