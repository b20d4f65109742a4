"""Arrays in .npy: read from files and pipes, written without seeking."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from nninvert.arrays.numeric_types import check_type
from nninvert.arrays.place import Place
from nninvert.npy import CHUNK, read_header

MAP_FROM = 1 << 26  # from here on a file is mapped: nothing is copied without need


def read_npy(
    stream: BinaryIO, place: Place, size: int | None, path: str | None
) -> np.ndarray:
    """Read one array, and nothing after it, from the start of a stream.

    Parameters
    ----------
    stream : BinaryIO
        Only ``read`` and ``readinto`` are used.
    place : Place
        For messages.
    size : int or None
        All bytes of the file, where that is known.
    path : str or None
        An ordinary file of which `stream` is the open start: large ones are mapped.

    Raises
    ------
    FormatError, DataError, LimitError, MachineError
    """
    header = read_header(stream, file=place.file, field=place.inside())
    check_type(header.dtype, place)
    if size is not None:
        header.check_size(size - header.data_offset)
    if path is not None and header.nbytes >= MAP_FROM:
        view = header.mapped(path, header.data_offset)
        if view is not None:
            return view
    return header.read(stream)


def write_npy(stream: BinaryIO, values: np.ndarray) -> None:
    """Write one array in version 1 of the format.

    Parameters
    ----------
    stream : BinaryIO
        Only ``write`` is used, with at most 16 MiB at a time.
    values : ndarray
        Of numbers; Fortran order is kept.
    """
    header = np.lib.format.header_data_from_array_1_0(values)
    np.lib.format.write_array_header_1_0(stream, header)
    ordered = values.T if header["fortran_order"] else np.ascontiguousarray(values)
    write_bytes(stream, ordered.reshape(-1).view(np.uint8).data)


def write_bytes(stream: BinaryIO, content: memoryview) -> None:
    """Write all of `content` in chunks, also where a raw stream takes only a part."""
    while content:
        content = content[stream.write(content[:CHUNK]) :]
