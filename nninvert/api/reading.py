"""Reading a network, and running it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nninvert import formats
from nninvert.api.asking import stored
from nninvert.api.named import Values, whole_rows
from nninvert.api.scaling import in_units
from nninvert.formats import MakeLayer, ReadOptions
from nninvert.methods.question import as_rows
from nninvert.network import Network

Float64 = NDArray[np.float64]


def load(
    path: str,
    *,
    activations: str | None = None,
    orientation: str | None = None,
    first: str | None = None,
    until: str | None = None,
    config: str | None = None,
    input_scaler: str | None = None,
    output_scaler: str | None = None,
    layers: Mapping[str, MakeLayer] | None = None,
) -> Network:
    """Read a network from a file.

    Parameters
    ----------
    path : str
        A model file; what it is, its content decides.
    activations : str or None, default None
        For bare weights: "tanh,linear", one for each layer, or one for all.
    orientation : str or None, default None
        For bare weights: which axis of a matrix is the output; None: from the shapes.
    first, until : str or None, default None
        Take the part from one layer to another, by name or index, both inclusive.
    config : str or None, default None
        For Keras weights without an architecture: the JSON file that has it.
    input_scaler, output_scaler : str or None, default None
        Files that say how inputs and outputs were scaled for training: mean and scale,
        or min and max; NPZ or CSV, see `nninvert.arrays.scaler`. The network then takes
        and gives numbers in the units of the data.
    layers : mapping of str to function or None, default None
        For Keras and ONNX: layers of your own, by the name of the class in the file. A
        function takes a `FileLayer` and returns a `Layer`, of nninvert's or a subclass of
        `nninvert.layers.SearchedLayer` or `AffineLayer`. Names are "Scale" or
        "Package>Scale" of Keras, "Scale" or "domain::Scale" of ONNX. What nninvert reads
        itself only the full name replaces: "keras>Dense", "ai.onnx::Gemm". Names that are
        not in the file are ignored. Nothing from the file is run.

    Raises
    ------
    FormatError
        If the file is no model that can be read; `UnsupportedLayerError` names all layers
        that are not known.
    UsageError
        If a function of `layers` gives no layer, or one of other shapes than it says; if
        a short name in it is that of a class that nninvert reads itself.
    """
    options = ReadOptions(
        activations,
        orientation,
        first=first,
        until=until,
        config=config,
        layers=layers or {},
    )
    return in_units(formats.load(path, options), input_scaler, output_scaler)


def forward(network: Network, x: Values, *, single: bool | None = None) -> Float64:
    """Evaluate f in float64, by the plain forward pass.

    Parameters
    ----------
    network : Network
    x : array, shape (rows, n_in), (rows, *input_shape) or input_shape
        Of a network with several inputs also a dict of an array for each, by its name.
    single : bool or None, default None
        True: x is one row; False: its first axis counts rows; None: decide. Where both
        would do, they give the same row.

    Returns
    -------
    float64 array, shape (rows, n_out)
        NaN in the rows in which x is: what `invert` could not find stays visible.
    """
    given = stored(whole_rows(x, network.inputs, "x"))
    rows = as_rows(given, network.graph.input_shape, "x", single)
    return network.forward(rows.astype(np.float64))
