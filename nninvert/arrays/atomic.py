"""Output files that are either whole or as they were before."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from nninvert.errors import OutputError
from nninvert.files import in_words

_OWN_STREAM = re.compile(r"/dev/(stdout|stderr|fd/\d+)|/proc/[^/]+/fd/\d+")

_NO_FOLDER = "a folder that does not exist"
_WRITE_ERRORS = {
    errno.ENOSPC: ("a full disk", "Free some space, or write elsewhere."),
    errno.EDQUOT: ("a disk quota that is used up", "Write elsewhere."),
    errno.EFBIG: ("a limit on the size of files", "See: ulimit -f"),
    errno.EACCES: ("no permission to write there", "Write to another folder."),
    errno.EPERM: ("no permission to write there", "Write to another folder."),
    errno.EROFS: ("a file system that is read-only", "Write to another folder."),
    errno.EISDIR: ("a directory", "Name a file inside it."),
    errno.ENOTDIR: (_NO_FOLDER, ""),
    errno.ENOENT: (_NO_FOLDER, ""),
    errno.ENAMETOOLONG: ("a name too long for this file system", "Shorten it."),
    errno.EIO: ("a write error of the disk", "Write elsewhere."),
    errno.ELOOP: ("a chain of links without an end", "Name the file itself."),
}


def unwritable(path: str, error: OSError) -> OutputError:
    """Say in plain words why the system would not write `path`."""
    got, next_step = in_words(error, _WRITE_ERRORS)
    if got == _NO_FOLDER:
        next_step = f"Make it first: mkdir -p {os.path.dirname(path)}"
    return OutputError(
        "",
        got=got,
        expected="a file that can be written",
        next_step=next_step,
        file=path,
    )


@contextmanager
def atomic_output(path: str) -> Iterator[BinaryIO]:
    """Open a file for writing that takes the place of `path` only once it is whole.

    The new file is made beside the old one, flushed to the disk and renamed; it gets
    the permission bits of the old one, or those that the umask leaves. A symbolic link
    stays, and what it points to is replaced. Pipes and devices are written directly.

    Parameters
    ----------
    path : str
        The target. Only writing to the stream belongs into the ``with`` block.

    Yields
    ------
    BinaryIO
        Can seek, unless `path` is a pipe or a device.

    Raises
    ------
    OutputError
        If it cannot be written; then the old file is as it was, and nothing new is
        left.
    BrokenPipeError
        If the reader of a pipe went away.
    """
    try:
        if is_direct(path):
            with open(path, "ab") as stream:
                yield stream
        else:
            with _renamed(os.path.realpath(path)) as stream:
                yield stream
    except BrokenPipeError:
        raise
    except OSError as error:
        raise unwritable(path, error) from error


def is_direct(path: str) -> bool:
    """Whether `path` is a pipe, a device or a stream of this process.

    ``/dev/stdout`` may be an ordinary file: the shell's, which must not be replaced.
    """
    if _OWN_STREAM.fullmatch(os.path.abspath(path)):
        return True
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


@contextmanager
def _renamed(path: str) -> Iterator[BinaryIO]:
    folder, name = os.path.split(path)
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, "", path)
    beside = os.path.join(folder, f".{name[:60]}.{secrets.token_hex(6)}.tmp")
    # The system takes the umask off 0o666, as it does for any new file.
    number = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
    try:
        with os.fdopen(number, "w+b") as stream:
            with suppress(FileNotFoundError):
                os.chmod(beside, stat.S_IMODE(os.stat(path).st_mode))
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise


_BINARY = getattr(os, "O_BINARY", 0)  # Windows would translate line ends
