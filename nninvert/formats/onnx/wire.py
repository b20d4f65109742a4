"""Protobuf's wire format: fields of a message found in a file, large ones skipped over.

A message is a sequence of fields, each a key (number and wire type) and a value: a varint,
4 or 8 bytes, or a length and as many bytes. What a field means, the caller knows. Source:
protobuf.dev, Encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from io import FileIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, LimitError
from nninvert.files import unreadable

_BLOCK = 1 << 16
_VARINT = 10
"""Most bytes of a varint: 64 bits, 7 in each."""

_WORD = 1 << 64

MAX_TEXT_BYTES = 1 << 28
"""Names and attributes of one file together; weights are not among them."""

Span = tuple[int, int]
"""First byte in the file, and the one behind the last."""


class Kind(IntEnum):
    """Wire types; groups (3, 4) are older than ONNX."""

    VARINT = 0
    FIXED64 = 1
    LENGTH = 2
    FIXED32 = 5


class Field(NamedTuple):
    """One field of a message.

    `value` is the varint, unsigned; `span` are the bytes of all other kinds.
    """

    number: int
    kind: Kind
    value: int
    span: Span


class Wire:
    """A file of protobuf messages.

    Parameters
    ----------
    path : str
        For messages.
    stream : FileIO
        Opened for reading.
    size : int
        Of the file, in bytes.
    """

    def __init__(self, path: str, stream: FileIO, size: int) -> None:
        self.path, self.size = path, size
        self._stream = stream
        self._first, self._block = 0, b""
        self._text_left = MAX_TEXT_BYTES

    def fields(self, span: Span) -> Iterator[Field]:
        """The fields of the message in `span`, in their order.

        Raises
        ------
        FormatError
            If they do not end where the message does.
        """
        place, end = span
        while place < end:
            key, place = self._varint(place, end)
            number = key >> 3
            if not number or key & 7 not in (0, 1, 2, 5):
                raise self.damaged(f"the field key {key} at byte {place:,}")
            kind = Kind(key & 7)
            value, length = 0, 0
            if kind is Kind.VARINT:
                value, place = self._varint(place, end)
            elif kind is Kind.LENGTH:
                length, place = self._varint(place, end)
            else:
                length = 8 if kind is Kind.FIXED64 else 4
            if length > end - place:
                raise self.damaged(
                    f"a field of {length:,} bytes at byte {place:,}, "
                    f"where {end - place:,} are left"
                )
            yield Field(number, kind, value, (place, place + length))
            place += length

    def text(self, span: Span) -> str:
        """A short string."""
        return self.short(span).decode(errors="replace")

    def short(self, span: Span) -> bytes:
        """A few bytes; a file's descriptions together have a limit."""
        self._text_left -= span[1] - span[0]
        if self._text_left < 0:
            raise LimitError(
                "",
                got="more names and attributes",
                expected=f"at most {MAX_TEXT_BYTES:,} bytes of them",
            )
        return self.content(span)

    def content(self, span: Span) -> bytes:
        """All bytes of `span`."""
        start, end = span
        inside = start - self._first
        if inside >= 0 and end <= self._first + len(self._block):
            return self._block[inside : inside + end - start]
        found = self._read(start, end - start)
        if len(found) < end - start:
            raise self.damaged("an end before the last field's")
        return found

    def varints(self, span: Span) -> NDArray[np.uint64]:
        """A packed list of varints."""
        data = np.frombuffer(self.content(span), np.uint8)
        ends = np.flatnonzero(data < 128)
        if data.size and (not ends.size or ends[-1] != data.size - 1):
            raise self.damaged("a list that breaks off")
        starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)[: ends.size]
        lengths = ends - starts + 1
        if ends.size and lengths.max() > _VARINT:
            raise self.damaged("a number of more than 64 bits")
        if not ends.size:
            return np.zeros(0, np.uint64)
        shift = 7 * (np.arange(data.size) - np.repeat(starts, lengths))
        parts = (data & 127).astype(np.uint64) << shift.astype(np.uint64)
        return np.add.reduceat(parts, starts)

    def damaged(self, got: str) -> FormatError:
        """Say what is not as protobuf has it."""
        return FormatError(
            "",
            got=got,
            expected="protobuf, as ONNX files are",
            next_step="Copy or download the file again.",
            file=self.path,
        )

    def _varint(self, place: int, end: int) -> tuple[int, int]:
        """An unsigned number, and the place behind it."""
        offset = place - self._first
        if offset < 0 or offset + _VARINT > len(self._block):
            self._first, self._block = place, self._read(place, _BLOCK)
            offset = 0
        value = shift = 0
        block = self._block
        for at in range(offset, min(offset + _VARINT, offset + end - place, len(block))):
            byte = block[at]
            value |= (byte & 127) << shift
            if byte < 128:
                return value % _WORD, place + at + 1 - offset
            shift += 7
        raise self.damaged(f"a number without an end at byte {place:,}")

    def _read(self, start: int, count: int) -> bytes:
        try:
            self._stream.seek(start)
            parts = []
            while count:
                part = self._stream.read(count)
                if not part:
                    break
                parts.append(part)
                count -= len(part)
        except OSError as error:
            raise unreadable(self.path, error) from error
        return b"".join(parts)


def signed(value: int) -> int:
    """A varint as int64: negative ones are stored in two's complement."""
    return value - _WORD if value >= _WORD // 2 else value
