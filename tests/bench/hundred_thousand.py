"""N = 100,000 on one machine: factored in pieces, killed once, resumed, judged.

Takes about two hours on 2 cores and 60 GB of disk; what it prints is the log::

    python tests/bench/hundred_thousand.py FOLDER [N [MEMORY [SECONDS_UNTIL_KILLED]]]
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import large_models
from big_models import write_dense
from processes import machine_facts, nninvert, run

BLOCK = 512


def say(text: str) -> None:
    """One line of the log, with the time of day."""
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


def model_and_targets(folder: str, n: int) -> tuple[str, str, str]:
    """A float16 tanh layer with Gaussian weights, y = f(x), and that x."""
    model, y, x = f"half{n}.h5", f"y-half{n}.npy", f"x-half{n}.npy"
    if not Path(folder, model).exists():
        write_dense(Path(folder, model), n, "float16")
    if not Path(folder, y).exists():
        truth = np.random.default_rng(7).uniform(-1.0, 1.0, (1, n))
        np.save(Path(folder, x), truth)
        np.save(Path(folder, y), large_models.product(Path(folder, model), truth))
    return model, y, x


def killed(command: list[str], folder: str, seconds: float) -> None:
    """Start the command and kill it with -9, which it cannot notice."""
    with Path(folder, "killed.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            process.wait(seconds)
            sys.exit(f"ended by itself before {seconds:.0f} s: {command}")
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    left = [f"{p.name} {size(p) / 2**30:.1f} GiB" for p in Path(folder).glob("x*.npy.*")]
    say(f"killed with -9 after {seconds:.0f} s; left: {', '.join(left)}")


def size(path: Path) -> int:
    """Bytes on the disk of a file or a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(p.stat().st_blocks * 512 for p in files if p.is_file())


def backward_error(folder: str, model: str, x: np.ndarray, y: np.ndarray) -> float:
    """max|W x - z| / (|W| |x| + |z|), the norms the largest entry and row sum.

    Rigal and Gaches; computed here with h5py alone, block by block, in float64; z is
    artanh(y) - b.
    """
    with h5py.File(Path(folder, model)) as file:
        kernel = file["dense/kernel"]
        z = np.arctanh(y[0]) - file["dense/bias"][()].astype(np.float64)
        residual, sums = -z, np.zeros(len(z))
        for start in range(0, len(kernel), BLOCK):
            block = kernel[start : start + BLOCK].astype(np.float64)
            residual += x[0, start : start + BLOCK] @ block
            sums += np.abs(block).sum(axis=0)
    scale = sums.max() * np.abs(x).max() + np.abs(z).max()
    return float(np.abs(residual).max() / scale)


def main() -> None:
    """Write, plan, start, kill, resume, judge."""
    folder = sys.argv[1]
    n, memory, until = (*sys.argv[2:], *("100000", "16GiB", "1500")[len(sys.argv) - 2 :])
    Path(folder).mkdir(parents=True, exist_ok=True)
    print(machine_facts())
    say(f"N = {int(n):,}, float16, tanh, --memory {memory}")
    model, y, x = model_and_targets(folder, int(n))
    say(f"{model}: {size(Path(folder, model)) / 2**30:.1f} GiB, {y} written")
    command = nninvert("invert", model, y, "-o", "x.npy", "--memory", memory)
    print(run([*command, "--dry-run"], folder).output, flush=True)
    killed(command, folder, float(until))
    say("the same command again")
    found = run([*command, "-v", "--json"], folder)
    report = json.loads(found.output)
    print(found.errors, flush=True)
    say(f"ended: {found.seconds:.0f} s, peak {found.peak / 2**30:.2f} GiB")
    print(json.dumps(report["solves"], indent=1))
    print(json.dumps(report["rows"], indent=1))
    found_x, truth, targets = (np.load(Path(folder, name)) for name in ("x.npy", x, y))
    error = np.linalg.norm(found_x - truth) / np.linalg.norm(truth)
    say(f"error of x {error:.1e}; misfit recomputed with h5py alone:")
    again = large_models.product(Path(folder, model), found_x)
    say(f"max |f(x) - y| {np.abs(again - targets).max():.1e}")
    say(f"backward error {backward_error(folder, model, found_x, targets):.1e}")
    left = sorted(set(os.listdir(folder)) - {model, y, x, "x.npy", "killed.log"})
    say(f"left in the folder: {', '.join(left) or 'nothing'}")


if __name__ == "__main__":
    main()
