"""``nninvert factor``: factor large layers once, into a file, to solve with later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from nninvert.cli._app import command
from nninvert.cli._options import Factors, Manner, Model, Reading, Resources, option
from nninvert.cli._streams import Streams
from nninvert.report.commands import Commands

if TYPE_CHECKING:
    from nninvert.context import Context
    from nninvert.network import Network
    from nninvert.result import KeptFactors

_HELP = """Factor the large layers once; solve with the factors many times.

\b
  nninvert factor model.h5 -o model.factors
  nninvert invert model.h5 y.npy --factors model.factors -o x.npy
  nninvert factor model.h5 -o model.factors --memory 16GiB --dry-run

Every dense square layer that takes more than some seconds goes into one file.
If it ends early (Ctrl-C, a full disk, kill), the same command goes on where
it was.
"""


@command("factor", _HELP)
def factor(
    streams: Streams,
    model: Model,
    output: Annotated[
        str, option("-o", "--output", help="The file to make.", metavar="FACTORS")
    ],
    resources: Resources,
    reading: Reading,
    manner: Manner,
) -> int:
    """Factor and keep."""
    from nninvert.cli._work import limit_threads

    limit_threads(manner.threads)
    from nninvert.analysis.factor_files import require_factorable
    from nninvert.analysis.planning import forecast
    from nninvert.cli._model import open_model
    from nninvert.cli._resources import context_of, require_factors_output, show_plan

    require_factors_output(output, model, manner)
    context = context_of(resources, Factors(), model=model, made=output)
    network = open_model(model, reading)
    require_factorable(network)
    commands = Commands(model, reading=reading.words())
    if resources.dry_run:
        again = commands.factor(*resources.words(), "-o", output)
        return show_plan(forecast(network, context), again, streams, manner)
    kept = _factored(network, output, context, streams, manner)
    _show(kept, network, commands, streams, manner)
    return 0


def _factored(
    network: Network, output: str, context: Context, streams: Streams, manner: Manner
) -> KeptFactors:
    from nninvert import api
    from nninvert.analysis.planning import large_layers
    from nninvert.cli._resources import resumable
    from nninvert.cli._work import listening

    with (
        resumable(context.disk),
        context,
        listening(context, streams, manner, large_layers(network)),
    ):
        return api.factor(network, output, context)


def _show(
    kept: KeptFactors,
    network: Network,
    commands: Commands,
    streams: Streams,
    manner: Manner,
) -> None:
    from nninvert.analysis.invertibility import summary
    from nninvert.report.json import encode, factor_document
    from nninvert.report.numbers import duration, gigabytes

    if manner.json:
        streams.print([encode(factor_document(summary(network), kept))])
    elif not manner.quiet:
        took = f"made in {duration(kept.seconds)}"
        again = commands.invert("--factors", kept.path, "-o", "x.npy")
        streams.tell(
            [
                f"wrote {kept.path} {gigabytes(kept.nbytes)}, {took}",
                f"next      {again}",
            ]
        )
