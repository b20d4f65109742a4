"""Arrays in: from a file, from one part of a file, from standard input."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from nninvert.archive import EMPTY_ZIP_MAGIC, ZIP_MAGIC
from nninvert.arrays.dataset import read_hdf5
from nninvert.arrays.loaded import LoadedArray
from nninvert.arrays.npy import read_npy
from nninvert.arrays.npz import read_npz
from nninvert.arrays.numeric_types import check_type
from nninvert.arrays.parts import read_parts
from nninvert.arrays.place import NamedShape, Place
from nninvert.arrays.table import read_csv
from nninvert.errors import DataError, FormatError, InputError, UsageError
from nninvert.files import HEAD_BYTES, impostor, status_of, unreadable
from nninvert.hdf5 import is_hdf5
from nninvert.hdf5.opening import SIGNATURE
from nninvert.npy import MAGIC

EXPECTED = ".npy, .npz, HDF5 or a table of numbers (CSV)"

_OTHERS = (
    (b"\x1f\x8b", "gzip data", "Unpack it first: gunzip."),
    (b"\x80", "a Python pickle (never loaded)", "Save it with numpy.save."),
    (b"MATLAB 5.0", "a MATLAB 5 file", "In MATLAB: save('y.mat', 'y', '-v7.3')."),
    (b"\xff\xfe", "UTF-16 text", "Save it as UTF-8."),
    (b"\xfe\xff", "UTF-16 text", "Save it as UTF-8."),
    (b"[", "JSON", "Save the numbers as CSV."),
    (b"{", "JSON", "Save the numbers as CSV."),
)
_KEYED = re.compile(r"(?P<path>.+\.(npz|h5|hdf5|hdf|mat)):(?P<key>.+)", re.IGNORECASE)


def read_array(
    source: str,
    *,
    stdin: BinaryIO | None = None,
    field: str = "y",
    parts: Sequence[NamedShape] = (),
) -> LoadedArray:
    """Read one array. What the file holds decides how, not what it is called.

    Parameters
    ----------
    source : str
        A path; ``-`` for `stdin`; ``file.npz:key`` or ``file.h5:dataset``. A path that
        exists as a whole wins over its reading as file and key.
    stdin : BinaryIO or None, default None
        Read to its end, if `source` is ``-``: .npy, .npz or CSV. Need not seek.
    field : str, default "y"
        What the array is to be, for messages.
    parts : sequence of (name, shape), default ()
        An .npz may hold an array for each of these, (rows, *shape) or (rows, size), in
        place of one of whole rows. A part of one row may be without the first axis.

    Returns
    -------
    LoadedArray
        Never empty. A CSV has two axes, parts one behind the other (rows, n), everything
        else the axes that it was stored with.

    Raises
    ------
    InputError
        Or one of its children: the file cannot be read, or is none of the formats, or
        is damaged, or holds what are no numbers.
    MachineError
        If the values do not fit into memory.
    UsageError
        If `source` is ``-`` where there is no `stdin`.
    """
    path, key = (source, None) if source == "-" else split_source(source)
    place = Place("standard input" if source == "-" else path, field, parts)
    try:
        if source != "-":
            return _from_path(path, key, place)
        if stdin is None:
            raise UsageError(
                field, got="'-'", expected="a file", because="stdin is not read here"
            )
        return _from_stream(stdin, None, place)
    except OSError as error:
        raise unreadable(place.file, error) from error


def split_source(source: str) -> tuple[str, str | None]:
    """Path and key of ``file.npz:key``; the key is None for a plain path.

    Keys may hold colons (``dense/kernel:0``), and so may paths: the first colon after
    which the part before it is a file decides; where there is none, the suffix does.
    """
    if os.path.exists(source):
        return source, None
    for colon in re.finditer(":", source):
        path, key = source[: colon.start()], source[colon.end() :]
        if key and os.path.isfile(path):
            return path, key
    found = _KEYED.fullmatch(source)
    return (found["path"], found["key"]) if found else (source, None)


def _from_path(path: str, key: str | None, place: Place) -> LoadedArray:
    mode = status_of(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "", path)
    if stat.S_ISREG(mode):
        return _from_file(path, key, place)
    # A FIFO, or what the shell makes of <(command).
    with open(path, "rb") as stream:
        return _from_stream(stream, key, place)


def _from_file(path: str, key: str | None, place: Place) -> LoadedArray:
    if is_hdf5(path):
        values = read_hdf5(path, key, place)
        return _loaded(values, None, None, "hdf5", place)
    with open(path, "rb") as stream:
        head = stream.read(HEAD_BYTES)
        stream.seek(0)
        size = os.fstat(stream.fileno()).st_size
        return _decode(stream, head, key, place, size, path)


def _from_stream(stream: BinaryIO, key: str | None, place: Place) -> LoadedArray:
    """Read what can only be read once, from its start to its end."""
    head = b""
    while len(head) < HEAD_BYTES and (more := stream.read(HEAD_BYTES - len(head))):
        head += more
    if head.startswith(SIGNATURE):
        raise FormatError(
            place.inside(),
            got="HDF5",
            expected=".npy, .npz or CSV",
            because="HDF5 is read at several places",
            next_step="Save it to a file and name that.",
            file=place.file,
        )
    whole = io.BufferedReader(Rejoined(head, stream))
    return _decode(whole, head, key, place, None, None)


def _decode(
    stream: io.BufferedReader | BinaryIO,
    head: bytes,
    key: str | None,
    place: Place,
    size: int | None,
    path: str | None,
) -> LoadedArray:
    """Read a stream whose first bytes are `head` and not yet taken from it."""
    if head.startswith((ZIP_MAGIC, EMPTY_ZIP_MAGIC)):
        seekable = stream if size is not None else io.BytesIO(stream.read())
        packed = read_parts(seekable, place) if key is None and place.parts else None
        if packed is not None:
            return packed
        return _loaded(read_npz(seekable, key, place), None, None, "npz", place)
    if key is not None:
        raise InputError(
            place.inside(),
            got=f"the key '{key}' for a file that holds one array",
            expected="a key only for .npz and HDF5",
            file=place.file,
        )
    if head.startswith(MAGIC):
        return _loaded(read_npy(stream, place, size, path), None, None, "npy", place)
    _refuse_others(head, place)
    values, names, half_step = read_csv(stream, place)
    return _loaded(values, names, half_step, "csv", place)


def _refuse_others(head: bytes, place: Place) -> None:
    """Say what the bytes are if they are none of the formats."""
    found = impostor(head)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, name, next_step in _OTHERS:
        if found is None and start.startswith(magic):
            found = name, next_step
    if found is None and b"\0" in head:
        found = "binary data of an unknown kind", ""
    if found is not None:
        got, next_step = found
        raise FormatError(
            place.inside(),
            got=got,
            expected=EXPECTED,
            next_step=next_step,
            file=place.file,
        )


def _loaded(
    values: np.ndarray,
    names: tuple[str, ...] | None,
    half_step: np.ndarray | None,
    format: str,
    place: Place,
) -> LoadedArray:
    check_type(values.dtype, place)
    if values.size == 0:
        raise DataError(
            place.inside(),
            got=f"shape {values.shape}: no values",
            expected="at least one row",
            file=place.file,
        )
    return LoadedArray(values, names, half_step, place.file, format)


class Rejoined(io.RawIOBase):
    """A stream with the bytes put back that were looked at."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = memoryview(head)
        self._rest = rest

    def readable(self) -> bool:
        """Reading is all that it can."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Give the bytes that were put back first."""
        taken = self._head[: len(buffer)] or self._rest.read(len(buffer))
        self._head = self._head[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)
