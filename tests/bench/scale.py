"""Large layers: nninvert beside what people do without it.

Run on an idle machine, with the interpreter that has nninvert installed::

    python tests/bench/scale.py FOLDER [CASE ...]

FOLDER is on a disk with 40 GB free; models are written there once and kept. Without a CASE
the names are printed. Each case prints its rows: medians in alternation, and ratios.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import large_models
from processes import Median, machine_facts, nninvert, once, run, side_by_side

HERE = Path(__file__).resolve().parent
PLAIN, INSIDE = str(HERE / "plain.py"), str(HERE / "inside.py")


def line(name: str, mine: Median, theirs: Median, more: str = "") -> None:
    """One row of the table."""
    print(
        f"{name:34} {mine.seconds:9.2f} {theirs.seconds:9.2f} "
        f"{mine.seconds / theirs.seconds:6.2f} "
        f"{mine.peak / 2**20:8.0f} {theirs.peak / 2**20:8.0f} "
        f"{mine.peak / theirs.peak:6.2f}  {more}",
        flush=True,
    )


def error(folder: str, found: str, truth: str) -> float:
    """Largest relative error of a row."""
    x, x0 = (np.atleast_2d(np.load(Path(folder, name))) for name in (found, truth))
    return float((np.linalg.norm(x - x0, axis=1) / np.linalg.norm(x0, axis=1)).max())


def inverting(rows: int) -> Callable[[str], None]:
    """N = 10,000, tanh, float32 in HDF5, whole processes."""

    def case(folder: str) -> None:
        model, y, x = large_models.dense(folder, 10_000, rows)
        mine, theirs = side_by_side(
            [
                nninvert("invert", model, y, "-o", "mine.npy"),
                [sys.executable, PLAIN, "solve", model, y, "plain.npy"],
            ],
            folder,
            5,
        )
        errors = error(folder, "mine.npy", x), error(folder, "plain.npy", x)
        line(
            f"invert 10,000, {rows:,} targets",
            mine,
            theirs,
            f"error of x {errors[0]:.1e} and {errors[1]:.1e}",
        )

    return case


def checking(n: int, times: int) -> Callable[[str], None]:
    """``check`` beside ``numpy.linalg.cond``, whole processes."""

    def case(folder: str) -> None:
        model, _, _ = large_models.dense(folder, n, 1)
        mine, theirs = side_by_side(
            [nninvert("check", model, "--json"), [sys.executable, PLAIN, "cond", model]],
            folder,
            times,
        )
        estimate = json.loads(mine.outputs[0])["layers"][0]["condition"]["value"]
        true = float(theirs.outputs[0])
        line(f"check {n:,}", mine, theirs, f"estimate / true = {estimate / true:.3f}")

    return case


def panels(folder: str) -> None:
    """One sgetrf call beside panels, n = 16,000, in memory, inside one process."""
    print(run([sys.executable, INSIDE, "rate", "16000", "5"], folder).output, end="")


def out_of_core(folder: str) -> None:
    """n = 20,000 with 512 MiB beside the same in memory; the whole inversion."""
    model, y, _ = large_models.dense(folder, 20_000, 1)
    mine, theirs = side_by_side(
        [
            nninvert("invert", model, y, "-o", "mine.npy", "--memory", "512MiB"),
            nninvert("invert", model, y, "-o", "plain.npy", "--engine", "panel"),
        ],
        folder,
        3,
    )
    bare = run([sys.executable, INSIDE, "imports"], folder)
    room = (mine.peak - bare.peak) / 2**20
    line("out of core 20,000, 512 MiB", mine, theirs, f"peak - imports = {room:.0f} MiB")


def beyond(folder: str) -> None:
    """n = 48,000 in memory, where one sgetrf call crashes."""
    model, y, x = large_models.dense(folder, 48_000, 1)
    found = run(nninvert("invert", model, y, "-o", "mine.npy", "--json"), folder)
    solved = json.loads(found.output)["solves"][0]
    print(
        f"invert 48,000: {found.seconds:.0f} s, peak {found.peak / 2**30:.1f} GiB, "
        f"backward error {solved['backward_error']:.1e}, "
        f"error of x {error(folder, 'mine.npy', x):.1e}",
        flush=True,
    )


def sparse(kind: str) -> Callable[[str], None]:
    """N = 100,000 sparse beside ``scipy.sparse.linalg.spsolve``, inside one process."""

    def case(folder: str) -> None:
        model, y, _ = large_models.sparse(folder, kind, 100_000)
        command = [sys.executable, INSIDE, "sparse", model, y, "5"]
        print(run(command, folder).output, end="")

    return case


def iterating(kind: str) -> Callable[[str], None]:
    """Well-conditioned dense N = 30,000: what auto chooses beside LU."""

    def case(folder: str) -> None:
        model, y, x = large_models.well_conditioned(folder, kind, 30_000)
        mine, theirs = (
            once(run(command, folder))
            for command in (
                nninvert("invert", model, y, "-o", "mine.npy"),
                nninvert("invert", model, y, "-o", "plain.npy", "--engine", "panel"),
            )
        )
        errors = error(folder, "mine.npy", x), error(folder, "plain.npy", x)
        about = f"error of x {errors[0]:.1e} and {errors[1]:.1e}"
        line(f"{kind} 30,000", mine, theirs, about)

    return case


def growth(folder: str) -> None:
    """How time and memory grow with N, one target."""
    print(f"{'N':>8} {'invert s':>9} {'MiB':>7} {'check s':>9} {'MiB':>7}")
    for n in (2_000, 5_000, 10_000, 20_000, 32_000, 48_000):
        model, y, _ = large_models.dense(folder, n, 1)
        inverted = run(nninvert("invert", model, y, "-o", "mine.npy"), folder)
        checked = run(nninvert("check", model, "--json"), folder)
        print(
            f"{n:8,} {inverted.seconds:9.1f} {inverted.peak / 2**20:7.0f} "
            f"{checked.seconds:9.1f} {checked.peak / 2**20:7.0f}",
            flush=True,
        )


CASES: dict[str, Callable[[str], None]] = {
    "invert-1": inverting(1),
    "invert-100": inverting(100),
    "invert-1000": inverting(1000),
    "check-5000": checking(5_000, 5),
    "check-10000": checking(10_000, 1),
    "panels": panels,
    "out-of-core": out_of_core,
    "sparse-banded": sparse("banded"),
    "sparse-grid": sparse("grid"),
    "sparse-dominant": sparse("dominant"),
    "orthogonal": iterating("orthogonal"),
    "near-identity": iterating("near-identity"),
    "growth": growth,
    "beyond": beyond,
}


def main() -> None:
    """Run the cases that were named."""
    if len(sys.argv) < 3:
        sys.exit(f"usage: scale.py FOLDER CASE ...   cases: {' '.join(CASES)}")
    folder = sys.argv[1]
    Path(folder).mkdir(parents=True, exist_ok=True)
    print(machine_facts())
    print(
        f"{'case':34} {'seconds':>9} {'other':>9} {'ratio':>6} {'MiB':>8} {'other':>8} "
        f"{'ratio':>6}"
    )
    for name in sys.argv[2:]:
        CASES[name](folder)


if __name__ == "__main__":
    main()
