"""Matrices that lie in a file as one piece, read and never mapped.

The pages of a memory map count as memory of the process, and a file that is cut off
while it is mapped kills the process that touches it. Reads do neither.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO

import numpy as np

from nninvert.errors import InputError
from nninvert.files import unreadable
from nninvert.linalg.casting import BFLOAT16, cast, decode_bfloat16
from nninvert.linalg.stored import Array, StoredMatrix

_CAST_BYTES = 1 << 20
"""Bytes read before they are cast: they are still in the cache then."""

_READ_BYTES = 1 << 26
"""Most bytes asked of the system at once: between two requests signals are heard."""

_PIECE_BYTES = 1 << 14
"""Parts of rows from here on are read one by one; around smaller ones, whole rows."""


class FileMatrix(StoredMatrix):
    """A matrix whose rows follow one another in a file.

    The file is opened for each block, or once for a pass through the whole matrix.

    Parameters
    ----------
    path : str
    offset : int
        Of the first value, in bytes.
    shape : (int, int)
    dtype : dtype
        Floating point in either byte order; two opaque bytes stand for bfloat16.
    name : str, default ""
        Of the array in the file, for messages.

    Raises
    ------
    InputError
        By all that reads: if the file cannot be read, or was cut off or written to
        since this object was made.
    """

    def __init__(
        self,
        path: str,
        offset: int,
        shape: tuple[int, int],
        dtype: np.dtype[np.generic],
        name: str = "",
    ) -> None:
        opaque = dtype.kind == "V"
        super().__init__(
            shape, np.float32 if opaque else dtype, BFLOAT16 if opaque else None
        )
        self.path, self.offset, self.name = path, offset, name
        self._raw = np.dtype(np.uint16 if opaque else dtype)
        self._state = _state_of(os.stat(path))

    def read(self, rows: slice, cols: slice, out: Array | None = None) -> Array:
        """Read a block: whole rows as one piece, parts of rows one by one."""
        top, bottom, _ = rows.indices(self.shape[0])
        left, right, _ = cols.indices(self.shape[1])
        if out is None:
            out = np.empty((max(bottom - top, 0), max(right - left, 0)), self.dtype)
        if out.size == 0:
            return out
        whole = right - left == self.shape[1]
        with self._opened() as stream:
            if whole and out.dtype == self._raw and out.flags.c_contiguous:
                self._fill(stream, top * self.shape[1], out)
                return out
            step = max(1, _CAST_BYTES // ((right - left) * self._raw.itemsize))
            buffer = np.empty((min(step, bottom - top), right - left), self._raw)
            for start in range(top, bottom, step):
                raw = buffer[: min(step, bottom - start)]
                self._fill_part(stream, start, left, raw)
                self._decode(raw, out[start - top : start - top + raw.shape[0]])
        return out

    def part(self, lines: slice) -> StoredMatrix:
        """A piece of the same file, under a handle of its own."""
        first, last, _ = lines.indices(self.shape[0])
        made = copy.copy(self)
        made.shape = (last - first, self.shape[1])
        made.offset += first * self.shape[1] * self._raw.itemsize
        made.identity = (*self.identity, f"{first}:{last}")
        return made

    def _lines(self, count: int) -> Iterator[tuple[slice, Array]]:
        m, n = self.shape
        raw = np.empty((min(count, m), n), self._raw)
        native = raw if self._raw == self.dtype else np.empty(raw.shape, self.dtype)
        with self._opened() as stream:
            for start in range(0, m if n else 0, count):
                lines = min(count, m - start)
                self._fill(stream, start * n, raw[:lines])
                if native is not raw:
                    self._decode(raw[:lines], native[:lines])
                yield slice(start, start + lines), native[:lines]

    def _fill_part(self, stream: FileIO, top: int, left: int, raw: Array) -> None:
        """Read the columns from `left` of the rows from `top` that `raw` has room for."""
        n, width = self.shape[1], raw.shape[1]
        if width == n:
            self._fill(stream, top * n, raw)
        elif width * self._raw.itemsize >= min(_PIECE_BYTES, n * self._raw.itemsize // 2):
            for k in range(raw.shape[0]):
                self._fill(stream, (top + k) * n + left, raw[k])
        else:
            step = max(1, _CAST_BYTES // (n * self._raw.itemsize))
            rows = np.empty((min(step, raw.shape[0]), n), self._raw)
            for start in range(0, raw.shape[0], step):
                part = rows[: min(step, raw.shape[0] - start)]
                self._fill(stream, (top + start) * n, part)
                raw[start : start + part.shape[0]] = part[:, left : left + width]

    def _decode(self, raw: Array, out: Array) -> None:
        if self.stored_name != BFLOAT16:
            cast(raw, out)
        elif out.dtype == np.float32 and out.flags.c_contiguous:
            decode_bfloat16(raw, out)
        else:
            single = np.empty(raw.shape, np.float32)
            decode_bfloat16(raw, single)
            cast(single, out)

    def _fill(self, stream: FileIO, first: int, raw: Array) -> None:
        """Read the values from number `first` on into a C-ordered array."""
        stream.seek(self.offset + first * self._raw.itemsize)
        view = raw.reshape(-1).view(np.uint8).data
        done = 0
        while done < len(view):
            count = stream.readinto(view[done : done + _READ_BYTES])
            if not count:
                raise self._changed("it ends before the last value")
            done += count

    @contextmanager
    def _opened(self) -> Iterator[FileIO]:
        """The file, unbuffered; what was read counts if it is unchanged in the end."""
        try:
            with FileIO(self.path) as stream:
                yield stream
                if _state_of(os.fstat(stream.fileno())) != self._state:
                    raise self._changed("another size, date or file")
        except OSError as error:
            raise unreadable(self.path, error) from error

    def _changed(self, got: str) -> InputError:
        return InputError(
            f"'{self.name}'" if self.name else "",
            got=f"a file that changed while it was in use: {got}",
            expected="weights that stay as they are",
            next_step="Run the command again when the file is complete.",
            file=self.path,
        )


def _state_of(status: os.stat_result) -> tuple[int, int, int]:
    """What changes when a file is written to or replaced."""
    return status.st_ino, status.st_size, status.st_mtime_ns
