"""Where errors end: a line for people, an object for programs, one exit code each."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from nninvert import __version__
from nninvert.cli._streams import Streams
from nninvert.errors import ExitCode, MachineError, NninvertError


def guarded(run: Callable[[], int], streams: Streams, *, json: bool, debug: bool) -> int:
    """Run a command and turn whatever it raises into an exit code.

    Parameters
    ----------
    run : callable
        Returns an exit code.
    streams : Streams
    json : bool
        Also print the error as an object on stdout.
    debug : bool
        Also print the traceback.
    """
    try:
        code = run()
        streams.flush()
    except BrokenPipeError:
        return pipe_closed(streams)
    except KeyboardInterrupt:
        streams.tell(["interrupted"])
        return int(ExitCode.INTERRUPTED)
    except NninvertError as error:
        return told(error, streams, json=json, debug=debug)
    except MemoryError as error:
        wanted = MachineError(
            "memory",
            got=str(error) or "not enough of it",
            expected="as much as this computation needs",
            next_step="Invert fewer rows at a time, or use a larger machine",
        )
        return told(wanted, streams, json=json, debug=debug)
    except Exception as error:  # noqa: BLE001 - the last line of defence
        return _bug(error, streams, debug=debug)
    return code


def told(error: NninvertError, streams: Streams, *, json: bool, debug: bool) -> int:
    """Report an expected failure; return its exit code."""
    try:
        if debug:
            traceback.print_exception(error, file=streams.stderr)
        streams.tell([str(error)])
        if json:
            from nninvert.report.json import encode, error_document

            streams.print([encode(error_document(error))])
        streams.flush()
    except BrokenPipeError:
        return pipe_closed(streams)
    return int(error.exit_code)


def pipe_closed(streams: Streams) -> int:
    """Leave quietly: who read our output has had enough of it."""
    # What is still buffered would raise once more when the interpreter closes stdout.
    for ours, of_process in (
        (streams.stdout, sys.__stdout__),
        (streams.stderr, sys.__stderr__),
    ):
        if ours is of_process:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, ours.fileno())
            os.close(nowhere)
    return int(ExitCode.PIPE_CLOSED)


def _bug(error: Exception, streams: Streams, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error, file=streams.stderr)
    hint = "" if debug else "; --debug shows the traceback"
    streams.tell(
        [
            f"a bug in nninvert {__version__}: {type(error).__name__}: {error}. "
            f"Please report it with the command{hint}"
        ]
    )
    return int(ExitCode.BUG)
