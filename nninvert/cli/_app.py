"""The application object, and how a function becomes a command of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from nninvert import __version__
from nninvert.cli._boundary import guarded
from nninvert.cli._grouping import Grouping
from nninvert.cli._options import Manner
from nninvert.cli._streams import Streams
from nninvert.errors import ExitCode, UsageError

_HELP = """Which input makes my trained network say this?

Opens a model file (Keras HDF5, NPZ, ...; no TensorFlow), says whether an
answer exists and is unique, finds it, and proves it by running the network on
it again.

\b
  nninvert demo                              a picture, in a few seconds
  nninvert check model.h5                    can it be inverted, and how well?
  nninvert invert model.h5 y.npy -o x.npy    which x gives f(x) = y?
  nninvert invert model.h5 measured.npy --within 3% --near typical.npy
  echo 0.2,0.5 | nninvert invert model.h5 -  targets from a pipe
"""

_EPILOG = "Exit codes\n" + "\n".join(f"{code:5d} {code.meaning}" for code in ExitCode)

app = typer.Typer(
    name="nninvert",
    help=_HELP,
    epilog=_EPILOG,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nninvert {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Options that stand before a command."""


Command = Callable[..., int]


def _unambiguous(streams: Streams, manner: Manner) -> Streams:
    if manner.json and manner.plain:
        raise UsageError("--json", got="--plain as well", expected="one of the two")
    return streams


def command(name: str, help: str) -> Callable[[Command], Command]:
    """Register a function as a command.

    Its first parameter is the streams; it returns the exit code. Parameters that are
    dataclasses are spread into options; errors end in exit codes.
    """

    def register(function: Command) -> Command:
        grouping = Grouping.of(function)

        def run(context: typer.Context, **values: Any) -> int:
            arguments = grouping.gather(values)
            manner = arguments.get("manner", Manner())
            streams = context.obj
            assert isinstance(streams, Streams)
            return guarded(
                lambda: function(_unambiguous(streams, manner), **arguments),
                streams,
                json=manner.json,
                debug=manner.debug,
            )

        first = inspect.Parameter(
            "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
        )
        signature = inspect.Signature([first, *grouping.parameters])
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
        app.command(name, help=help)(run)
        return function

    return register
