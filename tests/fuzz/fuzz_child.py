"""Reading cases in a child process, and finding out how it ended."""

import faulthandler
import gc
import hashlib
import json
import mmap
import os
import random
import resource
import shutil
import signal
import struct
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from fuzz_targets import Target

from nninvert.errors import NninvertError

MEMORY = 1 << 30
"""Bytes of address space above what the parent has."""

SECONDS = 3
"""Of CPU for one case; all are smaller than 300 KB."""

SLOW = 0.5
"""Seconds of CPU that no case should take; it may be memory that was refused."""

WALL = 120
"""Seconds for one case by the clock, for what waits and does not compute."""

_STATE = struct.Struct("<4qd q")  # at, refused, opened, escaped, slowest, which
_OWN_MISTAKE = 70
_TOO_SLOW = "slow"
_KEPT = 2  # cases of one signature
_MEMORY_FILES = Path("/dev/shm")


@dataclass
class Tally:
    """How cases ended."""

    inputs: int = 0
    refused: int = 0
    opened: int = 0
    escaped: int = 0
    slow: int = 0
    timeouts: int = 0
    in_hdf5: int = 0
    crashes: int = 0
    slowest: float = 0.0
    slowest_case: int = -1
    kinds: Counter[str] = field(default_factory=Counter)

    def bad(self) -> int:
        """Ends that should not be."""
        return self.escaped + self.slow + self.timeouts + self.in_hdf5 + self.crashes

    def line(self) -> str:
        """For a table."""
        shown = (
            *(self.inputs, self.refused, self.opened, self.escaped, self.slow),
            *(self.timeouts, self.in_hdf5, self.crashes),
        )
        numbers = " ".join(f"{value:9,}" for value in shown)
        return f"{numbers} {1000 * self.slowest:7.0f} ms ({self.slowest_case})"


def chance_of(name: str, number: int) -> random.Random:
    """The randomness of one case."""
    return random.Random(f"{name} {number}")


def save_case(name: str, target: Target, number: int, folder: Path) -> str:
    """Write the files of a case; the path of the first."""
    files = target.make(chance_of(name, number))
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        (folder / file).write_bytes(content)
    return str(folder / next(iter(files)))


def read_case(name: str, target: Target, number: int) -> str:
    """Read one case in this process, under the limits of memory."""
    limit_memory()
    with tempfile.TemporaryDirectory() as folder:
        path = save_case(name, target, number, Path(folder))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                target.attempt(path, random.Random(number))
            except NninvertError as error:
                return f"refused: {error}"
    return "opened"


def explore(
    name: str, target: Target, first: int, stop: int, keep: Path, tally: Tally
) -> int:
    """Read cases in a child until it ends; the number of the next case."""
    with tempfile.TemporaryDirectory(dir=_MEMORY_FILES) as folder:
        shared = mmap.mmap(-1, _STATE.size)
        shared[:] = _STATE.pack(first, 0, 0, 0, 0.0, -1)
        place = Path(folder)
        gc.freeze()
        child = os.fork()
        if child == 0:
            try:
                _work(name, target, range(first, stop), place, shared)
            except BaseException:  # noqa: BLE001  a mistake of the fuzz itself
                traceback.print_exc()
            finally:
                os._exit(_OWN_MISTAKE)
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) == _OWN_MISTAKE:
            raise RuntimeError(f"{name}: a case cannot be made; see above")
        at, refused, opened, escaped, slowest, which = _STATE.unpack(shared[:])
        tally.refused += refused
        tally.opened += opened
        tally.escaped += escaped
        if slowest > tally.slowest:
            tally.slowest, tally.slowest_case = slowest, which
        _note_escapes(name, target, place / "escaped", keep, tally)
        if status == 0:
            tally.inputs += stop - first
            return stop
        tally.inputs += at + 1 - first
        _note_end(name, target, at, status, place / "stack", keep, tally)
        return at + 1


def _work(
    name: str, target: Target, numbers: range, folder: Path, shared: mmap.mmap
) -> None:
    """Read the cases; never returns."""
    _limit()
    warnings.simplefilter("error")
    refused = opened = escaped = 0
    slowest, which = 0.0, -1
    with open(folder / "stack", "w") as stack, open(folder / "escaped", "w") as log:
        faulthandler.enable(stack, all_threads=False)
        for dying in (signal.SIGPROF, signal.SIGALRM):
            faulthandler.register(dying, stack, all_threads=False, chain=True)
        for number in numbers:
            shared[:] = _STATE.pack(number, refused, opened, escaped, slowest, which)
            path = save_case(name, target, number, folder / "case")
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            signal.setitimer(signal.ITIMER_REAL, WALL)
            begun = time.process_time()
            try:
                target.attempt(path, random.Random(number))
                opened += 1
            except NninvertError as error:
                refused += 1
                str(error)
            except BaseException as error:  # noqa: BLE001  it is what is looked for
                escaped += 1
                _log(log, number, _signature(error), _trace(error))
            taken = time.process_time() - begun
            if taken > SLOW:
                _log(log, number, _TOO_SLOW, f"{taken:.1f} s")
            if taken > slowest:
                slowest, which = taken, number
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    shared[:] = _STATE.pack(numbers.stop, refused, opened, escaped, slowest, which)
    os._exit(0)


def _log(log: TextIO, number: int, signature: str, trace: str) -> None:
    print(json.dumps([number, signature, trace]), file=log, flush=True)


def limit_memory() -> None:
    """A damaged length can ask for all that the machine has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    space = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (space, space))


def _limit() -> None:
    limit_memory()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))  # what is not closed is noticed
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 26, 1 << 26))


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _signature(error: BaseException) -> str:
    """Its class and the places that it came through last, without the cases' names."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    way = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
    return f"{type(error).__name__} at {way}"


def _note_escapes(name: str, target: Target, log: Path, keep: Path, tally: Tally) -> None:
    for line in log.read_text().splitlines():
        number, signature, trace = json.loads(line)
        tally.kinds[signature] += 1
        tally.slow += signature == _TOO_SLOW
        if tally.kinds[signature] <= _KEPT:
            digest = hashlib.sha1(signature.encode()).hexdigest()[:6]
            _keep(name, target, number, f"noted_{digest}", f"{signature}\n{trace}", keep)


def _note_end(
    name: str, target: Target, at: int, status: int, stack: Path, keep: Path, tally: Tally
) -> None:
    """Charge the end of a child to the case that it was reading."""
    trace = stack.read_text() if stack.exists() else ""
    ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if ended in (signal.SIGPROF, signal.SIGALRM):
        kind = "timeout"
        tally.timeouts += 1
    elif ended and _inside_hdf5(trace):
        kind = "hdf5"
        tally.in_hdf5 += 1
    else:
        kind = "crash"
        tally.crashes += 1
    last = trace.split("\n  File ")[1].split("\n")[0] if "\n  File " in trace else "?"
    tally.kinds[f"{kind} by signal {ended} at {last}"] += 1
    _keep(name, target, at, kind, f"status {status}\n{trace}", keep)


def _inside_hdf5(trace: str) -> bool:
    """Whether the innermost line is one that calls the HDF5 library."""
    lines = [line for line in trace.splitlines() if line.startswith("  File ")]
    return bool(lines) and any(part in lines[0] for part in ("/h5py/", "nninvert/hdf5/"))


def _keep(
    name: str, target: Target, number: int, kind: str, trace: str, keep: Path
) -> None:
    folder = keep / f"{name}_{kind}_{number}"
    shutil.rmtree(folder, ignore_errors=True)
    save_case(name, target, number, folder)
    (folder / "why.txt").write_text(trace)
