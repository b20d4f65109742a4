"""``nninvert demo``: a blurred digit, and the two ways to ask what it was."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from nninvert.cli._app import command
from nninvert.cli._options import option
from nninvert.cli._streams import Streams
from nninvert.errors import ExitCode, MachineError, OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_HELP = """A blurred digit in the terminal: invert it exactly, then sensibly.

\b
  nninvert demo
  nninvert demo --keep DIR     leave the files there, to try the commands

Runs the commands that it prints, on sample files that come with nninvert: a
network of three square tanh layers, trained to blur 8x8 pictures of digits as
a camera out of focus does.
"""

FILES = (
    "camera.h5",
    "camera_y.npy",
    "camera_x.npy",
    "camera_measured.npy",
    "camera_near.npy",
)

ROWS = 12
"""How many measured pictures are inverted: enough to see, few enough to be quick."""

SHOWN = 0
"""The row that is drawn."""


@dataclass(frozen=True)
class Demo:
    """The story, told to `streams` from inside the folder that holds the files."""

    streams: Streams

    def tell(self) -> None:
        """Run the commands, draw what they found, say what it means."""
        self._say(
            "A network was trained to blur pictures of digits, 8x8 pixels, as a camera "
            "out of focus does. Can it be run backwards?"
        )
        self._run("check", "camera.h5")
        self._say("It can. First on the network's own output:")
        self._run("invert", "camera.h5", "camera_y.npy", "-o", "x.npy")
        self._draw(
            ("the network's output", "camera_y.npy"),
            ("the input found", "x.npy"),
            ("the true input", "camera_x.npy"),
        )
        self._say(
            "Now on what a camera really measured. The network is only a model of the "
            "camera, a few percent off, so no input gives exactly this:"
        )
        self._run(
            "invert", "camera.h5", "measured.npy", "--method", "exact", "-o", "exact.npy"
        )
        self._say("Ask for no more than the model knows, and say what a digit is like:")
        within = ("--within", "3%", "--near", "camera_near.npy")
        self._run("invert", "camera.h5", "measured.npy", *within, "-o", "near.npy")
        self._draw(
            ("measured", "measured.npy"),
            ("exactly: absurd", "exact.npy"),
            ("--within 3%", "near.npy"),
            ("the truth", "camera_x.npy"),
        )
        least, most = _extremes("exact.npy")
        self._say(
            f"The exact answer has pixels from {least:.0f} to {most:.0f}, where the truth "
            "lies between 0 and 1. Exact for what the network computed; --within and "
            "--near for what was measured."
        )

    def _run(self, *words: str) -> None:
        from nninvert.cli import main

        self.streams.print(["", f"$ {shlex.join(['nninvert', *words])}"])
        # One stream keeps the screens in order, wherever the demo is sent.
        together = replace(
            self.streams,
            stderr=self.streams.stdout,
            stderr_is_terminal=self.streams.stdout_is_terminal,
        )
        code = main(words, together)
        if code not in (ExitCode.OK, ExitCode.NOT_SOLVED):
            raise MachineError(
                "demo",
                got=f"exit code {code} from: nninvert {shlex.join(words)}",
                expected="0 or 5",
            )

    def _say(self, text: str) -> None:
        from nninvert.report.text import fill

        self.streams.print(["", *fill(text, self.streams.stdout_width)])

    def _draw(self, *pictures: tuple[str, str]) -> None:
        from nninvert.report.blocks import shades_for, side_by_side

        drawn = [(title, _row(file).reshape(8, 8)) for title, file in pictures]
        shades = shades_for(self.streams.stdout.encoding or "ascii")
        self.streams.print(["", *(f"  {line}" for line in side_by_side(drawn, shades))])


@command("demo", _HELP)
def demo(
    streams: Streams,
    keep: Annotated[
        str | None,
        option("--keep", help="Leave the files in this folder.", metavar="DIR"),
    ] = None,
) -> int:
    """Copy the samples and tell the story among them."""
    with _folder(keep) as folder:
        for name in FILES:
            shutil.copyfile(samples() / name, folder / name)
        _take_rows(folder / "camera_measured.npy", folder / "measured.npy")
        with contextlib.chdir(folder):
            Demo(streams).tell()
    where = keep or "nninvert demo --keep DIR"
    label = "files    " if keep else "the files"
    streams.print(["", f"{label} {where}", "next      nninvert check YOUR_MODEL.h5"])
    return int(ExitCode.OK)


def samples() -> Path:
    """The folder of the sample files: in the installed package or beside the sources.

    Raises
    ------
    MachineError
        If they are in neither place.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "sample_models", package.parent / "sample_models"):
        if all((folder / name).is_file() for name in FILES):
            return folder
    raise MachineError(
        "sample_models",
        got="no such folder in the installation",
        expected="the sample files that come with nninvert",
        next_step="Install nninvert again: pip install --force-reinstall nninvert",
    )


@contextlib.contextmanager
def _folder(keep: str | None) -> Iterator[Path]:
    """The folder to work in: the user's own, or one that is gone afterwards."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="nninvert-demo-") as made:
            yield Path(made)
        return
    try:
        Path(keep).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            "--keep",
            got=error.strerror or "an unknown system error",
            expected="a folder that can be made",
            file=keep,
        ) from error
    yield Path(keep)


def _take_rows(whole: Path, part: Path) -> None:
    from nninvert.arrays import read_array, write_array

    write_array(str(part), read_array(str(whole)).values[:ROWS])


def _row(file: str) -> NDArray[np.floating]:
    from nninvert.arrays import read_array

    picture: NDArray[np.floating] = read_array(file, field="picture").values[SHOWN]
    return picture


def _extremes(file: str) -> tuple[float, float]:
    from nninvert.arrays import read_array

    values = read_array(file, field="picture").values
    return float(values.min()), float(values.max())
