"""How a command talks, and where its numbers go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from nninvert.cli._options._option import OUTPUT, option


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
