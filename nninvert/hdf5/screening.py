"""A look at an HDF5 file before the library reads it, which damage can keep for ever.

A loop inside the library hears no Ctrl-C, and may take all memory.
"""

from __future__ import annotations

import mmap
import os

from nninvert.errors import FormatError
from nninvert.files import unreadable
from nninvert.hdf5.heaps import endless_name_heap, endless_text_heap
from nninvert.hdf5.opening import SIGNATURE
from nninvert.hdf5.signatures import Data
from nninvert.hdf5.trees import endless_tree


def screen(path: str, start: int = 0) -> None:
    """Follow what the library would follow, as far as that is known to go wrong.

    Parameters
    ----------
    path : str
    start : int, default 0
        The byte at which the HDF5 file begins inside another one.

    Raises
    ------
    FormatError
        If the library would not come to an end.
    """
    try:
        with open(path, "rb") as stream:
            if not os.fstat(stream.fileno()).st_size:
                return  # nothing can be mapped
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                screen_bytes(data, path, start)
    except OSError as error:
        raise unreadable(path, error) from error


def screen_bytes(data: Data, path: str, start: int = 0) -> None:
    """The same for bytes that are in memory; `path` is what messages name."""
    base = max(data.find(SIGNATURE, start), 0)  # what addresses count from
    for what, place in (
        ("the heap of texts", endless_text_heap(data)),
        ("the heap of names", endless_name_heap(data, base)),
        ("the B-tree node", endless_tree(data, base)),
    ):
        if place is not None:
            raise FormatError(
                "",
                got=f"damaged HDF5: {what} at byte {place:,}",
                expected="one that comes to an end",
                next_step="Copy or download the file again.",
                file=path,
            )
