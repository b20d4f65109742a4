"""The same equations before the last activation: where saturated outputs are not flat.

``softmax(z) = y`` and ``z = log y + c`` have the same solutions, but least squares sees
probabilities of 1e-9 only in the second form. What is found here is a start for the search
on the outputs themselves, never an answer.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nninvert.context import Context
from nninvert.layers import Graph, LinearLayer, LogSoftmax, Softmax
from nninvert.methods.domain import Domain
from nninvert.network import Network
from nninvert.rootfind.least_squares import least_squares

Float64 = NDArray[np.float64]


def inner_start(
    network: Network,
    target: Float64,
    half_step: Float64,
    begin: Float64,
    bounds: Domain,
    context: Context,
) -> Float64 | None:
    """Search an x whose values before the last activation are those of the target.

    Parameters
    ----------
    network : Network
    target, half_step : float64 arrays, shape (n_out,)
        One row, and how far each value may be off.
    begin : float64 array, shape (n_in,)
        Where to begin.
    bounds : Domain
    context : Context

    Returns
    -------
    float64 array, shape (n_in,), or None
        None where the network does not end in an activation, or the target lies outside
        its range.
    """
    *before, last = network.segments
    if isinstance(last.layer, LinearLayer) or not before:
        return None
    shape = (1, *last.layer.output_shape)
    wanted = last.layer.preimage(target.reshape(shape), half_step.reshape(shape), context)
    if wanted.outside[0]:
        return None
    nodes = [node for segment in before for node in segment.nodes]
    inner = Network.of_graph(Graph(network.graph.input_shape, nodes))
    centred = _without_constant(last.layer, inner.n_out)
    found = least_squares(
        lambda x: centred(inner.forward(x[None]) - wanted.x.reshape(1, -1))[0],
        lambda x: centred(inner.linearize(x[None]).dense()[0].T).T,
        begin,
        bounds.lower,
        bounds.upper,
        should_stop=context.should_stop,
    )
    return found.x if np.isfinite(found.residual).all() else None


def _without_constant(layer: object, n: int) -> Callable[[Float64], Float64]:
    """Take the mean off each row where the activation ignores a constant."""
    if isinstance(layer, Softmax | LogSoftmax) and layer.input_shape == (n,):
        return lambda rows: rows - rows.mean(axis=-1, keepdims=True)
    return lambda rows: rows
