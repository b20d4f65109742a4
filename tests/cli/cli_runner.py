"""Run the command line in this process, with streams of the test's choice."""

import io
from dataclasses import dataclass
from pathlib import Path

from nninvert.cli import main
from nninvert.cli._streams import Streams

SAMPLES = Path(__file__).resolve().parents[2] / "sample_models"

READ = ("--activations", "tanh,linear", "--orientation", "out,in")
"""How the fixture w.npz is to be read."""


@dataclass(frozen=True)
class Ran:
    """What a run gave."""

    code: int
    out: str
    err: str
    raw: bytes


def run(
    *words: str,
    stdin: bytes = b"",
    stdout_terminal: bool = False,
    stderr_terminal: bool = False,
    width: int = 80,
    colour: bool = False,
) -> Ran:
    """Run ``nninvert`` with these words."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    err = io.StringIO()
    streams = Streams(
        stdin=io.BytesIO(stdin),
        stdout=out,
        stderr=err,
        stdout_is_terminal=stdout_terminal,
        stderr_is_terminal=stderr_terminal,
        width=width,
        colour=colour,
    )
    code = main([str(word) for word in words], streams)
    raw = out.buffer.getvalue()
    return Ran(code, raw.decode("utf-8", "replace"), err.getvalue(), raw)
