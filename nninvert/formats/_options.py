"""How a reader is told to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nninvert.errors import UsageError
from nninvert.formats.file_layer import MakeLayer

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
    layers : mapping of str to function
        The user's own layers: from the name of a class in the file to a function that
        builds it from a `FileLayer`; see `nninvert.load`.
    """

    activations: str | None = None
    orientation: str | None = None
    first: str | None = None
    until: str | None = None
    config: str | None = None
    layers: Mapping[str, MakeLayer] = field(default_factory=dict)

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
