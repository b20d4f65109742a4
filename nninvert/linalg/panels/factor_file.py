"""A file of factors: made panel by panel, resumable while it is made, checked when read.

Layout of version 1: one page with the magic, offset, length and CRC-32 of the manifest
(zeros while unfinished); a region for each matrix (`Region`); the manifest, a JSON text
that lists the regions. While a file is made it bears the suffix ``.part`` and has a journal
beside it; both names vanish when it is finished.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import struct
import zlib
from dataclasses import replace
from typing import Self

from nninvert.errors import FormatError, InputError, MachineError, OutputError
from nninvert.files import unreadable
from nninvert.linalg.panels import journal
from nninvert.linalg.panels.file_store import FileStore
from nninvert.linalg.panels.region import PAGE, Region, Weights, aligned

MAGIC = b"nninvert factors\n"
VERSION = 1
PART, JOURNAL = ".part", ".part.journal"
_HEADER = struct.Struct("<17sB6xQQI")
_MOST_MANIFEST = 1 << 28


class FactorFile:
    """Factors of some matrices in one file.

    Made by `begin` (new, or going on where a killed run ended) or `open`.

    Parameters
    ----------
    path : str
        The finished file's name.
    descriptor : int
    regions : list of Region
    finished : bool
    """

    def __init__(
        self, path: str, descriptor: int, regions: list[Region], finished: bool
    ) -> None:
        self.path, self.regions, self.finished = path, regions, finished
        self._file = descriptor

    @classmethod
    def begin(cls, path: str) -> Self:
        """Start a file, or go on with an unfinished one of this name.

        Raises
        ------
        MachineError
            If another process works on it, it cannot be written, or an unfinished one was
            left by another version of nninvert.
        """
        part, notes = path + PART, path + JOURNAL
        known = journal.read(notes) if os.path.exists(notes) else []
        try:
            descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            _lock(descriptor, part)
            regions = _journalled(known, part)
            if not known:
                os.ftruncate(descriptor, 0)
                os.ftruncate(descriptor, PAGE)
                journal.append(notes, {"format": "nninvert factors", "version": VERSION})
        except OSError as error:
            os.close(descriptor)
            raise _unwritable(path, error) from error
        except MachineError:
            os.close(descriptor)
            raise
        return cls(path, descriptor, regions, finished=False)

    @classmethod
    def open(cls, path: str) -> Self:
        """Open a finished file.

        Raises
        ------
        FormatError
            If it is no factor file, or damaged, or not finished.
        """
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise unreadable(path, error) from error
        try:
            return cls(path, descriptor, _manifest(descriptor, path), finished=True)
        except BaseException:
            os.close(descriptor)
            raise

    def find(self, weights: Weights) -> Region | None:
        """The region made of these weights, the finest precision first."""
        found = [r for r in self.regions if r.weights.matches(weights)]
        return max(found, key=lambda region: region.itemsize, default=None)

    def add(
        self, weights: Weights, flipped: bool, n: int, width: int, dtype: str
    ) -> Region:
        """Reserve the space of one more matrix.

        Raises
        ------
        MachineError
            If the disk has no room for it.
        """
        offset = max((region.end for region in self.regions), default=PAGE)
        region = Region(weights, flipped, n, width, dtype, offset)
        try:
            os.posix_fallocate(self._file, offset, region.nbytes)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise _unwritable(self.path, error) from error
            raise MachineError(
                "factors",
                got=f"no room for {region.nbytes / 1e9:.1f} GB",
                expected=f"a disk with that much free for a matrix of order {n:,}",
                next_step="Choose another disk with --scratch, or --engine iterative.",
                file=self.path + PART,
            ) from error
        self.regions.append(region)
        self._note(region)
        return region

    def store(self, region: Region) -> FileStore:
        """The panels of a region."""
        name = self.path if self.finished else self.path + PART
        return FileStore(self._file, name, region, self._note)

    def describe(self, place: int, digest: str) -> None:
        """Add the full digest of the weights to the region at a place."""
        region = self.regions[place]
        region.weights = replace(region.weights, digest=digest)

    def _note(self, region: Region) -> None:
        place = self.regions.index(region)
        try:
            journal.append(
                self.path + JOURNAL, {"place": place, "region": region.as_record()}
            )
        except OSError as error:
            raise _unwritable(self.path, error) from error

    def finish(self) -> None:
        """Write the manifest and give the file its name.

        Raises
        ------
        OutputError
            If it cannot be written; the unfinished file stays.
        """
        text = json.dumps({"regions": [r.as_record() for r in self.regions]}).encode()
        offset = aligned(max((region.end for region in self.regions), default=PAGE))
        head = _HEADER.pack(MAGIC, VERSION, offset, len(text), zlib.crc32(text))
        try:
            os.ftruncate(self._file, offset)
            os.pwrite(self._file, text, offset)
            os.fsync(self._file)
            os.pwrite(self._file, head, 0)
            os.fsync(self._file)
            os.replace(self.path + PART, self.path)
            os.unlink(self.path + JOURNAL)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self.finished = True

    def discard(self) -> None:
        """Remove what is unfinished."""
        for name in (self.path + PART, self.path + JOURNAL):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)

    def close(self) -> None:
        """Close the file; unfinished work stays for the next run."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def is_factor_file(path: str) -> bool:
    """Whether a file begins as a finished or unfinished factor file does."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _lock(descriptor: int, part: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise MachineError(
            "",
            got="a file that another nninvert works on",
            expected="one at a time",
            next_step="Wait for it, or choose another place with --scratch.",
            file=part,
        ) from error


def _journalled(records: list[journal.Record], part: str) -> list[Region]:
    """The regions as the journal last saw them."""
    if not records:
        return []
    if records[0].get("version") != VERSION:
        raise MachineError(
            "",
            got=f"factors of version {records[0].get('version')}, unfinished",
            expected=f"version {VERSION}",
            because="another version of nninvert left them",
            next_step="Delete the file and its journal, or go on with that version.",
            file=part,
        )
    regions: dict[int, Region] = {}
    for record in records[1:]:
        regions[int(record["place"])] = Region.from_record(record["region"])
    return [regions[place] for place in sorted(regions)]


def _manifest(descriptor: int, path: str) -> list[Region]:
    """The regions that a finished file lists."""
    head = os.pread(descriptor, _HEADER.size, 0)
    if not head.startswith(MAGIC) or len(head) < _HEADER.size:
        raise FormatError(
            "",
            got="no factor file",
            expected="one made by nninvert factor",
            file=path,
        )
    _, version, offset, length, check = _HEADER.unpack(head)
    if version != VERSION:
        raise FormatError(
            "version",
            got=str(version),
            expected=str(VERSION),
            next_step="Factor again with this version.",
            file=path,
        )
    text = os.pread(descriptor, length, offset) if length <= _MOST_MANIFEST else b""
    if not text or zlib.crc32(text) != check:
        raise FormatError(
            "manifest",
            got="text that differs from its checksum",
            expected="the list of matrices",
            because="the file is cut off or damaged",
            next_step="Factor again.",
            file=path,
        )
    regions = [Region.from_record(record) for record in json.loads(text)["regions"]]
    if any(region.end > os.fstat(descriptor).st_size for region in regions):
        raise InputError(
            "", got="a file that was cut off", expected="all factors", file=path
        )
    return regions


def _unwritable(path: str, error: OSError) -> OutputError:
    return OutputError(
        "factors",
        got=error.strerror or str(error),
        expected="a place that can be written",
        next_step="Choose another one with -o or --scratch.",
        file=path,
    )
