"""What ``info --layers`` shows: formats, layers and activations that are known."""

from __future__ import annotations

from dataclasses import MISSING, fields

from nninvert.formats import READERS
from nninvert.formats.keras_layers import KERAS_LAYERS
from nninvert.layers.activations import ACTIVATIONS, Activation
from nninvert.report.text import Lines, fill, labelled, tab_separated, table

ACTIVATION_HEADER = ("activation", "one-to-one", "values")


def known_lines(width: int) -> Lines:
    """The whole screen."""
    lines = ["Formats"]
    lines += labelled(format_rows(), width, indent=2)
    lines += ["", "Keras layers", *fill(", ".join(keras_layers()), width, "  ", "  ")]
    lines += ["", "Activations (parameters: leaky_relu:0.1)"]
    made = table(ACTIVATION_HEADER, [list(row) for row in activation_rows()])
    return [*lines, *(f"  {line}" for line in made)]


def known_table() -> Lines:
    """The activations as a table for programs."""
    return tab_separated(ACTIVATION_HEADER, activation_rows())


def format_rows() -> list[tuple[str, str]]:
    """The formats and what is read of them."""
    return [(reader.name, reader.reads) for reader in READERS]


def keras_layers() -> list[str]:
    """The Keras classes that are read."""
    return sorted(KERAS_LAYERS)


def activation_rows() -> list[tuple[str, str, str]]:
    """Name, whether one-to-one, and all values taken, at the default parameters."""
    return [
        (name, "yes" if made.one_to_one else "no", " and ".join(map(str, made.image)))
        for name, made in ((name, _example(kind)) for name, kind in ACTIVATIONS.items())
    ]


def _example(kind: type[Activation]) -> Activation:
    """An instance; a parameter that has no default is set to one half."""
    needed = [f.name for f in fields(kind) if f.default is MISSING]  # type: ignore[arg-type]
    return kind(**dict.fromkeys(needed, 0.5))
