"""What ``info`` shows: what is in a model file, whether it can be inverted or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nninvert.report.commands import Commands
from nninvert.report.numbers import count, plural
from nninvert.report.parts_text import partial_shape, parts_lines, shapes_text
from nninvert.report.text import (
    Lines,
    fill,
    joined,
    labelled,
    shortened,
    tab_separated,
    table,
)

if TYPE_CHECKING:
    from nninvert.formats import Description, LayerDescription, PartDescription

UNTOLD = "?"
"""The activation where neither file nor user tells it."""

_HEADER = ["#", "layer", "class", "shape", "activation", "parameters", "in the file"]


def info_lines(
    found: Description, commands: Commands, width: int, shorten: bool = False
) -> Lines:
    """The whole screen.

    Parameters
    ----------
    found : Description
    commands : Commands
    width : int
        Columns for prose.
    shorten : bool, default False
        Shorten places in the file so that the table fits; only for a terminal.
    """
    total = sum(layer.parameters for layer in found.layers)
    types = "+".join(dict.fromkeys(x.dtype for x in found.layers if x.dtype))
    head = f"{commands.model}   {found.format}"
    head += f", {types}" if types else ""
    head += f", {plural(total, 'parameter')}   {ends(found)}"
    lines = [head, "", *_layers(found, width if shorten else None), ""]
    lines += parts_lines("input", "x", found.input_parts)
    lines += parts_lines("output", "y", found.output_parts)
    lines += labelled([("note", note) for note in found.notes], width, indent=2)
    problems = [layer for layer in found.layers if layer.problem]
    layers = plural(len(found.layers), "layer")
    if any(layer.activation == UNTOLD for layer in found.layers):
        lines += fill(
            f"{layers}. Their activations are not in the file: give one for each layer, "
            "or one for all. For example:",
            width,
        )
        return [*lines, f"next      {commands.check(*_example(found))}"]
    if not problems:
        return [*lines, f"{layers}, all known", f"next      {commands.check()}"]
    listed = joined([f"{p.index} '{p.name}'" for p in problems])
    lines += fill(f"nninvert cannot invert {listed} (marked !):", width)
    items = [(p.index, f"{p.label}: {p.problem}") for p in problems]
    lines += labelled(items, width, indent=2, label_width=3)
    part = known_part(found)
    if not part:
        return [*lines, "next      nninvert info --layers"]
    lines += ["this part can be inverted on its own:"]
    return [*lines, f"next      {commands.check(*part)}"]


def info_table(found: Description) -> Lines:
    """The layers as a table for programs."""
    header = [
        "index",
        "name",
        "class",
        "input_shape",
        "output_shape",
        "activation",
        "parameters",
        "dtype",
        "where",
        "inputs",
        "problem",
    ]
    rows = [
        [
            x.index,
            x.name,
            x.label,
            partial_shape(x.input_shape),
            partial_shape(x.output_shape),
            x.activation,
            x.parameters,
            x.dtype,
            x.where,
            ",".join(x.inputs),
            x.problem,
        ]
        for x in found.layers
    ]
    return tab_separated(header, rows)


def ends(found: Description) -> str:
    """From the shapes of what goes in to those of what comes out."""
    if not found.layers:
        return "no layers"
    first, last = found.layers[0], found.layers[-1]
    x, y = partial_shape(first.input_shape), partial_shape(last.output_shape)
    if len(found.input_parts) > 1:
        x = _all_shapes(found.input_parts)
    if len(found.output_parts) > 1:
        y = _all_shapes(found.output_parts)
    return f"{x} -> {y}"


def _all_shapes(parts: Sequence[PartDescription]) -> str:
    sizes = [part.size for part in parts]
    known = [size for size in sizes if size is not None]
    total = sum(known) if len(known) == len(sizes) else None
    return shapes_text([partial_shape(part.shape) for part in parts], total)


def known_part(found: Description) -> tuple[str, ...]:
    """Options that leave out the unknown layers: the part before them, else behind.

    Empty where nothing known is left, or where the layers are no chain.
    """
    layers = found.layers
    bad = [k for k, layer in enumerate(layers) if layer.problem]
    if any(len(layer.inputs) > 1 for layer in layers):
        return ()
    if bad[0] > 0:
        return ("--until", layers[bad[0] - 1].name)
    if bad[-1] < len(layers) - 1:
        return ("--from", layers[bad[-1] + 1].name)
    return ()


def _example(found: Description) -> tuple[str, ...]:
    """Activations that are usual: they make the command run."""
    hidden = ["tanh"] * (len(found.layers) - 1)
    return ("--activations", ",".join([*hidden, "linear"]))


def _layers(found: Description, width: int | None) -> Lines:
    rows = [_cells(layer) for layer in found.layers]
    marks = ["!" if layer.problem else " " for layer in found.layers]
    made = table(_HEADER, rows, "rllllr")
    excess = max(map(len, made)) + 1 - width if width is not None else 0
    if excess > 0:
        room = max(max(len(row[-1]) for row in rows) - excess, 12)
        made = table(_HEADER, [[*r[:-1], shortened(r[-1], room)] for r in rows], "rllllr")
    return [mark + line for mark, line in zip([" ", *marks], made, strict=True)]


def _cells(layer: LayerDescription) -> Sequence[str]:
    shape = f"{partial_shape(layer.input_shape)} -> {partial_shape(layer.output_shape)}"
    return [
        layer.index,
        layer.name,
        layer.label,
        shape,
        layer.activation or "-",
        count(layer.parameters) if layer.parameters else "-",
        layer.where or "-",
    ]
