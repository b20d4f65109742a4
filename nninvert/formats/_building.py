"""From the layers of a file to a network: the wanted part, refusals, nested graphs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace

from nninvert.errors import FormatError, ShapeError, UnsupportedLayerError, UsageError
from nninvert.formats._options import ReadOptions
from nninvert.formats._steps import UNKNOWN_SHAPE, Parsed, Step
from nninvert.formats._wiring import wired_network
from nninvert.network import Network, Source

_OWN = "build layers of your own in Python: help(nninvert.load)"


def build(parsed: Parsed, path: str, options: ReadOptions) -> Network:
    """Build the wanted part of a file's network.

    Raises
    ------
    UsageError
        If `options` name layers that are not there or not on one way.
    UnsupportedLayerError
        Naming every layer of the wanted part that is not known.
    FormatError
        If there is no layer, or no output.
    """
    if not parsed.steps:
        raise FormatError("layers", got="none", expected="a model with layers", file=path)
    ends = _ends(parsed, path, options)
    first = None
    if options.first is not None:
        first = _find(parsed.steps, options.first, "--from", path)
    part = _part(parsed.steps, first, ends)
    if first is not None:
        _check_first(parsed.steps, first, part, ends, path)
    bad = [k for k in part if parsed.steps[k].problem]
    if bad:
        raise _refusal(parsed.steps, bad, path)
    whole = options.first is None and options.until is None
    unread = _unread_inputs(parsed, part) if whole else ()
    source = Source(path, parsed.format, (*parsed.notes, *unread))
    try:
        network = wired_network(parsed, part, ends, first, source)
    except ShapeError as error:
        raise error.at(file=path) from error
    network = _with_layouts(network, parsed, options)
    return replace(
        network,
        input_names=network.inputs.number_names,
        output_names=network.outputs.number_names,
    )


def _with_layouts(network: Network, parsed: Parsed, options: ReadOptions) -> Network:
    """Name the parts of an end of the file's network where that end was not cut off."""
    if parsed.layouts is None:
        return network
    inputs, outputs = parsed.layouts
    if options.first is None:
        network = replace(network, inputs=inputs)
    if options.until is None:
        network = replace(network, outputs=outputs)
    return network


def _ends(parsed: Parsed, path: str, options: ReadOptions) -> tuple[int, ...]:
    """Positions of the steps whose outputs are wanted; all, if nobody chooses."""
    if options.until is not None:
        return (_find(parsed.steps, options.until, "--until", path),)
    if not parsed.outputs:
        raise FormatError("outputs", got="none", expected="at least one", file=path)
    return parsed.outputs


def _check_first(
    steps: Sequence[Step], first: int, part: Sequence[int], ends: Sequence[int], path: str
) -> None:
    """Refuse a first layer that does not lead to the outputs, or that a way goes around."""
    names = " and ".join(f"'{steps[end].name}'" for end in ends if end >= 0)
    if first not in part:
        raise UsageError(
            "--from",
            got=f"'{steps[first].name}', which does not lead to {names}",
            expected="a layer on the way to it",
            file=path,
        )
    beside = [k for k in part if k != first and any(s < 0 for s in steps[k].sources)]
    if beside or any(end < 0 for end in ends):
        around = f": '{steps[beside[0]].name}' reads the input, too" if beside else ""
        raise UsageError(
            "--from",
            got=f"'{steps[first].name}', which some ways to {names} go around{around}",
            expected="a layer that every way passes",
            file=path,
        )


def _find(steps: Sequence[Step], wanted: str, option: str, path: str) -> int:
    """Position of a layer; of a nested model, that of its last (or first) one."""
    inside = {k for k, step in enumerate(steps) if _named(step, wanted)}
    if not inside:
        raise UsageError(
            option,
            got=repr(wanted),
            expected="a layer: "
            + ", ".join(f"{step.index} '{step.name}'" for step in steps),
            file=path,
        )
    if option == "--until":
        read = {source for k in inside for source in steps[k].sources}
        ends = sorted(inside - read)
    else:
        ends = sorted(k for k in inside if not inside & set(steps[k].sources))
    if len(ends) == 1:
        return ends[0]
    raise UsageError(
        option,
        got=f"{wanted!r}, which stands for "
        + " and ".join(f"{steps[k].index} '{steps[k].name}'" for k in ends),
        expected="one layer",
        next_step=f"Name it by its index: {option} {steps[ends[0]].index}",
        file=path,
    )


def _named(step: Step, wanted: str) -> bool:
    """Whether the step, or a model around it, has this name or index."""
    for depth in range(1, len(step.places) + 1):
        around = step.places[:depth]
        if wanted in (
            "/".join(place.name for place in around),
            ".".join(place.index for place in around),
        ):
            return True
    return False


def _part(steps: Sequence[Step], first: int | None, ends: Sequence[int]) -> list[int]:
    """Everything that `ends` depend on, ascending; not beyond `first`."""
    found: set[int] = set()
    todo = list(ends)
    while todo:
        position = todo.pop()
        if position < 0 or position in found:
            continue
        found.add(position)
        if position != first:
            todo += steps[position].sources
    return sorted(found)


def _unread_inputs(parsed: Parsed, part: Sequence[int]) -> tuple[str, ...]:
    """A note on each input of the file that no layer of the network reads."""
    read = {source for k in part for source in parsed.steps[k].sources}
    return tuple(
        f"input '{name}' is left out: no layer reads it"
        for k, name in enumerate(parsed.input_names)
        if -1 - k not in read
    )


def _refusal(steps: Sequence[Step], bad: Sequence[int], path: str) -> UnsupportedLayerError:
    """One error for all layers that are not known."""
    roots = [k for k in bad if steps[k].problem != UNKNOWN_SHAPE]
    first, *others = (steps[k] for k in roots or bad)
    got = _class(first)
    if others:
        also = ", ".join(f"{step.index} '{step.name}' {_class(step)}" for step in others)
        got += f"; also {also}"
    return UnsupportedLayerError(
        "class_name",
        got=got,
        expected="layers that nninvert knows (nninvert info --layers)",
        next_step=_what_can_be_done(steps, bad[0], path),
        file=path,
        layer=(first.index, first.name),
    )


def _class(step: Step) -> str:
    return f"'{step.label}' ({step.problem})"


def _what_can_be_done(steps: Sequence[Step], bad: int, path: str) -> str:
    """The leading layers that can be inverted by themselves, as a command."""
    for source in steps[bad].sources:
        if source < 0:
            continue
        part = _part(steps, None, [source])
        if any(steps[k].problem for k in part):
            continue
        begin, end = steps[part[0]], steps[part[-1]]
        model, name = shlex.quote(path), shlex.quote(end.name)
        which = f"Layers {begin.index}-{end.index}"
        if begin is end:
            which = f"Layer {begin.index}"
        return (
            f"{which} can be inverted alone: "
            f"nninvert invert {model} h.npy --until {name} -o x.npy; or {_OWN}"
        )
    return _OWN[0].upper() + _OWN[1:]
