"""How a reader is told to read."""

from __future__ import annotations

from dataclasses import dataclass

from nninvert.errors import UsageError

OUT_IN = "out,in"
IN_OUT = "in,out"

ORIENTATIONS = {
    OUT_IN: "each row of a matrix makes one output: y = W x + b, as in textbooks, torch",
    IN_OUT: "each column makes one output: y = x W + b, as Keras stores kernels",
}
"""The values of ``--orientation``: what the first and the second axis of W count."""


@dataclass(frozen=True)
class ReadOptions:
    """How to read a model file.

    Attributes
    ----------
    activations : str or None
        For files of bare weights: one activation for each matrix, separated by commas
        ("tanh,linear"), or one for all of them. In the notation of
        `activation_from_text`, and "softmax" or "log_softmax".
    orientation : str or None
        For files of bare weights: a key of `ORIENTATIONS`; None: told from shapes and
        names.
    config : str or None
        For Keras weights without an architecture: the file that has it as JSON.
    first, until : str or None
        Read only the part from layer `first` to layer `until`, both inclusive, each a
        name or an index; layers outside it need not be known. None: the network's ends.
    """

    activations: str | None = None
    orientation: str | None = None
    first: str | None = None
    until: str | None = None
    config: str | None = None

    def __post_init__(self) -> None:
        if self.orientation is not None and self.orientation not in ORIENTATIONS:
            meanings = "; ".join(f"{k} ({v})" for k, v in ORIENTATIONS.items())
            raise UsageError("--orientation", got=repr(self.orientation), expected=meanings)


def refuse_bare_options(path: str, options: ReadOptions) -> None:
    """Refuse `options` for bare weights where the file is a whole model.

    Raises
    ------
    UsageError
        If activations or an orientation are given: the file states them itself.
    """
    for option, value in (
        ("--activations", options.activations),
        ("--orientation", options.orientation),
    ):
        if value is not None:
            raise UsageError(
                option,
                got=repr(value),
                expected="nothing",
                because="this file says it itself; the option is for bare weights",
                file=path,
            )
