"""What is at a path, before any reader opens it: nothing, a pipe, a pointer, a page.

The first bytes of a file that is no array and no model often say what went wrong: an
empty download, a login page saved under the model's name, a Git-LFS pointer.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping

from nninvert.errors import InputError

HEAD_BYTES = 512

_READ_ERRORS = {
    errno.ENOENT: ("no such file", "Check the name and the folder."),
    errno.ENOTDIR: ("no such file", "Check the name and the folder."),
    errno.EACCES: ("no permission to read it", "See: ls -l"),
    errno.EPERM: ("no permission to read it", "See: ls -l"),
    errno.EISDIR: ("a directory", "Name a file inside it."),
    errno.ELOOP: ("a chain of links without an end", "Name the file itself."),
    errno.ENAMETOOLONG: ("a name too long for this file system", "Shorten it."),
    errno.EIO: ("a read error of the disk", "Copy the file again."),
}


def in_words(error: OSError, known: Mapping[int, tuple[str, str]]) -> tuple[str, str]:
    """What was got and what to do, from `known` by the error's number."""
    unknown = error.strerror or "an unknown system error", ""
    return known.get(error.errno or 0, unknown)


def unreadable(path: str, error: OSError) -> InputError:
    """Say in plain words why the system would not read `path`."""
    got, next_step = in_words(error, _READ_ERRORS)
    return InputError(
        "", got=got, expected="a readable file", next_step=next_step, file=path
    )


def status_of(path: str) -> os.stat_result:
    """What the system knows about `path`, without opening it.

    Raises
    ------
    InputError
        If there is nothing at `path`, or no way to it.
    """
    try:
        return os.stat(path)
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise InputError(
            "", got="a name with a NUL character", expected="a file", file=path
        ) from error


def regular_size(path: str) -> int:
    """Size in bytes of a regular file that can be read at any position.

    Opening a FIFO would wait for a writer, perhaps for ever, so this asks before.

    Raises
    ------
    InputError
        If there is no such file, or it is a directory, a pipe or a device.
    """
    status = status_of(path)
    if stat.S_ISDIR(status.st_mode):
        raise unreadable(path, IsADirectoryError(errno.EISDIR, "", path))
    if not stat.S_ISREG(status.st_mode):
        raise InputError(
            "",
            got="a pipe or a device",
            expected="an ordinary file",
            because="it is read at several places",
            next_step="Save it to a file first.",
            file=path,
        )
    return status.st_size


def read_head(path: str, count: int = HEAD_BYTES) -> bytes:
    """The first `count` bytes of a regular file, fewer if it is shorter.

    Raises
    ------
    InputError
        If `path` is not a readable regular file.
    """
    regular_size(path)
    try:
        with open(path, "rb") as stream:
            return stream.read(count)
    except OSError as error:
        raise unreadable(path, error) from error


def impostor(head: bytes) -> tuple[str, str] | None:
    """Recognise what is often found where a data or model file should be.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.

    Returns
    -------
    tuple of str or None
        What it is and what to do; None if it may be the real thing.
    """
    if not head:
        return "an empty file", "Was it saved or downloaded to the end?"
    if head.startswith(b"version https://git-lfs"):
        return "a Git-LFS pointer, not the file itself", "Run: git lfs pull"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page (HTML or XML)", "Was a login page saved? Download it again."
    return None
