"""``nninvert invert``: which x gives f(x) = y, or comes nearest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from nninvert.cli._app import command
from nninvert.cli._options import (
    COMMON,
    SEARCH,
    WANTED,
    Factors,
    Manner,
    Model,
    Output,
    Reading,
    Resources,
    RowLayout,
    Targets,
    Wanted,
    option,
)
from nninvert.cli._streams import Streams
from nninvert.errors import ExitCode, UsageError
from nninvert.report.commands import Commands

if TYPE_CHECKING:
    from nninvert.arrays import LoadedArray
    from nninvert.cli._results import Parts
    from nninvert.cli._values import Sources
    from nninvert.cli._wanted import Resolved
    from nninvert.context import Context
    from nninvert.network import Network
    from nninvert.result import InversionResult

_HELP = """Find x with f(x) = y for each row of Y, or the nearest thing.

\b
  nninvert invert model.h5 y.npy -o x.npy
  nninvert invert model.h5 measured.npy --within 3% --near typical.npy
  nninvert invert model.h5 y.csv --bounds inputs.csv --fix feed_T=320
  nninvert invert model.h5 y.csv --answers 5 --family family.h5
  echo 0.2,0.5 | nninvert invert model.h5 -

A target that was measured, not computed by this network, has no exact answer
as a rule: say with --within how well it is known, with --near what is
typical.

Where many x do, --answers K gives several that lie far apart, --family FILE
the directions in which x may move while f(x) stays, and how far.

