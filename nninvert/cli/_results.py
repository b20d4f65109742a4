"""Arrays as results: to a file, to a pipe, or as a table where no output was named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nninvert.cli._options import Manner
from nninvert.cli._streams import Streams
from nninvert.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nninvert.result import Answers, Family, InversionResult

Parts = tuple[tuple[str, tuple[int, ...]], ...]


def require_output(
    output: str | None, inputs: Sequence[str], streams: Streams, manner: Manner
) -> None:
    """Refuse before the work starts what could not be written after it.

    Parameters
    ----------
    output : str or None
        A path, ``-`` for stdout, None for a table.
    inputs : sequence of str
        What the command reads.
    streams : Streams
    manner : Manner

    Raises
    ------
    UsageError
        For ``--json`` with ``-o -``, for an input, for binary data to a terminal.
    OutputError
        If the place cannot be written to.
    """
    from nninvert.arrays import check_output

    if output is None:
        return
    if output == "-" and manner.json:
        raise UsageError(
            "--json",
            got="-o - as well",
            expected="one of them on stdout",
            next_step="Say -o FILE.npy",
        )
    if output == "-" and streams.stdout_is_terminal:
        raise UsageError(
            "-o",
            got="a terminal",
            expected="a file or a pipe",
            because="the output is binary",
            next_step="Say -o FILE.npy, or leave -o out for a table",
        )
    check_output(output, inputs=inputs, force=manner.force)


def write_result(
    output: str | None,
    values: NDArray[np.floating],
    shape: tuple[int, ...],
    names: tuple[str, ...],
    streams: Streams,
    manner: Manner,
    parts: Parts = (),
) -> None:
    """Write rows of numbers where they were asked for.

    Parameters
    ----------
    output : str or None
        A path or ``-``; None: a table on stdout, unless ``--json`` holds the values.
        A terminal gets a small table, a pipe gets CSV with every digit.
    values : array, shape (rows, n)
    shape : tuple of int
        Of one row; binary files get (rows, *shape).
    names : tuple of str
        One for each of the n numbers.
    streams : Streams
    manner : Manner
    parts : names and shapes, default ()
        What a row consists of; an .npz gets an array for each.
    """
    from nninvert.arrays import write_array
    from nninvert.arrays.parts import parts_of
    from nninvert.arrays.several import write_arrays

    if output is not None and (held := parts_in(output, parts)):
        write_arrays(output, parts_of(values, held))
    elif output is not None:
        is_text = output.lower().endswith((".csv", ".txt"))
        written = values if is_text else values.reshape(values.shape[0], *shape)
        write_array(output, written, names=names, stdout=streams.stdout_bytes)
    elif not manner.json:
        _print_values(values, names, streams, manner)


def parts_in(output: str | None, parts: Parts) -> Parts:
    """The parts of which a file holds an array each: of an .npz; () of others."""
    return parts if output is not None and output.lower().endswith(".npz") else ()


def write_inversion(
    output: str | None,
    family: str | None,
    result: InversionResult,
    shape: tuple[int, ...],
    names: tuple[str, ...],
    streams: Streams,
    manner: Manner,
    parts: Parts = (),
) -> None:
    """Write x, or several answers, and families where they were asked for.

    Parameters
    ----------
    output : str or None
        As for `write_result`.
    family : str or None
        A file for the families; that of `output` gets both.
    result : InversionResult
    shape : tuple of int
        Of one x.
    names : tuple of str
        Of the inputs.
    streams : Streams
    manner : Manner
    parts : names and shapes, default ()
        Of one x, as for `write_result`.
    """
    from nninvert.arrays.parts import parts_of
    from nninvert.arrays.several import write_arrays

    if output is not None and family is not None and _same(output, family):
        answers = result.answers
        x = result.x if answers is None else answers.x
        held = parts_in(output, parts)
        arrays = parts_of(x, held) if held else {"x": x.reshape(*x.shape[:-1], *shape)}
        write_arrays(output, {**arrays, **family_arrays(result.families, held)})
        return
    if result.answers is None:
        write_result(output, result.x, shape, names, streams, manner, parts)
    else:
        _write_answers(output, result.answers, shape, names, streams, manner, parts)
    if family is not None:
        write_arrays(family, family_arrays(result.families, parts_in(family, parts)))


def _same(path: str, other: str) -> bool:
    return os.path.realpath(path) == os.path.realpath(other)


def family_arrays(families: Sequence[Family], parts: Parts = ()) -> dict[str, np.ndarray]:
    """Families under the names that they have in a file.

    For each row a group ``family/row_<row>`` of ``x`` (n,), ``dimension``, ``basis``
    (k, n), ``interval`` (k, 2) and ``points`` (k,); n numbers of x in the order of a flat
    row. With `parts`, ``x`` and ``basis`` are groups of an array for each.
    """
    import numpy as np

    from nninvert.arrays.parts import parts_of

    found: dict[str, np.ndarray] = {"family/rows": np.array([f.row for f in families], int)}
    for family in families:
        group = f"family/row_{family.row}"
        for what, values in (("x", family.x), ("basis", family.basis)):
            if parts:
                held = parts_of(values, parts)
                found |= {f"{group}/{what}/{name}": held[name] for name in held}
            else:
                found[f"{group}/{what}"] = values
        found[f"{group}/dimension"] = np.array(family.dimension)
        found[f"{group}/interval"] = family.intervals
        found[f"{group}/points"] = family.points
    return found


def _write_answers(
    output: str | None,
    answers: Answers,
    shape: tuple[int, ...],
    names: tuple[str, ...],
    streams: Streams,
    manner: Manner,
    parts: Parts,
) -> None:
    """As `write_result`, with a line for each answer where x becomes a table."""
    import numpy as np

    from nninvert.arrays.answers import answer_places, write_answers, write_answers_csv
    from nninvert.arrays.parts import parts_of
    from nninvert.arrays.several import write_arrays
    from nninvert.report.values_text import answers_lines, answers_plain

    # A row without an answer holds its best x.
    given = np.maximum(answers.count, 1)
    if output is not None and (held := parts_in(output, parts)):
        write_arrays(output, parts_of(answers.x, held))
    elif output is not None:
        values = answers.x.reshape(*answers.x.shape[:2], *shape)
        write_answers(output, values, given, names=names, stdout=streams.stdout_bytes)
    elif manner.json:
        return
    elif manner.plain:
        streams.print(answers_plain(answers.x, answer_places(given), names))
    elif streams.stdout_is_terminal:
        places, width = answer_places(given), streams.stdout_width
        streams.print(answers_lines(answers.x, places, names, width))
    else:
        write_answers_csv(streams.stdout_bytes, answers.x, given, names)


def _print_values(
    values: NDArray[np.floating],
    names: tuple[str, ...],
    streams: Streams,
    manner: Manner,
) -> None:
    from nninvert.arrays.table import write_csv
    from nninvert.report.values_text import values_lines, values_plain

    if manner.plain:
        streams.print(values_plain(values, names))
    elif streams.stdout_is_terminal:
        streams.print(values_lines(values, names, streams.stdout_width))
    else:
        write_csv(streams.stdout_bytes, values, names)
