"""What stands behind an option: a number, a share, a list, a file, NAME=VALUE."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from nninvert.errors import NninvertError, UsageError

if TYPE_CHECKING:
    from nninvert.arrays import LoadedArray
    from nninvert.cli._streams import Streams

Numbers = float | list[float]

_SHARE = re.compile(r"[^,%]+ ?%")


class Sources:
    """The arrays that one command reads; standard input can be only one of them."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._stdin_is: str | None = None
        self._files: dict[str, str] = {}

    def read(
        self,
        source: str,
        field: str,
        names: tuple[str, ...] | None = None,
        parts: tuple[tuple[str, tuple[int, ...]], ...] = (),
    ) -> LoadedArray:
        """Read the array `source`, ``-`` from standard input.

        A table whose header has just `names` is put in their order. An .npz may hold
        `parts`, names and shapes, in place of one array.

        Raises
        ------
        UsageError
            If standard input was read before.
        """
        from nninvert.arrays import read_array

        stdin: BinaryIO | None = None
        if source == "-":
            stdin = self._take_stdin(field)
        loaded = read_array(source, stdin=stdin, field=field, parts=parts)
        self._files[field] = loaded.source
        return loaded.ordered(names)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Let errors that the library raises about an array tell which file it is from."""
        try:
            yield
        except NninvertError as error:
            field = error.field.partition(" > ")[0]
            raise error.at(file=self._files.get(field, "")) from error

    def _take_stdin(self, field: str) -> BinaryIO:
        if self._stdin_is is not None:
            raise UsageError(
                field,
                got=f"'-', which is {self._stdin_is} already",
                expected="standard input only once",
            )
        self._stdin_is = field
        if self._streams.stdin_is_terminal:
            self._streams.tell([f"reading {field} from the keyboard: end with Ctrl-D"])
        return self._streams.stdin


def number_of(text: str) -> float | None:
    """The number that `text` is; None if it is none."""
    try:
        return float(text)
    except ValueError:
        return None


def numbers_of(text: str) -> Numbers | None:
    """A number, or a list of them separated by commas; None if it is neither."""
    values = [number_of(part) for part in text.split(",")]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    return known[0] if len(known) == 1 else known


def is_share(text: str) -> bool:
    """Whether `text` is a percentage: 3%, 0.5 %."""
    return bool(_SHARE.fullmatch(text)) and number_of(text.rstrip("% ")) is not None


def require_known(option: str, given: str, known: Sequence[str]) -> None:
    """Refuse a word that is none of `known`, with the nearest one.

    Raises
    ------
    UsageError
    """
    if given in known:
        return
    close = difflib.get_close_matches(given, known)
    raise UsageError(
        option,
        got=f"'{given}'",
        expected=f"one of {', '.join(known)}",
        next_step=f"Did you mean {close[0]}?" if close else "",
    )
