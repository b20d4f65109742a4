"""What ``check`` shows: the layers, the verdict, why, and what to run next."""

from __future__ import annotations

import math

import numpy as np

from nninvert.outcome import Kind, Proof, RowStatus, Verdict
from nninvert.report.commands import Commands
from nninvert.report.invert_text import kept_text
from nninvert.report.numbers import (
    count,
    decimal,
    digits,
    percent,
    plural,
    scientific,
    shape,
)
from nninvert.report.parts_text import end_text
from nninvert.report.text import (
    Lines,
    fill,
    joined,
    kept,
    labelled,
    shortened,
    tab_separated,
    table,
)
from nninvert.result import (
    CheckReport,
    ConditionEstimate,
    DigitsReport,
    LayerFinding,
    ModelSummary,
    PairsReport,
    TargetReport,
)

FLOAT32_DIGITS = 24 * math.log10(2)
"""Decimal digits of float32: 7.2."""

FLOAT64_DIGITS = 53 * math.log10(2)
"""Decimal digits of float64: 16."""

SHOWN_ROWS = 3
"""Unreachable targets that are named one by one; the others are counted."""

_HEADER = ["#", "layer", "shape", "activation", "square", "rank", "cond", "one-to-one"]

_UNIQUE = (Verdict.BIJECTIVE, Verdict.INJECTIVE)
"""Where x is one definite thing, so that its digits mean something."""

_WORKS = {
    Verdict.BIJECTIVE: "",
    Verdict.INJECTIVE: "works here: it finds the one input where a target has "
    "one, and the nearest answer elsewhere.",
    Verdict.SURJECTIVE: "works here: of the many inputs it finds the one nearest "
    "to --near; --lower, --upper and --fix choose too.",
    Verdict.NOT_INJECTIVE: "works here: it finds one of the inputs by least "
    "squares. Say which one you mean: --near, --lower, --upper, --fix.",
    Verdict.SINGULAR: "works here: it finds the input nearest to --near by least "
    "squares, and says where there is none.",
    Verdict.UNDECIDED: "works here: it searches by least squares, and runs the "
    "network again on what it finds.",
}


def check_lines(
    report: CheckReport, commands: Commands, width: int, shorten: bool = False
) -> Lines:
    """The whole screen.

    Parameters
    ----------
    report : CheckReport
    commands : Commands
    width : int
        Columns for prose.
    shorten : bool, default False
        Shorten layer names so that the table fits; only for a terminal.
    """
    lines = [model_line(report.model), *note_lines(report.model, width), ""]
    lines += _layer_table(report, width if shorten else None)
    lines += _condition_note(report, width)
    lines += _layer_reasons(report, width)
    lines += ["", *fill(report.verdict.headline, width)]
    lines += labelled(_explanations(report, commands), width, indent=2, label_width=6)
    if report.target is not None:
        lines += labelled(
            _target_items(report, report.target, commands), width, indent=2, label_width=6
        )
    if report.pairs is not None:
        lines += labelled(
            _pairs_items(report.model, report.pairs), width, indent=2, label_width=6
        )
    if report.kept is not None:
        lines += labelled([("factors", kept_text(report.kept))], width, indent=2)
    # The command is the last line, whole, however long it is.
    return [*lines, f"next      {_next(report, commands)}"]


def model_line(model: ModelSummary) -> str:
    """File, format, size and shapes in one line."""
    size = plural(model.parameters, "parameter")
    x = end_text(model.input_shape, model.input_parts)
    shapes = f"{x} -> {end_text(model.output_shape, model.output_parts)}"
    return f"{model.path or 'network'}   {model.format}, {model.dtype}, {size}   {shapes}"


def note_lines(model: ModelSummary, width: int) -> Lines:
    """What was decided while reading."""
    return labelled(
        [("note", note) for note in model.notes], width, indent=2, label_width=6
    )


def layers_table(report: CheckReport) -> Lines:
    """The layers as a table for programs, every digit kept."""
    header = [
        "index",
        "name",
        "class",
        "input_shape",
        "output_shape",
        "activation",
        "parameters",
        "square",
        "rank",
        "full_rank",
        "rank_stored",
        "largest",
        "smallest",
        "cond",
        "cond_norm",
        "cond_kind",
        "cond_method",
        "one_to_one",
        "reason",
    ]
    return tab_separated(header, [_plain_cells(layer) for layer in report.layers])


def _plain_cells(layer: LayerFinding) -> list[object]:
    cond = layer.condition
    return [
        layer.index,
        layer.name,
        layer.label,
        shape(layer.input_shape),
        shape(layer.output_shape),
        layer.activation,
        layer.parameters,
        _yes_no(layer.square, ""),
        layer.rank,
        layer.full_rank,
        layer.rank_stored,
        layer.largest,
        layer.smallest,
        *((cond.value, cond.norm, cond.kind.value, cond.method) if cond else [None] * 4),
        _yes_no(layer.one_to_one, ""),
        layer.reason,
    ]


