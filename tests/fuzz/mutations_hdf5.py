"""Damage to HDF5 files where it counts: the structure, and not the numbers and texts.

HDF5 File Format Specification 3.0: the superblock (II.A), B-trees and symbol tables
(III.A to III.C), heaps (III.D, III.E, III.G), object headers and messages (IV.A).
"""

import random
from io import BytesIO

import h5py
from mutations import EDGES, damaged_bytes, hit
from mutations_json import JsonText

_SIGNATURES = (
    *(b"TREE", b"SNOD", b"HEAP", b"GCOL", b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"FHIB"),
    *(b"BTHD", b"BTLF", b"BTIN", b"FSHD", b"FSSE", b"FADB", b"FAHD", b"EAHD"),
)
_SUPERBLOCK = 96
_END_AT = 40  # the end-of-file address of superblock versions 0 and 1
_NOWHERE = b"\xff" * 8


def _stored(file: h5py.File) -> list[tuple[int, int]]:
    """Where the numbers of contiguous data sets lie."""
    found: list[tuple[int, int]] = []

    def note(_: str, node: object) -> None:
        if isinstance(node, h5py.Dataset) and node.id.get_offset() is not None:
            start = int(node.id.get_offset())
            found.append((start, start + int(node.id.get_storage_size())))

    file.visititems(note)
    return found


class Structure:
    """An HDF5 file, its structure, and perhaps a JSON text in it."""

    def __init__(self, data: bytes, text: str | None = None) -> None:
        self.data = data
        self._text = None if text is None else JsonText(text)
        self._text_at = data.find(text.encode()) if text else -1
        apart: list[tuple[int, int]] = []
        with h5py.File(BytesIO(data), "r") as file:
            apart += _stored(file)
        if text is not None and self._text_at >= 0:
            apart.append((self._text_at, self._text_at + len(text.encode())))
        live = bytearray(len(data))
        for at, byte in enumerate(data):
            if byte:  # what is zero counts beside what is not
                live[max(0, at - 4) : at + 5] = b"\1" * 9
        for start, stop in apart:
            live[start:stop] = bytes(stop - start)
        live = live[: len(data)]
        self._places = [at for at, used in enumerate(live) if used] or [0]
        self._heads = [
            at
            for at in range(len(data) - 4)
            if data[at : at + 4] in _SIGNATURES and not any(a <= at < b for a, b in apart)
        ] or [0]
        self._pointers = [
            at
            for at in range(0, len(data) - 8, 8)
            if live[at] and 0 < int.from_bytes(data[at : at + 8], "little") <= len(data)
        ] or [0]

    def damaged(self, chance: random.Random, other: "Structure") -> bytes:
        """Damage to the JSON text, to the structure, or to any bytes."""
        kind = chance.random()
        if self._text is not None and self._text_at >= 0 and kind < 0.4:
            return self._with_text(chance, other)
        if kind < 0.9:
            return self._restructured(chance, other)
        return damaged_bytes(self.data, other.data, chance)

    def _with_text(self, chance: random.Random, other: "Structure") -> bytes:
        """The text in its place, filled up with blanks; cut where it is longer."""
        assert self._text is not None
        room = len(self._text.text.encode())
        made = b""
        for _ in range(4):
            text = self._text.damaged(chance, other._text or self._text)
            made = text.encode("utf-8", "replace")
            if len(made) <= room:
                break
        start = self._text_at
        made = made[:room].ljust(room)
        return self.data[:start] + made + self.data[start + room :]

    def _restructured(self, chance: random.Random, other: "Structure") -> bytes:
        data = bytearray(self.data)
        for _ in range(min(1 + int(chance.expovariate(0.7)), 6)):
            kind = chance.randrange(10)
            if kind <= 3:
                hit(data, chance.choice(self._places), chance)
            elif kind <= 5:
                hit(data, chance.choice(self._heads) + chance.randrange(4, 40), chance)
            elif kind == 6:
                hit(data, chance.randrange(_SUPERBLOCK), chance)
            elif kind == 7:
                self._point(data, chance)
            elif kind == 8:
                size = chance.choice((1, 2, 4, 8, 8, 16, 40))
                to, at = chance.choice(self._places), chance.choice(self._places)
                source = chance.choice((self.data, self.data, other.data))
                data[to : to + size] = source[at : at + size]
            else:
                data = data[: chance.choice(self._places)]
                if len(data) >= _END_AT + 8:
                    data[_END_AT : _END_AT + 8] = len(data).to_bytes(8, "little")
            if not data:
                break
        return bytes(data)

    def _point(self, data: bytearray, chance: random.Random) -> None:
        """Let an address or a length be that of something else."""
        at, other = chance.choice(self._pointers), chance.choice(self._pointers)
        made = chance.choice(
            (
                *(self.data[other : other + 8],) * 3,
                chance.choice(self._heads).to_bytes(8, "little"),
                at.to_bytes(8, "little"),
                len(data).to_bytes(8, "little"),
                chance.choice(EDGES).to_bytes(8, "little"),
                _NOWHERE,
            )
        )
        data[at : at + 8] = made[: max(0, len(data) - at)]
