"""Small pictures in characters: grey levels, one or several pictures side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.report.text import Lines

SHADES = " ░▒▓█"
"""Dark to bright on a dark terminal."""

ASCII_SHADES = " .:-=+*#%@"
"""The same where the terminal cannot show blocks."""

_GAP = "    "


def shades_for(encoding: str) -> str:
    """The block characters if `encoding` has them, else plain ones."""
    try:
        SHADES.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII_SHADES
    return SHADES


def picture(values: NDArray[np.floating], shades: str = SHADES) -> Lines:
    """One picture; each value is two characters wide, so that it looks square.

    Parameters
    ----------
    values : array, shape (rows, columns)
        0 is dark, 1 is bright; what lies outside is cut off, NaN is shown as "??".
    shades : str, default SHADES
        From dark to bright.
    """
    level = np.nan_to_num(np.clip(values, 0.0, 1.0)) * (len(shades) - 1)
    cells = np.rint(level).astype(np.int64)
    unknown = np.isnan(values)
    return [
        "".join(
            "??" if missing else 2 * shades[cell]
            for cell, missing in zip(row, gaps, strict=True)
        )
        for row, gaps in zip(cells, unknown, strict=True)
    ]


def side_by_side(
    pictures: list[tuple[str, NDArray[np.floating]]], shades: str = SHADES
) -> Lines:
    """Several pictures of one height in a row, each under its title."""
    columns = []
    for title, values in pictures:
        lines = picture(values, shades)
        width = max(len(title), *(len(line) for line in lines))
        columns.append([line.ljust(width) for line in [title, *lines]])
    return [_GAP.join(parts).rstrip() for parts in zip(*columns, strict=True)]
