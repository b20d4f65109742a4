"""While the computation runs: progress on a terminal, and Ctrl-C that keeps results."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nninvert.cli._options import Manner
from nninvert.cli._streams import Streams

if TYPE_CHECKING:
    from types import FrameType

    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from nninvert.context import Context, Event

PATIENCE = 2.0
"""Seconds before a bar appears: what is over sooner needs none."""

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def limit_threads(threads: int | None) -> None:
    """Tell the linear algebra library how many threads to use.

    It reads these variables once, when numpy is loaded: call this before.

    Raises
    ------
    UsageError
        If `threads` is less than 1.
    """
    if threads is None:
        return
    if threads < 1:
        from nninvert.errors import UsageError

        raise UsageError("--threads", got=str(threads), expected="1 or more")
    for variable in _THREAD_VARIABLES:
        os.environ[variable] = str(threads)


class Bar:
    """Listens to a computation; draws a bar with the time left, notices if verbose."""

    def __init__(
        self,
        streams: Streams,
        manner: Manner,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._streams = streams
        moving = streams.stderr_is_terminal and os.environ.get("TERM") != "dumb"
        self._draws = moving and not manner.quiet
        self._notices = manner.verbose and not manner.quiet
        self._clock = clock
        self._begun = clock()
        self._bar: RichProgress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        """Take one event."""
        from nninvert.context import Notice

        if isinstance(event, Notice):
            if self._notices:
                self._streams.tell([f"  {event.text}"])
            return
        if not self._draws or self._clock() - self._begun < PATIENCE:
            return
        bar = self._bar if self._bar is not None else self._start()
        if event.stage not in self._tasks:
            self._tasks[event.stage] = bar.add_task(event.stage, total=event.total)
        bar.update(self._tasks[event.stage], completed=event.done, total=event.total)

    def close(self) -> None:
        """Take the bar away: what stays on the screen is the report."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _start(self) -> RichProgress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(
            file=self._streams.stderr,
            force_terminal=True,
            no_color=not self._streams.colour,
            width=self._streams.width,
        )
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
        )
        self._bar.start()
        return self._bar


@contextmanager
def listening(context: Context, streams: Streams, manner: Manner) -> Iterator[None]:
    """Draw the progress of what runs inside."""
    bar = Bar(streams, manner)
    context.listener = bar
    try:
        yield
    finally:
        bar.close()


@contextmanager
def interruptible(context: Context, streams: Streams) -> Iterator[None]:
    """Let the first Ctrl-C end the search with its best result, the second the process.

    A call into the linear algebra library cannot be interrupted from Python: the second
    one is therefore left to the system, which ends the process at once. Nothing is being
    written meanwhile.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        context.interrupt()
        streams.tell(["interrupted: keeping the best so far (Ctrl-C again: end at once)"])

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
