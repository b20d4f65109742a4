"""``nninvert convert``: any model that can be read to nninvert's own formats."""

from __future__ import annotations

from typing import Annotated

from nninvert.cli._app import command
from nninvert.cli._options import Manner, Model, Reading, option
from nninvert.cli._streams import Streams

_HELP = """Write the network, as it was read, in nninvert's own format.

\b
  nninvert convert weights.npz --activations tanh,linear -o model.h5
  nninvert convert model.h5 --until encoder -o encoder.npz

The result says by itself what a file of bare weights leaves open. The name's
end decides: .h5 or .npz.
"""

SUFFIXES = (".h5", ".hdf5", ".npz")


@command("convert", _HELP)
def convert(
    streams: Streams,
    model: Model,
    output: Annotated[
        str, option("-o", "--output", help="Write to this file.", metavar="FILE")
    ],
    reading: Reading,
    manner: Manner,
) -> int:
    """Read and write."""
    from nninvert.analysis.invertibility import summary
    from nninvert.arrays import check_output
    from nninvert.cli._model import open_model
    from nninvert.formats import save
    from nninvert.report.json import convert_document, encode
    from nninvert.report.numbers import plural

    check_output(output, inputs=(model,), force=manner.force, suffixes=SUFFIXES)
    network = open_model(model, reading)
    save(network, output)
    if manner.json:
        streams.print([encode(convert_document(summary(network), output))])
    elif not manner.quiet:
        size = plural(network.parameters, "parameter")
        layers = plural(len(network.layers), "layer")
        streams.tell([f"wrote {output} {layers}, {size}, {network.dtype}"])
    return 0
