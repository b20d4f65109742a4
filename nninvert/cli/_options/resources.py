"""What work on large layers may use, and the factors that it makes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from nninvert.cli._options._option import LARGE, option

_ENGINES = "auto, panel, lapack or iterative"
"""For the help, which must not load the engines; a test compares the two."""


@dataclass(frozen=True)
class Resources:
    """What work on large layers may use."""

    memory: Annotated[
        str | None,
        option(
            "--memory",
            help="Most memory to use: 16GiB, 512MiB, 2e9. Default: 80 % of what is free.",
            panel=LARGE,
            metavar="SIZE",
        ),
    ] = None
    engine: Annotated[
        str,
        option(
            "--engine",
            help=f"{_ENGINES}. auto takes what is predicted to be fastest.",
            panel=LARGE,
            metavar="NAME",
        ),
    ] = "auto"
    dry_run: Annotated[
        bool,
        option(
            "--dry-run",
            help="Print the plan: time, memory, disk; read no weights.",
            panel=LARGE,
        ),
    ] = False

    def words(self) -> tuple[str, ...]:
        """The options again, for a command that is proposed; but for ``--dry-run``."""
        given = (
            ("--memory", self.memory),
            ("--engine", None if self.engine == "auto" else self.engine),
        )
        return tuple(word for name, value in given if value for word in (name, value))


@dataclass(frozen=True)
class Factors:
    """Factors that were made before, or are made on the way."""

    scratch: Annotated[
        str | None,
        option(
            "--scratch",
            help="Folder for factors that do not fit into memory. Default: beside the "
            "output, or here.",
            panel=LARGE,
            metavar="DIR",
        ),
    ] = None
    factors: Annotated[
        str | None,
        option(
            "--factors",
            help="Use the factors in this file, made by nninvert factor.",
            panel=LARGE,
            metavar="FILE",
        ),
    ] = None
    verify: Annotated[
        bool,
        option(
            "--verify",
            help="Compare all weights with those of --factors, not a sample.",
            panel=LARGE,
        ),
    ] = False
    discard_factors: Annotated[
        bool,
        option(
            "--discard-factors",
            help="Remove factors on the disk in the end, however long they took.",
            panel=LARGE,
        ),
    ] = False

    def words(self) -> tuple[str, ...]:
        """The options again, for a command that is proposed."""
        flags = (("--verify", self.verify), ("--discard-factors", self.discard_factors))
        named = (("--scratch", self.scratch), ("--factors", self.factors))
        words = [word for name, value in named if value for word in (name, value)]
        return (*words, *(name for name, given in flags if given))
