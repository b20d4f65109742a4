"""What the command line reads from and writes to, passed in so that tests can choose."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, TextIO

PIPE_WIDTH = 80
"""Columns for prose where no terminal says how many it has."""


@dataclass(frozen=True)
class Streams:
    """Standard input, output and error, and what stands at their other ends.

    Attributes
    ----------
    stdin : BinaryIO
    stdout, stderr : TextIO
        stdout has a ``buffer`` for bytes.
    stdin_is_terminal, stdout_is_terminal, stderr_is_terminal : bool
    width : int
        Columns of the terminal.
    colour : bool
        Whether a terminal may be coloured.
    """

    stdin: BinaryIO
    stdout: TextIO
    stderr: TextIO
    stdin_is_terminal: bool = False
    stdout_is_terminal: bool = False
    stderr_is_terminal: bool = False
    width: int = PIPE_WIDTH
    colour: bool = False

    @classmethod
    def of_process(cls) -> Streams:
        """The streams of this process."""
        for stream in (sys.stdout, sys.stderr):
            # A name that the terminal cannot show must not end the program.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return cls(
            stdin=sys.stdin.buffer,
            stdout=sys.stdout,
            stderr=sys.stderr,
            stdin_is_terminal=sys.stdin.isatty(),
            stdout_is_terminal=sys.stdout.isatty(),
            stderr_is_terminal=sys.stderr.isatty(),
            width=shutil.get_terminal_size((PIPE_WIDTH, 24)).columns,
            colour=may_colour(os.environ),
        )

    @property
    def stdout_bytes(self) -> BinaryIO:
        """Standard output for binary data."""
        return self.stdout.buffer

    @property
    def stdout_width(self) -> int:
        """Columns for what is printed."""
        return self.width if self.stdout_is_terminal else PIPE_WIDTH

    @property
    def stderr_width(self) -> int:
        """Columns for messages."""
        return self.width if self.stderr_is_terminal else PIPE_WIDTH

    def print(self, lines: Iterable[str]) -> None:
        """Write the data or the table that was asked for."""
        _write(self.stdout, lines, self.stdout_is_terminal and self.colour)

    def tell(self, lines: Iterable[str]) -> None:
        """Write what accompanies it, to stderr."""
        _write(self.stderr, lines, self.stderr_is_terminal and self.colour)

    def flush(self) -> None:
        """Hand everything over; a reader that went away shows here at the latest."""
        self.stdout.flush()
        self.stderr.flush()


def may_colour(environment: Mapping[str, str]) -> bool:
    """Whether the user's environment allows colours (https://no-color.org)."""
    return not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"


def _write(stream: TextIO, lines: Iterable[str], colour: bool) -> None:
    from nninvert.report.colour import painted

    for line in lines:
        stream.write((painted(line) if colour else line) + "\n")
    stream.flush()
