"""A long fuzz of every reader; run by hand, for example::

    python tests/fuzz/long_fuzz.py keras-archive --count 100000
    python tests/fuzz/long_fuzz.py keras-archive --only 4711 --save case

Cases are read in child processes under limits of memory and CPU time. Nothing may come out
of a reader but `NninvertError`; a warning counts as escaped, too. A child that crashes or
takes too long is charged to the case that it was reading, which is kept as a file, and the
next child goes on behind it. Without a reader: all of them.
"""

import argparse
import datetime
import os
import platform
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import h5py
import numpy as np
from fuzz_child import Tally, explore, read_case, save_case
from fuzz_targets import TARGETS, Target

BATCH = 5_000
"""Cases for each child: what a library leaves behind does not add up."""

_COLUMNS = "inputs refused opened escaped slow timeouts in-HDF5 crashes"
TITLE = (
    f"{'reader':18} " + " ".join(f"{name:>9}" for name in _COLUMNS.split()) + "    slowest"
)


def fuzz(name: str, target: Target, first: int, count: int, keep: Path) -> Tally:
    """Read `count` cases and say how they ended."""
    tally = Tally()
    at, stop = first, first + count
    while at < stop:
        at = explore(name, target, at, min(stop, at + BATCH), keep, tally)
    return tally


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A long fuzz of the readers.")
    parser.add_argument("reader", nargs="*", metavar="READER", help=", ".join(TARGETS))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument(
        "--only", type=int, help="read this one case, here, under no limits"
    )
    parser.add_argument("--save", type=Path, help="with --only: a folder for its files")
    parser.add_argument("--keep", type=Path, default=Path("fuzz_found"))
    return parser.parse_args()


def _facts() -> str:
    """What the counts may depend on."""
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
    hdf5 = f"h5py {h5py.__version__} with HDF5 {h5py.version.hdf5_version}"
    day = datetime.datetime.now(tz=datetime.UTC).date()
    return f"{day}, {platform.system()} {platform.machine()}, {versions}, {hdf5}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Print a line for each reader; 1 if anything escaped, crashed or took too long."""
    given = _arguments()
    if given.only is None:
        _say(f"{_facts()}\n{TITLE}")
    bad = 0
    for name in given.reader or TARGETS:
        target = TARGETS[name]()
        if given.only is not None:
            if given.save is not None:
                save_case(name, target, given.only, given.save)
            _say(read_case(name, target, given.only))
            continue
        begun = time.monotonic()
        tally = fuzz(name, target, given.first, given.count, given.keep)
        _say(f"{name:18} {tally.line()} {time.monotonic() - begun:7.0f} s")
        for kind, times in tally.kinds.most_common():
            _say(f"    {times:9,} {kind}")
        bad += tally.bad()
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
