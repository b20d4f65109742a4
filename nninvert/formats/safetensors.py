"""safetensors: a JSON header, then the arrays one after another.

Eight bytes tell the header's length, the header each array's type, shape and place; the
place counts from the header's end. Numbers are little-endian, rows first. The file tells
no architecture. Format: huggingface/safetensors, README, section "Format".
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from nninvert.errors import FormatError, LimitError
from nninvert.files import regular_size, unreadable
from nninvert.formats._arrays import PieceArray
from nninvert.formats._json import Fields, parse_json
from nninvert.formats.bare import BareReader
from nninvert.formats.bare_names import BareWeights, bare_weights
from nninvert.npy import MAX_AXES

MAX_HEADER_BYTES = 100_000_000
"""As in the format's own library."""

_LENGTH = 8

_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "V2",
}
"""Types of weights, as NumPy names them; bfloat16 as two opaque bytes."""

_OTHER_BITS = {
    "BOOL": 8,
    "U8": 8,
    "I8": 8,
    "U16": 16,
    "I16": 16,
    "U32": 32,
    "I32": 32,
    "U64": 64,
    "I64": 64,
    "C64": 64,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "F4": 4,
}
"""Types that are never weights of a network in the plain: counters, quantised numbers."""


class Safetensors(BareReader):
    """Bare weights in a .safetensors file."""

    name = "safetensors"
    suffixes = (".safetensors",)
    reads = "matrices and biases by name, as a PyTorch state dict: 0.weight, 0.bias, ..."

    def sniff(self, head: bytes, path: str) -> bool:
        """A length that the file has room for, then the brace that opens JSON."""
        if len(head) <= _LENGTH or head[_LENGTH : _LENGTH + 1] != b"{":
            return False
        return 2 <= int.from_bytes(head[:_LENGTH], "little") <= MAX_HEADER_BYTES

    def collect(self, path: str) -> BareWeights:
        """All arrays of floating-point numbers; others are left out and named."""
        start, header = _header(path)
        arrays, others, places = {}, [], []
        for name in header:
            if name == "__metadata__":
                continue
            entry = header.inner(name)
            shape = _shape(entry, name)
            begin, end = _place(entry, name)
            kind = entry.text("dtype")
            _check_length(name, kind, shape, end - begin)
            places.append((begin, end, name))
            if kind in _TYPES:
                dtype = np.dtype(_TYPES[kind])
                arrays[name] = PieceArray(path, start + begin, shape, dtype, name)
            else:
                others.append(name)
        _check_places(places, regular_size(path) - start)
        if not arrays:
            raise FormatError(
                "", got="no array of floating-point numbers", expected="weights"
            )
        return bare_weights(arrays, self.name, others)


def _header(path: str) -> tuple[int, Fields]:
    """Where the arrays begin, and what the header says."""
    size = regular_size(path)
    try:
        with open(path, "rb") as stream:
            length = int.from_bytes(stream.read(_LENGTH), "little")
            if length > min(MAX_HEADER_BYTES, size - _LENGTH):
                raise LimitError(
                    "header",
                    got=f"{length:,} bytes in a file of {size:,}",
                    expected="a header inside the file",
                    next_step="Copy or download the file again.",
                )
            raw = stream.read(length)
    except OSError as error:
        raise unreadable(path, error) from error
    return _LENGTH + length, Fields(parse_json(raw.decode(errors="replace"), "header"))


def _shape(entry: Fields, name: str) -> tuple[int, ...]:
    shape = entry.wholes("shape") if entry.raw("shape") != [] else ()
    if len(shape) > MAX_AXES or any(not 0 <= n < 1 << 63 for n in shape):
        raise FormatError(f"'{name}'", got=f"shape {list(shape)}", expected="lengths")
    return shape


def _place(entry: Fields, name: str) -> tuple[int, int]:
    offsets = entry.wholes("data_offsets")
    if len(offsets) != 2 or not 0 <= offsets[0] <= offsets[1]:
        raise FormatError(
            f"'{name}'", got=f"data_offsets {list(offsets)}", expected="[begin, end]"
        )
    return offsets[0], offsets[1]


def _check_length(name: str, kind: str, shape: tuple[int, ...], length: int) -> None:
    """Compare what the shape claims with what is there."""
    if kind not in _TYPES and kind not in _OTHER_BITS:
        raise FormatError(
            f"'{name}'",
            got=f"type {kind!r}",
            expected=", ".join((*_TYPES, *_OTHER_BITS)),
        )
    bits = 8 * np.dtype(_TYPES[kind]).itemsize if kind in _TYPES else _OTHER_BITS[kind]
    if math.prod(shape) * bits != 8 * length:
        raise FormatError(
            f"'{name}'",
            got=f"{length:,} bytes",
            expected=f"{-(-math.prod(shape) * bits // 8):,} for {kind} {list(shape)}",
            next_step="Copy or download the file again.",
        )


def _check_places(places: list[tuple[int, int, str]], size: int) -> None:
    """The arrays fill the rest of the file without gaps, as the format demands."""
    places = [(0, 0, "the header"), *sorted(places)]
    for (_, last, before), (first, _, name) in pairwise(places):
        if first != last:
            raise FormatError(
                f"'{name}'",
                got=f"byte {first:,}",
                expected=f"byte {last:,}, where {before!r} ends",
                because="arrays follow one another",
            )
    if places[-1][1] != size:
        raise FormatError(
            "",
            got=f"{size:,} bytes of numbers",
            expected=f"{places[-1][1]:,}",
            next_step="Copy or download the file again.",
        )
