"""Whether other inputs near an answer give the same output, from the rank of J there.

Where the rank of the Jacobian is as large as it can be near x, it is constant there, and
the inputs that give f(x) form a family of dimension n_in - rank (constant rank theorem;
J. M. Lee, Introduction to Smooth Manifolds, 2nd ed., theorem 4.12). A rank that is smaller
than it could be says nothing: x^3 is one-to-one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.analysis.sensitivity import jacobian_ranks
from nninvert.context import Context
from nninvert.layers import Elementwise, LinearLayer, UnitNormalization
from nninvert.layers.activations import Activation, Trend
from nninvert.linalg.factor import factorise
from nninvert.network import Network
from nninvert.outcome import Uniqueness

Float64 = NDArray[np.float64]


def near_answers(
    network: Network, x: Float64, context: Context
) -> list[tuple[Uniqueness, int]]:
    """Uniqueness near each row of x, and the dimension of the family of answers.

    LOCALLY where J has full column rank; NO where the rank is the largest possible one
    and smaller than n_in; else UNKNOWN with dimension 0.
    """
    n_in = network.n_in
    ranks = jacobian_ranks(network, x)
    found = []
    for rank, most in zip(ranks, largest_ranks(network, x, context), strict=True):
        if rank == n_in:
            found.append((Uniqueness.LOCALLY, 0))
        elif rank == most:
            found.append((Uniqueness.NO, n_in - int(rank)))
        else:
            found.append((Uniqueness.UNKNOWN, 0))
    return found


def largest_ranks(network: Network, x: Float64, context: Context) -> NDArray[np.int64]:
    """What the rank of J cannot exceed near each x: the narrowest place on the way.

    Linear segments let pass as many dimensions as their rank, activations as many as
    there are units outside their flat parts at x.
    """
    value = x.reshape(x.shape[0], *network.graph.input_shape)
    most = np.full(x.shape[0], network.n_in, dtype=np.int64)
    for segment in network.segments:
        layer = segment.layer
        if isinstance(layer, LinearLayer):
            most = np.minimum(most, factorise(layer.linear_part[0], context).rank)
        elif isinstance(layer, Elementwise):
            moving = ~_on_flat_part(layer.activation, value).reshape(x.shape[0], -1)
            most = np.minimum(most, np.count_nonzero(moving, axis=1))
        else:
            size = int(np.prod(layer.input_shape)) - layer.facts.lost
            if isinstance(layer, UnitNormalization):
                most = np.minimum(most, size - layer.beyond_floor(value).sum(axis=1))
            most = np.minimum(most, size)
        value = layer.forward(value)
    return most


def _on_flat_part(activation: Activation, z: Float64) -> NDArray[np.bool_]:
    flat = np.zeros(z.shape, dtype=np.bool_)
    for branch in activation.branches:
        if branch.trend is Trend.CONSTANT:
            flat |= branch.domain.contains(z)
    return flat
