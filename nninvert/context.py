"""What a computation may use and whom it tells: memory, time, progress, factors.

A `Context` travels with every computation. It holds no result and knows no network. Work
reports progress by `Context.emit` and asks `Context.should_stop` between steps of at most
a few seconds; it neither prints nor handles signals.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, TypeVar, cast

from nninvert.errors import Interrupted, OutOfTime

FactorKey = tuple[str, ...]


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units of work of one stage are finished."""

    stage: str
    done: float
    total: float


@dataclass(frozen=True)
class Notice:
    """A sentence for the user about what is being done and why."""

    text: str


Event = Progress | Notice


class Sized(Protocol):
    """Anything that knows its own memory."""

    @property
    def nbytes(self) -> int:
        """Bytes held in memory."""
        ...


class Closable(Protocol):
    """Anything that holds files or memory until it is closed."""

    def close(self) -> None:
        """Let go of it."""
        ...


T = TypeVar("T", bound=Sized)
C = TypeVar("C", bound=Closable)


class FactorStore:
    """Factorisations by key, the least recently used ones evicted beyond the budget.

    Parameters
    ----------
    budget : int
        Bytes. One factorisation larger than the budget is still handed out, not kept.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._items: OrderedDict[FactorKey, Sized] = OrderedDict()
        self._seconds: dict[FactorKey, float] = {}

    def get_or_build(self, key: FactorKey, build: Callable[[], T]) -> T:
        """Return the factorisation of `key`, built now unless it is still there."""
        if key in self._items:
            self._items.move_to_end(key)
            return self._items[key]  # type: ignore[return-value]
        begun = time.monotonic()
        made = build()
        self._seconds[key] = time.monotonic() - begun
        # What can never be kept must not drive the others out.
        if made.nbytes <= self.budget:
            self._items[key] = made
            self._evict()
        return made

    def peek(self, key: FactorKey) -> tuple[Sized, float] | None:
        """The factorisation of `key`, if it is there, and the seconds that it took."""
        found = self._items.get(key)
        return None if found is None else (found, self._seconds[key])

    @property
    def nbytes(self) -> int:
        """Bytes held by all factorisations."""
        return sum(item.nbytes for item in self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()

    def _evict(self) -> None:
        while self._items and self.nbytes > self.budget:
            self._items.popitem(last=False)


def available_memory() -> int:
    """Bytes that this process may still use: free memory, or the cgroup's rest if less."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
    limit, used = (
        Path("/sys/fs/cgroup/memory.max"),
        Path("/sys/fs/cgroup/memory.current"),
    )
    if limit.exists() and used.exists():
        text = limit.read_text().strip()
        if text.isdigit():
            free = min(free, max(int(text) - int(used.read_text()), 0))
    return free


def _ignore(event: Event) -> None:
    """Take an event and do nothing: the library is silent unless asked."""


@dataclass(frozen=True)
class Disk:
    """Where factors that take long or do not fit into memory may be kept.

    Attributes
    ----------
    scratch : str
        Name of a file to make and remove again; "": nowhere.
    output : str
        Name of a factor file to make and keep; "": none.
    factors : str
        Name of a finished factor file to use; "": none.
    verify : bool
        Compare all of the weights with those that `factors` was made of, not a sample.
    discard : bool
        Remove `scratch` in the end, however long it took.
    """

    scratch: str = ""
    output: str = ""
    factors: str = ""
    verify: bool = False
    discard: bool = False


@dataclass
class Context:
    """Resources, limits and listeners of one computation.

    Closing it, or leaving its ``with`` block, closes what it shares.

    Attributes
    ----------
    memory : int
        Bytes that the computation may hold; default: 80 % of what is free now.
    engine : str
        How large dense layers are solved: "auto", or a name that
        `nninvert.linalg.plan.ENGINES` lists.
    rows : int
        How many targets there will be, for choosing the engine.
    large_layers : int
        How many layers share the memory for factors.
    disk : Disk
    seed : int
        Of every random choice.
    time_limit : float or None
        Seconds from the construction of this object after which work stops.
    listener : callable
        Receives every event.
    factors : FactorStore
        Factorisations shared by the solves of this computation.
    """

    memory: int = field(default_factory=lambda: int(0.8 * available_memory()))
    engine: str = "auto"
    rows: int = 1
    large_layers: int = 1
    disk: Disk = Disk()
    seed: int = 0
    time_limit: float | None = None
    listener: Callable[[Event], None] = _ignore
    factors: FactorStore = field(init=False)
    _shared: dict[object, Closable] = field(init=False, repr=False, default_factory=dict)
    _started: float = field(init=False, repr=False)
    _interrupt: threading.Event = field(
        init=False, repr=False, default_factory=threading.Event
    )

    def __post_init__(self) -> None:
        # Plans see to it that factors fit; what else is held is small beside large ones.
        self.factors = FactorStore(self.memory)
        self._started = time.monotonic()

    def shared(self, kind: Callable[[Context], C]) -> C:
        """The one `kind` of this computation, made on first use and closed with it."""
        if kind not in self._shared:
            self._shared[kind] = kind(self)
        return cast(C, self._shared[kind])

    def peek(self, kind: Callable[[Context], C]) -> C | None:
        """The one `kind` of this computation if it was made, else None."""
        return cast("C | None", self._shared.get(kind))

    def close(self) -> None:
        """Close what is shared and forget all factorisations."""
        self.factors.clear()
        while self._shared:
            self._shared.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def emit(self, event: Event) -> None:
        """Tell whoever listens."""
        self.listener(event)

    def interrupt(self) -> None:
        """Ask the computation to stop soon; safe from a signal handler."""
        self._interrupt.set()

    @property
    def interrupted(self) -> bool:
        """Whether `interrupt` was called."""
        return self._interrupt.is_set()

    @property
    def elapsed(self) -> float:
        """Seconds since the computation began."""
        return time.monotonic() - self._started

    def should_stop(self) -> bool:
        """Whether to end now with the best result so far."""
        late = self.time_limit is not None and self.elapsed > self.time_limit
        return late or self.interrupted

    def require_time(self, work: str) -> None:
        """Look at the clock in the midst of work of which a part is of no use.

        Raises
        ------
        Stopped
            If `should_stop`.
        """
        if self.interrupted:
            raise Interrupted(work, got="an interrupt")
        if self.should_stop():
            raise OutOfTime(
                "--time-limit",
                got=f"{self.time_limit:g} seconds, over in the midst of {work}",
                expected="more time",
            )