Y is .npy, .npz:KEY, .h5:DATASET or CSV; - is stdin; of several outputs an
.npz with an array for each. Without -o a terminal gets a small table of x, a
pipe all of it as CSV. Exits with 5 if some row is not solved.
"""

_METHODS = "auto, exact, pinv, lsq or milp"
"""For the help, which must not load the methods; a test compares the two."""


@dataclass(frozen=True)
class Search:
    """How x is searched for, and what is written about it."""

    method: Annotated[
        str,
        option(
            "--method",
            help=f"{_METHODS}. auto takes exact where the network is one-to-one layer by "
            "layer, least squares elsewhere.",
            panel=COMMON,
            metavar="NAME",
        ),
    ] = "auto"
    nan_is_free: Annotated[
        bool,
        option(
            "--nan-is-free",
            help="NaN in Y marks outputs that do not matter.",
            panel=COMMON,
        ),
    ] = False
    rows: Annotated[
        str | None,
        option(
            "--rows",
            help="Write status, residual, digits, reason, ... of each row to a table.",
            panel=COMMON,
            metavar="FILE.csv",
        ),
    ] = None
    answers: Annotated[
        int | None,
        option(
            "--answers",
            help="Look for up to K different x for each row, spread out; written as (rows, "
            "K, ...), NaN where there are fewer, in a CSV as a line for each.",
            panel=WANTED,
            metavar="K",
        ),
    ] = None
    family: Annotated[
        str | None,
        option(
            "--family",
            help="Write the directions that keep y, and how far each may be followed, to "
            "this file: .h5 or .npz; it may be the one of -o.",
            panel=WANTED,
            metavar="FILE",
        ),
    ] = None
    dtype: Annotated[
        str,
        option(
            "--dtype",
            help="Type of the x that is written and judged: float64 or float32.",
            panel=SEARCH,
            metavar="TYPE",
        ),
    ] = "float64"
    time_limit: Annotated[
        float | None,
        option(
            "--time-limit",
            help="End the search after so many seconds with the best x so far.",
            panel=SEARCH,
            metavar="SECONDS",
        ),
    ] = None
    seed: Annotated[
        int,
        option("--seed", help="Of every random choice.", panel=SEARCH, metavar="NUMBER"),
    ] = 0

    def words(self) -> tuple[str, ...]:
        """The options again, for a command that is proposed."""
        limit = None if self.time_limit is None else f"{self.time_limit:g}"
        given = (
            ("--method", self.method if self.method != "auto" else None),
            ("--rows", self.rows),
            ("--answers", None if self.answers is None else str(self.answers)),
            ("--family", self.family),
            ("--dtype", self.dtype if self.dtype != "float64" else None),
            ("--time-limit", limit),
            ("--seed", str(self.seed) if self.seed else None),
        )
        found = tuple(word for name, value in given if value for word in (name, value))
        return (*found, "--nan-is-free") if self.nan_is_free else found


@command("invert", _HELP)
def invert(
    streams: Streams,
    model: Model,
    targets: Targets,
    output: Output,
    wanted: Wanted,
    search: Search,
    layout: RowLayout,
    resources: Resources,
    factors: Factors,
    reading: Reading,
    manner: Manner,
) -> int:
    """Invert, write x, report."""
    from nninvert.cli._work import limit_threads

    limit_threads(manner.threads)
    from nninvert.cli._model import open_model
    from nninvert.cli._resources import context_of
    from nninvert.cli._results import parts_in
    from nninvert.cli._values import Sources
    from nninvert.cli._wanted import resolve

    read = (model, targets, *wanted.words(), *factors.words())
    _require(search, output.file, read, streams, manner)
    context = context_of(
        resources,
        factors,
        model=model,
        output=output.file,
        seed=search.seed,
        time_limit=search.time_limit,
    )
    sources = Sources(streams)
    network = open_model(model, reading)
    asked = resolve(wanted, network, sources)
    y = sources.read(targets, "y", network.output_names, network.outputs.named_shapes)
    network = asked.named(network, y)
    task = _Task(network, sources, y, layout.single, asked)
    if resources.dry_run:
        commands = Commands(model, targets, reading.words(), wanted.words())
        more = (*search.words(), *resources.words(), *factors.words())
        command = commands.invert(*more, "-o", output.file or _usual(network))
        return _plan(task, context, command, streams, manner)
    result = _solve(task, context, search, output.file, streams, manner)
    if search.rows is not None:
        _write_rows(search.rows, result)
    code = ExitCode.INTERRUPTED if context.interrupted else exit_code(result)
    held = parts_in(output.file, network.inputs.named_shapes)
    shown = _Shown(output.file or "", search.family or "", asked.names, held)
    _report(network, result, shown, streams, manner, code)
    return int(code)


def _usual(network: Network) -> str:
    """The name of a file for x, in a command that is proposed."""
    return "x.npz" if network.inputs.named_shapes else "x.npy"


@dataclass(frozen=True)
class _Task:
    """What was read: the network, the targets, and which x are wanted."""

    network: Network
    sources: Sources
    y: LoadedArray
    single: bool | None
    asked: Resolved


def _plan(
    task: _Task, context: Context, command: str, streams: Streams, manner: Manner
) -> int:
    """Print what the work is predicted to take."""
    from nninvert.analysis.planning import forecast
    from nninvert.cli._resources import show_plan
    from nninvert.methods.question import as_rows

    shape = task.network.graph.output_shape
    with task.sources.named():
        context.rows = as_rows(task.y.values, shape, "y", task.single).shape[0]
    return show_plan(forecast(task.network, context), command, streams, manner)


def _solve(
    task: _Task,
    context: Context,
    search: Search,
    output: str | None,
    streams: Streams,
    manner: Manner,
) -> InversionResult:
    """Invert and write x; only then let go of factors that took long."""
    from nninvert import api
    from nninvert.analysis.factor_files import conclude
    from nninvert.analysis.planning import large_layers
    from nninvert.cli._resources import resumable
    from nninvert.cli._results import write_inversion
    from nninvert.cli._work import interruptible, listening

    network = task.network
    with resumable(context.disk), context:
        with (
            task.sources.named(),
            listening(context, streams, manner, large_layers(network)),
            interruptible(context, streams),
        ):
            result = api.invert(
                network,
                task.y,
                method=search.method,
                nan_is_free=search.nan_is_free,
                single=task.single,
                dtype=search.dtype,
                answers=search.answers,
                family=search.family is not None,
                context=context,
                **task.asked.keywords,
            )
        shape, names = network.graph.input_shape, task.asked.names
        parts = network.inputs.named_shapes
        write_inversion(output, search.family, result, shape, names, streams, manner, parts)
        return replace(result, kept=conclude(context))


def exit_code(result: InversionResult) -> ExitCode:
    """5 if some row is not SOLVED, else 0."""
    return ExitCode.OK if bool(result.solved.all()) else ExitCode.NOT_SOLVED


def _require(
    search: Search,
    output: str | None,
    inputs: tuple[str, ...],
    streams: Streams,
    manner: Manner,
) -> None:
    """Refuse at once what would fail in the end."""
    from nninvert.arrays import check_output
    from nninvert.arrays.several import SEVERAL_SUFFIXES
    from nninvert.cli._results import require_output
    from nninvert.cli._values import require_known
    from nninvert.methods import METHODS

    require_known("--method", search.method, ("auto", *METHODS))
    require_known("--dtype", search.dtype, ("float64", "float32"))
    if search.time_limit is not None and not search.time_limit > 0:
        raise UsageError(
            "--time-limit", got=f"{search.time_limit:g}", expected="more than 0 seconds"
        )
    require_output(output, inputs, streams, manner)
    if search.rows is not None:
        _require_own(search.rows, "--rows", {"-o": output})
        check_output(
            search.rows,
            inputs=inputs,
            force=manner.force,
            suffixes=(".csv",),
        )
    if search.family is not None:
        _require_own(search.family, "--family", {"--rows": search.rows})
        check_output(
            search.family,
            inputs=inputs,
            force=manner.force,
            suffixes=SEVERAL_SUFFIXES,
        )


def _require_own(path: str, option: str, others: Mapping[str, str | None]) -> None:
    """Refuse a file that another option writes."""
    for name, other in others.items():
        if other and os.path.realpath(other) == os.path.realpath(path):
            raise UsageError(
                option, got=f"the file of {name}", expected="another one", file=path
            )


def _write_rows(path: str, result: InversionResult) -> None:
    from nninvert.arrays import write_table
    from nninvert.report.answers_text import ANSWERS_HEADER, answers_table
    from nninvert.report.invert_text import ROWS_HEADER, rows_table

    rows = rows_table(result)
    if result.answers is None:
        write_table(path, ROWS_HEADER, rows)
    else:
        write_table(path, ANSWERS_HEADER, answers_table(result, rows))


@dataclass(frozen=True)
class _Shown:
    """What a report names: the files that were written, the inputs, their parts."""

    output: str
    family: str
    inputs: tuple[str, ...]
    parts: Parts


def _report(
    network: Network,
    result: InversionResult,
    shown: _Shown,
    streams: Streams,
    manner: Manner,
    code: ExitCode,
) -> None:
    """The whole screen on a terminal, one line elsewhere, an object with ``--json``."""
    from nninvert.analysis.invertibility import summary
    from nninvert.report.invert_text import invert_line, invert_lines
    from nninvert.report.json import encode, invert_document

    if manner.json:
        read = summary(network)
        document = invert_document(result, read, shown.output, int(code), shown.family)
        streams.print([encode(document)])
    elif manner.quiet:
        return
    elif streams.stderr_is_terminal or manner.verbose:
        width = streams.stderr_width
        lines = invert_lines(
            result,
            shown.output,
            width,
            manner.verbose,
            shown.inputs,
            shown.family,
            shown.parts,
        )
        streams.tell(lines)
    else:
        streams.tell([invert_line(result, shown.output, shown.parts)])
