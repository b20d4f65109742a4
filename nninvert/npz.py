"""The arrays of an .npz file: listed by their headers, read or located one by one.

An .npz is a zip of .npy members. Nothing is unpacked to disk, no size that the archive
claims is believed before it is compared with what is there, and nothing is unpickled.
Members that are stored uncompressed (``numpy.savez``) can be read where they lie.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import DataError, FormatError, LimitError, shortlist
from nninvert.files import regular_size, unreadable
from nninvert.npy import NpyHeader, read_header

ZIP_MAGIC = b"PK\x03\x04"
EMPTY_ZIP_MAGIC = b"PK\x05\x06"

MAX_MEMBERS = 65_536
MAX_UNCHECKED_BYTES = 1 << 32
MAX_RATIO = 100
"""Measured numbers and trained ones hardly shrink: a member that claims more than 4 GiB
and more than 100 times what is stored is a bomb. Keras draws the same two lines."""

MAX_TEXT_BYTES = 1 << 12
"""Of a member that is one word, its header included."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1  # APPNOTE.TXT 6.3.10, section 4.4.4, bit 0
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")  # section 4.3.7

# What zipfile raises for damaged archives; their offsets may even be negative.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    struct.error,
    NotImplementedError,
    OverflowError,
    ValueError,
)


@dataclass(frozen=True)
class NpzMember:
    """One array of an .npz file.

    Attributes
    ----------
    source : str or binary file object
        The .npz file.
    name : str
        Without the ``.npy``.
    header : NpyHeader
    """

    source: str | BinaryIO
    name: str
    header: NpyHeader
    _info: zipfile.ZipInfo

    def read(self) -> NDArray[np.generic]:
        """All values, in native byte order.

        Raises
        ------
        FormatError
            If they are damaged or cut off.
        MachineError
            If there is not enough memory.
        """
        file = self.header.file
        with (
            _opened(self.source, file) as archive,
            _reading(file, self.name),
            archive.open(self._info) as stream,
        ):
            stream.read(self.header.data_offset)
            return self.header.read(cast(BinaryIO, stream))  # to the end: checks the CRC

    def place(self) -> int | None:
        """Where the values lie in the file as one piece, in bytes; None if compressed.

        None, too, without values or in an archive that is no file.

        Raises
        ------
        FormatError
            If they do not stand where the archive says.
        """
        if self._info.compress_type != zipfile.ZIP_STORED or self.header.nbytes == 0:
            return None
        if not isinstance(self.source, str):
            return None
        with open(self.source, "rb") as stream:
            stream.seek(self._info.header_offset)
            raw = stream.read(_LOCAL_HEADER.size)
        if len(raw) < _LOCAL_HEADER.size or not raw.startswith(ZIP_MAGIC):
            raise _damaged(self.header.file, self.name, "no local zip header")
        *_, name_length, extra_length = _LOCAL_HEADER.unpack(raw)
        start = self._info.header_offset + len(raw) + name_length + extra_length
        offset = int(start) + self.header.data_offset
        if offset + self.header.nbytes > os.path.getsize(self.source):
            return None
        return offset


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
    try:
        names = member_names(path)
    except FormatError:
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def member_names(path: str) -> list[str]:
    """The names in the archive, ``.npy`` included.

    Raises
    ------
    InputError
        If there is nothing to read at `path`.
    FormatError
        If it is damaged.
    """
    with _opened(path, path) as archive:
        return archive.namelist()


def member_text(path: str, name: str) -> str:
    """A member that is one short text, as ``numpy.savez(path, name="csr")`` writes it.

    Raises
    ------
    InputError
        If there is nothing to read at `path`.
    FormatError
        If it is damaged, there is no such member, or it is something else.
    """
    with _opened(path, path) as archive, _reading(path, name):
        info = archive.NameToInfo.get(f"{name}.npy")
        if info is None or info.file_size > MAX_TEXT_BYTES:
            raise _no_text(path, name)
        raw = archive.read(info)
        value = np.load(io.BytesIO(raw), allow_pickle=False)
    if value.size != 1 or value.dtype.kind not in "SU":
        raise _no_text(path, name)
    text = value.reshape(-1)[0]
    return text.decode("latin1") if isinstance(text, bytes) else str(text)


def _no_text(path: str, name: str) -> FormatError:
    return FormatError(f"'{name}'", got="no text", expected="one word", file=path)


