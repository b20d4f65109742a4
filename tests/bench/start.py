"""How long a command takes to start, beside the bare imports that it cannot do without.

Run with the interpreter that has nninvert installed::

    python tests/bench/start.py

Prints a table of whole-process wall times, medians of 5 in alternation, and their ratio
to the imports named beside them.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPEATS = 5
SAMPLES = Path(__file__).resolve().parents[2] / "sample_models"

NUMERICS = "import typer, numpy, scipy.linalg, h5py"
CASES = [
    ("--version", ["--version"], "pass"),
    ("--help", ["--help"], "import typer"),
    ("check camera.h5", ["check", str(SAMPLES / "camera.h5")], NUMERICS),
    (
        "invert camera.h5 camera_y.npy",
        [
            "invert",
            str(SAMPLES / "camera.h5"),
            str(SAMPLES / "camera_y.npy"),
            "-o",
            "x.npy",
        ],
        NUMERICS,
    ),
]


def seconds(command: list[str], folder: str) -> float:
    """Wall time of one process that must succeed."""
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    """Time every case against its imports."""
    print(f"{'command':32} {'seconds':>8} {'imports':>8} {'ratio':>6}  imports")
    with tempfile.TemporaryDirectory() as folder:
        for name, arguments, imports in CASES:
            ours, bare = [], []
            for _ in range(REPEATS + 1):
                ours.append(seconds([sys.executable, "-m", "nninvert", *arguments], folder))
                bare.append(seconds([sys.executable, "-c", imports], folder))
            # The first pair warms the file cache and is left out.
            mine, theirs = statistics.median(ours[1:]), statistics.median(bare[1:])
            print(f"{name:32} {mine:8.3f} {theirs:8.3f} {mine / theirs:6.2f}  {imports}")


if __name__ == "__main__":
    main()
