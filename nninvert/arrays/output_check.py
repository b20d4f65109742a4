"""Whether an output can be written, asked before the work starts."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from typing import BinaryIO

from nninvert.arrays.atomic import is_direct, unwritable
from nninvert.arrays.reading import split_source
from nninvert.arrays.writing import ARRAY_SUFFIXES, suffix_of
from nninvert.errors import OutputError, UsageError


def check_output(
    target: str,
    *,
    inputs: Sequence[str] = (),
    force: bool = False,
    suffixes: Sequence[str] = ARRAY_SUFFIXES,
    stdout: BinaryIO | None = None,
) -> None:
    """Refuse an output that could not, or should not, be written in the end.

    An ordinary file that is there already is fine: it will be replaced.

    Parameters
    ----------
    target : str
        A path, or ``-`` for `stdout`.
    inputs : sequence of str, default ()
        What is read, as the user named it; ``file.npz:key`` stands for its file.
    force : bool, default False
        Allow `target` to be one of `inputs`.
    suffixes : sequence of str, default those of `write_array`
        What may be written.
    stdout : BinaryIO or None, default None
        Refused if it is a terminal.

    Raises
    ------
    UsageError
        If the suffix is unknown, if `target` is an input, or if a terminal would get
        binary data.
    OutputError
        If the folder is missing or cannot be written to, or `target` is a directory or
        write-protected.
    """
    if target == "-":
        if stdout is not None and stdout.isatty():
            raise _terminal("-")
        return
    if is_direct(target):
        _check_device(target, suffixes)
        return
    _check_place(target)
    suffix_of(target, suffixes)
    if force:
        return
    for source in inputs:
        path = source if source == "-" else split_source(source)[0]
        if _same(target, path):
            raise UsageError(
                "",
                got="the name of an input file",
                expected="another file for the output",
                next_step="Choose another name, or say --force to replace the input.",
                file=target,
            )


def _check_place(target: str) -> None:
    """Ask the system about the folder and the file that is there now."""
    real = os.path.realpath(target)
    folder = os.path.dirname(real)
    try:
        if not stat.S_ISDIR(os.stat(folder).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, "", folder)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "", folder)
        try:
            mode = os.stat(real).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "", real)
    except OSError as error:
        raise unwritable(target, error) from error
    if not os.access(real, os.W_OK):
        raise OutputError(
            "",
            got="a write-protected file",
            expected="one that may be replaced",
            next_step=f"Choose another name, or: chmod u+w {target}",
            file=target,
        )


def _check_device(target: str, suffixes: Sequence[str]) -> None:
    """A pipe is not opened to find out: its reader would take that for the end."""
    if os.path.splitext(target)[1] or ".npy" not in suffixes:
        suffix_of(target, suffixes)
    try:
        if not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "", target)
        if not stat.S_ISCHR(os.stat(target).st_mode):
            return
        number = os.open(target, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise unwritable(target, error) from error
    try:
        if os.isatty(number):
            raise _terminal(target)
    finally:
        os.close(number)


def _same(target: str, source: str) -> bool:
    try:
        return os.path.samefile(target, source)
    except OSError:  # one of them is not there: they are not the same
        return False


def _terminal(target: str) -> UsageError:
    return UsageError(
        target,
        got="a terminal",
        expected="a file or a pipe",
        because="the output is binary",
        next_step="Say -o FILE.npy, or pipe it into a command.",
    )
