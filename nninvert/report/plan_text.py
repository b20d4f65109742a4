"""What ``--dry-run`` shows: each large layer, the totals, why, and what to run next."""

from __future__ import annotations

from nninvert.forecast import Forecast, LayerForecast
from nninvert.report.check_text import model_line, note_lines
from nninvert.report.json import model_document
from nninvert.report.json_parts import Document, document
from nninvert.report.numbers import count, duration, gigabytes, plural
from nninvert.report.text import Lines, fill, kept, labelled, tab_separated, table

_HEADER = ["#", "layer", "shape", "engine", "memory", "disk", "passes", "time"]


def plan_lines(made: Forecast, next_step: str, width: int, verbose: bool = False) -> Lines:
    """The whole screen.

    Parameters
    ----------
    made : Forecast
    next_step : str
        A command.
    width : int
    verbose : bool, default False
        Also say which rates of the machine it rests on.
    """
    lines = [model_line(made.model), *note_lines(made.model, width)]
    if made.layers:
        shown = table(_HEADER, _cells(made), "rlllrrrr")
        lines += ["", *(f" {line}" for line in shown)]
        for layer in made.layers:
            lines += fill(f"{layer.index} {layer.name}: {layer.why}", width, " ", "   ")
    items = [*_totals(made), *_rates(made, verbose), ("next", kept(next_step))]
    return [*lines, "", *labelled(items, width)]


def _cells(made: Forecast) -> list[list[str]]:
    return [
        [
            layer.index,
            layer.name,
            f"{count(layer.shape[1])} -> {count(layer.shape[0])}",
            f"{layer.engine} {layer.precision}".rstrip(),
            gigabytes(layer.memory),
            gigabytes(layer.disk) if layer.disk else "-",
            f"{layer.passes:.0f}",
            duration(layer.seconds),
        ]
        for layer in made.layers
    ]


def _totals(made: Forecast) -> list[tuple[str, str]]:
    if not made.layers:
        text = f"{plural(made.small, 'small layer')}, seconds at most: nothing to plan"
        return [("predicted", text)]
    targets = f" with {plural(made.rows, 'target')}"
    small = f", and {plural(made.small, 'small layer')}" if made.small else ""
    items = [
        ("predicted", f"{duration(made.seconds)}{targets}{small}"),
        (
            "memory",
            f"{gigabytes(made.memory)} of the {gigabytes(made.allowed)} that are allowed",
        ),
    ]
    if made.room is not None:
        text = f"{gigabytes(made.disk)} of {gigabytes(made.room)} free, in {made.place}"
        if not made.has_room:
            text += ": NOT ENOUGH. Choose another disk, or --engine iterative"
        items.append(("disk", text))
    return items


def _rates(made: Forecast, verbose: bool) -> list[tuple[str, str]]:
    """Operations and bytes a second."""
    machine = made.machine
    if machine is None or not verbose:
        return []
    text = (
        f"products {machine.single / 1e9:.0f} GFLOP/s in float32, "
        f"{machine.double / 1e9:.0f} in float64; memory {machine.memory / 1e9:.1f} GB/s "
        f"(measured now); disk {machine.disk / 1e9:.1f} GB/s (assumed)"
    )
    return [("machine", text)]


def plan_table(made: Forecast) -> Lines:
    """The layers for programs, every digit kept."""
    header = list(_layer(made.layers[0])) if made.layers else ["index"]
    return tab_separated(header, [list(_layer(k).values()) for k in made.layers])


def _layer(layer: LayerForecast) -> Document:
    return {
        "index": layer.index,
        "name": layer.name,
        "inputs": layer.shape[1],
        "outputs": layer.shape[0],
        "stored": layer.stored,
        "engine": layer.engine,
        "precision": layer.precision or None,
        "in_file": layer.in_file,
        "memory": layer.memory,
        "disk": layer.disk,
        "passes": layer.passes,
        "seconds": layer.seconds,
        "why": layer.why,
    }


def plan_document(made: Forecast, exit_code: int) -> Document:
    """``nninvert.plan/1``; all of it is predicted but free room and the rates."""
    machine = made.machine
    return document(
        "plan",
        exit_code=exit_code,
        kind="predicted",
        model=model_document(made.model),
        targets=made.rows,
        layers=[_layer(layer) for layer in made.layers],
        small_layers=made.small,
        seconds=made.seconds,
        memory={"needed": made.memory, "allowed": made.allowed},
        disk={"needed": made.disk, "free": made.room, "file": made.place or None},
        machine=None
        if machine is None
        else {
            "float32_per_second": machine.single,
            "float64_per_second": machine.double,
            "memory_bytes_per_second": machine.memory,
            "disk_bytes_per_second": machine.disk,
        },
    )
