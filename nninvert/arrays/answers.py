"""Several answers to each target, as arrays or as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from nninvert.arrays.atomic import atomic_output
from nninvert.arrays.table import write_csv
from nninvert.arrays.writing import write_array

PLACE_NAMES = ("row", "answer")
"""The columns that a table of answers begins with."""


def write_answers(
    target: str,
    answers: np.ndarray,
    given: np.ndarray,
    *,
    names: Sequence[str],
    stdout: BinaryIO | None = None,
) -> None:
    """Write answers; the suffix decides how.

    Parameters
    ----------
    target : str
        As for `write_array`. A table gets one line for each answer, after the numbers of
        the row and of the answer in it; other files get the array as it is.
    answers : ndarray, shape (rows, most, *input_shape)
        NaN where there are fewer.
    given : int ndarray, shape (rows,)
        How many x each row holds.
    names : sequence of str
        One for each input.
    stdout : BinaryIO or None, default None
        As for `write_array`.
    """
    if not target.lower().endswith((".csv", ".txt")):
        write_array(target, answers, stdout=stdout)
        return
    separator = " " if target.lower().endswith(".txt") else ","
    with atomic_output(target) as stream:
        write_answers_csv(stream, answers, given, names, separator)


def write_answers_csv(
    stream: BinaryIO,
    answers: np.ndarray,
    given: np.ndarray,
    names: Sequence[str],
    separator: str = ",",
) -> None:
    """Write one line for each answer; `write_answers` tells what the arguments are."""
    places = answer_places(given)
    flat = answers.reshape(*answers.shape[:2], -1)
    values = flat[places[:, 0], places[:, 1]]
    write_csv(stream, values, [*PLACE_NAMES, *names], separator, places)


def answer_places(given: np.ndarray) -> np.ndarray:
    """Row and answer of every line of a table, shape (lines, 2)."""
    rows = np.repeat(np.arange(len(given)), given)
    first = np.cumsum(given) - given
    return np.stack([rows, np.arange(rows.size) - first[rows]], axis=1)
