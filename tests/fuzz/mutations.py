"""Damage to bytes and to texts, drawn from one `random.Random`."""

import random
import re
import struct

EDGES = (
    *(0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 31, 32, 63, 64, 100, 127, 128, 255, 256, 1000),
    *(1023, 1024, 4096, 32767, 32768, 65535, 65536, 10**6, 2**24, 2**31 - 1, 2**31),
    *(2**32 - 1, 2**32, 10**12, 2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 8, 2**64 - 1),
)
"""Where counts, lengths and addresses go wrong."""

NUMBERS = (
    *("0", "1", "-1", "-0", "2", "3", "7", "1e308", "-1e308", "1e999", "1e-320", "nan"),
    *(
        "inf",
        "-inf",
        "NaN",
        "Infinity",
        "0x10",
        "1_000",
        "1,5",
        "1.5.2",
        "+-1",
        "1e",
        ".",
        "",
    ),
    *("4294967296", "9223372036854775808", "99999999999999999999", "9" * 400, "9" * 5000),
    *("０", "٣", "½", "1j", "true", "null", "None"),
)
LETTERS = "\0\t\n\r ,;:#'\"\\/()[]{}<>=+-*%_eE.0189aZ\x7f\x85\xa0\u2028\ufeff\U0001f600"
_TOKENS = re.compile(r"[A-Za-z_]\w*|[\d.]+(?:[eE][+-]?\d+)?|\s+|.", re.DOTALL)


def number_bytes(chance: random.Random, size: int) -> bytes:
    """An edge in `size` bytes, of either order."""
    value = chance.choice(EDGES)
    if chance.random() < 0.3:
        value += chance.randint(-9, 9)
    order = "little" if chance.random() < 0.85 else "big"
    return (value % (1 << 8 * size)).to_bytes(size, order)


def hit(data: bytearray, at: int, chance: random.Random) -> None:
    """Change what stands at one place, the length kept."""
    kind = chance.randrange(6)
    if not data or at >= len(data):
        return
    if kind == 0:
        data[at] ^= 1 << chance.randrange(8)
    elif kind == 1:
        data[at] = chance.randrange(256)
    elif kind == 2:
        data[at] = (data[at] + chance.choice((-2, -1, 1, 2))) % 256
    else:
        size = chance.choice((1, 2, 4, 8))
        at -= at % size if chance.random() < 0.5 else 0
        made = number_bytes(chance, size)
        data[at : at + size] = made[: len(data) - at]


def _reshape(data: bytearray, other: bytes, chance: random.Random) -> bytearray:
    """Cut, insert, repeat, exchange or splice."""
    size = len(data)
    at = chance.randrange(size + 1)
    length = min(int(chance.expovariate(1 / 20)) + 1, 1 << 12)
    kind = chance.randrange(8)
    if kind == 0:
        return data[:at]
    if kind == 1:
        del data[at : at + length]
    elif kind == 2:
        data[at:at] = chance.randbytes(length)
    elif kind == 3:
        data[at:at] = data[at : at + length] * chance.choice((1, 1, 2, 50))
    elif kind == 4:
        start = chance.randrange(len(other) + 1)
        data[at : at + length] = other[start : start + length]
    elif kind == 5:
        return data[:at] + other[chance.randrange(len(other) + 1) :]
    elif kind == 6:
        filler = chance.choice((b"\0", b"\xff"))
        data[at : at + length] = filler * len(data[at : at + length])
    else:
        start = chance.randrange(size + 1)
        data[at : at + length] = data[start : start + length]
    return data


