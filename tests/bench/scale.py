"""Large layers: nninvert beside what people do without it.

Run on an idle machine, with the interpreter that has nninvert installed::

    python tests/bench/scale.py FOLDER [CASE ...]

FOLDER is on a disk with 40 GB free; models are written there once and kept, those of
``growth`` until they were measured. Without a CASE the names are printed. Each case prints
its rows: medians in alternation, and ratios. A case takes other sizes after a colon:
``growth:2000,5000``.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import large_models
from processes import Median, machine_facts, nninvert, once, run, side_by_side

Case = Callable[[str, int], None]

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


def inverting(rows: int) -> Case:
    """Tanh, float32 in HDF5, whole processes."""

    def case(folder: str, n: int) -> None:
        model, y, x = large_models.dense(folder, n, rows)
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
            f"invert {n:,}, {rows:,} targets",
            mine,
            theirs,
            f"error of x {errors[0]:.1e} and {errors[1]:.1e}",
        )

    return case


def checking(times: int) -> Case:
    """``check`` beside ``numpy.linalg.cond``, whole processes."""

    def case(folder: str, n: int) -> None:
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


def panels(folder: str, n: int) -> None:
    """One sgetrf call beside panels, in memory, inside one process."""
    print(run([sys.executable, INSIDE, "rate", str(n), "5"], folder).output, end="")


def out_of_core(folder: str, n: int) -> None:
    """With 512 MiB beside the same in memory; the whole inversion."""
    model, y, _ = large_models.dense(folder, n, 1)
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
    line(f"out of core {n:,}, 512 MiB", mine, theirs, f"peak - imports = {room:.0f} MiB")


def beyond(folder: str, n: int) -> None:
    """In memory, where one sgetrf call crashes."""
    model, y, x = large_models.dense(folder, n, 1)
    found = run(nninvert("invert", model, y, "-o", "mine.npy", "--json"), folder)
    solved = json.loads(found.output)["solves"][0]
    print(
        f"invert {n:,}: {found.seconds:.0f} s, peak {found.peak / 2**30:.1f} GiB, "
        f"backward error {solved['backward_error']:.1e}, "
        f"error of x {error(folder, 'mine.npy', x):.1e}",
        flush=True,
    )


def sparse(kind: str) -> Case:
    """A sparse layer beside ``scipy.sparse.linalg.spsolve``, inside one process."""

    def case(folder: str, n: int) -> None:
        model, y, _ = large_models.sparse(folder, kind, n)
        command = [sys.executable, INSIDE, "sparse", model, y, "5"]
        print(run(command, folder).output, end="")

    return case


def iterating(kind: str) -> Case:
    """A well-conditioned dense layer: what auto chooses beside LU."""

    def case(folder: str, n: int) -> None:
        model, y, x = large_models.well_conditioned(folder, kind, n)
        mine, theirs = (
            once(run(command, folder))
            for command in (
                nninvert("invert", model, y, "-o", "mine.npy"),
                nninvert("invert", model, y, "-o", "plain.npy", "--engine", "panel"),
            )
        )
        errors = error(folder, "mine.npy", x), error(folder, "plain.npy", x)
        about = f"error of x {errors[0]:.1e} and {errors[1]:.1e}"
        line(f"{kind} {n:,}", mine, theirs, about)

    return case


def growth(folder: str, n: int) -> None:
    """How time and memory grow with N, one target: a row of a table in Markdown.

    Up to 10,000 the median of three, else once. The files are deleted in the end.
    """
    own = Path(folder, f"growth-{n}")
    own.mkdir()
    try:
        tell(f"{n:,}: writing {4e-9 * n * n:.1f} GB")
        model, y, x = large_models.dense(str(own), n, 1)
        commands = (
            nninvert("invert", model, y, "-o", "mine.npy"),
            nninvert("check", model, "--json"),
        )
        tell(f"{n:,}: inverting and checking")
        if n <= 10_000:
            inverted, checked = side_by_side(commands, str(own), 3)
        else:
            inverted, checked = (once(run(command, str(own))) for command in commands)
        wrong = error(str(own), "mine.npy", x)
    finally:
        shutil.rmtree(own)
    condition = json.loads(checked.outputs[0])["layers"][0]["condition"]["value"]
    sizes = [inverted.seconds, inverted.peak / 2**20, checked.seconds, checked.peak / 2**20]
    numbers = [f"{sizes[k]:,.{1 - k % 2}f}" for k in range(4)]
    print(
        f"| {n:,} | {4e-6 * n * n:,.0f} | {' | '.join(numbers)} | {wrong:.0e} | "
        f"{condition:.0e} |",
        flush=True,
    )


GROWTH = (
    "| N | weights, MB | invert, s | peak, MiB | check, s | peak, MiB | error of x "
    "| condition |\n"
    "|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def tell(what: str) -> None:
    """Say what is going on to who watches, not in the results."""
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


CASES: dict[str, tuple[Case, tuple[int, ...]]] = {
    "invert-1": (inverting(1), (10_000,)),
    "invert-100": (inverting(100), (10_000,)),
    "invert-1000": (inverting(1000), (10_000,)),
    "check-5000": (checking(5), (5_000,)),
    "check-10000": (checking(1), (10_000,)),
    "panels": (panels, (16_000,)),
    "out-of-core": (out_of_core, (20_000,)),
    "sparse-banded": (sparse("banded"), (100_000,)),
    "sparse-grid": (sparse("grid"), (100_000,)),
    "sparse-dominant": (sparse("dominant"), (100_000,)),
    "orthogonal": (iterating("orthogonal"), (30_000,)),
    "near-identity": (iterating("near-identity"), (30_000,)),
    "growth": (growth, (2_000, 5_000, 10_000, 20_000, 32_000, 48_000)),
    "beyond": (beyond, (48_000,)),
}


def run_case(folder: str, wanted: str) -> None:
    """Run a case, "NAME" or "NAME:SIZE,SIZE,...", for each of its sizes."""
    name, _, given = wanted.partition(":")
    case, usual = CASES[name]
    sizes: Sequence[int] = [int(n) for n in given.split(",")] if given else usual
    if name == "growth":
        print(GROWTH)
    for n in sizes:
        case(folder, n)


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
    for wanted in sys.argv[2:]:
        run_case(folder, wanted)


if __name__ == "__main__":
    main()
