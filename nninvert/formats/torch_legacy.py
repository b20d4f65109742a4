"""PyTorch files from before the zip (1.6): five pickles, then the storages.

The pickles are a magic number, the protocol's version, facts about the machine, the object,
and the keys of the storages. These follow in that order, each behind its length. Format:
pytorch/pytorch, torch/serialization.py, _legacy_save.
"""

from __future__ import annotations

import io
import os
from typing import Any, Literal

import numpy as np

from nninvert.errors import FormatError, LimitError
from nninvert.files import regular_size, unreadable
from nninvert.formats._arrays import StoredArray
from nninvert.formats.bare import BareReader
from nninvert.formats.bare_names import BareWeights, bare_weights
from nninvert.formats.torch_pickle import (
    MAX_PICKLE_BYTES,
    Storage,
    read_next,
    tensors_of,
)
from nninvert.formats.torch_zip import tensor_array

_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The number 0x1950a86a20f9469cfc6c, pickled."""

_PROTOCOL = 1001
_LENGTH = 8


class TorchLegacy(BareReader):
    """A state dict in PyTorch's older file."""

    name = "PyTorch state dict before 1.6"
    suffixes = (".pt", ".pth")
    reads = "the same as older versions wrote it; nothing in the file is run"

    def sniff(self, head: bytes, path: str) -> bool:
        """The magic number."""
        return head.startswith(_MAGIC)

    def collect(self, path: str) -> BareWeights:
        """All tensors of floating-point numbers; others are left out and named."""
        size = regular_size(path)
        try:
            with open(path, "rb") as stream:
                beginning = io.BytesIO(stream.read(MAX_PICKLE_BYTES))
                (_, protocol, machine, saved, keys), storages = _pickles(beginning)
                big = isinstance(machine, dict) and machine.get("little_endian") is False
                if protocol != _PROTOCOL or not isinstance(keys, list):
                    raise FormatError(
                        "protocol", got=repr(protocol)[:40], expected=str(_PROTOCOL)
                    )
                stream.seek(beginning.tell())
                places = _places(stream, keys, storages, size, "big" if big else "little")
        except OSError as error:
            raise unreadable(path, error) from error
        arrays: dict[str, StoredArray] = {}
        others = []
        for name, tensor in tensors_of(saved).items():
            dtype = tensor.dtype(big)
            if dtype.kind not in "fV":
                others.append(name)
                continue
            place = places.get(tensor.storage.key)
            if place is None:
                raise FormatError(f"'{name}'", got="no storage", expected="its numbers")
            arrays[name] = tensor_array(path, place, tensor, dtype, name)
        return bare_weights(arrays, self.name, others)


def _pickles(stream: io.BytesIO) -> tuple[list[Any], dict[str, Storage]]:
    """The five objects, and what the fourth says of the storages."""
    found: list[Any] = []
    storages: dict[str, Storage] = {}
    for _ in range(5):
        if stream.tell() == MAX_PICKLE_BYTES:
            raise LimitError(
                "pickle", got="more", expected=f"at most {MAX_PICKLE_BYTES:,} bytes"
            )
        value, named = read_next(stream)
        found.append(value)
        storages |= named
    return found, storages


def _places(
    stream: io.BufferedReader,
    keys: list[Any],
    storages: dict[str, Storage],
    size: int,
    order: Literal["big", "little"],
) -> dict[str, tuple[int, int]]:
    """Where each storage begins, and its bytes."""
    found: dict[str, tuple[int, int]] = {}
    for key in keys:
        storage = storages.get(key) if isinstance(key, str) else None
        if storage is None or key in found:
            raise FormatError("storages", got=repr(key)[:40], expected="those of tensors")
        count = int.from_bytes(stream.read(_LENGTH), order)
        start = stream.tell()
        width = np.dtype(storage.dtype).itemsize
        length = count * width
        if count != storage.count or start + length > size:
            raise FormatError(
                f"storage '{key}'",
                got=f"{count:,} numbers at byte {start:,} of {size:,}",
                expected=f"{storage.count:,} numbers inside the file",
                next_step="Copy or download the file again.",
            )
        found[key] = start, length
        stream.seek(length, os.SEEK_CUR)
    return found
