"""What ``invert`` shows: what was tried, found and proved, and how far to trust it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nninvert.outcome import Proof, RowStatus, Uniqueness
from nninvert.report.answers_text import (
    answers_text,
    family_text,
    found_text,
    free_text,
)
from nninvert.report.numbers import (
    count,
    decimal,
    digits,
    duration,
    gigabytes,
    percent,
    plural,
    rounded_up,
    scientific,
)
from nninvert.report.parts_text import NamedShape, written_text
from nninvert.report.text import Lines, joined, kept, labelled
from nninvert.result import InversionResult, KeptFactors, Plan, SolveSummary

ROWS_HEADER = (
    "row",
    "status",
    "residual",
    "relative_residual",
    "digits",
    "unique",
    "free_dimensions",
    "method",
    "proof",
    "reason",
)
"""Columns of ``--rows FILE.csv``."""

Cell = str | int | float | None

_SHAPE = re.compile(r"\([\d, ]+\)")

_FAMILY = {
    Uniqueness.YES: "the only answer",
    Uniqueness.LOCALLY: "the only answer near it",
    Uniqueness.NO: "one of many answers",
    Uniqueness.UNKNOWN: "perhaps one of several",
}

_LEFT = {
    RowStatus.UNREACHABLE: "(proved)",
    RowStatus.NEAREST: "(no answer found; x is the nearest found)",
    RowStatus.STOPPED: "(not decided; x is the best so far)",
    RowStatus.FAILED: "(nothing finite; x is NaN)",
}


def plan_text(plan: Plan) -> str:
    """The methods in order, each with its reason."""
    steps = [f"{step.method}, {step.why}" for step in plan.steps if step.rows]
    return "; then ".join(steps) or plan.requested


def invert_lines(
    result: InversionResult,
    output: str,
    width: int,
    verbose: bool = False,
    names: tuple[str, ...] = (),
    family: str = "",
    parts: Sequence[NamedShape] = (),
) -> Lines:
    """The whole screen.

    Parameters
    ----------
    result : InversionResult
    output : str
        Name of the file that x was written to; "" where there is none.
    width : int
    verbose : bool, default False
        Also say which tolerance a row was judged by.
    names : tuple of str, default ()
        Of the inputs, where families are to be told.
    family : str, default ""
        Name of the file that families were written to.
    parts : sequence of (name, shape), default ()
        Of x, where the file holds an array for each.
    """
    items = [("plan", plan_text(result.plan))]
    for status in _LEFT:
        items += _left_items(result, status)
    items += [("solved", _solved(result, output)), ("residual", _residual(result))]
    if verbose:
        items.append(("judged by", result.tolerance_origin))
    items += [("solver", solver_text(found)) for found in result.solves]
    items.append(("answers", answers_text(result.answers)))
    items.append(("family", family_text(result, names, family)))
    items += [("accuracy", _accuracy(result)), ("edge", _edge(result))]
    items.append(("factors", kept_text(result.kept)))
    items += [("advice", note) for note in result.notes or _near_enough(result)]
    return labelled([*items, _ending(result, output, parts)], width)


def solver_text(found: SolveSummary) -> str:
    """How one large layer was solved, and how well."""
    parts = [f"{found.name}: {found.path}"]
    if found.passes:
        parts.append("1 pass" if found.passes == 1 else f"{count(found.passes)} passes")
    if np.isfinite(found.backward_error):
        parts.append(f"backward error {scientific(found.backward_error)}")
    if np.isfinite(found.seconds):
        parts.append(duration(found.seconds))
    if found.memory is not None:
        parts.append(gigabytes(found.memory))
    return ", ".join(parts)


def kept_text(found: KeptFactors | None) -> str:
    """What is left on the disk, and what to do with it."""
    if found is None:
        return ""
    made = f"{gigabytes(found.nbytes)}, made in {duration(found.seconds)}"
    return f"kept {found.path}, {made}: --factors {found.path} next time, or delete it"


def invert_line(
    result: InversionResult, output: str, parts: Sequence[NamedShape] = ()
) -> str:
    """The same in one line, for logs."""
    rows = len(result.status)
    said = [f"solved {count(int(result.solved.sum()))} of {plural(rows, 'row')}"]
    for status in _LEFT:
        found = _rows_of(result, status)
        if found.size:
            proved = " (proved)" if status is RowStatus.UNREACHABLE else ""
            said.append(f"{status.value} {count(found.size)}{proved}")
    if result.solved.any():
        said.append(_largest(result))
    if result.answers is not None:
        said.append(f"answers {found_text(result.answers)}")
    if result.families:
        said.append(free_text(result))
    if output:
        said.append(f"wrote {_file(result, output, parts)}")
    if result.kept is not None:
        said.append(kept_text(result.kept))
    return "; ".join([", ".join(said), *result.notes[:1]])


def rows_table(result: InversionResult) -> list[list[Cell]]:
    """One row for each target under `ROWS_HEADER`; None where a figure is unknown."""
    return [
        [
            row,
            result.status[row].value,
            _known(result.residual[row]),
            _known(result.relative_residual[row]),
            _known(result.digits[row]),
            result.unique[row].value,
            int(result.free_dimensions[row]),
            result.method[row],
            "" if result.proof[row] is Proof.NONE else result.proof[row].value,
            result.reason[row],
        ]
        for row in range(len(result.status))
    ]


def _rows_of(result: InversionResult, status: RowStatus) -> NDArray[np.int64]:
    return np.flatnonzero(np.array([s is status for s in result.status]))


def _left_items(result: InversionResult, status: RowStatus) -> list[tuple[str, str]]:
    """How many rows ended so, and the reason of the first."""
    rows = _rows_of(result, status)
    if not rows.size:
        return []
    total = len(result.status)
    text = f"{count(rows.size)} of {plural(total, 'row')} {_LEFT[status]}"
    first = int(rows[0])
    reason = result.reason[first]
    if reason:
        text += f": {reason}" if total == 1 else f", e.g. {kept(f'row {first}')}: {reason}"
    if status is not RowStatus.FAILED:
        text += f"; |f(x) - y| {_spread(result.residual[rows], rows, total)}"
    return [(status.value, text)]


def _spread(values: NDArray[np.float64], rows: NDArray[np.int64], total: int) -> str:
    if total == 1:
        return f"= {decimal(float(values[0]))}"
    worst = int(np.argmax(values))
    return (
        f"{decimal(float(np.median(values)))} (median), "
        f"{decimal(float(values[worst]))} (worst, {kept(f'row {int(rows[worst])}')})"
    )


def _solved(result: InversionResult, output: str) -> str:
    solved, total = int(result.solved.sum()), len(result.status)
    text = f"{count(solved)} of {plural(total, 'row')}"
    if solved:
        text += f", {_family(result)}"
    if solved < total and any(
        s in (RowStatus.UNREACHABLE, RowStatus.NEAREST) for s in result.status
    ):
        others = " for the others" if solved else ""
        text += f"; {output or 'x'} holds the nearest answer found{others}"
    return text


def _family(result: InversionResult) -> str:
    """Whether the solved rows have other answers."""
    if result.relative_tolerance is None:
        return "each within the tolerance; other inputs meet it too"
    solved = np.flatnonzero(result.solved)
    kinds = {
        kind: [row for row in solved if result.unique[row] is kind] for kind in _FAMILY
    }
    present = {kind: rows for kind, rows in kinds.items() if rows}
    parts = []
    for kind, rows in present.items():
        text = _FAMILY[kind]
        dimension = max(int(result.free_dimensions[row]) for row in rows)
        if kind is Uniqueness.NO and dimension:
            text += f" (a family of {plural(dimension, 'dimension')})"
        parts.append(text if len(present) == 1 else f"{count(len(rows))} {text}")
    each = "each " if len(present) == 1 and solved.size > 1 else ""
    return each + joined(parts)


def _largest(result: InversionResult) -> str:
    """The worst agreement of a solved row, for one line."""
    measure, worst = _worst(result)
    return f"{measure.replace(' / ', '/')} <= {worst}"


def _residual(result: InversionResult) -> str:
    if not result.solved.any():
        return ""
    measure, worst = _worst(result)
    asked = ", inside the tolerance asked for" if result.relative_tolerance is None else ""
    return f"largest {measure} = {worst}{asked}, recomputed from the x written"


def _worst(result: InversionResult) -> tuple[str, str]:
    """Largest residual of the solved rows: relative, unless a tolerance was asked for."""
    relative = result.relative_residual[result.solved]
    if result.relative_tolerance is None or not np.isfinite(relative).all():
        return "|f(x) - y|", decimal(float(result.residual[result.solved].max()))
    return "|f(x) - y| / |y|", scientific(float(relative.max()))


def _accuracy(result: InversionResult) -> str:
    """How far the rounding of y alone moves x."""
    known = np.isfinite(result.movement) & result.solved
    if not known.any() or result.relative_tolerance is None:
        return ""
    movement = result.movement[known]
    worst = int(np.flatnonzero(known)[int(np.argmax(movement))])
    head = f"y is {result.precision}: its rounding moves x by"
    if len(result.status) == 1:
        trusted = float(result.digits[0])
        tail = f"; trust {digits(trusted)} digits" if np.isfinite(trusted) else ""
        return f"{head} {percent(float(movement[0]))}{tail} [estimate]"
    return (
        f"{head} {percent(float(np.median(movement)))} (median), "
        f"{percent(float(movement.max()))} {kept(f'(worst, row {worst}) [estimate]')}"
    )


def _edge(result: InversionResult) -> str:
    """Targets that a rounded activation has pushed onto the end of its range."""
    values = int(result.edge_values.sum())
    if not values:
        return ""
    rows = int(np.count_nonzero(result.edge_values))
    return (
        f"{count(values)} of {plural(result.fitted.size, 'value')} "
        f"({plural(rows, 'row')}) "
        "lie on an end of the output's range that no input attains: rounding put them "
        "there. Such a row is met to y's precision, but its x is one of many. Save y in "
        "float64 or before the last activation (logits), or choose with --near."
    )


def _near_enough(result: InversionResult) -> list[str]:
    """For a single target that was missed: the tolerance that its answer meets."""
    missed = (RowStatus.UNREACHABLE, RowStatus.NEAREST)
    if len(result.status) != 1 or result.status[0] not in missed:
        return []
    within = kept(f"--within {rounded_up(float(result.residual[0]))}")
    return [f"is y in the network's own units? Is this near enough? {within}"]


def _ending(
    result: InversionResult, output: str, parts: Sequence[NamedShape]
) -> tuple[str, str]:
    took = duration(result.seconds)
    if not output:
        return ("took", took)
    file = _SHAPE.sub(lambda found: kept(found[0]), _file(result, output, parts))
    return ("wrote", f"{file} in {took}")


def _file(result: InversionResult, output: str, parts: Sequence[NamedShape]) -> str:
    name = "x to stdout" if output == "-" else output
    values = result.x if result.answers is None else result.answers.x
    return written_text(name, values, parts)


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
