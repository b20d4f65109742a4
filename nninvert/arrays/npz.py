"""The .npz format: a zip archive of .npy members, of which one is read."""

from __future__ import annotations

import posixpath
import struct
import zipfile
import zlib
from typing import BinaryIO

import numpy as np

from nninvert.arrays.npy import read_npy, write_npy
from nninvert.arrays.place import Place
from nninvert.errors import FormatError, InputError, LimitError

SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")
MAX_UNCHECKED_BYTES = 1 << 32  # the two limits of Keras for the members of an archive
MAX_RATIO = 100

# What zipfile raises for damaged archives; their offsets may even be negative.
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    ValueError,
    struct.error,
)

_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}
_ENCRYPTED = 0x1  # ZIP File Format Specification 6.3, section 4.4.4, bit 0


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
    FormatError
        If the archive is damaged, or has members that no ``numpy.savez`` writes.
    LimitError
        If a member claims to unpack to far more than it can.
    InputError
        If there is no such member, or several and no key.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            info = _choose(_members(archive, place), key, place)
            _check(info, place)
            with archive.open(info) as member:
                return read_npy(member, place, info.file_size)  # type: ignore[arg-type]
    except _ZIP_ERRORS as error:
        raise FormatError(
            place.inside(),
            got=f"a damaged zip archive ({error})",
            expected="an .npz file that can be unpacked",
            next_step="Copy or save it again.",
            file=place.file,
        ) from error


def write_npz(stream: BinaryIO, values: np.ndarray) -> None:
    """Write one member, ``x``, uncompressed as ``numpy.savez`` does."""
    with (
        zipfile.ZipFile(stream, "w") as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        write_npy(member, values)  # type: ignore[arg-type]


def _members(archive: zipfile.ZipFile, place: Place) -> dict[str, zipfile.ZipInfo]:
    """Arrays by key."""
    found: dict[str, zipfile.ZipInfo] = {}
    others = []
    for info in archive.infolist():
        name = info.filename
        if name in found or name in others:
            raise _unsafe(place, name, "two members of this name")
        if name.startswith("/") or "\\" in name:
            raise _unsafe(place, name, "an absolute path or a backslash")
        if ".." in name.split("/"):
            raise _unsafe(place, name, "a way out of the archive")
        if not name.endswith(".npy"):
            others.append(name)
        else:
            found[name] = info
    if not found:
        raise FormatError(
            place.inside(),
            got=f"a zip archive with {_listed(others) or 'nothing in it'}",
            expected="an .npz file, which holds .npy members",
            next_step="Is it a model or a spreadsheet?" if others else "",
            file=place.file,
        )
    return {posixpath.splitext(name)[0]: info for name, info in found.items()}


def _choose(
    members: dict[str, zipfile.ZipInfo], key: str | None, place: Place
) -> zipfile.ZipInfo:
    if key is None and len(members) == 1:
        return next(iter(members.values()))
    if key is None:
        example = place.role if place.role in members else next(iter(members))
        raise InputError(
            place.inside(),
            got=f"{len(members)} arrays ({_listed(list(members))})",
            expected="one",
            next_step=f"Name it, for example: {place.file}:{example}",
            file=place.file,
        )
    found = members.get(key) or members.get(key.removesuffix(".npy"))
    if found is None:
        raise InputError(
            place.inside(),
            got=f"no array '{key}'",
            expected=f"one of {_listed(list(members))}",
            file=place.file,
        )
    return found


def _check(info: zipfile.ZipInfo, place: Place) -> None:
    """Judge a member by what the archive's directory says of it."""
    name = f"'{info.filename}'"
    if info.flag_bits & _ENCRYPTED:
        raise FormatError(
            place.inside(name),
            got="an encrypted member",
            expected="one that opens without a password",
            file=place.file,
        )
    if info.compress_type not in _METHODS:
        raise FormatError(
            place.inside(name),
            got=f"compression method {info.compress_type}",
            expected=" or ".join(_METHODS.values()),
            next_step="Save it with numpy.savez or numpy.savez_compressed.",
            file=place.file,
        )
    limit = max(MAX_UNCHECKED_BYTES, MAX_RATIO * info.compress_size)
    if info.file_size > limit:
        raise LimitError(
            place.inside(name),
            got=f"{info.file_size:,} bytes packed into {info.compress_size:,}",
            expected=f"at most {limit:,}",
            because="no real data shrink so far",
            next_step="Save it with numpy.savez, uncompressed.",
            file=place.file,
        )


def _unsafe(place: Place, name: str, got: str) -> FormatError:
    return FormatError(
        place.inside(f"'{name}'"),
        got=got,
        expected="names as numpy.savez writes them",
        file=place.file,
    )


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
