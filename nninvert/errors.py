"""Every error that nninvert raises on purpose, with the exit code of its class.

One template builds every message, so that each says where, what was got, what was
expected, and what to do next::

    FILE > layer INDEX 'NAME' > FIELD: got VALUE, expected WHAT [because]. NEXT STEP.

The object carries the parts, so that ``--json`` prints the same facts as data.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import ClassVar, Self


class ExitCode(IntEnum):
    """What the process tells the shell. ``meaning`` is the text of the README's table."""

    OK = 0
    BUG = 1
    USAGE = 2
    INPUT = 3
    NOT_BIJECTIVE = 4
    NOT_SOLVED = 5
    MACHINE = 6
    INTERRUPTED = 130
    PIPE_CLOSED = 141

    @property
    def meaning(self) -> str:
        """One line for people."""
        return _MEANINGS[self]


_MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.BUG: "a bug in nninvert: please report it (--debug shows the traceback)",
    ExitCode.USAGE: "the command line is wrong",
    ExitCode.INPUT: "an input file (model, y, bounds, ...) cannot be used",
    ExitCode.NOT_BIJECTIVE: "check: the network is not BIJECTIVE",
    ExitCode.NOT_SOLVED: "invert: some row is not SOLVED; check --target: some row of a "
    "BIJECTIVE network is not reachable",
    ExitCode.MACHINE: "this machine cannot: disk, memory, a missing extra, an output "
    "that cannot be written",
    ExitCode.INTERRUPTED: "interrupted (Ctrl-C)",
    ExitCode.PIPE_CLOSED: "the reader of the pipe went away",
}


def printable(text: object, limit: int = 200) -> str:
    """Escape control characters of text that came from a file, and cut it at `limit`.

    Names from model files end up in messages, tables and CSV files; a name must not be
    able to move the cursor or start a new line there.
    """
    escaped = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))
    return escaped if len(escaped) <= limit else escaped[: limit - 3] + "..."


def shortlist(names: Sequence[str], limit: int = 8) -> str:
    """The first `limit` names, and dots if there are more."""
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")


class NninvertError(Exception):
    """An expected failure: a sentence for a person, parts for a program.

    Parameters
    ----------
    field : str
        What is wrong: an attribute, a dataset, an option. May be empty.
    got : str
        What was found there. May be empty where there is nothing to quote.
    expected : str
        What would have been right.
    because : str, default ""
        Why that is expected.
    next_step : str, default ""
        A sentence or a command that helps.
    file : str, default ""
        The file as the user named it.
    layer : (int or str, str) or None, default None
        0-based index and name of the layer.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG

    def __init__(
        self,
        field: str,
        *,
        got: str = "",
        expected: str = "",
        because: str = "",
        next_step: str = "",
        file: str = "",
        layer: tuple[int | str, str] | None = None,
    ) -> None:
        super().__init__(field)
        self.field = field
        self.got = got
        self.expected = expected
        self.because = because
        self.next_step = next_step
        self.file = file
        self.layer = layer

    def at(self, *, file: str = "", layer: tuple[int | str, str] | None = None) -> Self:
        """Fill in what a deeper place could not know; what is known already stays."""
        self.file = self.file or file
        self.layer = self.layer if self.layer is not None else layer
        return self

    def __str__(self) -> str:
        place = [printable(self.file)] if self.file else []
        if self.layer is not None:
            index, name = self.layer
            place.append(f"layer {index} '{printable(name)}'")
        if self.field:
            place.append(printable(self.field))
        facts = []
        if self.got:
            facts.append(f"got {printable(self.got, 600)}")
        if self.expected:
            facts.append(f"expected {printable(self.expected, 900)}")
        text = ", ".join(facts)
        if self.because:
            text += f" because {printable(self.because, 400)}"
        if place:
            text = " > ".join(place) + (f": {text}" if text else "")
        if self.next_step:
            text += f". {printable(self.next_step, 600)}"
        return text

    def as_dict(self) -> dict[str, object]:
        """The parts, for JSON."""
        layer = None
        if self.layer is not None:
            layer = {"index": self.layer[0], "name": self.layer[1]}
        return {
            "class": type(self).__name__,
            "exit_code": int(self.exit_code),
            "message": str(self),
            "file": self.file or None,
            "layer": layer,
            "field": self.field or None,
            "got": self.got or None,
            "expected": self.expected or None,
            "because": self.because or None,
            "next_step": self.next_step or None,
        }


class UsageError(NninvertError):
    """An option or argument that cannot be meant."""

    exit_code = ExitCode.USAGE


class InputError(NninvertError):
    """An input file that cannot be used: model, target, bounds."""

    exit_code = ExitCode.INPUT


class FormatError(InputError):
    """The file is not what its reader can read, or is damaged."""


class UnsupportedLayerError(FormatError):
    """The file holds layers that nninvert does not know, all of them named."""


class LimitError(FormatError):
    """The file claims more than it can hold, or more than nninvert accepts."""


class ShapeError(InputError):
    """An array whose shape does not fit."""


class DataError(InputError):
    """An array whose values cannot be used: NaN, infinity, text, objects."""


class MachineError(NninvertError):
    """The machine cannot: memory, disk, an output that cannot be written."""

    exit_code = ExitCode.MACHINE


class OutputError(MachineError):
    """A result that could not be written; nothing half-written is left."""


class Stopped(NninvertError):
    """The work was to end before there was anything to keep."""


class OutOfTime(Stopped):
    """``--time-limit`` came first."""

    exit_code = ExitCode.MACHINE


class Interrupted(Stopped):
    """The user pressed Ctrl-C first."""

    exit_code = ExitCode.INTERRUPTED
