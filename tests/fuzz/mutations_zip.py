"""Damage to zip archives: what they hold, and what their headers say of it.

APPNOTE.TXT 6.3.10: local headers (4.3.7), the directory (4.3.12), its end (4.3.16).
"""

import random
import struct
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO

from mutations import EDGES, damaged_bytes

Damage = Callable[[str, bytes, random.Random], bytes]
"""Of a member's name and content."""

_NAMES = (
    *(
        "",
        "/",
        "../x",
        "/etc/passwd",
        "a\\b",
        "x.npy",
        "config.json",
        "a/b/data.pkl",
        "é.npy",
    ),
    *("\0", "data.pkl", "x" * 3000, "model.weights.h5", "a/data/0", "W/indptr.npy"),
)
_EXTRAS = (
    b"",
    b"\x01\x00\x18\x00" + b"\xff" * 24,
    b"\x01\x00\x08\x00" + b"\xff" * 8,
    b"\x01\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\x01",
)


class Archive:
    """The members of a zip, written anew with damage."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        with zipfile.ZipFile(BytesIO(data)) as archive:
            self._members = [(n, archive.read(n)) for n in archive.namelist()]

    def damaged(self, chance: random.Random, other: "Archive", damage: Damage) -> bytes:
        """Damage to one member in a sound archive, or to headers, or to any bytes."""
        if chance.random() < 0.1:
            return damaged_bytes(self.data, other.data, chance)
        members = list(self._members)
        headers = chance.random() < 0.3
        if not headers or chance.random() < 0.2:
            at = chance.randrange(len(members))
            name, content = members[at]
            members[at] = name, damage(name, content, chance)
        if chance.random() < 0.1:
            _exchange(members, chance.choice(other._members), chance)
        return _written(members, chance, headers)


def _exchange(
    members: list[tuple[str, bytes]], given: tuple[str, bytes], chance: random.Random
) -> None:
    """Leave a member out, name it otherwise, or take one from elsewhere."""
    at = chance.randrange(len(members))
    kind = chance.randrange(5)
    if kind == 0:
        del members[at]
    elif kind == 1:
        members[at] = chance.choice((*_NAMES, given[0])), members[at][1]
    elif kind == 2:
        members.insert(at, given)
    elif kind == 3:
        members[at] = members[at][0], given[1]
    else:
        members.append((members[at][0], members[at - 1][1]))


def _written(
    members: list[tuple[str, bytes]], chance: random.Random, headers: bool
) -> bytes:
    """The archive; with `headers`, one to three fields of some member say what is wrong."""
    out = bytearray()
    directory = bytearray()
    chosen = chance.randrange(len(members)) if headers and members else -1
    for at, (name, content) in enumerate(members):
        raw = name.encode("utf-8", "surrogatepass")
        packed, method = content, 0
        if chance.random() < 0.1:
            engine = zlib.compressobj(1, zlib.DEFLATED, -15)
            packed, method = engine.compress(content) + engine.flush(), 8
        # version, flags, method, time, date, CRC, packed, unpacked, name, extra
        fields = [20, 0x800, method, 0, 33, zlib.crc32(content)]
        fields += [len(packed), len(content), len(raw), 0]
        local, central, offset = list(fields), list(fields), len(out)
        extra = b""
        if at == chosen:
            extra = chance.choice(_EXTRAS)
            local[9] = central[9] = len(extra)
            for _ in range(chance.randint(1, 3)):
                place = chance.choice((1, 2, 5, 6, 7, 8, 9, 10))
                value = chance.choice((*EDGES, len(content) + 1, len(packed) - 1, 99, 1, 9))
                if place == 10:
                    offset = value
                else:
                    for which in chance.choice(((local,), (central,), (local, central))):
                        which[place] = value
        sizes = (0xFFFF,) * 5 + (0xFFFFFFFF,) * 3 + (0xFFFF,) * 2
        local = [v & m for v, m in zip(local, sizes, strict=True)]
        central = [v & m for v, m in zip(central, sizes, strict=True)]
        out += struct.pack("<4s5H3I2H", b"PK\3\4", *local) + raw + extra + packed
        directory += struct.pack(
            "<4sH5H3I2H3H2I", b"PK\1\2", 20, *central, 0, 0, 0, 0, offset & 0xFFFFFFFF
        )
        directory += raw + extra
    end = [0, 0, len(members), len(members), len(directory), len(out), 0]
    if headers and chance.random() < 0.2:
        end[chance.randrange(7)] = chance.choice(EDGES) & 0xFFFF
    return bytes(out + directory + struct.pack("<4s4H2IH", b"PK\5\6", *end))
