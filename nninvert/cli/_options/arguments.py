"""Arguments of several commands."""

from __future__ import annotations

from typing import Annotated

import typer

Model = Annotated[str, typer.Argument(metavar="MODEL", help="The trained network's file.")]

Targets = Annotated[
    str, typer.Argument(metavar="Y", help="The targets: a file, or - for stdin.")
]
Inputs = Annotated[
    str, typer.Argument(metavar="X", help="The inputs: a file, or - for stdin.")
]
