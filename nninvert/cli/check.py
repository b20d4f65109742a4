"""``nninvert check``: can the network be inverted, why, and at what cost."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from nninvert.cli._app import command
from nninvert.cli._options import Manner, Model, Reading, Wanted, option
from nninvert.cli._streams import Streams
from nninvert.errors import ExitCode

if TYPE_CHECKING:
    from nninvert.arrays import LoadedArray
    from nninvert.cli._values import Sources
    from nninvert.report.commands import Commands
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
    wanted: Wanted,
    reading: Reading,
    manner: Manner,
) -> int:
    """Check and report."""
    from nninvert.cli._work import limit_threads, listening

    limit_threads(manner.threads)
    from nninvert import api
    from nninvert.cli._model import open_model
    from nninvert.cli._values import Sources
    from nninvert.cli._wanted import resolve
    from nninvert.context import Context

    sources = Sources(streams)
    network = open_model(model, reading)
    asked = resolve(wanted, network, sources)
    context = Context()
    with sources.named(), listening(context, streams, manner):
        report = api.check(
            network,
            target=sources.read(target, "y") if target else None,
            pairs=_both(pairs, sources),
            inputs=sources.read(inputs, "inputs") if inputs else None,
            quick=quick,
            max_condition=max_condition,
            context=context,
            **asked.keywords,
        )
    code = exit_code(report)
    commands = _commands(report, model, target, reading, wanted)
    _show(report, commands, streams, manner, code)
    return code


def _commands(
    report: CheckReport,
    model: str,
    target: str | None,
    reading: Reading,
    wanted: Wanted,
) -> Commands:
    """What the user named, the model read as the pairs showed that it must be."""
    from nninvert.report.commands import Commands

    found: tuple[str, ...] = ()
    if report.pairs is not None and report.pairs.reading:
        found = tuple(shlex.split(report.pairs.reading))
        reading = replace(reading, activations=None, orientation=None)
    # Standard input is gone by the time that the next command runs.
    named = "y.npy" if target in (None, "-") else str(target)
    return Commands(model, named, (*found, *reading.words()), wanted.words())


def _both(
    pairs: tuple[str, str] | None, sources: Sources
) -> tuple[LoadedArray, LoadedArray] | None:
    if pairs is None:
        return None
    return sources.read(pairs[0], "X of --pairs"), sources.read(pairs[1], "Y of --pairs")


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
