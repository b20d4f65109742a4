"""The arrays of an .npz file: listed by their headers, read or mapped one by one.

An .npz is a zip of .npy members. Nothing is unpacked to disk, no size that the archive
claims is believed before it is compared with what is there, and nothing is unpickled.
Members that are stored uncompressed (``numpy.savez``) can be mapped in place.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import DataError, FormatError, LimitError, MachineError
from nninvert.files import regular_size, unreadable
from nninvert.npy import NpyHeader, read_header

ZIP_MAGIC = b"PK\x03\x04"
EMPTY_ZIP_MAGIC = b"PK\x05\x06"

MAX_MEMBERS = 65_536
MAX_UNCHECKED_BYTES = 1 << 30
MAX_RATIO = 100
"""Trained numbers hardly shrink: a member that claims more than 1 GiB and more than 100
times what is stored is a bomb or all zeros."""

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")  # APPNOTE.TXT 6.3.10, section 4.3.7
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    struct.error,
    NotImplementedError,  # a compression that this Python does not have
    RuntimeError,  # encrypted
    UnicodeDecodeError,
    ValueError,
)


@dataclass(frozen=True)
class NpzMember:
    """One array of an .npz file.

    Attributes
    ----------
    path : str
        The .npz file.
    name : str
        Without the ``.npy``.
    header : NpyHeader
    offset : int or None
        Where the first value stands in the file; None if the member is compressed.
    """

    path: str
    name: str
    header: NpyHeader
    offset: int | None
    _member: str

    def read(self) -> NDArray[np.generic]:
        """All values, in native byte order.

        Raises
        ------
        FormatError
            If they are damaged or cut off.
        MachineError
            If there is not enough memory.
        """
        try:
            with (
                _opened(self.path) as archive,
                _reading(self.path, self.name),
                archive.open(self._member) as stream,
            ):
                stream.read(self.header.data_offset)
                data = stream.read(self.header.nbytes)
                rest = stream.read(1)  # reading to the end checks the CRC
        except MemoryError as error:
            raise MachineError(
                f"'{self.name}'",
                got=f"{self.header.nbytes:,} bytes to read",
                expected="enough free memory for them",
                file=self.path,
            ) from error
        if len(data) != self.header.nbytes or rest:
            raise _damaged(self.path, self.name, "values that are cut off")
        return self.header.array(data)

    def mapped(self) -> NDArray[np.generic] | None:
        """The values as a read-only map of the file; None where they must be converted."""
        header = self.header
        if self.offset is None or not header.dtype.isnative or header.nbytes == 0:
            return None
        if self.offset + header.nbytes > os.path.getsize(self.path):
            return None
        flat = np.memmap(self.path, np.uint8, "r", self.offset, (header.nbytes,))
        return header.array(flat)


@dataclass(frozen=True)
class NpzListing:
    """What an .npz file holds.

    Attributes
    ----------
    arrays : dict of str to NpzMember
        Arrays of numbers, in the archive's order.
    refused : dict of str to DataError
        Arrays that are not numbers (pickled objects, text, records), and why.
    """

    arrays: dict[str, NpzMember]
    refused: dict[str, DataError]


def is_npz(path: str) -> bool:
    """Whether the file is a zip that holds .npy members and nothing else."""
    regular_size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except _ZIP_ERRORS:
        return False
    except OSError as error:
        raise unreadable(path, error) from error
    return bool(names) and all(name.endswith(".npy") for name in names)


def member_names(path: str) -> list[str]:
    """The names in the archive, ``.npy`` included.

    Raises
    ------
    FormatError
        If it is damaged.
    """
    with _opened(path) as archive:
        return archive.namelist()


def list_npz(path: str) -> NpzListing:
    """Read the headers of all arrays, none of the values.

    Raises
    ------
    InputError
        If there is nothing to read at `path`.
    FormatError
        If it is not a zip, is damaged, or is no .npz.
    LimitError
        If it claims more than it can hold.
    """
    size = regular_size(path)
    arrays: dict[str, NpzMember] = {}
    refused: dict[str, DataError] = {}
    with _opened(path) as archive:
        for info in _checked(archive, path, size):
            name = info.filename.removesuffix(".npy")
            with _reading(path, name), archive.open(info) as stream:
                try:
                    header = read_header(
                        cast(BinaryIO, stream), file=path, field=f"'{name}'"
                    )
                except DataError as error:
                    refused[name] = error
                    continue
            if header.data_offset + header.nbytes != info.file_size:
                raise _damaged(
                    path,
                    name,
                    f"shape {header.shape} of {header.dtype} in {info.file_size:,} bytes",
                )
            offset = None
            if info.compress_type == zipfile.ZIP_STORED:
                offset = _data_start(path, info, name) + header.data_offset
            arrays[name] = NpzMember(path, name, header, offset, info.filename)
    return NpzListing(arrays, refused)


def _checked(archive: zipfile.ZipFile, path: str, size: int) -> Iterator[zipfile.ZipInfo]:
    """The members, after comparing what they claim with what is there."""
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise LimitError(
            "",
            got=f"{len(members):,} members",
            expected=f"at most {MAX_MEMBERS:,}",
            file=path,
        )
    seen: set[str] = set()
    for info in members:
        name = info.filename
        if not name.endswith(".npy"):
            raise FormatError(
                f"'{name}'",
                got="a member that is no .npy array",
                expected="an .npz file, as numpy.savez writes it",
                file=path,
            )
        if name in seen:
            raise _damaged(path, name.removesuffix(".npy"), "the same name twice")
        seen.add(name)
        if info.compress_size > size:
            raise _damaged(
                path, name, f"{info.compress_size:,} bytes in a file of {size:,}"
            )
        limit = max(MAX_UNCHECKED_BYTES, MAX_RATIO * info.compress_size)
        if info.file_size > limit:
            raise LimitError(
                f"'{name}'",
                got=f"{info.file_size:,} bytes, of which {info.compress_size:,} stored",
                expected=f"at most {MAX_RATIO} times what is stored",
                because="trained weights do not shrink so far",
                file=path,
            )
        yield info


def _data_start(path: str, info: zipfile.ZipInfo, name: str) -> int:
    """Where the member's bytes begin: after its local header, name and extra field."""
    with open(path, "rb") as stream:
        stream.seek(info.header_offset)
        raw = stream.read(_LOCAL_HEADER.size)
    if len(raw) < _LOCAL_HEADER.size or not raw.startswith(ZIP_MAGIC):
        raise _damaged(path, name, "no local zip header")
    *_, name_length, extra_length = _LOCAL_HEADER.unpack(raw)
    return int(info.header_offset + _LOCAL_HEADER.size + name_length + extra_length)


@contextmanager
def _opened(path: str) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except _ZIP_ERRORS as error:
        raise FormatError(
            "",
            got="a zip archive that is cut off or damaged",
            expected="an .npz file",
            next_step="Copy or download it again.",
            file=path,
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error
    with archive:
        yield archive


@contextmanager
def _reading(path: str, name: str) -> Iterator[None]:
    """Turn what zipfile raises about a member into a FormatError."""
    try:
        yield
    except _ZIP_ERRORS as error:
        raise _damaged(path, name, f"damaged data ({error})") from error
    except OSError as error:
        raise unreadable(path, error) from error


def _damaged(path: str, name: str, got: str) -> FormatError:
    return FormatError(
        f"'{name}'",
        got=got,
        expected="a whole .npy array",
        next_step="Copy or download the file again.",
        file=path,
    )
