"""How an option is made, and the panels of the help."""

from __future__ import annotations

import typer

COMMON = "Common"
WANTED = "Which x is wanted"
READING = "How files are read"
OUTPUT = "Output and messages"
SEARCH = "Search"
LARGE = "Large layers"


def option(*names: str, help: str, panel: str = COMMON, metavar: str = "") -> object:
    """An option without a default in its help, in a panel."""
    return typer.Option(
        *names,
        help=help,
        rich_help_panel=panel,
        show_default=False,
        # Typer writes "<bool>" for a flag; a blank says as much.
        metavar=metavar or " ",
    )
