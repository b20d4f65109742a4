"""Damage to pickles: opcodes exchanged, left out, repeated, with other arguments.

The opcodes are those of Python's ``pickletools``, which parses and runs nothing.
"""

import pickletools
import random

from mutations import EDGES, damaged_bytes, number_bytes

_GLOBALS = (
    b"cos\nsystem\n",
    b"cbuiltins\neval\n",
    b"ctorch\nFloatStorage\n",
    b"ctorch\nBFloat16Storage\n",
    b"ctorch._utils\n_rebuild_tensor_v2\n",
    b"ctorch._utils\n_rebuild_parameter\n",
    b"ccollections\nOrderedDict\n",
    b"ctorch\nSize\n",
    b"ctorch\ndevice\n",
    b"c\n\n",
)
_SIMPLE = tuple(op.code.encode("latin-1") for op in pickletools.opcodes if op.arg is None)


def _with_argument(chance: random.Random) -> bytes:
    """An opcode with an argument of its kind."""
    size = chance.choice((1, 2, 4, 8))
    code = {1: b"KqhU\x8c", 2: b"M", 4: b"JrjXTB", 8: b"G\x8d\x8e\x95"}[size]
    made = bytes([chance.choice(code)]) + number_bytes(chance, size)
    others = (
        b"X\x03\x00\x00\x00abc",
        b"I" + str(chance.choice(EDGES)).encode() + b"\n",
        b"L" + b"9" * 5000 + b"L\n",
        b"\x8a\x08" + number_bytes(chance, 8),
        b"\x8b\xff\xff\xff\x7f",
        b"V\\u0061\n",
        b"\x80" + bytes([chance.randrange(7)]),
        chance.choice(_GLOBALS),
        b"(" * 2000,
        b"}" + b"q\x00h\x00h\x00s",  # a dict that holds itself
        b"]" + b"q\x00h\x00a",
    )
    return made if chance.random() < 0.5 else chance.choice(others)


class Pickle:
    """The opcodes of a pickle, and what follows it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        starts = [at for _, _, at in pickletools.genops(data) if at is not None]
        end = data.index(b".", starts[-1]) + 1
        stops = [*starts[1:], end]
        self.rest = data[end:]
        self._ops = [data[a:b] for a, b in zip(starts, stops, strict=True)]

    def damaged(self, chance: random.Random, other: "Pickle") -> bytes:
        """One to four changes; `rest` is not part of what is returned."""
        ops = list(self._ops)
        for _ in range(min(1 + int(chance.expovariate(0.8)), 4)):
            at = chance.randrange(len(ops))
            kind = chance.randrange(9)
            if kind == 0 and len(ops) > 1:
                del ops[at]
            elif kind == 1:
                ops.insert(at, ops[at])
            elif kind == 2:
                ops[at] = chance.choice(_SIMPLE)
            elif kind == 3:
                ops[at] = _with_argument(chance)
            elif kind == 4:
                ops.insert(
                    at, chance.choice((chance.choice(_SIMPLE), _with_argument(chance)))
                )
            elif kind == 5:
                ops[at] = chance.choice(chance.choice((self, other))._ops)
            elif kind == 6:
                to = chance.randrange(len(ops))
                ops[at], ops[to] = ops[to], ops[at]
            elif kind == 7:
                ops[at] = damaged_bytes(ops[at], ops[at], chance)
            else:
                size = chance.randrange(1, 9)
                ops[at : at + size] = ops[at : at + size] * 2
        return b"".join(ops)


def pickles(data: bytes, count: int) -> list[Pickle]:
    """The first `count` pickles of several that follow one another."""
    found = []
    for _ in range(count):
        found.append(Pickle(data))
        data = found[-1].rest
    return found
