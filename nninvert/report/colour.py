"""Colours for a terminal, put on finished lines: the words that decide stand out."""

from __future__ import annotations

import re

_GREEN, _YELLOW, _RED, _BOLD = "32;1", "33;1", "31;1", "1"

_STYLES = {
    "BIJECTIVE": _GREEN,
    "INJECTIVE": _YELLOW,
    "SURJECTIVE": _YELLOW,
    "NOT ONE-TO-ONE": _RED,
    "SINGULAR": _RED,
    "UNDECIDED": _YELLOW,
    "solved": _GREEN,
    "unreachable": _RED,
    "nearest": _YELLOW,
    "stopped": _YELLOW,
    "failed": _RED,
    "advice": _YELLOW,
    "next": _BOLD,
}

_START = re.compile(f"(?:{'|'.join(map(re.escape, _STYLES))})(?=[ :,])")


def painted(line: str) -> str:
    """Colour the word that a line begins with, if it is one that decides."""
    found = _START.match(line)
    if found is None:
        return line
    word = found[0]
    return f"\x1b[{_STYLES[word]}m{word}\x1b[0m{line[len(word) :]}"
