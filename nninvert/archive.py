"""Zip archives from anywhere: no size or name in them is believed before it is checked.

.npz, .keras and PyTorch's files are zips. Nothing is ever unpacked to disk. Members that
are stored uncompressed can be read where they lie. APPNOTE.TXT 6.3.10 is the format.
"""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

from nninvert.errors import FormatError, LimitError
from nninvert.files import regular_size, unreadable

ZIP_MAGIC = b"PK\x03\x04"
EMPTY_ZIP_MAGIC = b"PK\x05\x06"

MAX_MEMBERS = 65_536
MAX_UNCHECKED_BYTES = 1 << 32
MAX_RATIO = 100
"""Measured numbers and trained ones hardly shrink: a member that claims more than 4 GiB
and more than 100 times what is stored is a bomb. Keras draws the same two lines."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1  # section 4.4.4, bit 0
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


@contextmanager
def open_archive(
    source: str | BinaryIO, file: str, expected: str
) -> Iterator[zipfile.ZipFile]:
    """Open an archive for reading.

    Parameters
    ----------
    source : str or binary file object
        A path, or an open file that can seek.
    file : str
        What messages call it.
    expected : str
        What it should be, for messages.

    Raises
    ------
    InputError
        If there is nothing to read.
    FormatError
        If it is damaged.
    """
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
                expected=expected,
                next_step="Copy or download it again.",
                file=file,
            ) from error
        except OSError as error:
            raise unreadable(file, error) from error
        yield archive


def member_names(path: str) -> list[str]:
    """All names in an archive, unchecked.

    Raises
    ------
    InputError
        If there is nothing to read at `path`.
    FormatError
        If it is damaged.
    """
    with open_archive(path, path, "a zip archive") as archive:
        return archive.namelist()


def check_names(archive: zipfile.ZipFile, file: str) -> list[zipfile.ZipInfo]:
    """All members, if their names are few, different and lead nowhere else.

    Raises
    ------
    FormatError, LimitError
    """
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
    return members


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
            f"'{name}'", got=got, expected="different names inside the archive", file=file
        )


def check_claim(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: str) -> None:
    """Judge a member by what the archive's directory says of it.

    Raises
    ------
    FormatError
        If it is encrypted, compressed in a rare way, or larger than the file.
    LimitError
        If it claims to shrink as no numbers do.
    """
    field = f"'{info.filename}'"
    assert archive.fp is not None  # it is open
    size = archive.fp.seek(0, os.SEEK_END)
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
            next_step="Write it uncompressed.",
            file=file,
        )
    if info.compress_size > size:
        raise damaged(
            file, info.filename, f"{info.compress_size:,} bytes in a file of {size:,}"
        )
    if info.file_size > max(MAX_UNCHECKED_BYTES, MAX_RATIO * info.compress_size):
        raise LimitError(
            field,
            got=f"{info.file_size:,} bytes, of which {info.compress_size:,} stored",
            expected=f"at most {MAX_RATIO} times what is stored",
            because="no real data shrink so far",
            next_step="Write it uncompressed.",
            file=file,
        )


def data_start(path: str, info: zipfile.ZipInfo) -> int | None:
    """Where in the file the bytes of a member begin as they are; None if compressed.

    Raises
    ------
    FormatError
        If they do not stand where the archive says.
    """
    if info.compress_type != zipfile.ZIP_STORED:
        return None
    size = os.path.getsize(path)
    if not 0 <= info.header_offset < size:
        raise damaged(path, info.filename, f"a header at byte {info.header_offset:,}")
    with open(path, "rb") as stream:
        stream.seek(info.header_offset)
        raw = stream.read(_LOCAL_HEADER.size)
    if len(raw) < _LOCAL_HEADER.size or not raw.startswith(ZIP_MAGIC):
        raise damaged(path, info.filename, "no local zip header")
    *_, name_length, extra_length = _LOCAL_HEADER.unpack(raw)
    start = int(info.header_offset + len(raw) + name_length + extra_length)
    if start + info.file_size > size:
        raise damaged(path, info.filename, "an end beyond that of the file")
    return start


def small_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str, most: int, what: str
) -> bytes:
    """The bytes of a member that needs to be small.

    Parameters
    ----------
    archive : ZipFile
    info : ZipInfo
    path : str
        Of the archive.
    most : int
        Bytes that are allowed.
    what : str
        What the member holds, for the message.

    Raises
    ------
    FormatError, LimitError
        As `check_claim`; if it is larger, or damaged.
    """
    check_claim(archive, info, path)
    if info.file_size > most:
        raise LimitError(
            f"'{info.filename}'",
            got=f"{info.file_size:,} bytes",
            expected=f"at most {most:,} bytes of {what}",
            file=path,
        )
    with reading_member(path, info.filename):
        return archive.read(info)


@contextmanager
def reading_member(file: str, name: str) -> Iterator[None]:
    """Turn what zipfile raises about a member into a FormatError."""
    try:
        yield
    except _ZIP_ERRORS as error:
        raise damaged(file, name, f"damaged data ({error})") from error
    except OSError as error:
        raise unreadable(file, error) from error


def damaged(file: str, name: str, got: str) -> FormatError:
    """A member that is not what its archive says."""
    return FormatError(
        f"'{name}'",
        got=got,
        expected="a whole member of the archive",
        next_step="Copy or download the file again.",
        file=file,
    )
