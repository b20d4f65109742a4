"""Which x are wanted, and how close f(x) must come to y."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from nninvert.cli._options._option import WANTED, option


@dataclass(frozen=True)
class Wanted:
    """Which x are wanted, and how close f(x) must come to y."""

    within: Annotated[
        str | None,
        option(
            "--within",
            help="How close is close enough, for each output: a number, 3%, a list "
            "0.1,3%, names temp=0.5,flow=3% or a file. For measured targets. Default: the "
            "precision in which y is stored.",
            metavar="TOL",
        ),
    ] = None
    near: Annotated[
        str | None,
        option(
            "--near",
            help="Of several x take the one nearest to this: a file, a list, a number, or "
            "NAME=VALUE,...",
            metavar="X",
        ),
    ] = None
    lower: Annotated[
        str | None,
        option(
            "--lower",
            help="Least allowed x: a number, a list, a file, or NAME=VALUE,...; -inf "
            "where open.",
            panel=WANTED,
            metavar="X",
        ),
    ] = None
    upper: Annotated[
        str | None,
        option(
            "--upper",
            help="Largest allowed x: a number, a list, a file, or NAME=VALUE,...; inf "
            "where open.",
            panel=WANTED,
            metavar="X",
        ),
    ] = None
    fix: Annotated[
        list[str] | None,
        option(
            "--fix",
            help="Hold one input at a value; may be given several times. NAME is a name "
            "from --bounds or from the header of --near, an index, or x0, x1, ...; where "
            "a network has several inputs, one of them, or one number of it: image[3].",
            panel=WANTED,
            metavar="NAME=VALUE",
        ),
    ] = None
    integer: Annotated[
        list[str] | None,
        option(
            "--integer",
            help="This input must be a whole number; may be given several times. NAME as "
            "for --fix.",
            panel=WANTED,
            metavar="NAME",
        ),
    ] = None
    constraints: Annotated[
        str | None,
        option(
            "--constraints",
            help="Linear relations between inputs, one on each line: feed_T + 2*flow <= "
            "30, x0 >= x1, a + b == 1. Names as for --fix, but an index as x3. Or a CSV "
            "with a column for each input, sense and limit.",
            panel=WANTED,
            metavar="FILE",
        ),
    ] = None
    bounds: Annotated[
        str | None,
        option(
            "--bounds",
            help="What is known of single inputs in one table with the columns name, "
            "lower, upper, fixed, near; empty cells are open.",
            panel=WANTED,
            metavar="FILE.csv",
        ),
    ] = None

    def words(self) -> tuple[str, ...]:
        """The options again, for a command that is proposed."""
        given = [
            ("--within", self.within),
            ("--near", self.near),
            ("--lower", self.lower),
            ("--upper", self.upper),
            *(("--fix", item) for item in self.fix or ()),
            *(("--integer", item) for item in self.integer or ()),
            ("--constraints", self.constraints),
            ("--bounds", self.bounds),
        ]
        return tuple(word for name, value in given if value for word in (name, value))
