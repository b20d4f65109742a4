"""Arrays as results: to a file, to a pipe, or as a table where no output was named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nninvert.cli._options import Manner
from nninvert.cli._streams import Streams
from nninvert.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


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
    """
    from nninvert.arrays import write_array

    if output is not None:
        is_text = output.lower().endswith((".csv", ".txt"))
        written = values if is_text else values.reshape(values.shape[0], *shape)
        write_array(output, written, names=names, stdout=streams.stdout_bytes)
    elif not manner.json:
        _print_values(values, names, streams, manner)


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
