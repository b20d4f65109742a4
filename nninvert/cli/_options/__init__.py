"""Arguments and options, each written once; groups of them are dataclasses.

Only types that Typer resolves stand here: nothing is imported that takes time.
"""

from nninvert.cli._options._option import (
    COMMON,
    LARGE,
    OUTPUT,
    READING,
    SEARCH,
    WANTED,
    option,
)
from nninvert.cli._options.arguments import Inputs, Model, Targets
from nninvert.cli._options.manner import Manner, Output
from nninvert.cli._options.reading import Reading, RowLayout
from nninvert.cli._options.resources import Factors, Resources
from nninvert.cli._options.wanted import Wanted

__all__ = [
    "COMMON",
    "LARGE",
    "OUTPUT",
    "READING",
    "SEARCH",
    "WANTED",
    "Factors",
    "Inputs",
    "Manner",
    "Model",
    "Output",
    "Reading",
    "Resources",
    "RowLayout",
    "Targets",
    "Wanted",
    "option",
]
