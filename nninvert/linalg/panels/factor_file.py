"""A file of factors: made panel by panel, resumable while it is made, checked when read.

Layout of version 1: one page with the magic, the version and the offset, length and CRC-32
of the manifest (zeros while unfinished); a region for each matrix (`Region`); the manifest,
a JSON text that lists the regions. While a file is made it bears the suffix ``.part`` and
has a journal beside it; both names vanish when it is finished.
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

from nninvert.errors import FormatError, MachineError, OutputError, printable
from nninvert.files import unreadable
from nninvert.linalg.panels import journal
from nninvert.linalg.panels.file_store import FileStore, Watch, unwatched
from nninvert.linalg.panels.region import PAGE, Region, Weights, aligned, find_region

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
            If another process works on it, it cannot be written, or what is there was
            left by another version of nninvert or by another program.
        """
        try:
            descriptor = _locked(path + PART)
            try:
                known = _journalled(descriptor, path)
                if known is None:
                    _start(descriptor, path)
                made = cls(path, descriptor, known or [], finished=False)
                for region in made.regions:
                    made._reserve(region)
            except BaseException:
                os.close(descriptor)
                raise
        except OSError as error:
            raise _unwritable(path, error) from error
        return made

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
        return find_region(self.regions, weights)

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
        self._reserve(region)
        self.regions.append(region)
        try:
            self._note(region)
        except OutputError:
            self.regions.remove(region)
            raise
        return region

    def _reserve(self, region: Region) -> None:
        """See that the disk has the space of a region; it may have lost it."""
        size = os.fstat(self._file).st_size
        if size >= region.end:
            return
        try:
            os.posix_fallocate(self._file, region.offset, region.nbytes)
        except OSError as error:
            os.ftruncate(self._file, size)
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise _unwritable(self.path, error) from error
            raise MachineError(
                "factors",
                got=f"no room for {region.nbytes / 1e9:.1f} GB",
                expected=f"a disk with that much free for a matrix of order {region.n:,}",
                next_step="Choose another disk with --scratch, or --engine iterative.",
                file=self.path + PART,
            ) from error

    def store(self, region: Region, watch: Watch = unwatched) -> FileStore:
        """The panels of a region; `watch` is told of sweeps over them.

        Raises
        ------
        FormatError
            If pivots of a finished file are damaged; those of an unfinished one can be
            made again (`FileStore.first_damaged`, `FileStore.forget`).
        """
        name = self.path if self.finished else self.path + PART
        store = FileStore(self._file, name, region, self._note, watch)
        if self.finished and len(store.pivots) < len(region.checks):
            raise _damaged("pivots", self.path)
        return store

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
        """Write the manifest of all finished regions and give the file its name.

        Raises
        ------
        OutputError
            If it cannot be written; the unfinished file stays.
        """
        done = [region.as_record() for region in self.regions if region.finished]
        text = json.dumps({"regions": done}).encode()
        offset = aligned(max((region.end for region in self.regions), default=PAGE))
        head = _HEADER.pack(MAGIC, VERSION, offset, len(text), zlib.crc32(text))
        try:
            os.ftruncate(self._file, offset)
            os.pwrite(self._file, text, offset)
            os.fsync(self._file)
            os.pwrite(self._file, head, 0)
            os.fsync(self._file)
            os.replace(self.path + PART, self.path)
            _sync_folder(self.path)
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


def _locked(part: str) -> int:
    """Open a file that nobody else works on."""
    while True:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_named(descriptor, part):
                return descriptor
        except BlockingIOError as error:
            os.close(descriptor)
            raise MachineError(
                "",
                got="a file that another nninvert works on",
                expected="one at a time",
                next_step="Wait for it, or choose another place with --scratch.",
                file=part,
            ) from error
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_named(descriptor: int, part: str) -> bool:
    """Whether this is still the file's name: who held the lock may have finished it."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(part))
    except FileNotFoundError:
        return False


def _start(descriptor: int, path: str) -> None:
    """Begin anew, whatever was left."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path + JOURNAL)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, _HEADER.pack(MAGIC, VERSION, 0, 0, 0).ljust(PAGE, b"\0"), 0)
    os.fsync(descriptor)
    journal.append(path + JOURNAL, {"format": "nninvert factors", "version": VERSION})
    _sync_folder(path)


def _journalled(descriptor: int, path: str) -> list[Region] | None:
    """The regions as the journal last saw them; None if nothing was begun."""
    head = os.pread(descriptor, len(MAGIC), 0)
    if not head.strip(b"\0"):
        return None
    if head != MAGIC:
        raise MachineError(
            "",
            got="a file that another program wrote",
            expected="none, or unfinished factors",
            because="factors bear this name until they are finished",
            next_step="Choose another name, or move that file away.",
            file=path + PART,
        )
    notes = path + JOURNAL
    records = journal.read(notes) if os.path.exists(notes) else []
    return _regions(records, path + PART) if records else None


def _regions(records: list[journal.Record], part: str) -> list[Region]:
    regions: dict[int, Region] = {}
    try:
        version = records[0]["version"]
        if version == VERSION:
            for record in records[1:]:
                regions[int(record["place"])] = Region.from_record(record["region"])
    except (KeyError, TypeError, ValueError):
        version = "unknown"
    if version != VERSION:
        raise MachineError(
            "",
            got=f"factors of version {printable(version)}, unfinished",
            expected=f"version {VERSION}",
            because="another version of nninvert left them",
            next_step="Delete the file and its journal, or go on with that version.",
            file=part,
        )
    return [regions[place] for place in sorted(regions)]


def _sync_folder(path: str) -> None:
    """See the names of files to the disk, too."""
    folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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
    if offset == 0:
        raise FormatError(
            "",
            got="factors that are not finished",
            expected="all of them",
            next_step="Factor again under the same name: it goes on from there.",
            file=path,
        )
    size = os.fstat(descriptor).st_size
    there = length <= min(_MOST_MANIFEST, size - offset)
    text = os.pread(descriptor, length, offset) if there else b""
    if not text or zlib.crc32(text) != check:
        raise _damaged("manifest", path)
    try:
        regions = [Region.from_record(record) for record in json.loads(text)["regions"]]
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged("manifest", path) from error
    if any(not region.finished or region.end > size for region in regions):
        raise _damaged("manifest", path)
    return regions


def _damaged(field: str, path: str) -> FormatError:
    return FormatError(
        field,
        got="data that differ from their checksum",
        expected="factors as they were written",
        because="the file is cut off or damaged",
        next_step="Factor again.",
        file=path,
    )


def _unwritable(path: str, error: OSError) -> OutputError:
    return OutputError(
        "factors",
        got=error.strerror or str(error),
        expected="a place that can be written",
        next_step="Choose another one with -o or --scratch.",
        file=path,
    )
