"""While the computation runs: progress on a terminal, and Ctrl-C that keeps results."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nninvert.cli._options import Manner
from nninvert.cli._streams import Streams

if TYPE_CHECKING:
    from types import FrameType

    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

    from nninvert.context import Context, Event, Progress

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


@dataclass
class _Stage:
    """One line of the bar: a stage, counted anew when it begins anew."""

    task: TaskID | None
    begun: float
    first: float
    done: float
    runs: int = 1


class Bar:
    """Listens to a computation; draws a bar with the time left, and tells notices.

    Parameters
    ----------
    streams : Streams
    manner : Manner
    clock : callable, default `time.monotonic`
    large_layers : int, default 0
        How many large layers there are: where there are any, the work is long enough for
        a person to want notices, and the bar says which layer it is at.
    """

    def __init__(
        self,
        streams: Streams,
        manner: Manner,
        clock: Callable[[], float] = time.monotonic,
        large_layers: int = 0,
    ) -> None:
        self._streams = streams
        moving = streams.stderr_is_terminal and os.environ.get("TERM") != "dumb"
        self._draws = moving and not manner.quiet
        watched = large_layers > 0 and streams.stderr_is_terminal
        self._notices = (manner.verbose or watched) and not manner.quiet
        self._layers = large_layers
        self._clock = clock
        self._begun = clock()
        self._bar: RichProgress | None = None
        self._stages: dict[str, _Stage] = {}

    def __call__(self, event: Event) -> None:
        """Take one event."""
        from nninvert.context import Notice

        if not isinstance(event, Notice):
            self._advance(event)
        elif self._notices:
            # Above a bar that is being drawn, never into it.
            if self._bar is not None:
                self._bar.console.print(f"  {event.text}", markup=False, highlight=False)
            else:
                self._streams.tell([f"  {event.text}"])

    def _advance(self, event: Progress) -> None:
        now = self._clock()
        stage = self._stages.get(event.stage)
        if stage is None or event.done < stage.done:
            task, runs = (None, 1) if stage is None else (stage.task, stage.runs + 1)
            stage = _Stage(task, now, event.done, event.done, runs)
            self._stages[event.stage] = stage
        stage.done = event.done
        if not self._draws or now - self._begun < PATIENCE:
            return
        bar = self._bar if self._bar is not None else self._start()
        shown: dict[str, Any] = {
            "description": self._described(event.stage, stage.runs),
            "completed": event.done,
            "total": event.total,
            "left": _time_left(stage, event, now),
        }
        if stage.task is None:
            stage.task = bar.add_task(**shown)
        bar.update(stage.task, **shown)

    def _described(self, stage: str, run: int) -> str:
        """Which layer is being factored, where there are several."""
        if stage != "LU" or self._layers < 2:
            return stage
        return f"{stage}, layer {min(run, self._layers)} of {self._layers}"

    def close(self) -> None:
        """Take the bar away: what stays on the screen is the report."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _start(self) -> RichProgress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

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
            TextColumn("{task.fields[left]} left"),
            console=console,
            transient=True,
        )
        self._bar.start()
        return self._bar


def _time_left(stage: _Stage, event: Progress, now: float) -> str:
    """By the pace of this stage since it began; what an earlier run did does not count."""
    from nninvert.report.numbers import duration

    gained = event.done - stage.first
    if gained <= 0.0:
        return "..."
    return duration((event.total - event.done) * (now - stage.begun) / gained)


@contextmanager
def listening(
    context: Context, streams: Streams, manner: Manner, large_layers: int = 0
) -> Iterator[None]:
    """Draw the progress of what runs inside."""
    bar = Bar(streams, manner, large_layers=large_layers)
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
