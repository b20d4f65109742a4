"""The command line: the only place that prints, reads standard input and exits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

import typer

from nninvert.cli._app import app
from nninvert.cli._boundary import told
from nninvert.cli._streams import Streams
from nninvert.cli._usage import usage_error

COMMANDS = ("demo", "info", "check", "invert", "forward", "factor", "convert")
"""The commands in the order of ``--help``; a module for each, which registers it."""

for _name in COMMANDS:
    import_module(f"nninvert.cli.{_name}")

# Typer publishes this one class; its parent is what every wrong command line raises.
_WrongUsage: type[Exception] = typer.BadParameter.__mro__[1]


def main(argv: Sequence[str] | None = None, streams: Streams | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str or None, default None
        Without the program's name; None: that of the process.
    streams : Streams or None, default None
        None: those of the process.

    Returns
    -------
    int
        The exit code, see `nninvert.errors.ExitCode`.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    streams = Streams.of_process() if streams is None else streams
    try:
        code = app(
            words or ["--help"],
            prog_name="nninvert",
            standalone_mode=False,
            obj=streams,
        )
    except _WrongUsage as error:
        wrong = usage_error(error, words, COMMANDS)
        return told(wrong, streams, json="--json" in words, debug="--debug" in words)
    return code if isinstance(code, int) else 0
