"""Arrays and tables out: to a file, to standard output."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

import numpy as np

from nninvert.arrays.atomic import atomic_output, is_direct, unwritable
from nninvert.arrays.dataset import write_hdf5
from nninvert.arrays.npy import write_npy
from nninvert.arrays.npz import write_npz
from nninvert.arrays.table import quoted, write_csv
from nninvert.errors import UsageError

ARRAY_SUFFIXES = (".npy", ".npz", ".csv", ".txt", ".h5", ".hdf5")
TABLE_SUFFIXES = (".csv",)

Cell = str | int | float | np.integer | np.floating | None


def write_array(
    target: str,
    values: np.ndarray,
    *,
    names: Sequence[str] | None = None,
    stdout: BinaryIO | None = None,
) -> None:
    """Write one array; the suffix decides how.

    Parameters
    ----------
    target : str
        Ends in .npy, .npz (member ``x``), .h5 or .hdf5 (data set ``x``), .csv (commas)
        or .txt (blanks); ``-`` writes .npy to `stdout`, and so does a pipe or device
        without a suffix.
    values : ndarray
        Floats of 2, 4 or 8 bytes or integers; written in just this type. A table has
        one axis (one row) or two.
    names : sequence of str or None, default None
        Header of a table: one name for each column. Without names no header is written.
    stdout : BinaryIO or None, default None
        Only ``write`` and ``flush`` are used: it may be a pipe.

    Raises
    ------
    UsageError
        If the suffix is unknown, or the array does not fit into a table.
    OutputError
        If the disk is full, or there is no permission, ...; the old file is untouched.
    BrokenPipeError
        If the reader of a pipe went away.
    """
    write = _writer(target, values, names)
    if target != "-":
        with atomic_output(target) as stream:
            write(stream)
        return
    if stdout is None:
        raise UsageError("-", got="'-'", expected="a file for this output")
    try:
        write(stdout)
        stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable("standard output", error) from error


def write_table(target: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Write a table of texts and numbers as CSV.

    Parameters
    ----------
    target : str
        Ends in .csv.
    header : sequence of str
        Names of the columns.
    rows : iterable of sequences of str, int, float or None
        None leaves a cell empty; floats are written as the shortest text that reads
        back the same, NaN as ``nan``; texts are quoted where needed, and what is not
        printable in them is escaped.

    Raises
    ------
    UsageError
        If the suffix is unknown.
    OutputError
        If it cannot be written.
    """
    suffix_of(target, TABLE_SUFFIXES)
    with atomic_output(target) as stream:
        for row in [header, *rows]:
            stream.write((",".join(map(_cell, row)) + "\n").encode())


def suffix_of(target: str, suffixes: Sequence[str]) -> str:
    """The suffix of `target`, in lower case.

    Raises
    ------
    UsageError
        If it is none of `suffixes`.
    """
    suffix = os.path.splitext(target)[1].lower()
    if suffix in suffixes:
        return suffix
    raise UsageError(
        "",
        got=f"the suffix '{suffix}'" if suffix else "no suffix",
        expected=" ".join(suffixes),
        because="the suffix decides how it is written",
        file=target,
    )


def _writer(
    target: str, values: np.ndarray, names: Sequence[str] | None
) -> Callable[[BinaryIO], None]:
    if target == "-" or (is_direct(target) and not os.path.splitext(target)[1]):
        return lambda stream: write_npy(stream, values)
    suffix = suffix_of(target, ARRAY_SUFFIXES)
    if suffix in (".csv", ".txt"):
        if values.ndim > 2:
            raise UsageError(
                "",
                got=f"{suffix} for an array of shape {values.shape}",
                expected="at most two axes",
                because="a table has rows and columns",
                next_step="Write .npy or .h5.",
                file=target,
            )
        separator = " " if suffix == ".txt" else ","
        return lambda stream: write_csv(stream, values, names, separator)
    writers = {".npy": write_npy, ".npz": write_npz}
    return lambda stream: writers.get(suffix, write_hdf5)(stream, values)


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return quoted(value)
    return str(value)
