"""Opening an HDF5 file, and saying why when that fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nninvert.errors import FormatError
from nninvert.files import impostor, read_head, regular_size, unreadable
from nninvert.hdf5._failure import H5PY_ERRORS, damaged

if TYPE_CHECKING:
    import h5py

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


@contextmanager
def open_hdf5(path: str) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading, without locks.

    Parameters
    ----------
    path : str
        The file as the user named it.

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
