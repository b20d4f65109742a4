"""Two inputs with one output: the proof that a network is not one-to-one.

A structural argument says "it loses something"; a witness shows it, and can be checked by
anybody who can run the network twice.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.analysis.sensitivity import dense_is_cheap
from nninvert.context import Context
from nninvert.layers import Elementwise, Graph
from nninvert.layers.activations import Activation, Trend
from nninvert.network import Network
from nninvert.result import Witness

Float64 = NDArray[np.float64]

_TRIES = 8
_STEPS = (1.0, 0.1, 0.01)
_CORRECTIONS = 8
_AGREEMENT = 64.0
_APART = 0.5


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
    """Give one unit of the first lossy activation two inputs with one value.

    All segments before it must be one-to-one: both are pulled back through them, and
    f(x2) is compared with f(x1) by the plain forward pass.
    """
    for position, segment in enumerate(network.segments):
        layer = segment.layer
        if layer.facts.one_to_one is False:
            pair = two_origins(layer.activation) if isinstance(layer, Elementwise) else None
            return pair and _pulled_back(network, position, pair, near, context)
    return None


def two_origins(activation: Activation) -> tuple[float, float] | None:
    """Two numbers that an activation maps to one; None where there are none.

    Inside a flat part, or on two branches that share the middle of their common values.
    """
    monotone = []
    for index, branch in enumerate(activation.branches):
        low, high = branch.domain.lower, branch.domain.upper
        if branch.trend is not Trend.CONSTANT:
            monotone.append((index, branch.image))
        elif high > low:
            start = low if np.isfinite(low) else min(high, 0.0) - 3.0
            width = min(high - start, 3.0)
            return start + width / 3.0, start + 2.0 * width / 3.0
    for (left, one), (right, other) in pairwise(monotone):
        low, high = max(one.lower, other.lower), min(one.upper, other.upper)
        if low < high:
            low, high = max(low, -1e3), min(high, 1e3)
            middle = np.array([low + min(0.5 * (high - low), 1.0)])
            origins = (activation.branch_inverse(middle, k) for k in (left, right))
            first, second = (float(z[0]) for z in origins)
            return first, second
    return None


def _pulled_back(
    network: Network,
    position: int,
    pair: tuple[float, float],
    near: Float64,
    context: Context,
) -> Witness | None:
    nodes = [node for segment in network.segments[:position] for node in segment.nodes]
    before = Graph(network.graph.input_shape, nodes)
    shape = network.graph.input_shape
    z = before.forward(near.reshape(1, *shape)).reshape(-1)
    for unit in range(min(z.size, _TRIES)):
        both = np.stack([z, z])
        both[:, unit] = pair
        both = both.reshape(2, *before.output_shape)
        found = before.preimage(both, np.full(both.shape, tolerances.EPS64), context)
        if found.outside.any():
            continue
        x1, x2 = found.x.reshape(2, -1)
        witness = _close(network, x1, x2)
        if witness is not None and witness.distance > _APART * np.linalg.norm(x2 - x1):
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