def _layer_table(report: CheckReport, width: int | None) -> Lines:
    rows = [_cells(layer) for layer in report.layers]
    made = table(_HEADER, rows, "r")
    excess = max(map(len, made)) + 1 - width if width is not None else 0
    if excess > 0:
        longest = max(len(row[1]) for row in rows)
        room = max(longest - excess, 8)
        rows = [[row[0], shortened(row[1], room), *row[2:]] for row in rows]
        made = table(_HEADER, rows, "r")
    return [" " + line for line in made]


def _cells(layer: LayerFinding) -> list[str]:
    rank = "-" if layer.rank is None else f"{layer.rank}/{layer.full_rank}"
    return [
        layer.index,
        layer.name,
        f"{shape(layer.input_shape)} -> {shape(layer.output_shape)}",
        layer.activation or "-",
        _yes_no(layer.square),
        rank,
        "-" if layer.condition is None else _condition(layer.condition),
        _yes_no(layer.one_to_one, "?"),
    ]


def _condition(found: ConditionEstimate) -> str:
    """A number, or what it is known to exceed."""
    relation = ">= " if found.kind is Kind.LOWER_BOUND else ""
    return f"{relation}{scientific(found.value)}"


def _yes_no(value: bool | None, unknown: str = "-") -> str:
    return unknown if value is None else ("yes" if value else "no")


def _condition_note(report: CheckReport, width: int) -> Lines:
    """How the condition numbers were obtained."""
    if report.quick:
        return [" rank, cond: not computed (--quick)"]
    places: dict[str, list[str]] = {}
    for layer in report.layers:
        if layer.condition is not None:
            how = f"{layer.condition.kind.value} ({layer.condition.method})"
            places.setdefault(how, []).append(layer.index)
    if not places:
        return []
    if len(places) == 1:
        return [f" cond: 2-norm, {next(iter(places))}"]
    ways = [f"{how} in {_layers(indices)}" for how, indices in places.items()]
    return fill(f"cond: 2-norm; {'; '.join(ways)}", width, " ", "   ")


def _layers(indices: list[str]) -> str:
    return ("layer " if len(indices) == 1 else "layers ") + joined(indices)


def _layer_reasons(report: CheckReport, width: int) -> Lines:
    lines: Lines = []
    for layer in report.layers:
        if layer.reason and layer.reason not in report.sentence:
            lines += fill(f"{layer.index} {layer.name}: {layer.reason}", width, " ", "   ")
    return lines


def _explanations(report: CheckReport, commands: Commands) -> list[tuple[str, str]]:
    image = _sentence(report.image)
    if image and report.verdict is Verdict.BIJECTIVE and report.target is None:
        image += f" Yours: {kept(commands.check('--target', commands.target))}"
    why = "" if report.verdict is Verdict.BIJECTIVE else report.sentence
    items = [("why", why), ("image", image), ("proof", _witness(report))]
    if report.digits is not None and report.verdict in _UNIQUE:
        items += [
            ("digits", _digits(report.digits)),
            ("noise", _noise(report.digits)),
        ]
    items += [("cond", _ill_conditioned(report)), ("invert", _WORKS[report.verdict])]
    return items + [("change", advice) for advice in report.advice]


def _sentence(text: str) -> str:
    """With the full stop that a sentence has when another one follows."""
    return f"{text}." if text and text[-1] not in ".!?" else text


def _witness(report: CheckReport) -> str:
    if report.witness is None:
        return ""
    return (
        f"two inputs that are {decimal(report.witness.distance)} apart have outputs "
        f"{scientific(report.witness.difference)} apart"
    )


def _digits(found: DigitsReport) -> str:
    cost = max(found.weights, 0.0)
    text = f"the weights cost up to {digits(cost)} (product of conds, {found.kind.value})."
    if found.jacobian is not None and np.isfinite(found.jacobian).any():
        jacobian = found.jacobian[np.isfinite(found.jacobian)]
        text += (
            f" At your {found.jacobian_at} it is {digits(float(np.median(jacobian)))} "
            f"(median), {digits(float(jacobian.max()))} (worst) [estimate]."
        )
        least, most = float(jacobian.max()), float(jacobian.min())
    else:
        least, most = cost, 0.0
    return (
        f"{text} y in float32 has {digits(FLOAT32_DIGITS)}: trust "
        f"{_trusted(FLOAT32_DIGITS, least, most)} of x; float64: "
        f"{_trusted(FLOAT64_DIGITS, least, most)}."
    )


def _trusted(stored: float, worst: float, best: float) -> str:
    """Digits left; `best` is 0 where only a bound of the cost is known."""
    low = max(round(stored - worst), 0) if math.isfinite(worst) else 0
    if best <= 0.0:
        return f"{low or 'perhaps no'}{' or more' if low else ''} digits"
    high = max(round(stored - best), 0)
    return f"{low} to {high} digits" if low < high else plural(low, "digit")


