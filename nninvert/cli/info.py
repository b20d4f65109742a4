"""``nninvert info``: what is in a model file, whether it can be inverted or not."""

from __future__ import annotations

from typing import Annotated

import typer

from nninvert.cli._app import command
from nninvert.cli._options import Manner, Reading, option
from nninvert.cli._streams import Streams
from nninvert.errors import UsageError

_HELP = """Show what is in a model file: layers, shapes, where their weights are.

\b
  nninvert info model.h5
  nninvert info --layers       the layers and activations that are known

Opens also files with layers that nninvert cannot invert, and marks those.
"""


@command("info", _HELP)
def info(
    streams: Streams,
    reading: Reading,
    manner: Manner,
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="The trained network's file.")
    ] = None,
    layers: Annotated[
        bool, option("--layers", help="List the layers and activations that are known.")
    ] = False,
) -> int:
    """Describe a file or the registry."""
    if layers == (model is not None):
        raise UsageError(
            "nninvert info",
            got="MODEL and --layers" if layers else "neither MODEL nor --layers",
            expected="one of them",
            next_step="For example: nninvert info model.h5",
        )
    return _file(str(model), reading, streams, manner) if model else _known(streams, manner)


def _file(model: str, reading: Reading, streams: Streams, manner: Manner) -> int:
    from nninvert.formats import ReadOptions, describe
    from nninvert.report.commands import Commands
    from nninvert.report.info_text import info_lines, info_table
    from nninvert.report.json import encode, info_document

    found = describe(
        model,
        ReadOptions(
            reading.activations,
            reading.orientation,
            first=reading.first,
            until=reading.until,
            config=reading.config,
        ),
    )
    if manner.json:
        streams.print([encode(info_document(model, found))])
    elif manner.plain:
        streams.print(info_table(found))
    else:
        commands = Commands(model, reading=reading.words())
        width = streams.stdout_width
        streams.print(info_lines(found, commands, width, streams.stdout_is_terminal))
    return 0


def _known(streams: Streams, manner: Manner) -> int:
    from nninvert.report import known_text
    from nninvert.report.json import encode, known_document

    if manner.json:
        found = known_document(
            known_text.format_rows(),
            known_text.keras_layers(),
            known_text.activation_rows(),
        )
        streams.print([encode(found)])
    elif manner.plain:
        streams.print(known_text.known_table())
    else:
        streams.print(known_text.known_lines(streams.stdout_width))
    return 0
