"""TensorProto as arrays: where their numbers lie, in the model's file or beside it."""

from __future__ import annotations

import math
import os
import sys

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, LimitError, NninvertError, UnsupportedLayerError
from nninvert.files import regular_size
from nninvert.formats._arrays import PieceArray, StoredArray
from nninvert.formats.onnx.records import TensorRecord
from nninvert.formats.onnx.wire import Kind, Span, Wire
from nninvert.linalg.casting import quiet
from nninvert.linalg.stored import StoredMatrix

_TYPES = {
    1: "<f4",
    2: "u1",
    3: "i1",
    4: "<u2",
    5: "<i2",
    6: "<i4",
    7: "<i8",
    9: "?",
    10: "<f2",
    11: "<f8",
    12: "<u4",
    13: "<u8",
    16: "V2",
}
"""TensorProto.DataType as NumPy names them; bfloat16 as two opaque bytes."""

TYPE_NAMES = {
    8: "text",
    14: "complex64",
    15: "complex128",
    17: "float8 (e4m3fn)",
    18: "float8 (e4m3fnuz)",
    19: "float8 (e5m2)",
    20: "float8 (e5m2fnuz)",
    21: "uint4",
    22: "int4",
    23: "float4 (e2m1)",
    24: "float8 (e8m0)",
    25: "uint2",
    26: "int2",
}
"""Types that are never read, for messages."""

FLOATS = {1, 10, 11, 16}

_FIELD_OF = {1: 4, 11: 10, 7: 7, 12: 11, 13: 11}
"""The typed field of each type; all others lie in int32_data, 5."""

_PLACED = {1: 4, 11: 10}
"""Fields whose packed form is the numbers themselves."""

_DAMAGED = "Copy or download the file again."


class MadeArray(StoredArray):
    """An array in memory, computed from those of the file."""

    def __init__(self, values: NDArray[np.generic], where: str) -> None:
        self._values = values
        self.where, self.shape, self.dtype = where, values.shape, values.dtype

    def read(self) -> NDArray[np.generic]:
        """The array itself; not to be modified."""
        return self._values

    def _in_file(self) -> None:
        return None


class TransposedArray(StoredArray):
    """A matrix whose axes stand in the file in the opposite order."""

    def __init__(self, base: StoredArray) -> None:
        self.base = base
        self.where, self.dtype, self.shape = base.where, base.dtype, base.shape[::-1]

    def read(self) -> NDArray[np.generic]:
        """Read and turn it."""
        return self.base.read().T

    def _in_file(self) -> StoredMatrix:
        return self.base.matrix().transposed


def tensor_array(record: TensorRecord, wire: Wire, where: str = "") -> StoredArray:
    """Where the numbers of a tensor are.

    Parameters
    ----------
    record : TensorRecord
    wire : Wire
        The file it was read from.
    where : str
        What to call it where it has no name.

    Raises
    ------
    UnsupportedLayerError
        If it is of a type that nothing here computes with.
    FormatError, LimitError
        If there are more or fewer numbers than its shape says, or if they lie in a file
        that is not in the model's folder.
    """
    name = record.name or where
    if record.data_type not in _TYPES:
        kind = TYPE_NAMES.get(record.data_type, f"type {record.data_type}")
        raise UnsupportedLayerError("", got=f"'{name}' holds {kind}")
    shape = tuple(record.dims)
    dtype: np.dtype[np.generic] = np.dtype(_TYPES[record.data_type])
    # NumPy refuses such shapes even where one length is 0.
    counted = math.prod(max(n, 1) for n in shape) * dtype.itemsize
    if any(n < 0 for n in shape) or counted > sys.maxsize:
        raise FormatError(f"'{name}'", got=f"shape {shape}", expected="lengths")
    try:
        if record.external is not None:
            path, offset = _beside(record.external, wire.path, _bytes_of(shape, dtype))
            return PieceArray(path, offset, shape, dtype, name)
        if record.raw is not None:
            _check(record.raw, _bytes_of(shape, dtype))
            return PieceArray(wire.path, record.raw[0], shape, dtype, name)
        return _typed(record, wire, shape, dtype, name)
    except NninvertError as error:
        error.field = error.field or f"'{name}'"
        raise


