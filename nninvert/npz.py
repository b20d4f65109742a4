"""The arrays of an .npz file: listed by their headers, read or located one by one.

An .npz is a zip of .npy members. Nothing is unpacked to disk, no size that the archive
claims is believed before it is compared with what is there, and nothing is unpickled.
Members that are stored uncompressed (``numpy.savez``) can be read where they lie.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from nninvert.archive import (
    check_claim,
    check_names,
    data_start,
    member_names,
    open_archive,
    reading_member,
)
from nninvert.errors import DataError, FormatError, shortlist
from nninvert.npy import NpyHeader, read_header, read_word

_EXPECTED = "an .npz file, which holds .npy members"


@dataclass(frozen=True)
class NpzMember:
    """One array of an .npz file.

    Attributes
    ----------
    source : str or binary file object
        The .npz file.
    name : str
        Without the ``.npy``.
    header : NpyHeader
    """

    source: str | BinaryIO
    name: str
    header: NpyHeader
    _info: zipfile.ZipInfo

    def read(self) -> NDArray[np.generic]:
        """All values, in native byte order.

        Raises
        ------
        FormatError
            If they are damaged or cut off.
        MachineError
            If there is not enough memory.
        """
        file = self.header.file
        with (
            open_archive(self.source, file, _EXPECTED) as archive,
            reading_member(file, self.name),
            archive.open(self._info) as stream,
        ):
            stream.read(self.header.data_offset)
            return self.header.read(cast(BinaryIO, stream))  # to the end: checks the CRC

    def place(self) -> int | None:
        """Where the values lie in the file as one piece, in bytes; None if compressed.

        None, too, without values or in an archive that is no file.

        Raises
        ------
        FormatError
            If they do not stand where the archive says.
        """
        if self.header.nbytes == 0 or not isinstance(self.source, str):
            return None
        start = data_start(self.source, self._info)
        return None if start is None else start + self.header.data_offset


@dataclass(frozen=True)
class NpzListing:
    """What an .npz file holds.

    Attributes
    ----------
    arrays : dict of str to NpzMember
        Arrays of numbers, in the archive's order.
    refused : dict of str to DataError
        Arrays that are not numbers (pickled objects, text, records), and why.
    """

    arrays: dict[str, NpzMember]
    refused: dict[str, DataError]


def is_npz(path: str) -> bool:
    """Whether the file is a zip that holds .npy members and nothing else."""
    try:
        names = member_names(path)
    except FormatError:
        return False
    return bool(names) and all(name.endswith(".npy") for name in names)


def member_text(path: str, name: str) -> str:
    """A member that is one short text, as ``numpy.savez(path, name="csr")`` writes it.

    Raises
    ------
    InputError
        If there is nothing to read at `path`.
    FormatError
        If it is damaged, there is no such member, or it is something else.
    """
    with open_archive(path, path, _EXPECTED) as archive, reading_member(path, name):
        info = archive.NameToInfo.get(f"{name}.npy")
        text = None
        if info is not None:
            check_claim(archive, info, path)
            with archive.open(info) as stream:
                text = read_word(cast(BinaryIO, stream), file=path, field=f"'{name}'")
    if text is None:
        raise FormatError(f"'{name}'", got="no text", expected="one word", file=path)
    return text


def list_npz(source: str | BinaryIO, *, file: str = "") -> NpzListing:
    """Read the headers of all arrays, none of the values.

    Parameters
    ----------
    source : str or binary file object
        A path, or an open file that can seek.
    file : str, default: the path
        What messages call it.

    Raises
    ------
    InputError
        If there is nothing to read.
    FormatError
        If it is not a zip, is damaged, or holds no arrays.
    LimitError
        If it claims more than it can hold.
    """
    file = file or str(source)
    arrays: dict[str, NpzMember] = {}
    refused: dict[str, DataError] = {}
    with open_archive(source, file, _EXPECTED) as archive:
        for info in _checked(archive, file):
            name = info.filename.removesuffix(".npy")
            with reading_member(file, name), archive.open(info) as stream:
                try:
                    header = read_header(
                        cast(BinaryIO, stream), file=file, field=f"'{name}'"
                    )
                except DataError as error:
                    refused[name] = error
                    continue
            header.check_size(info.file_size - header.data_offset)
            arrays[name] = NpzMember(source, name, header, info)
    return NpzListing(arrays, refused)


def _checked(archive: zipfile.ZipFile, file: str) -> list[zipfile.ZipInfo]:
    """The .npy members, after comparing what they claim with what is there."""
    members = check_names(archive, file)
    arrays = [info for info in members if info.filename.endswith(".npy")]
    if not arrays:
        others = shortlist([info.filename for info in members])
        raise FormatError(
            "",
            got=f"a zip archive with {others or 'nothing in it'}",
            expected=_EXPECTED,
            next_step="Is it a model or a spreadsheet?" if others else "",
            file=file,
        )
    for info in arrays:
        check_claim(archive, info, file)
    return arrays
