"""Panels in a file: finished blocks are written once and streamed back, read ahead."""

from __future__ import annotations

import contextlib
import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from nninvert.errors import FormatError, MachineError
from nninvert.linalg.panels.kernels import Block, Pivots
from nninvert.linalg.panels.region import Region
from nninvert.linalg.panels.store import PanelStore

_MOST = 1 << 30
"""Bytes of one read or write: Linux moves less than 2 GiB at a time."""

Piece = tuple[int, tuple[int, int]]


Watch = Callable[[int, int], None]


def unwatched(done: int, total: int) -> None:
    """Nobody looks at a sweep."""


class FileStore(PanelStore):
    """The blocks of one matrix in a region of an open file.

    Two buffers hold one block each while blocks are streamed: one is used, the next is
    read. Each piece is
    compared with its checksum the first time that it is read. Pivots are read at once:
    there are fewer of them than finished blocks if some are damaged (`first_damaged`).

    Parameters
    ----------
    descriptor : int
        Of the open file; not closed here.
    path : str
        Its name, for messages.
    region : Region
    journal : callable
        Told of the region after each step that is safely on the disk.
    watch : callable
        Told of every sweep how many blocks of how many are done; what it raises ends it.
    """

    def __init__(
        self,
        descriptor: int,
        path: str,
        region: Region,
        journal: Callable[[Region], None],
        watch: Watch = unwatched,
    ) -> None:
        self._file, self._path, self._region = descriptor, path, region
        self._journal, self._watch = journal, watch
        self._since = time.monotonic()
        self._seen: set[int] = set()
        self.cuts, self.dtype = region.cuts, np.dtype(region.dtype)
        self.zero_pivots = region.zero_pivots
        self.pivots = []
        with contextlib.suppress(FormatError):
            for k in range(len(region.checks)):
                self.pivots.append(self._read_pivots(k))

    @property
    def nbytes(self) -> int:
        """Nothing: the resident panel and the buffers are held only while work is done."""
        return 0

    def resident(self, first: int, last: int) -> Block:
        """New memory, the caller's to let go."""
        columns = self.cuts.stop(last - 1) - self.cuts.start(first)
        return np.empty((self.cuts.n, columns), self.dtype, order="F")

    def keep(
        self, first: int, panel: Block, pivots: list[Pivots], zeros: list[int]
    ) -> None:
        """Write blocks from `first` on, see them to the disk and journal them."""
        region, offset = self._region, self.cuts.start(first)
        checks = []
        for k, found in enumerate(pivots, first):
            start, stop = self.cuts.start(k), self.cuts.stop(k)
            columns = panel[:, start - offset : stop - offset]
            lower = self._write(region.lower(k)[0], columns[start:])
            upper = self._write(region.upper(k)[0], columns[:stop])
            self._put(region.pivots(k)[0], found)
            checks.append([lower, upper, zlib.crc32(found.data)])
        self._flush()
        region.checks += checks
        region.zero_pivots += zeros
        now = time.monotonic()
        region.seconds += now - self._since
        self._since = now
        self.pivots += pivots
        self._journal(region)

    def lowers(self, blocks: Iterable[int]) -> Iterator[Block]:
        """Read ahead in order."""
        pieces = [(self._region.lower(k), self._region.checks[k][0]) for k in blocks]
        return self._streamed(pieces)

    def uppers(self, blocks: Iterable[int]) -> Iterator[Block]:
        """Read ahead in order."""
        pieces = [(self._region.upper(k), self._region.checks[k][1]) for k in blocks]
        return self._streamed(pieces)

    def first_damaged(self) -> int | None:
        """The first block with a piece that differs from its checksum: reads them all."""
        self._seen.clear()
        region, known, buffer = self._region, len(self.pivots), self._room()
        for k in range(known):
            self._watch(k, known)
            lower, upper, _ = region.checks[k]
            try:
                self._read(region.lower(k), lower, buffer)
                self._read(region.upper(k), upper, buffer)
            except FormatError:
                return k
        return known if known < len(region.checks) else None

    def forget(self, block: int) -> None:
        """Drop a finished block and all after it, to be made again, and journal that."""
        region, start = self._region, self.cuts.start(block)
        del region.checks[block:], self.pivots[block:]
        region.zero_pivots[:] = [k for k in region.zero_pivots if k < start]
        self._journal(region)

    def _streamed(self, pieces: list[tuple[Piece, int]]) -> Iterator[Block]:
        buffers = self._room(), self._room()
        with ThreadPoolExecutor(max_workers=1) as reader:
            pending = [
                reader.submit(self._read, piece, check, buffers[k % 2])
                for k, (piece, check) in enumerate(pieces[:1])
            ]
            for k in range(len(pieces)):
                block = pending.pop().result()
                if k + 1 < len(pieces):
                    piece, check = pieces[k + 1]
                    buffer = buffers[(k + 1) % 2]
                    pending.append(reader.submit(self._read, piece, check, buffer))
                self._watch(k, len(pieces))
                yield block

    def _room(self) -> Block:
        """Memory for one block."""
        return np.empty(self.cuts.n * min(self.cuts.width, self.cuts.n), self.dtype)

    def _read(self, piece: Piece, check: int, buffer: Block) -> Block:
        offset, (rows, columns) = piece
        flat = buffer[: rows * columns]
        self._get(offset, flat)
        if offset not in self._seen:
            if zlib.crc32(flat.data) != check:
                raise self._damaged(offset)
            self._seen.add(offset)
        return flat.reshape((rows, columns), order="F")

    def _read_pivots(self, block: int) -> Pivots:
        offset, count = self._region.pivots(block)
        found = np.empty(count, np.int32)
        self._get(offset, found)
        if zlib.crc32(found.data) != self._region.checks[block][2]:
            raise self._damaged(offset)
        return found

    def _write(self, offset: int, block: Block) -> int:
        """Write a block, column by column; its checksum."""
        buffer = block.ravel(order="F")
        self._seen.discard(offset)
        self._put(offset, buffer)
        return zlib.crc32(buffer.data)

    def _put(self, offset: int, values: np.ndarray) -> None:
        view = values.data.cast("B")
        try:
            while view:
                written = os.pwrite(self._file, view[:_MOST], offset)
                view, offset = view[written:], offset + written
        except OSError as error:
            raise self._failed(error) from error

    def _get(self, offset: int, values: np.ndarray) -> None:
        view = values.data.cast("B")
        try:
            while view:
                count = os.preadv(self._file, [view[:_MOST]], offset)
                if count == 0:
                    raise self._damaged(offset)
                view, offset = view[count:], offset + count
        except OSError as error:
            raise self._failed(error) from error

    def _flush(self) -> None:
        try:
            os.fdatasync(self._file)
        except OSError as error:
            raise self._failed(error) from error

    def _damaged(self, offset: int) -> FormatError:
        return FormatError(
            f"byte {offset:,}",
            got="numbers that differ from their checksum",
            expected="the factors as they were written",
            next_step="Delete the file and factor again.",
            file=self._path,
        )

    def _failed(self, error: OSError) -> MachineError:
        return MachineError(
            "factors",
            got=error.strerror or str(error),
            expected="a disk that can be read and written",
            because="the factors do not fit into memory",
            next_step="What is finished is kept: run the same command again to go on.",
            file=self._path,
        )
