"""``nninvert forward``: run the network, in float64."""

from __future__ import annotations

from nninvert.cli._app import command
from nninvert.cli._options import Inputs, Manner, Model, Output, Reading, RowLayout
from nninvert.cli._streams import Streams

_HELP = """Run the network: y = f(x) for each row of X, in float64.

\b
  nninvert forward model.h5 x.npy -o y.npy
  nninvert invert m.h5 y.npy -o - | nninvert forward m.h5 - -o again.npy

X is .npy, .npz:KEY, .h5:DATASET or CSV; - is stdin; of several inputs an .npz
with an array for each. Without -o a terminal gets a small table of y, a pipe
all of it as CSV.
"""


@command("forward", _HELP)
def forward(
    streams: Streams,
    model: Model,
    inputs: Inputs,
    output: Output,
    layout: RowLayout,
    reading: Reading,
    manner: Manner,
) -> int:
    """Evaluate and write."""
    from nninvert.cli._work import limit_threads

    limit_threads(manner.threads)
    from nninvert import api
    from nninvert.analysis.invertibility import summary
    from nninvert.cli._model import open_model
    from nninvert.cli._results import parts_in, require_output, write_result
    from nninvert.cli._values import Sources
    from nninvert.report.json import encode, forward_document
    from nninvert.report.parts_text import written_text

    require_output(output.file, (model, inputs), streams, manner)
    network = open_model(model, reading)
    sources = Sources(streams)
    x = sources.read(inputs, "x", network.input_names, network.inputs.named_shapes)
    with sources.named():
        y = api.forward(network, x, single=layout.single)
    numbered = tuple(f"y{index}" for index in range(network.n_out))
    names = network.output_names or numbered
    shape, parts = network.graph.output_shape, network.outputs.named_shapes
    write_result(output.file, y, shape, names, streams, manner, parts)
    if manner.json:
        document = forward_document(summary(network), y, output.file or "")
        streams.print([encode(document)])
    elif output.file is not None and not manner.quiet:
        name = "y to stdout" if output.file == "-" else output.file
        held = parts_in(output.file, parts)
        streams.tell([f"wrote {written_text(name, y, held)}"])
    return 0
