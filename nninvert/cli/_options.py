"""Arguments and options, each written once; groups of them are dataclasses.

Only types that Typer resolves stand here: nothing is imported that takes time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from nninvert.errors import UsageError

COMMON = "Common"
WANTED = "Which x is wanted"
READING = "How files are read"
OUTPUT = "Output and messages"
SEARCH = "Search"
LARGE = "Large layers"

_ENGINES = "auto, panel, lapack or iterative"
"""For the help, which must not load the engines; a test compares the two."""

Model = Annotated[str, typer.Argument(metavar="MODEL", help="The trained network's file.")]

Targets = Annotated[
    str, typer.Argument(metavar="Y", help="The targets: a file, or - for stdin.")
]
Inputs = Annotated[
    str, typer.Argument(metavar="X", help="The inputs: a file, or - for stdin.")
]


def option(*names: str, help: str, panel: str = COMMON, metavar: str = "") -> object:
    """An option without a default in its help, in a panel."""
    return typer.Option(
        *names,
        help=help,
        rich_help_panel=panel,
        show_default=False,
        # Typer writes "<bool>" for a flag; a blank says as much.
        metavar=metavar or " ",
    )


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
class Manner:
    """How a command talks, and what it may do."""

    json: Annotated[
        bool,
        option("--json", help="One JSON object on stdout, for programs.", panel=OUTPUT),
    ] = False
    plain: Annotated[
        bool,
        option(
            "--plain",
            help="Tables as tab-separated text, every digit, no decoration.",
            panel=OUTPUT,
        ),
    ] = False
    quiet: Annotated[
        bool, option("-q", "--quiet", help="No messages but errors.", panel=OUTPUT)
    ] = False
    verbose: Annotated[
        bool, option("-v", "--verbose", help="Say more on the way.", panel=OUTPUT)
    ] = False
    debug: Annotated[
        bool, option("--debug", help="Show the traceback of an error.", panel=OUTPUT)
    ] = False
    force: Annotated[
        bool,
        option(
            "--force",
            help="Allow -o to replace a file that this command reads, or one of factors.",
            panel=OUTPUT,
        ),
    ] = False
    threads: Annotated[
        int | None,
        option(
            "--threads",
            help="Threads of the linear algebra library; default: its own choice, "
            "usually all cores. Small networks are faster with 1.",
            panel=OUTPUT,
            metavar="N",
        ),
    ] = None


@dataclass(frozen=True)
class Output:
    """Where the numbers go."""

    file: Annotated[
        str | None,
        option(
            "-o",
            "--output",
            help="Write to this file: .npy, .npz, .h5, .csv or .txt; - is stdout, as "
            ".npy. Without it: a table.",
            metavar="FILE",
        ),
    ] = None


@dataclass(frozen=True)
class Resources:
    """What work on large layers may use."""

    memory: Annotated[
        str | None,
        option(
            "--memory",
            help="Most memory to use: 16GiB, 512MiB, 2e9. Default: 80 % of what is free.",
            panel=LARGE,
            metavar="SIZE",
        ),
    ] = None
    engine: Annotated[
        str,
        option(
            "--engine",
            help=f"{_ENGINES}. auto takes what is predicted to be fastest.",
            panel=LARGE,
            metavar="NAME",
        ),
    ] = "auto"
    dry_run: Annotated[
        bool,
        option(
            "--dry-run",
            help="Print the plan: time, memory, disk; read no weights.",
            panel=LARGE,
        ),
    ] = False

    def words(self) -> tuple[str, ...]:
        """The options again, for a command that is proposed; but for ``--dry-run``."""
        given = (
            ("--memory", self.memory),
            ("--engine", None if self.engine == "auto" else self.engine),
        )
        return tuple(word for name, value in given if value for word in (name, value))


@dataclass(frozen=True)
class Factors:
    """Factors that were made before, or are made on the way."""

    scratch: Annotated[
        str | None,
        option(
            "--scratch",
            help="Folder for factors that do not fit into memory. Default: beside the "
            "output, or here.",
            panel=LARGE,
            metavar="DIR",
        ),
    ] = None
    factors: Annotated[
        str | None,
        option(
            "--factors",
            help="Use the factors in this file, made by nninvert factor.",
            panel=LARGE,
            metavar="FILE",
        ),
    ] = None
    verify: Annotated[
        bool,
        option(
            "--verify",
            help="Compare all weights with those of --factors, not a sample.",
            panel=LARGE,
        ),
    ] = False
    discard_factors: Annotated[
        bool,
        option(
            "--discard-factors",
            help="Remove factors on the disk in the end, however long they took.",
            panel=LARGE,
        ),
    ] = False

    def words(self) -> tuple[str, ...]:
        """The options again, for a command that is proposed."""
        flags = (("--verify", self.verify), ("--discard-factors", self.discard_factors))
        named = (("--scratch", self.scratch), ("--factors", self.factors))
        words = [word for name, value in named if value for word in (name, value)]
        return (*words, *(name for name, given in flags if given))


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


@dataclass(frozen=True)
class Wanted:
    """Which x are wanted, and how close f(x) must come to y."""

    within: Annotated[
        str | None,
        option(
            "--within",
            help="How close is close enough, for each output: a number, 3%, a list "
            "0.1,0.2 or a file. For measured targets. Default: the precision in which y "
            "is stored.",
            metavar="TOL",
        ),
    ] = None
    near: Annotated[
        str | None,
        option(
            "--near",
            help="Of several x take the one nearest to this: a file, a list or a number.",
            metavar="X",
        ),
    ] = None
    lower: Annotated[
        str | None,
        option(
            "--lower",
            help="Least allowed x: a number, a list or a file; -inf where open.",
            panel=WANTED,
            metavar="X",
        ),
    ] = None
    upper: Annotated[
        str | None,
        option(
            "--upper",
            help="Largest allowed x: a number, a list or a file; inf where open.",
            panel=WANTED,
            metavar="X",
        ),
    ] = None
    fix: Annotated[
        list[str] | None,
        option(
            "--fix",
            help="Hold one input at a value; may be given several times. NAME is a name "
            "from --bounds or from the header of --near, an index, or x0, x1, ...",
            panel=WANTED,
            metavar="NAME=VALUE",
        ),
    ] = None
    integer: Annotated[
        list[str] | None,
        option(
            "--integer",
            help="This input must be a whole number; may be given several times. NAME as "
            "for --fix.",
            panel=WANTED,
            metavar="NAME",
        ),
    ] = None
    constraints: Annotated[
        str | None,
        option(
            "--constraints",
            help="Linear relations between inputs, one on each line: feed_T + 2*flow <= "
            "30, x0 >= x1, a + b == 1. Names as for --fix, but an index as x3. Or a CSV "
            "with a column for each input, sense and limit.",
            panel=WANTED,
            metavar="FILE",
        ),
    ] = None
    bounds: Annotated[
        str | None,
        option(
            "--bounds",
            help="What is known of single inputs in one table with the columns name, "
            "lower, upper, fixed, near; empty cells are open.",
            panel=WANTED,
            metavar="FILE.csv",
        ),
    ] = None

    def words(self) -> tuple[str, ...]:
        """The options again, for a command that is proposed."""
        given = [
            ("--within", self.within),
            ("--near", self.near),
            ("--lower", self.lower),
            ("--upper", self.upper),
            *(("--fix", item) for item in self.fix or ()),
            *(("--integer", item) for item in self.integer or ()),
            ("--constraints", self.constraints),
            ("--bounds", self.bounds),
        ]
        return tuple(word for name, value in given if value for word in (name, value))
