"""Work of other people's code that cannot be interrupted: waiting for it, or not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from nninvert.errors import NninvertError

T = TypeVar("T")

LOOK = 0.05
"""Seconds between looks at whether to go on waiting."""


def patiently(work: Callable[[], T], look: Callable[[], None]) -> T:
    """Do work in a thread of its own, which is left behind when `look` raises.

    For one long call that lets other threads run meanwhile, as SuperLU and HiGHS do. What
    was left behind ends by itself, its result unused; it does not keep the process alive.

    Parameters
    ----------
    work : callable
        Its NninvertError, MemoryError, RuntimeError or ValueError is raised here, too.
    look : callable
        Called again and again while the work lasts; what it raises ends the waiting.
    """
    made: list[T] = []
    failed: list[NninvertError | MemoryError | RuntimeError | ValueError] = []

    def run() -> None:
        try:
            made.append(work())
        except (NninvertError, MemoryError, RuntimeError, ValueError) as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    # Short work must not wait for the next look.
    thread.join(LOOK)
    while thread.is_alive():
        look()
        thread.join(LOOK)
    if failed:
        raise failed[0]
    return made[0]
