"""Arrays in .npz: one member read, or the only one."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

import numpy as np

from nninvert.arrays.npy import write_npy
from nninvert.arrays.numeric_types import check_type
from nninvert.arrays.place import Place
from nninvert.errors import InputError, shortlist
from nninvert.npz import list_npz


def read_npz(stream: BinaryIO, key: str | None, place: Place) -> np.ndarray:
    """Read one member of an archive.

    Parameters
    ----------
    stream : BinaryIO
        Must be able to seek.
    key : str or None
        The member, with or without ``.npy``; None if there is only one.
    place : Place
        For messages.

    Raises
    ------
    FormatError, LimitError
        See `nninvert.npz.list_npz`.
    InputError
        If there is no such member, or several and no key, or it holds no numbers.
    """
    listing = list_npz(stream, file=place.file)
    name = _choose([*listing.arrays, *listing.refused], key, place)
    if name in listing.refused:
        raise listing.refused[name]
    member = listing.arrays[name]
    check_type(member.header.dtype, place)
    return member.read()


def write_npz(stream: BinaryIO, values: np.ndarray) -> None:
    """Write one member, ``x``, uncompressed as ``numpy.savez`` does."""
    with (
        zipfile.ZipFile(stream, "w") as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        write_npy(member, values)  # type: ignore[arg-type]


def _choose(names: list[str], key: str | None, place: Place) -> str:
    if key is None and len(names) == 1:
        return names[0]
    if key is None:
        raise place.ambiguous(f"{len(names)} arrays", names)
    for name in (key, key.removesuffix(".npy")):
        if name in names:
            return name
    raise InputError(
        place.inside(),
        got=f"no array '{key}'",
        expected=f"one of {shortlist(names)}",
        file=place.file,
    )
