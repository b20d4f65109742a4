"""Whole processes side by side: wall time and peak memory, medians, ratios."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LAUNCHER = str(Path(__file__).resolve().parent / "launch.py")


@dataclass(frozen=True)
class Run:
    """What one process took, wall time and peak resident memory, and what it said."""

    seconds: float
    peak: int
    output: str
    errors: str


def run(command: Sequence[str], folder: str) -> Run:
    """Run a process that must succeed, started by a small one: see `launch.py`.

    It may write bytecode of what it imports, as installed programs have it.
    """
    unwanted = "PYTHONDONTWRITEBYTECODE"
    with tempfile.TemporaryDirectory() as notes:
        report = Path(notes, "report")
        done = subprocess.run(
            [sys.executable, "-I", "-S", LAUNCHER, str(report), *command],
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name != unwanted},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(
                f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}"
            )
        seconds, peak = report.read_text().split()
    return Run(float(seconds), int(peak), done.stdout, done.stderr)


@dataclass(frozen=True)
class Median:
    """Medians over the repetitions of one command."""

    seconds: float
    peak: int
    outputs: tuple[str, ...]


def once(found: Run) -> Median:
    """What took so long that it was run but once."""
    return Median(found.seconds, found.peak, (found.output,))


def side_by_side(
    commands: Sequence[Sequence[str]], folder: str, times: int
) -> list[Median]:
    """Run commands in turn, `times` rounds after one that warms the file cache up."""
    rounds = [[run(command, folder) for command in commands] for _ in range(times + 1)]
    found = []
    for runs in zip(*rounds[1:], strict=True):
        found.append(
            Median(
                statistics.median(r.seconds for r in runs),
                int(statistics.median(r.peak for r in runs)),
                tuple(r.output for r in runs),
            )
        )
    return found


def nninvert(*arguments: str) -> list[str]:
    """The command line of this interpreter's nninvert."""
    return [sys.executable, "-m", "nninvert", *arguments]


def machine_facts() -> str:
    """One line about the machine and the libraries."""
    import h5py
    import numpy
    import scipy

    model = "unknown processor"
    table = Path("/proc/cpuinfo")
    if table.exists():
        names = [line for line in table.read_text().splitlines() if "model name" in line]
        model = names[0].partition(":")[2].strip() if names else model
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"Python {platform.python_version()}, numpy {numpy.__version__}, "
        f"scipy {scipy.__version__}, h5py {h5py.__version__}"
    )
