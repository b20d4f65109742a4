"""Commands that a report proposes: runnable as they stand, with the user's own names."""

from __future__ import annotations

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class Commands:
    """What the user named on the command line.

    Attributes
    ----------
    model : str
    target : str, default "y.npy"
        The targets' file; a name that stands for one where none was given.
    reading : tuple of str, default ()
        Options that say how the model is read; every proposed command repeats them.
    question : tuple of str, default ()
        Options that say which x are wanted: bounds, fixed inputs.
    """

    model: str
    target: str = "y.npy"
    reading: tuple[str, ...] = ()
    question: tuple[str, ...] = ()

    def check(self, *more: str) -> str:
        """``nninvert check`` of this model."""
        return _shell("check", self.model, *self.reading, *more)

    def factor(self, *more: str) -> str:
        """``nninvert factor`` of this model."""
        return _shell("factor", self.model, *self.reading, *more)

    def invert(self, *more: str) -> str:
        """``nninvert invert`` of this model for the targets."""
        return _shell(
            "invert", self.model, self.target, *self.reading, *self.question, *more
        )


def _shell(*words: str) -> str:
    return shlex.join(["nninvert", *words])
