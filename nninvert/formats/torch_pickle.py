"""The pickle in a PyTorch file, read as names and places: nothing in it is ever run.

``torch.save`` writes a pickle of dictionaries and tensors, and each tensor as a reference
to a storage with offset, shape and strides. A pickle is a program for a small machine with
a stack. Here is that machine without the instructions' meaning for anything but
dictionaries, lists, tuples, numbers, texts and tensors: whatever else a pickle names or
calls becomes an `Opaque` that keeps its name. Instructions: CPython, Lib/pickletools.py.
"""

from __future__ import annotations

import io
import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from nninvert.errors import FormatError

# What genops and the machine say of a program that is none.
_DAMAGE = (ValueError, IndexError, KeyError, TypeError, EOFError, DeprecationWarning)

MAX_PICKLE_BYTES = 1 << 24
"""State dicts seen have a few hundred KiB at most: arrays are not in the pickle."""

STORAGES = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "V2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
"""Storages of PyTorch, and NumPy's types; bfloat16 as two opaque bytes."""

_VIEWS = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor")
_PARAMETER = "torch._utils._rebuild_parameter"
_DICTIONARIES = ("collections.OrderedDict", "builtins.dict", "__builtin__.dict")


@dataclass(frozen=True)
class Opaque:
    """Something that is not looked into: a class, a function, what it would have made."""

    name: str


@dataclass(frozen=True)
class Storage:
    """Numbers in the archive: ``data/KEY``, so many of them of one type."""

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage.

    Attributes
    ----------
    storage : Storage
    offset : int
        Of the first entry, in entries.
    shape, strides : tuple of int
        In entries.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def dtype(self, big_endian: bool) -> np.dtype[np.generic]:
        """NumPy's type of the numbers as they stand in the file."""
        made = np.dtype(self.storage.dtype)
        return made if made.kind == "V" else made.newbyteorder(">" if big_endian else "<")


def read_pickle(raw: bytes) -> Any:
    """The object in a pickle: dictionaries, lists, tuples, values, `Tensor`, `Opaque`.

    Raises
    ------
    FormatError
        If the pickle is damaged.
    """
    return read_next(io.BytesIO(raw))[0]


def read_next(stream: BinaryIO) -> tuple[Any, dict[str, Storage]]:
    """The same from a stream, which is left behind the pickle; and all storages by key.

    Raises
    ------
    FormatError
        If the pickle is damaged.
    """
    try:
        # Python warns of texts that it will refuse one day; torch.save writes none.
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            return _run(stream)
    except _DAMAGE as error:
        raise FormatError(
            "data.pkl",
            got=f"a damaged pickle ({error})",
            expected="tensors by name",
            next_step="Copy or download the file again.",
        ) from error


def _run(stream: BinaryIO) -> tuple[Any, dict[str, Storage]]:
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name == "STOP":
            break
        machine.step(opcode.name, argument)
    return machine.pop(), machine.storages


class _Mark:
    """Where a list of operands begins on the stack."""