def _bytes_of(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> int:
    return math.prod(shape) * dtype.itemsize


def _check(span: Span, wanted: int) -> None:
    if span[1] - span[0] != wanted:
        raise FormatError(
            "",
            got=f"{span[1] - span[0]:,} bytes",
            expected=f"{wanted:,} for its shape and type",
            next_step=_DAMAGED,
        )


def _typed(
    record: TensorRecord,
    wire: Wire,
    shape: tuple[int, ...],
    dtype: np.dtype[np.generic],
    name: str,
) -> StoredArray:
    """Numbers in the field of their type; packed floats are read where they lie."""
    number = _FIELD_OF.get(record.data_type, 5)
    parts = record.typed.get(number, [])
    if number in _PLACED.values():
        if len(parts) == 1 and parts[0].kind is Kind.LENGTH:
            _check(parts[0].span, _bytes_of(shape, dtype))
            return PieceArray(wire.path, parts[0].span[0], shape, dtype, name)
        raw = b"".join(wire.short(part.span) for part in parts)
        _check((0, len(raw)), _bytes_of(shape, dtype))
        return MadeArray(quiet(np.frombuffer(raw, dtype).reshape(shape)), name)
    pieces = [
        wire.varints(part.span)
        if part.kind is Kind.LENGTH
        else np.array([part.value], np.uint64)
        for part in parts
    ]
    values = np.concatenate([np.zeros(0, np.uint64), *pieces])
    if values.size != math.prod(shape):
        raise FormatError(
            "",
            got=f"{values.size:,} numbers",
            expected=f"{math.prod(shape):,} for shape {shape}",
            next_step=_DAMAGED,
        )
    return MadeArray(_from_varints(values, dtype).reshape(shape), name)


def _from_varints(
    values: NDArray[np.uint64], dtype: np.dtype[np.generic]
) -> NDArray[np.generic]:
    """Whole numbers as they are; short floats by their bits."""
    if dtype.kind == "V":
        bits = values.astype(np.uint16).astype(np.uint32) << np.uint32(16)
        return bits.view(np.float32)
    if dtype.kind == "f":
        return values.astype(np.uint16).view(np.float16)
    if dtype.kind == "b":
        return np.not_equal(values, 0)
    found: NDArray[np.generic] = values.astype(dtype.newbyteorder("="))
    return found


def _beside(external: dict[str, str], model: str, wanted: int) -> tuple[str, int]:
    """Path and offset of numbers in another file of the model's folder.

    The folder is the border: no absolute path, no way up, no link out of it.
    """
    location = external.get("location", "")
    offset = _number(external, "offset", 0)
    length = _number(external, "length", wanted)
    parts = location.replace("\\", "/").split("/")
    if not location or "\0" in location or os.path.isabs(location) or ".." in parts:
        raise _elsewhere(location)
    folder = os.path.realpath(os.path.dirname(os.path.abspath(model)))
    path = os.path.realpath(os.path.join(folder, location))
    if os.path.commonpath([folder, path]) != folder:
        raise _elsewhere(location)
    size = regular_size(path)
    if length != wanted or offset + length > size:
        raise FormatError(
            "",
            got=f"{length:,} bytes from {offset:,} on in {location!r} of {size:,}",
            expected=f"{wanted:,} bytes for its shape and type, inside that file",
            next_step="Copy both files again.",
        )
    return path, offset


def _number(external: dict[str, str], key: str, default: int) -> int:
    text = external.get(key, str(default))
    if not (text.isascii() and text.isdecimal()) or len(text) > 18:
        raise FormatError("", got=f"{key} {text!r}", expected="a whole number")
    return int(text)


def _elsewhere(location: str) -> FormatError:
    return FormatError(
        "",
        got=f"numbers in {location!r}",
        expected="a file in the model's own folder",
        because="a model may not name other files of this machine",
        next_step="Put the file with the weights beside the model.",
    )


def small(array: StoredArray, most: int, what: str) -> NDArray[np.generic]:
    """All values of an array that needs to be small.

    Raises
    ------
    LimitError
        If it has more than `most` numbers.
    """
    if array.size > most:
        raise LimitError(
            f"'{array.where}'",
            got=f"{array.size:,} numbers",
            expected=f"at most {most:,} for {what}",
        )
    return array.read()
