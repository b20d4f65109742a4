"""Small text files that people write: read whole, refused where they are something else."""

from __future__ import annotations

from nninvert.arrays.place import Place
from nninvert.arrays.text import text_lines
from nninvert.errors import DataError
from nninvert.files import impostor, read_head, unreadable


def lines_of(place: Place, expected: str) -> list[tuple[int, str]]:
    """Every line of ``place.file`` that is neither blank nor a comment, with its number.

    Parameters
    ----------
    place : Place
    expected : str
        What the file should be, for messages: "CSV".

    Raises
    ------
    InputError
        If the file cannot be read.
    DataError
        If it is no UTF-8 text.
    """
    path = place.file
    if found := impostor(read_head(path)):
        got, next_step = found
        raise DataError(
            place.inside(), got=got, expected=expected, next_step=next_step, file=path
        )
    try:
        with open(path, "rb") as stream:
            return list(text_lines(stream, place))
    except OSError as error:
        raise unreadable(path, error) from error
