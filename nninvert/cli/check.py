"""``nninvert check``: can the network be inverted, why, and at what cost."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from nninvert.cli._app import command
from nninvert.cli._options import (
    LARGE,
    Factors,
    Manner,
    Model,
    Reading,
    Resources,
    Wanted,
    option,
)
from nninvert.cli._streams import Streams
from nninvert.errors import ExitCode, UsageError
from nninvert.report.commands import Commands

if TYPE_CHECKING:
    from nninvert.arrays import LoadedArray
    from nninvert.cli._values import Sources
    from nninvert.context import Context
    from nninvert.network import Network
    from nninvert.result import CheckReport

_HELP = """Say whether the network can be inverted, why, and how far to trust an answer.

\b
  nninvert check model.h5
  nninvert check model.h5 --target y.npy       is there an x for each y?
  nninvert check model.h5 --pairs x.npy y.npy  was the file read right?

Exits with 0 if the network is BIJECTIVE (one-to-one onto its image), with 4
if it is anything else, and with 5 if it is BIJECTIVE but some row of --target
is not shown to be reachable. invert works for every network.
"""


@command("check", _HELP)
def check(
    streams: Streams,
    model: Model,
    *,
    target: Annotated[
        str | None,
        option(
            "--target",
            help="Targets: is each of them reachable, and if not, where does it fail?",
            metavar="Y",
        ),
    ] = None,
    pairs: Annotated[
        tuple[str, str] | None,
        option(
            "--pairs",
            help="Inputs and the outputs that belong to them: compare f(X) "
            "with Y. Tries other readings of a file of bare weights.",
            metavar="X Y",
        ),
    ] = None,
    inputs: Annotated[
        str | None,
        option(
            "--inputs",
            help="Typical inputs: how many digits does inverting cost there?",
            metavar="X",
        ),
    ] = None,
    quick: Annotated[
        bool, option("--quick", help="Structure only: no rank, no condition.")
    ] = False,
    max_condition: Annotated[
        float | None,
        option(
            "--max-condition",
            help="Name the layers whose condition number is larger.",
            metavar="NUMBER",
        ),
    ] = None,
    made: Annotated[
        str | None,
        option(
            "-o",
            "--output",
            help="Keep the factors of large layers in this file, for --factors.",
            panel=LARGE,
            metavar="FACTORS",
        ),
    ] = None,
    wanted: Wanted,
    resources: Resources,
    factors: Factors,
    reading: Reading,
    manner: Manner,
) -> int:
    """Check and report."""
    from nninvert.cli._work import limit_threads

    limit_threads(manner.threads)
    from nninvert.cli._model import open_model
    from nninvert.cli._resources import context_of
    from nninvert.cli._values import Sources
    from nninvert.cli._wanted import resolve

    _require(made, model, quick, factors, manner)
    context = context_of(resources, factors, model=model, made=made)
    sources = Sources(streams)
    network = open_model(model, reading)
    parts = network.outputs.named_shapes
    names = network.output_names
    wanted_y = sources.read(target, "y", names, parts) if target else None
    asked = resolve(wanted, network, sources)
    network = asked.named(network, wanted_y)
    options: dict[str, Any] = {
        **asked.keywords,
        "target": wanted_y,
        "pairs": _both(pairs, network, sources),
        "inputs": _rows_of_x(inputs, "inputs", network, sources) if inputs else None,
        "quick": quick,
        "max_condition": max_condition,
    }
    if resources.dry_run:
        commands = Commands(model, reading=reading.words())
        files = (("--target", target), ("-o", made))
        more = [word for name, value in files if value for word in (name, value)]
        command = commands.check(*more, *resources.words(), *factors.words())
        with sources.named():
            context.rows = _rows(network, options["target"])
        return _plan(network, context, command, streams, manner)
    report = _check(network, context, options, sources, streams, manner)
    code = exit_code(report)
    commands = _commands(report, model, target, reading, wanted)
    _show(report, commands, streams, manner, code)
    return code


def _require(
    made: str | None, model: str, quick: bool, factors: Factors, manner: Manner
) -> None:
    """Refuse at once what would fail in the end."""
    from nninvert.cli._resources import require_factors_output

    if made is None:
        return
    for option_name, given in (("--quick", quick), ("--factors", bool(factors.factors))):
        if given:
            raise UsageError("-o", got=f"{option_name} as well", expected="one of the two")
    require_factors_output(made, model, manner)


def _rows(network: Network, target: LoadedArray | None) -> int:
    """How many targets there are to solve for; one stands for the check itself."""
    from nninvert.methods.question import as_rows

    if target is None:
        return 1
    rows = as_rows(target.values, network.graph.output_shape, "y")
    return int(rows.shape[0])


def _plan(
    network: Network, context: Context, command: str, streams: Streams, manner: Manner
) -> int:
    """Print what the work is predicted to take."""
    from nninvert.analysis.planning import forecast
    from nninvert.cli._resources import show_plan

    return show_plan(forecast(network, context), command, streams, manner)


def _check(
    network: Network,
    context: Context,
    options: dict[str, Any],
    sources: Sources,
    streams: Streams,
    manner: Manner,
) -> CheckReport:
    from nninvert import api
    from nninvert.analysis.factor_files import conclude, require_factorable
    from nninvert.analysis.planning import large_layers
    from nninvert.cli._resources import resumable
    from nninvert.cli._work import listening

    if context.disk.output:
        require_factorable(network)
    with resumable(context.disk), context:
        with (
            sources.named(),
            listening(context, streams, manner, large_layers(network)),
        ):
            report = api.check(network, context=context, **options)
        return replace(report, kept=conclude(context))


def _commands(
    report: CheckReport,
    model: str,
    target: str | None,
    reading: Reading,
    wanted: Wanted,
) -> Commands:
    """What the user named, the model read as the pairs showed that it must be."""
    found: tuple[str, ...] = ()
    if report.pairs is not None and report.pairs.reading:
        found = tuple(shlex.split(report.pairs.reading))
        reading = replace(reading, activations=None, orientation=None)
    # Standard input is gone by the time that the next command runs.
    usual = "y.npz" if report.model.output_parts else "y.npy"
    named = usual if target in (None, "-") else str(target)
    return Commands(model, named, (*found, *reading.words()), wanted.words())


def _both(
    pairs: tuple[str, str] | None, network: Network, sources: Sources
) -> tuple[LoadedArray, LoadedArray] | None:
    if pairs is None:
        return None
    parts = network.outputs.named_shapes
    x = _rows_of_x(pairs[0], "X of --pairs", network, sources)
    return x, sources.read(pairs[1], "Y of --pairs", network.output_names, parts)


def _rows_of_x(source: str, field: str, network: Network, sources: Sources) -> LoadedArray:
    return sources.read(source, field, network.input_names, network.inputs.named_shapes)


def exit_code(report: CheckReport) -> int:
    """0 for BIJECTIVE, 4 for all else; 5 where targets of a BIJECTIVE one fail."""
    from nninvert.outcome import Verdict

    if report.verdict is not Verdict.BIJECTIVE:
        return int(ExitCode.NOT_BIJECTIVE)
    if report.target is not None and not all(report.target.reachable):
        return int(ExitCode.NOT_SOLVED)
    return int(ExitCode.OK)


def _show(
    report: CheckReport, commands: Commands, streams: Streams, manner: Manner, code: int
) -> None:
    from nninvert.report.check_text import check_lines, layers_table
    from nninvert.report.json import check_document, encode

    if manner.json:
        streams.print([encode(check_document(report, code))])
    elif manner.plain:
        streams.print(layers_table(report))
    else:
        width = streams.stdout_width
        streams.print(check_lines(report, commands, width, streams.stdout_is_terminal))
