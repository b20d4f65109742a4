"""Two inputs with one output: the proof that a network is not one-to-one.

A structural argument says "it loses something"; a witness shows it, and can be checked by
anybody who can run the network twice.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis.sensitivity import dense_is_cheap
from nninvert.context import Context
from nninvert.layers import Elementwise, Graph
from nninvert.layers.activations import Activation
from nninvert.network import Network
from nninvert.result import Witness

Float64 = NDArray[np.float64]

_TRIES = 8
_STEPS = (1.0, 0.1, 0.01)
_CORRECTIONS = 8
_AGREEMENT = 64.0
_APART = 1e-3


def find_witness(network: Network, near: Float64, context: Context) -> Witness | None:
    """Search x1 != x2 with f(x1) = f(x2): along what J loses, then by other branches.

    Parameters
    ----------
    network : Network
    near : float64 array, shape (n_in,)
        Around which inputs are drawn.
    context : Context

    Returns
    -------
    Witness or None
        None where nothing was found, which proves nothing.
    """
    return along_kernel(network, near, context) or by_branches(network, near, context)


def along_kernel(network: Network, near: Float64, context: Context) -> Witness | None:
    """Walk along a direction that the Jacobian loses.

    From an x1 near `near` a step is made along a null vector of J; Newton steps of
    minimum norm bring f(x2) back to f(x1). On piecewise linear networks the first step
    already keeps f.
    Nothing is tried where Jacobians are too large to decompose.
    """
    if not dense_is_cheap(network):
        return None
    rng = np.random.default_rng(context.seed)
    for _ in range(_TRIES):
        x1 = near + rng.standard_normal(network.n_in)
        direction = _lost_direction(network, x1)
        if direction is None:
            continue
        for step in _STEPS:
            found = _close(network, x1, x1 + step * direction)
            if found is not None and found.distance > 0.5 * step:
                return found
    return None


def by_branches(network: Network, near: Float64, context: Context) -> Witness | None:
    """Take another origin of a value that the first lossy activation has twice.

    All segments before it must be one-to-one: the changed value is pulled back through
    them, and f(x2) is compared with f(x1) by the plain forward pass.
    """
    for position, segment in enumerate(network.segments):
        layer = segment.layer
        if layer.facts.one_to_one is False:
            if position and isinstance(layer, Elementwise) and not layer.facts.lost:
                before = _before(network, position)
                return _other_origin(network, before, layer.activation, near, context)
            return None
    return None


def _before(network: Network, position: int) -> Graph:
    """The graph of all segments before one."""
    nodes = [node for segment in network.segments[:position] for node in segment.nodes]
    return Graph(network.graph.input_shape, nodes)


def _other_origin(
    network: Network, before: Graph, activation: Activation, near: Float64, context: Context
) -> Witness | None:
    rng = np.random.default_rng(context.seed)
    x1 = near + rng.standard_normal((_TRIES, network.n_in))
    z = before.forward(x1.reshape(_TRIES, *network.graph.input_shape))
    others = activation.preimage(activation.forward(z)).z
    apart = np.abs(others - z).reshape(_TRIES, -1)
    unit = apart.argmax(axis=1)
    changed = z.reshape(_TRIES, -1).copy()
    rows = np.arange(_TRIES)
    changed[rows, unit] = others.reshape(_TRIES, -1)[rows, unit]
    radius = np.full(z.shape, tolerances.EPS64)
    found = before.preimage(changed.reshape(z.shape), radius, context)
    for row in np.flatnonzero((found.outside == 0) & (apart.max(axis=1) > _APART)):
        witness = _close(network, x1[row], found.x.reshape(_TRIES, -1)[row])
        if witness is not None and witness.distance > 0.5 * _APART:
            return witness
    return None


def _lost_direction(network: Network, x: Float64) -> Float64 | None:
    """A unit vector that J maps to zero; None where J has full column rank."""
    jacobian = network.linearize(x[None, :]).dense()[0]
    _, values, basis = np.linalg.svd(jacobian)
    if values.size == network.n_in:
        zero = tolerances.singular_threshold(jacobian.shape, float(values[0]))
        if values[-1] > zero:
            return None
    return np.asarray(basis[-1])


def _close(network: Network, x1: Float64, x2: Float64) -> Witness | None:
    """Correct x2 until f(x2) = f(x1) to rounding."""
    y1, terms = network.forward_with_terms(x1[None, :])
    rounding = _AGREEMENT * tolerances.EPS64 * np.maximum(np.abs(y1), terms)
    for _ in range(_CORRECTIONS):
        near = network.linearize(x2[None, :])
        difference = near.y - y1
        if not np.isfinite(difference).all():
            return None
        if (np.abs(difference) <= rounding).all():
            return Witness(
                x1,
                x2,
                float(np.linalg.norm(x2 - x1)),
                float(np.linalg.norm(difference)),
            )
        x2 = x2 - np.linalg.lstsq(near.dense()[0], difference[0], rcond=None)[0]
    return None
