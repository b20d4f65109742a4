"""From the options about memory, disk and engine to the context of a command."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from nninvert.cli._options import Factors, Manner, Resources
from nninvert.cli._streams import Streams
from nninvert.errors import ExitCode, Interrupted, OutOfTime, OutputError, UsageError

if TYPE_CHECKING:
    from nninvert.context import Context, Disk
    from nninvert.forecast import Forecast

_SIZE = re.compile(r"(?P<number>\d+(\.\d*)?(e\d+)?) ?(?P<unit>[kKMGT]i?B?|B)?")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def bytes_of(text: str, option: str) -> int:
    """The number of bytes that `text` means: 16GiB, 512M (binary), 9.2GB, 2e9.

    Raises
    ------
    UsageError
        For anything else, and for nothing at all.
    """
    found = _SIZE.fullmatch(text.strip())
    size = 0
    if found is not None:
        unit = found["unit"] or ""
        # As GNU tools do: GB is decimal, GiB and a bare G are binary.
        base = 1000 if unit.endswith("B") and not unit.endswith("iB") else 1024
        size = int(float(found["number"]) * base ** _POWERS[unit.rstrip("iB").lower()])
    if size < 1:
        raise UsageError(
            option,
            got=f"'{text}'",
            expected="a size",
            next_step=f"For example: {option} 16GiB",
        )
    return size


def context_of(
    resources: Resources,
    factors: Factors,
    *,
    model: str,
    output: str | None = None,
    made: str | None = None,
    seed: int = 0,
    time_limit: float | None = None,
) -> Context:
    """The context that these options describe.

    Parameters
    ----------
    resources : Resources
    factors : Factors
    model : str
        Scratch is called after it where there is no `output`.
    output : str or None, default None
        What the command writes; scratch goes beside it.
    made : str or None, default None
        A factor file that the command is to make and keep.
    seed, time_limit
        See `Context`.

    Raises
    ------
    UsageError
        If options are unknown or contradict each other.
    OutputError
        If there is no such scratch folder.
    """
    from nninvert.cli._values import require_known
    from nninvert.context import Context, Disk
    from nninvert.linalg.plan import ENGINES

    require_known("--engine", resources.engine, tuple(ENGINES))
    if (made or factors.factors) and resources.engine not in ("auto", "panel"):
        raise UsageError(
            "--engine",
            got=f"{resources.engine}, and a factor file",
            expected="auto or panel",
            because="only panel works with factors in files",
        )
    if made and factors.scratch:
        raise UsageError("--scratch", got="-o as well", expected="one place for factors")
    if factors.verify and not factors.factors:
        raise UsageError("--verify", got="no --factors", expected="a file to compare with")
    disk = Disk(
        scratch=_scratch(factors.scratch, output, model),
        output=made or "",
        factors=factors.factors or "",
        verify=factors.verify,
        discard=factors.discard_factors,
    )
    context = Context(engine=resources.engine, disk=disk, seed=seed, time_limit=time_limit)
    if resources.memory is None:
        return context
    return replace(context, memory=bytes_of(resources.memory, "--memory"))


def _scratch(folder: str | None, output: str | None, model: str) -> str:
    """The scratch file's name: that of the output, or of the model, and ``.factors``."""
    from nninvert.arrays.atomic import is_direct

    plain = output is not None and output != "-" and not is_direct(output)
    named = output if plain and output is not None else os.path.basename(model)
    if folder is None:
        return named + ".factors"
    if not os.path.isdir(folder):
        raise OutputError(
            "--scratch",
            got="no such folder",
            expected="a folder on a disk",
            next_step=f"Make it: mkdir {folder}",
            file=folder,
        )
    return os.path.join(folder, os.path.basename(named) + ".factors")


def require_factors_output(path: str, model: str, manner: Manner) -> None:
    """Refuse a factor file that could not, or should not, be made.

    Raises
    ------
    UsageError
        If it is the model, or is there already and may not be replaced.
    OutputError
        If it cannot be written.
    """
    from nninvert.arrays import check_output
    from nninvert.arrays.atomic import is_direct

    if path == "-" or is_direct(path):
        raise UsageError(
            "-o",
            got="a stream",
            expected="a file",
            because="factors are written at several places",
            file=path,
        )
    check_output(path, inputs=(model,), suffixes=(os.path.splitext(path)[1].lower(),))
    if os.path.exists(path) and not manner.force:
        raise UsageError(
            "-o",
            got="a file that is there already",
            expected="a new one",
            next_step=f"Use it: --factors {path}. Or say --force to replace it",
            file=path,
        )


@contextmanager
def resumable(disk: Disk) -> Iterator[None]:
    """Tell what a factorisation that was cut short has left, and how to go on.

    To be entered before the context, so that files are closed by then.
    """
    from nninvert.analysis.factor_files import unfinished

    try:
        yield
    except (Interrupted, OutOfTime) as error:
        error.next_step = unfinished(disk) or error.next_step
        raise
    except KeyboardInterrupt:
        left = unfinished(disk)
        if not left:
            raise
        raise Interrupted("", got="Ctrl-C", next_step=left) from None


def show_plan(made: Forecast, next_step: str, streams: Streams, manner: Manner) -> int:
    """Print a plan; 6 if the disk has no room for it, else 0.

    Parameters
    ----------
    made : Forecast
    next_step : str
        The command to run next.
    streams : Streams
    manner : Manner
    """
    from nninvert.report.json import encode
    from nninvert.report.plan_text import plan_document, plan_lines, plan_table

    code = ExitCode.OK if made.has_room else ExitCode.MACHINE
    if manner.json:
        streams.print([encode(plan_document(made, int(code)))])
    elif manner.plain:
        streams.print(plan_table(made))
    else:
        width = streams.stdout_width
        streams.print(plan_lines(made, next_step, width, manner.verbose))
    return int(code)
