"""Finding a data set and checking what it claims, before any value is read."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from nninvert.errors import FormatError, LimitError
from nninvert.hdf5._failure import reading
from nninvert.hdf5.attributes import attribute_text
from nninvert.hdf5.path import child, listed

if TYPE_CHECKING:
    import h5py

# Keras accepts a data set unless it claims both more than 4 GiB and more than 1000
# times what is stored; deflate cannot shrink by more than about 1030.
MAX_UNCHECKED_BYTES = 1 << 32
MAX_RATIO = 1000

_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 32000: "lzf"}

# The library (1.14 and 2.0) reads a checksum or a length of 4 bytes from each chunk of
# these, also where the chunk is said to be shorter, and then crashes.
_LEAST_BYTES = {3: 4, 4: 4}


def dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    """A data set of plain numbers whose bytes are all in this file, none read yet.

    Parameters
    ----------
    group : h5py.Group
        Where the path starts, unless it begins with ``/``.
    name : str
        A path, as for `child`.

    Returns
    -------
    h5py.Dataset
        Of float16, float32, float64, integers, or Keras's bfloat16 (see `read`).

    Raises
    ------
    FormatError
        If it is no data set, or not of numbers, or was never written, or its bytes are
        in another file, or it needs a filter that is not part of HDF5.
    LimitError
        If it claims more than this file can hold.
    """
    import h5py

    found = child(group, name)
    if not isinstance(found, h5py.Dataset):
        raise FormatError(
            f"'{name}'",
            got="a group",
            expected="a data set",
            next_step=f"It holds {listed(found, 8)}.",
            file=group.file.filename,
        )
    _check_storage(found)
    _check_numbers(found)
    _check_filters(found)
    _check_claim(found)
    return found


def _check_numbers(found: h5py.Dataset) -> None:
    """Refuse what is not an array of plain numbers."""
    import h5py

    with reading(found, ""):
        kind, shape = found.id.get_type().get_class(), found.shape
        size = found.id.get_type().get_size()
    names = {
        h5py.h5t.STRING: "text",
        h5py.h5t.REFERENCE: "object references (never followed)",
        h5py.h5t.ENUM: "named numbers (enumeration or bool)",
        h5py.h5t.COMPOUND: "records (compound type)",
        h5py.h5t.VLEN: "lists of varying length",
        h5py.h5t.ARRAY: "arrays as elements",
        h5py.h5t.OPAQUE: "opaque bytes",
        h5py.h5t.BITFIELD: "bits",
        h5py.h5t.TIME: "times",
        h5py.h5t.FLOAT: "floats",
    }
    got = names.get(kind, f"the HDF5 type class {kind}")
    if shape is None:
        got = "an empty data space"
    elif kind == h5py.h5t.INTEGER or (
        kind == h5py.h5t.OPAQUE
        and size == 2
        and attribute_text(found, "dtype") == "bfloat16"
    ):
        return
    elif kind == h5py.h5t.FLOAT:
        if size <= 8:
            with reading(found, ""):
                _ = found.dtype  # raises where NumPy has no such float
            return
        got = f"floats of {size} bytes"
    raise FormatError(
        f"'{found.name}'",
        got=got,
        expected="float16, float32, float64, bfloat16 (as Keras stores it) or integers",
        file=found.file.filename,
    )


def _check_storage(found: h5py.Dataset) -> None:
    """Refuse bytes that lie in other files."""
    with reading(found, ""):
        external, virtual = found.external, found.is_virtual
    if not external and not virtual:
        return
    got = "a virtual data set, made of parts of other files"
    if external:
        got = f"a data set whose bytes are in the file '{external[0][0]}'"
    raise FormatError(
        f"'{found.name}'",
        got=got,
        expected="values in this file",
        because="nninvert never follows a file into another one",
        next_step="Copy the values into this file.",
        file=found.file.filename,
    )


def _check_filters(found: h5py.Dataset) -> None:
    """Refuse filters that HDF5 would have to load a plug-in for."""
    with reading(found, ""):
        plan = found.id.get_create_plist()
        filters = [plan.get_filter(i) for i in range(plan.get_nfilters())]
    for code, _, _, name in filters:
        if code not in _FILTERS:
            text = name.decode(errors="replace") if name else "without a name"
            raise FormatError(
                f"'{found.name}'",
                got=f"the filter {code} ({text})",
                expected="none or " + ", ".join(_FILTERS.values()),
                because="others run code from outside",
                next_step="Write it again with compression='gzip'.",
                file=found.file.filename,
            )
    least = max((_LEAST_BYTES.get(code, 0) for code, *_ in filters), default=0)
    if least and found.chunks:
        _check_chunks(found, least)


def _check_chunks(found: h5py.Dataset, least: int) -> None:
    """Refuse chunks that are too short for their filters."""
    with reading(found, ""):
        size = found.id.chunk_iter(lambda one: one.size if one.size < least else None)
    if size is not None:
        raise FormatError(
            f"'{found.name}'",
            got=f"a chunk of {size} bytes",
            expected=f"at least {least}, as its checksum or length takes",
            next_step="Copy or download the file again.",
            file=found.file.filename,
        )


def _check_claim(found: h5py.Dataset) -> None:
    """Compare what the shape claims with what is stored."""
    # Not NumPy's item size: some HDF5 floats are converted to a wider type.
    with reading(found, ""):
        claimed = math.prod(found.shape) * found.id.get_type().get_size()
        if claimed == 0:
            return
        stored = found.id.get_storage_size()
        holds = found.file.id.get_filesize()
        chunks = found.chunks
        written = found.id.get_num_chunks() if chunks else 1
    got = f"shape {found.shape}, {claimed:,} bytes, {stored:,} stored"
    place, file = f"'{found.name}'", found.file.filename
    if stored > holds or (chunks is None and 0 < stored < claimed):
        raise FormatError(
            place,
            got=f"{got} in a file of {holds:,}",
            expected="all values inside the file",
            next_step="It is damaged: copy or download it again.",
            file=file,
        )
    if claimed > max(MAX_UNCHECKED_BYTES, MAX_RATIO * stored) or (
        stored == 0 and claimed > holds
    ):
        raise LimitError(
            place,
            got=got,
            expected=f"at most {MAX_RATIO} times what is stored",
            because="no real data shrink so far",
            file=file,
        )
    wanted = 1
    if chunks:
        wanted = math.prod(-(-n // c) for n, c in zip(found.shape, chunks, strict=True))
    if stored == 0 or written < wanted:
        raise FormatError(
            place,
            got=got if stored == 0 else f"{written} of {wanted} chunks written",
            expected="values",
            because="it was never written, or not to the end",
            next_step="Save the file again.",
            file=file,
        )