def damaged_bytes(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """One to five changes, most of them in place; `other` is what is spliced in."""
    made = bytearray(data)
    for _ in range(min(1 + int(chance.expovariate(0.8)), 5)):
        if chance.random() < 0.65:
            hit(made, chance.randrange(len(made) + 1), chance)
        else:
            made = _reshape(made, other, chance)
    return bytes(made)


def damaged_text(text: str, other: str, chance: random.Random) -> str:
    """A text with numbers, words, signs or lines changed."""
    tokens = _TOKENS.findall(text)
    for _ in range(min(1 + int(chance.expovariate(0.6)), 6)):
        tokens = tokens or [""]
        at = chance.randrange(len(tokens))
        kind = chance.randrange(9)
        if kind <= 1:
            tokens[at] = chance.choice(NUMBERS)
        elif kind == 2:
            tokens[at] = chance.choice(LETTERS) * chance.choice((1, 1, 1, 2, 300))
        elif kind == 3:
            tokens.insert(at, chance.choice(LETTERS) * chance.choice((1, 1, 1, 2, 300)))
        elif kind == 4:
            del tokens[at : at + chance.choice((1, 1, 2, 9))]
        elif kind == 5:
            some = tokens[at : at + chance.choice((1, 2, 9))]
            tokens[at:at] = some * chance.choice((1, 1, 2, 40))
        elif kind == 6:
            start = chance.randrange(len(tokens))
            tokens[at], tokens[start] = tokens[start], tokens[at]
        elif kind == 7:
            others = _TOKENS.findall(other) or [""]
            tokens[at] = chance.choice(others)
        else:
            lines = "".join(tokens).split("\n")
            chance.shuffle(lines)
            tokens = _TOKENS.findall("\n".join(lines[: chance.randrange(len(lines) + 1)]))
    return "".join(tokens)


def encoded(text: str, chance: random.Random) -> bytes:
    """Mostly UTF-8, sometimes not."""
    if chance.random() < 0.97:
        return text.encode("utf-8", "surrogatepass")
    return text.encode(chance.choice(("utf-16", "latin-1", "utf-8-sig")), "replace")


def damaged_npy(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """A .npy file: its header's text, its lengths, its values."""
    if chance.random() < 0.3 or len(data) < 12:
        return damaged_bytes(data, other, chance)
    wide = data[6] > 1
    start = 12 if wide else 10
    length = int.from_bytes(data[8:start], "little")
    header, values = data[start : start + length].decode("latin-1"), data[start + length :]
    version = data[6:8]
    kind = chance.randrange(6)
    if kind <= 2:
        header = damaged_text(header, other[10:128].decode("latin-1"), chance)
    elif kind == 3:
        header = re.sub(r"<f8|<f4|<i8", chance.choice(_DESCR), header, count=1)
    elif kind == 4:
        header = re.sub(r"\([\d, ]*\)", chance.choice(_SHAPES), header, count=1)
    else:
        version = bytes((chance.randrange(5), chance.randrange(2)))
    if chance.random() < 0.2:
        values = damaged_bytes(values, other, chance)
    raw = header.encode("utf-8", "replace")
    said = len(raw) if chance.random() < 0.9 else chance.choice(EDGES) % 65536
    counted = struct.pack("<I" if version[0] > 1 else "<H", said % 65536)
    return b"\x93NUMPY" + version + counted + raw + values


_DESCR = (
    *("|b1", "<i1", "<u8", ">f8", "<f2", "<f16", "<c8", "<c16", "|O", "<U4", "|S8", "|V8"),
    *(
        "<M8[s]",
        "<m8",
        "<f0",
        "<f-8",
        "<f99999999",
        "f8,f8",
        "(2,3)f8",
        "V0",
        "|O8",
        "",
        "é",
    ),
)
_SHAPES = (
    *("()", "(0,)", "(1,)", "(-1,)", "(2, -3)", "(2.0,)", "(True,)", "(99999999999,)", "5"),
    *(
        "(0, 99999999999999)",
        "(2**40,)",
        "(4294967296, 4294967296)",
        "[2, 3]",
        "(1,)*9",
        "None",
    ),
    *("(" + "1," * 40 + ")", "(" + "9" * 5000 + ",)", "(" * 200 + ")" * 200, "'a'", "{}"),
)