class _Machine:
    """The stack and the memory of values that are used again."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memory: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def pop(self) -> Any:
        """Take the topmost value."""
        return self._stack.pop()

    def step(self, name: str, argument: Any) -> None:
        """Carry one instruction out."""
        if name in _VALUES:
            self._stack.append(_VALUES[name](argument))
        elif name in _STEPS:
            _STEPS[name](self, argument)
        elif name not in _NOTHING:
            raise ValueError(f"the instruction {name}")

    def _since_mark(self) -> list[Any]:
        found = []
        while not isinstance(value := self._stack.pop(), _Mark):
            found.append(value)
        return found[::-1]

    def _put(self, place: int) -> None:
        self._memory[place] = self._stack[-1]

    def _get(self, place: int) -> None:
        self._stack.append(self._memory[place])

    def _tuple(self, count: int) -> None:
        taken = self._stack[len(self._stack) - count :]
        if len(taken) < count:
            raise ValueError("a tuple of more than there is")
        del self._stack[len(self._stack) - count :]
        self._stack.append(tuple(taken))

    def _set(self, pairs: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, dict):
            for key, value in zip(pairs[::2], pairs[1::2], strict=True):
                if isinstance(key, str | int):
                    target[key] = value

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target += values

    def _global(self, module: Any, name: Any) -> None:
        self._stack.append(Opaque(f"{module}.{name}"))

    def _call(self) -> None:
        arguments, called = self.pop(), self.pop()
        self._stack.append(_made(called, arguments))

    def _refer(self) -> None:
        # Files older than the zip have a sixth entry: a part of a storage, or None.
        kind, dtype, key, _, count, *part = self.pop()
        name = dtype.name.rpartition(".")[2] if isinstance(dtype, Opaque) else ""
        known = kind == "storage" and name in STORAGES and part in ([], [None])
        if not known or not isinstance(key, str):
            raise ValueError("a reference to no storage that is known")
        found = Storage(key, STORAGES[name], _length(count))
        if self.storages.setdefault(key, found) != found:
            raise ValueError(f"two storages '{key}'")
        self._stack.append(found)


_VALUES: dict[str, Callable[[Any], Any]] = {
    **{
        name: lambda argument: argument
        for name in (
            "BININT",
            "BININT1",
            "BININT2",
            "INT",
            "LONG",
            "LONG1",
            "LONG4",
            "FLOAT",
            "BINFLOAT",
            "BINUNICODE",
            "SHORT_BINUNICODE",
            "BINUNICODE8",
            "UNICODE",
            "BINBYTES",
            "SHORT_BINBYTES",
            "BINBYTES8",
            "BINSTRING",
            "SHORT_BINSTRING",
            "STRING",
        )
    },
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_DICT": lambda _: {},
    "EMPTY_LIST": lambda _: [],
    "EMPTY_TUPLE": lambda _: (),
    "EMPTY_SET": lambda _: Opaque("set"),
    "MARK": lambda _: _Mark(),
}
"""Instructions that put a value on the stack."""

_STEPS: dict[str, Callable[[_Machine, Any], Any]] = {
    "BINPUT": _Machine._put,
    "LONG_BINPUT": _Machine._put,
    "PUT": _Machine._put,
    "MEMOIZE": lambda m, _: m._put(len(m._memory)),
    "BINGET": _Machine._get,
    "LONG_BINGET": _Machine._get,
    "GET": _Machine._get,
    "TUPLE": lambda m, _: m._stack.append(tuple(m._since_mark())),
    "TUPLE1": lambda m, _: m._tuple(1),
    "TUPLE2": lambda m, _: m._tuple(2),
    "TUPLE3": lambda m, _: m._tuple(3),
    "LIST": lambda m, _: m._stack.append(m._since_mark()),
    "SETITEM": lambda m, _: m._set([m.pop(), m.pop()][::-1]),
    "SETITEMS": lambda m, _: m._set(m._since_mark()),
    "APPEND": lambda m, _: m._extend([m.pop()]),
    "APPENDS": lambda m, _: m._extend(m._since_mark()),
    "ADDITEMS": lambda m, _: m._since_mark(),
    "GLOBAL": lambda m, text: m._global(*text.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m._global(*[m.pop(), m.pop()][::-1]),
    "REDUCE": lambda m, _: m._call(),
    "NEWOBJ": lambda m, _: m._call(),
    "BUILD": lambda m, _: m.pop(),
    "BINPERSID": lambda m, _: m._refer(),
    "POP": lambda m, _: m.pop(),
    "POP_MARK": lambda m, _: m._since_mark(),
}
"""Instructions that change the stack."""

_NOTHING = ("PROTO", "FRAME")


def _made(called: Any, arguments: Any) -> Any:
    """What a call makes, where that is a dictionary or a tensor."""
    name = called.name if isinstance(called, Opaque) else "a call of no name"
    if name in _DICTIONARIES:
        return {}
    if name in _VIEWS:
        return _view(*arguments[:4])
    if name == _PARAMETER:
        return arguments[0]
    return Opaque(name)


def _length(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"the length {value!r}")
    return value


def _view(storage: Any, offset: Any, shape: Any, strides: Any) -> Tensor:
    """torch._utils._rebuild_tensor_v2, if all of it lies in the storage."""
    if not isinstance(storage, Storage):
        raise TypeError("a tensor without a storage")
    sizes, steps = (tuple(_length(n) for n in value) for value in (shape, strides))
    made = Tensor(storage, _length(offset), sizes, steps)
    reach = sum((n - 1) * step for n, step in zip(sizes, steps, strict=True))
    if 0 not in sizes and made.offset + reach >= storage.count:
        raise ValueError(f"a tensor of shape {sizes} in {storage.count} numbers")
    return made


def tensors_of(saved: Any) -> dict[str, Tensor]:
    """The tensors by name: of a state dict, or of one inside what a training run keeps.

    Raises
    ------
    FormatError
        If there is none.
    """
    inner = saved if isinstance(saved, dict) else {}
    keys = ("state_dict", "model_state_dict", "model")
    for state in (inner, *(inner.get(key) for key in keys)):
        pairs = state.items() if isinstance(state, dict) else ()
        found = {
            name.removeprefix("module."): value
            for name, value in pairs
            if isinstance(name, str) and isinstance(value, Tensor)
        }
        if found:
            return found
    got = "no tensors by name"
    if isinstance(saved, Opaque):
        got = f"an object of the class {saved.name}, which is code"
    raise FormatError(
        "data.pkl",
        got=got,
        expected="a state dict",
        next_step="In Python: torch.save(model.state_dict(), 'm.pt').",
    )
