"""Whether other inputs near an answer give the same output, from the rank of J there.

Where the rank of the Jacobian is as large as it can be near x, it is constant there, and
the inputs that give f(x) form a family of dimension n_in - rank (constant rank theorem;
J. M. Lee, Introduction to Smooth Manifolds, 2nd ed., theorem 4.12). A rank that is smaller
than it could be says nothing: x^3 is one-to-one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert.analysis.sensitivity import dense_is_cheap, jacobians
from nninvert.context import Context
from nninvert.layers import Elementwise, LinearLayer, UnitNormalization
from nninvert.layers.activations import Activation, Trend
from nninvert.linalg.factor import factorise
from nninvert.network import Network
from nninvert.outcome import Uniqueness

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Room:
    """What may change about answers, and what counts.

    Attributes
    ----------
    movable : bool array, shape (rows, n_in)
        Inputs that may move, be it to one side only.
    both_ways : bool array, shape (rows, n_in)
        Those that may move to both sides.
    wanted : bool array, shape (rows, n_out)
        Outputs that matter.
    unit : float64 array, shape (n_in,)
        Of each input, so that inputs of all sizes count in the rank.
    """

    movable: Mask
    both_ways: Mask
    wanted: Mask
    unit: Float64

    @classmethod
    def unlimited(cls, network: Network, rows: int) -> Room:
        """All inputs may move and all outputs matter."""
        every = np.ones((rows, network.n_in), dtype=np.bool_)
        wanted = np.ones((rows, network.n_out), dtype=np.bool_)
        return cls(every, every, wanted, np.ones(network.n_in))


def near_answers(
    network: Network, x: Float64, context: Context, room: Room
) -> list[tuple[Uniqueness, int]]:
    """Uniqueness near each row of x, and the dimension of the family of answers.

    LOCALLY where J has full rank in the columns of all inputs that may move; NO where the
    rank in those that may move both ways is the largest possible one and smaller than
    their number; else UNKNOWN with dimension 0.
    """
    if not dense_is_cheap(network):
        return [(Uniqueness.UNKNOWN, 0)] * x.shape[0]
    most = np.minimum(largest_ranks(network, x, context), room.wanted.sum(axis=1))
    found = []
    for row, jacobian in enumerate(jacobians(network, x)):
        seen = jacobian[room.wanted[row]] * room.unit
        every, inner = room.movable[row], room.both_ways[row]
        count = int(np.count_nonzero(inner))
        if _rank(seen[:, every]) == np.count_nonzero(every):
            found.append((Uniqueness.LOCALLY, 0))
        elif (rank := _rank(seen[:, inner])) < count and rank == most[row]:
            found.append((Uniqueness.NO, count - rank))
        else:
            found.append((Uniqueness.UNKNOWN, 0))
    return found


def _rank(matrix: Float64) -> int:
    return int(np.linalg.matrix_rank(matrix)) if matrix.size else 0


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
