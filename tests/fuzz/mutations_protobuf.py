"""Damage to protocol buffers: numbers, lengths, fields, wire types.

The encoding: protobuf.dev/programming-guides/encoding. Without a schema, whatever parses
as a message inside is taken for one.
"""

import random
from dataclasses import dataclass, field

from mutations import EDGES, damaged_bytes, damaged_text

_VARINT, _EIGHT, _CHUNK, _FOUR = 0, 1, 2, 5
_WIDTH = {_EIGHT: 8, _FOUR: 4}


def varint(value: int) -> bytes:
    """As protocol buffers write it."""
    value %= 1 << 64
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


@dataclass
class _Field:
    number: int
    wire: int
    value: int | bytes
    inside: list["_Field"] | None = None
    length: int | None = None  # what is said of it, if that is wrong
    raw: bytes = field(default=b"", repr=False)

    def encoded(self) -> bytes:
        key = varint(self.number << 3 | self.wire)
        if isinstance(self.value, int):
            return key + varint(self.value)
        content = self.value
        if self.inside is not None:
            content = b"".join(part.encoded() for part in self.inside)
        if self.wire != _CHUNK:
            return key + content
        return key + varint(len(content) if self.length is None else self.length) + content

    def copy(self) -> "_Field":
        inside = None if self.inside is None else [part.copy() for part in self.inside]
        return _Field(self.number, self.wire, self.value, inside)


def _varint_at(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError


def _parsed(data: bytes, depth: int = 0) -> list[_Field]:
    """The fields of a message; ValueError or IndexError where it is none."""
    found: list[_Field] = []
    at = 0
    while at < len(data):
        key, at = _varint_at(data, at)
        number, wire = key >> 3, key & 7
        if not 0 < number < 100:
            raise ValueError
        if wire == _VARINT:
            value, at = _varint_at(data, at)
            found.append(_Field(number, wire, value))
            continue
        length = _WIDTH.get(wire, -1)
        if wire == _CHUNK:
            length, at = _varint_at(data, at)
        if length < 0 or at + length > len(data):
            raise ValueError
        content = data[at : at + length]
        at += length
        inside = None
        if wire == _CHUNK and length > 1 and depth < 8 and not _is_text(content):
            inside = _message(content, depth)
        found.append(_Field(number, wire, content, inside))
    return found


def _is_text(content: bytes) -> bool:
    return content.isascii() and content.decode().isprintable()


def _message(content: bytes, depth: int) -> list[_Field] | None:
    try:
        return _parsed(content, depth + 1)
    except (ValueError, IndexError):
        return None


def _holders(fields: list[_Field]) -> list[list[_Field]]:
    found = [fields] if fields else []
    for part in fields:
        if part.inside:
            found += _holders(part.inside)
    return found


class Message:
    """A message that can be damaged again and again."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._fields = _parsed(data)

    def damaged(self, chance: random.Random, other: "Message") -> bytes:
        """One to four changes to fields, or changes to any bytes."""
        if chance.random() < 0.2:
            return damaged_bytes(self.data, other.data, chance)
        fields = [part.copy() for part in self._fields]
        for _ in range(min(1 + int(chance.expovariate(0.8)), 4)):
            holders = _holders(fields)
            if not holders:
                break
            holder = chance.choice(holders)
            _change(holder, chance.randrange(len(holder)), chance, other)
        return b"".join(part.encoded() for part in fields)

    def part(self, chance: random.Random) -> _Field:
        """A copy of some field."""
        return chance.choice(chance.choice(_holders(self._fields))).copy()


def _change(holder: list[_Field], at: int, chance: random.Random, other: Message) -> None:
    part = holder[at]
    kind = chance.randrange(11)
    if kind <= 3:
        _change_value(part, chance)
    elif kind == 4:
        del holder[at]
    elif kind == 5:
        holder.insert(at, part.copy())
    elif kind == 6:
        part.number = chance.choice((*range(1, 25), 100, 2**28))
    elif kind == 7:
        holder.insert(at, other.part(chance))
    elif kind == 8:
        to = chance.randrange(len(holder))
        holder[at], holder[to] = holder[to], holder[at]
    elif kind == 9:
        part.wire = chance.randrange(8)
    elif part.wire == _CHUNK:
        part.length = chance.choice((*EDGES, len(bytes(_content(part))) + 1))


def _content(part: _Field) -> bytes:
    return part.value if isinstance(part.value, bytes) else b""


def _change_value(part: _Field, chance: random.Random) -> None:
    if isinstance(part.value, int):
        step = chance.choice((-2, -1, 1, 2))
        part.value = chance.choice((*EDGES[:16], chance.choice(EDGES), part.value + step))
        return
    content = part.value
    part.inside = None
    if content.isascii() and chance.random() < 0.8:
        text = damaged_text(content.decode(), "Relu Gemm MatMul axis x y", chance)
        part.value = chance.choice(
            (text.encode("utf-8", "replace"), b"", b"x", content + b"0")
        )
    else:
        part.value = damaged_bytes(content, content, chance)