def _noise(found: DigitsReport) -> str:
    """What a small measuring error does; by the Jacobian where there is one."""
    if found.jacobian is not None and np.isfinite(found.jacobian).any():
        worst = float(found.jacobian[np.isfinite(found.jacobian)].max())
    else:
        worst = found.weights
    factor = 10.0 ** min(worst, 300.0)
    if 1e-3 * factor >= 1.0:
        moved = "by 100 % and more"
    else:
        moved = f"by up to {percent(1e-3 * factor)}"
    return f"an error of 0.1 % in y can move x {moved}. Measured y? Use --within."


def _ill_conditioned(report: CheckReport) -> str:
    if report.max_condition is None:
        return ""
    limit = scientific(report.max_condition)
    if not report.ill_conditioned:
        return f"no layer is above --max-condition {limit}"
    names = [f"{index} '{name}'" for index, name in report.ill_conditioned]
    noun = "layer" if len(names) == 1 else "layers"
    return f"above --max-condition {limit}: {noun} {joined(names)}"


def _target_items(
    report: CheckReport, found: TargetReport, commands: Commands
) -> list[tuple[str, str]]:
    rows = len(found.reachable)
    yes = sum(answer is True for answer in found.reachable)
    no = [k for k, answer in enumerate(found.reachable) if answer is False]
    open_rows = [k for k, answer in enumerate(found.reachable) if answer is None]
    parts = [f"{count(yes)} of {plural(rows, 'row')} reachable (x found, f(x) recomputed)"]
    if no:
        parts.append(f"{count(len(no))} not (proved)")
    if open_rows:
        parts.append(f"{count(len(open_rows))} not decided")
    items = [("target", f"{commands.target}: {', '.join(parts)}")]
    items += [("", f"row {k}: {_why_not(report, found, k)}") for k in no[:SHOWN_ROWS]]
    if not no:
        items += [("", _open_row(found, k)) for k in open_rows[:SHOWN_ROWS]]
    known = found.digits[np.isfinite(found.digits)]
    if known.size:
        worst = int(np.nanargmin(found.digits))
        items.append(
            (
                "",
                f"digits of x to trust: {digits(float(np.median(known)))} (median), "
                f"{digits(float(known.min()))} (worst, row {worst}) [estimate]",
            )
        )
    return items


def _why_not(report: CheckReport, found: TargetReport, row: int) -> str:
    """Name layer, unit and value of a target that nothing reaches."""
    layer, proof = found.layer[row], found.proof[row]
    reason = proof.meaning if proof is not Proof.NONE else found.status[row].meaning
    if layer is None:
        return reason
    index, name = layer
    outside = int(found.units[row])
    text = f"{reason}: layer {index} '{name}'"
    value = float(found.value[row])
    if found.unit[row] >= 0 and math.isfinite(value):
        unit = f"unit {int(found.unit[row])}"
        if report.layers and index == report.layers[-1].index:
            unit = f"output {report.model.output_label(int(found.unit[row]))}"
        text += (
            f", {unit} would have to be {decimal(value)}, "
            f"{decimal(float(found.overshoot[row]))} outside"
        )
    return f"{text} ({plural(outside, 'unit')} outside in all)"


def _open_row(found: TargetReport, row: int) -> str:
    status = found.status[row]
    note = "" if status is RowStatus.SOLVED else f": {status.meaning}"
    return f"row {row}{note}; largest |f(x) - y| = {decimal(float(found.residual[row]))}"


def _pairs_items(model: ModelSummary, found: PairsReport) -> list[tuple[str, str]]:
    rows = plural(found.rows, "row")
    reading = ""
    if found.reading:
        reading = f"{found.reading} (best of {plural(found.tried, 'reading')} tried)"
    if found.same:
        verdict = f"your file was read right: f(X) = Y to {scientific(found.largest)}"
        return [("pairs", f"{verdict} ({rows})"), ("read", reading)]
    worst = int(np.argmax(found.per_output))
    output = model.output_label(worst)
    text = (
        f"f(X) differs from Y by {percent(found.median)} (median), "
        f"{percent(found.largest)} (worst) in {rows}; worst output {output}, rms error "
        f"{decimal(float(found.per_output[worst]))}."
    )
    if found.within:
        text += f" For targets measured like these: {kept(f'--within {found.within}')}"
    return [("pairs", text), ("read", reading)]


def _next(report: CheckReport, commands: Commands) -> str:
    within = report.pairs.within if report.pairs is not None else ""
    more = ("--within", within) if within and "--within" not in commands.question else ()
    if report.kept is not None:
        more = (*more, "--factors", report.kept.path)
    return commands.invert(*more, "-o", "x.npz" if report.model.input_parts else "x.npy")
