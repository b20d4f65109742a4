"""What the numbers of x and y are called: by name, part or index."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nninvert.errors import UsageError, shortlist

if TYPE_CHECKING:
    from nninvert.layout import Layout
    from nninvert.network import Network


def input_names(network: Network) -> Names:
    """What the numbers of x are called: as the network says, else x0, x1, ..."""
    numbered = tuple(f"x{index}" for index in range(network.n_in))
    return Names(network.input_names or numbered, network.inputs)


def output_names(network: Network) -> Names:
    """What the numbers of y are called: as the network says, else y0, y1, ..."""
    numbered = tuple(f"y{index}" for index in range(network.n_out))
    return Names(network.output_names or numbered, network.outputs, "output")


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

    def twice(self, place: int, option: str) -> UsageError:
        """The error for two values that are given to one number."""
        name = self.single[place]
        return UsageError(
            option, got=f"'{name}' twice", expected=f"one value for each {self.kind}"
        )

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a part; () of a single number."""
        shapes = () if self.layout is None else self.layout.named_shapes
        return dict(shapes).get(name, ())

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
