"""Opening an HDF5 file, and saying why when that fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import IOBase, RawIOBase
from typing import TYPE_CHECKING

from nninvert.errors import FormatError
from nninvert.files import impostor, read_head, regular_size, unreadable
from nninvert.hdf5._failure import H5PY_ERRORS, damaged

if TYPE_CHECKING:
    import h5py
    from _typeshed import WriteableBuffer as Buffer

SIGNATURE = b"\x89HDF\r\n\x1a\n"
"""HDF5 File Format Specification 3.0, section II.A: at 0, 512, 1024, 2048, ..."""


def is_hdf5(path: str) -> bool:
    """Whether the HDF5 signature stands where the format allows it.

    Raises
    ------
    InputError
        If `path` is not a readable regular file.
    """
    size = regular_size(path)
    offset = 0
    try:
        with open(path, "rb") as stream:
            while offset < size:
                stream.seek(offset)
                if stream.read(len(SIGNATURE)) == SIGNATURE:
                    return True
                offset = offset * 2 or 512
    except OSError as error:
        raise unreadable(path, error) from error
    return False


class Enclosed(RawIOBase):
    """An HDF5 file that lies uncompressed inside another file, as a member of a zip does.

    Parameters
    ----------
    path : str
        The file around it; h5py takes what `repr` says for the name of the HDF5 file, so
        that messages name the one that the user knows.
    start, size : int
        Bytes.
    """

    def __init__(self, path: str, start: int, size: int) -> None:
        self._path, self._start, self._size = path, start, size
        self._place = 0
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  closed by `close`

    def __repr__(self) -> str:
        return self._path

    def close(self) -> None:
        """Close the file around it."""
        if not self.closed:
            self._file.close()
        super().close()

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place of the inner file."""
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}
        self._place = begin[whence] + offset
        return self._place

    def readinto(self, buffer: Buffer) -> int:
        """Read what the inner file has, and zeros beyond its end.

        h5py ignores how much came, and would go on with whatever was in memory there; the
        library's own driver fills up with zeros, too.
        """
        view = memoryview(buffer).cast("B")
        count = max(0, min(len(view), self._size - self._place))
        self._file.seek(self._start + self._place)
        done = int(self._file.readinto(view[:count]) or 0)
        view[done:] = bytes(len(view) - done)
        self._place += len(view)
        return len(view)


@dataclass(frozen=True)
class Inside:
    """Where an HDF5 file lies inside another one.

    Attributes
    ----------
    start, size : int
        Bytes.
    """

    start: int
    size: int


@contextmanager
def open_hdf5(path: str, inside: Inside | None = None) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, without locks.

    Parameters
    ----------
    path : str
        The file as the user named it.
    inside : Inside or None, default None
        Where in it the HDF5 file lies; None: it is the HDF5 file.

    Yields
    ------
    h5py.File
        Use `child`, `dataset` and `read` of this package on it, never its own
        ``[...]``, which follows links out of the file.

    Raises
    ------
    InputError
        If there is nothing to read at `path`.
    FormatError
        If it is not HDF5, or cut off, or damaged.
    """
    import h5py

    if inside is not None:
        with _open_enclosed(path, inside) as file:
            yield file
        return
    if not is_hdf5(path):
        got, next_step = impostor(read_head(path)) or ("no HDF5 signature", "")
        raise FormatError(
            "", got=got, expected="an HDF5 file", next_step=next_step, file=path
        )
    try:
        file = h5py.File(path, "r", locking=False)
    except H5PY_ERRORS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise unreadable(path, error) from error
        raise damaged(path, error) from error
    with file:
        yield file


@contextmanager
def _open_enclosed(path: str, inside: Inside) -> Iterator[h5py.File]:
    try:
        stream = Enclosed(path, inside.start, inside.size)
    except OSError as error:
        raise unreadable(path, error) from error
    with stream, open_stream(stream, path) as file:
        yield file


@contextmanager
def open_stream(stream: IOBase, path: str) -> Iterator[h5py.File]:
    """Open an HDF5 file that is no file of its own.

    Parameters
    ----------
    stream : binary stream that can seek
        Its `repr` is what messages call it.
    path : str
        The file around it.

    Raises
    ------
    FormatError
        If it is not HDF5, or cut off, or damaged.
    """
    import h5py

    try:
        file = h5py.File(stream, "r")
    except H5PY_ERRORS as error:
        raise damaged(path, error) from error
    # Closed while the interpreter still runs: the library calls the stream to the end.
    with file:
        yield file
