"""A journal: one checked line for each finished step, so that a killed run can go on.

Each line is the CRC-32 of a JSON text, a blank and that text. A line that was cut off, or
whose checksum differs, ends the journal: everything before it is true.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from typing import Any

Record = dict[str, Any]


def append(path: str, record: Record) -> None:
    """Add a record and see it to the disk.

    Raises
    ------
    OSError
        If it cannot be written; what was there stays.
    """
    text = json.dumps(record, separators=(",", ":"))
    rest = memoryview(f"{zlib.crc32(text.encode()):08x} {text}\n".encode("ascii"))
    with open(path, "ab", buffering=0) as file:
        end = file.tell()
        try:
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            # Half a line would hide all that are added later.
            with contextlib.suppress(OSError):
                file.truncate(end)
            raise


def read(path: str) -> list[Record]:
    """The records up to the first damaged line, which is cut off with all that follows."""
    records: list[Record] = []
    good = 0
    with open(path, "rb") as file:
        for line in file:
            record = _parsed(line)
            if record is None:
                break
            records.append(record)
            good += len(line)
    if good < os.path.getsize(path):
        os.truncate(path, good)
    return records


def _parsed(line: bytes) -> Record | None:
    check, _, text = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or f"{zlib.crc32(text):08x}".encode() != check:
        return None
    try:
        record = json.loads(text)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
