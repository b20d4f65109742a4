"""A wrong command line, told with what was probably meant."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Sequence

from nninvert.errors import UsageError


def usage_error(
    error: Exception, words: Sequence[str], commands: Sequence[str]
) -> UsageError:
    """Turn Typer's complaint into one line with a next step.

    Parameters
    ----------
    error : Exception
        What Typer raised; it knows its own message.
    words : sequence of str
        The command line.
    commands : sequence of str
        Those that exist.
    """
    command = next((word for word in words if not word.startswith("-")), "")
    if command and command not in commands:
        return _no_such_command(command, commands)
    see = f"nninvert {command} --help" if command else "nninvert --help"
    option = getattr(error, "option_name", None)
    if option is None or not hasattr(error, "possibilities"):
        said = error.format_message() if hasattr(error, "format_message") else str(error)
        return UsageError(said.rstrip("."), next_step=f"See: {see}")
    close = list(error.possibilities or ())
    meant = f"Did you mean {close[0]}? " if close else ""
    return UsageError(
        f"nninvert {command} has no option {option}", next_step=f"{meant}See: {see}"
    )


def _no_such_command(command: str, commands: Sequence[str]) -> UsageError:
    if os.path.isfile(command):
        shown = shlex.join(["nninvert", "check", command])
        return UsageError(
            f"'{command}' is a file, not a command", next_step=f"Did you mean: {shown}"
        )
    close = difflib.get_close_matches(command, commands)
    return UsageError(
        "command",
        got=f"'{command}'",
        expected=f"one of {', '.join(commands)}",
        next_step=f"Did you mean {close[0]}?" if close else "",
    )
