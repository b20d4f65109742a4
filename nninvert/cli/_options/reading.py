"""How the model file is read, and what the axes of an array count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from nninvert.cli._options._option import READING, option
from nninvert.errors import UsageError


@dataclass(frozen=True)
class Reading:
    """How the model file is read."""

    activations: Annotated[
        str | None,
        option(
            "--activations",
            help="For files of bare weights: one activation for each matrix, or one for "
            "all: tanh,tanh,linear.",
            panel=READING,
            metavar="A,B,...",
        ),
    ] = None
    orientation: Annotated[
        str | None,
        option(
            "--orientation",
            help="For files of bare weights, what the axes of a matrix count: in,out "
            "(x W + b, Keras) or out,in (W x + b, textbooks, PyTorch).",
            panel=READING,
            metavar="in,out|out,in",
        ),
    ] = None
    config: Annotated[
        str | None,
        option(
            "--config",
            help="The architecture of Keras weights (.weights.h5): what model.to_json() "
            "gives, or config.json out of a .keras archive.",
            panel=READING,
            metavar="FILE.json",
        ),
    ] = None
    first: Annotated[
        str | None,
        option(
            "--from",
            help="Begin at this layer (name or index), included: x is what enters it.",
            panel=READING,
            metavar="LAYER",
        ),
    ] = None
    until: Annotated[
        str | None,
        option(
            "--until",
            help="End at this layer (name or index), included: y is what leaves it.",
            panel=READING,
            metavar="LAYER",
        ),
    ] = None
    input_scaler: Annotated[
        str | None,
        option(
            "--input-scaler",
            help="How inputs were scaled for training: a file with mean and scale, or "
            "min and max (.npz or CSV). Everything about x is then in the data's units.",
            panel=READING,
            metavar="FILE",
        ),
    ] = None
    output_scaler: Annotated[
        str | None,
        option(
            "--output-scaler",
            help="The same of the outputs: everything about y is in the data's units.",
            panel=READING,
            metavar="FILE",
        ),
    ] = None
    repeat: Annotated[
        int,
        option(
            "--repeat",
            help="Apply the network this many times, its output as its next input.",
            panel=READING,
            metavar="K",
        ),
    ] = 1

    def words(self) -> tuple[str, ...]:
        """The options again, for a command that is proposed."""
        given = (
            ("--activations", self.activations),
            ("--orientation", self.orientation),
            ("--config", self.config),
            ("--from", self.first),
            ("--until", self.until),
            ("--input-scaler", self.input_scaler),
            ("--output-scaler", self.output_scaler),
            ("--repeat", None if self.repeat == 1 else str(self.repeat)),
        )
        return tuple(word for name, value in given if value for word in (name, value))


@dataclass(frozen=True)
class RowLayout:
    """Whether an array whose shape leaves it open is one row or many."""

    as_rows: Annotated[
        bool,
        option(
            "--as-rows",
            help="The first axis of the array counts rows, where its shape leaves that "
            "open.",
            panel=READING,
        ),
    ] = False
    as_single: Annotated[
        bool,
        option("--single", help="The whole array is one row.", panel=READING),
    ] = False

    @property
    def single(self) -> bool | None:
        """True, False, or None where nothing was said.

        Raises
        ------
        UsageError
            If both were.
        """
        if self.as_rows and self.as_single:
            raise UsageError("--single", got="--as-rows as well", expected="one of the two")
        return self.as_single if self.as_rows or self.as_single else None