def list_npz(source: str | BinaryIO, *, file: str = "") -> NpzListing:
    """Read the headers of all arrays, none of the values.

    Parameters
    ----------
    source : str or binary file object
        A path, or an open file that can seek.
    file : str, default: the path
        What messages call it.

    Raises
    ------
    InputError
        If there is nothing to read.
    FormatError
        If it is not a zip, is damaged, or holds no arrays.
    LimitError
        If it claims more than it can hold.
    """
    file = file or str(source)
    arrays: dict[str, NpzMember] = {}
    refused: dict[str, DataError] = {}
    with _opened(source, file) as archive:
        for info in _checked(archive, file):
            name = info.filename.removesuffix(".npy")
            with _reading(file, name), archive.open(info) as stream:
                try:
                    header = read_header(
                        cast(BinaryIO, stream), file=file, field=f"'{name}'"
                    )
                except DataError as error:
                    refused[name] = error
                    continue
            header.check_size(info.file_size - header.data_offset)
            arrays[name] = NpzMember(source, name, header, info)
    return NpzListing(arrays, refused)


def _checked(archive: zipfile.ZipFile, file: str) -> list[zipfile.ZipInfo]:
    """The .npy members, after comparing what they claim with what is there."""
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise LimitError(
            "",
            got=f"{len(members):,} members",
            expected=f"at most {MAX_MEMBERS:,}",
            file=file,
        )
    seen: set[str] = set()
    for info in members:
        _check_name(info.filename, seen, file)
        seen.add(info.filename)
    arrays = [info for info in members if info.filename.endswith(".npy")]
    if not arrays:
        others = shortlist([info.filename for info in members])
        raise FormatError(
            "",
            got=f"a zip archive with {others or 'nothing in it'}",
            expected="an .npz file, which holds .npy members",
            next_step="Is it a model or a spreadsheet?" if others else "",
            file=file,
        )
    assert archive.fp is not None  # it is open
    size = archive.fp.seek(0, os.SEEK_END)
    for info in arrays:
        _check_claim(info, size, file)
    return arrays


def _check_name(name: str, seen: set[str], file: str) -> None:
    got = ""
    if name in seen:
        got = "two members of this name"
    elif name.startswith("/") or "\\" in name:
        got = "an absolute path or a backslash"
    elif ".." in name.split("/"):
        got = "a way out of the archive"
    if got:
        raise FormatError(
            f"'{name}'", got=got, expected="names as numpy.savez writes them", file=file
        )


def _check_claim(info: zipfile.ZipInfo, size: int, file: str) -> None:
    """Judge a member by what the archive's directory says of it."""
    field = f"'{info.filename}'"
    if info.flag_bits & _ENCRYPTED:
        raise FormatError(
            field,
            got="an encrypted member",
            expected="one that opens without a password",
            file=file,
        )
    if info.compress_type not in _METHODS:
        raise FormatError(
            field,
            got=f"compression method {info.compress_type}",
            expected="stored or deflated",
            next_step="Save it with numpy.savez or numpy.savez_compressed.",
            file=file,
        )
    if info.compress_size > size:
        got = f"{info.compress_size:,} bytes in a file of {size:,}"
        raise _damaged(file, info.filename, got)
    if info.file_size > max(MAX_UNCHECKED_BYTES, MAX_RATIO * info.compress_size):
        raise LimitError(
            field,
            got=f"{info.file_size:,} bytes, of which {info.compress_size:,} stored",
            expected=f"at most {MAX_RATIO} times what is stored",
            because="no real data shrink so far",
            next_step="Save it with numpy.savez, uncompressed.",
            file=file,
        )


@contextmanager
def _opened(source: str | BinaryIO, file: str) -> Iterator[zipfile.ZipFile]:
    if isinstance(source, str):
        regular_size(source)
    with ExitStack() as opened:
        try:
            if isinstance(source, str):
                source = opened.enter_context(open(source, "rb"))
            archive = opened.enter_context(zipfile.ZipFile(source))
        except _ZIP_ERRORS as error:
            raise FormatError(
                "",
                got="a zip archive that is cut off or damaged",
                expected="an .npz file",
                next_step="Copy or download it again.",
                file=file,
            ) from error
        except OSError as error:
            raise unreadable(file, error) from error
        yield archive


@contextmanager
def _reading(file: str, name: str) -> Iterator[None]:
    """Turn what zipfile raises about a member into a FormatError."""
    try:
        yield
    except _ZIP_ERRORS as error:
        raise _damaged(file, name, f"damaged data ({error})") from error
    except OSError as error:
        raise unreadable(file, error) from error


def _damaged(file: str, name: str, got: str) -> FormatError:
    return FormatError(
        f"'{name}'",
        got=got,
        expected="a whole .npy array",
        next_step="Copy or download the file again.",
        file=file,
    )
