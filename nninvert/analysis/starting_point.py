"""The input that stands for "typical" when nobody says which, and each input's unit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nninvert import tolerances
from nninvert.layers import DiagonalLayer, LinearLayer
from nninvert.linalg.map import IdentityMap, LinearMap, PermutationMap
from nninvert.linalg.norms import row_norms
from nninvert.network import Network

Float64 = NDArray[np.float64]

PROBES = 16
"""Random sums of rows that stand for all rows of a matrix too large to copy: the sizes of
its columns then come out within a factor of about 1.4."""


def default_near(network: Network) -> Float64:
    """The centre of the network's first scaler, shape (n_in,); else zero.

    Networks that begin with Normalization or BatchNormalization carry the mean of their
    training inputs there; of a Rescaling it is what is mapped to zero.
    """
    front = _Front.of(network)
    if front.scaler is None:
        return np.zeros(network.n_in)
    return front.as_input(front.scaler.centre)


def input_scale(network: Network) -> Float64:
    """What counts as one unit of each input, shape (n_in,), positive and finite.

    The deviation of the network's first scaler, if it has one. Else from the first layer
    with weights A (m, n): the step ``sqrt(m / n) / ||A_j||`` of all inputs together moves
    a typical unit by order one, or by the size of the biases where those are larger (a
    relu net may work on any scale). Where no activation follows, "order one" means
    nothing: then only the ratios of the columns count, and the median unit is 1. For
    weights as frameworks draw them, of variance 1 / n, it is 1 everywhere.

    An input that a scaler or a layer multiplies by zero has the median unit.
    """
    front = _Front.of(network)
    if front.scaler is not None:
        return front.as_input(front.scaler.deviation)
    if front.first is None:
        return np.ones(network.n_in)
    linear_map, bias = front.first.linear_part
    m, n = linear_map.shape
    columns = _column_sizes(linear_map)
    usable = columns >= np.finfo(np.float64).tiny
    if not usable.any():
        return np.ones(network.n_in)
    step = np.full(n, np.nan)
    with np.errstate(over="ignore"):
        step[usable] = math.sqrt(m / n) / columns[usable]
    step[~np.isfinite(step)] = np.nan
    typical = float(np.nanmedian(step)) if np.isfinite(step).any() else 1.0
    step = np.where(np.isnan(step), typical, step)
    if front.bends:
        offset = 0.0 if bias is None else float(row_norms(bias)) / math.sqrt(m)
        step = step * max(1.0, offset)
    else:
        step = step / typical
    return front.as_input(step)


@dataclass(frozen=True)
class _Front:
    """What a network does to its inputs first.

    Attributes
    ----------
    rearrangements : tuple of LinearMap
        What stands before the rest and only reorders.
    scaler : DiagonalLayer or None
        The first thing after them, if it is one.
    first : LinearLayer or None
        The first layer with weights, if it comes next and is no scaler.
    bends : bool
        Whether an activation follows anywhere.
    """

    rearrangements: tuple[LinearMap, ...]
    scaler: DiagonalLayer | None
    first: LinearLayer | None
    bends: bool

    @classmethod
    def of(cls, network: Network) -> _Front:
        before: list[LinearMap] = []
        layers = [node.layer for node in network.graph.trunk]
        bends = not all(isinstance(layer, LinearLayer) for layer in layers)
        for layer in layers:
            if isinstance(layer, DiagonalLayer):
                return cls(tuple(before), layer, None, bends)
            if not isinstance(layer, LinearLayer):
                break
            if layer.weights():
                return cls(tuple(before), None, layer, bends)
            rearrangement = layer.linear_part[0]
            if not isinstance(rearrangement, IdentityMap | PermutationMap):
                break
            before.append(rearrangement)
        return cls((), None, None, bends)

    def as_input(self, values: Float64) -> Float64:
        """Put one number for each unit behind the rearrangements in the inputs' order."""
        found = values.reshape(-1)
        # The transpose of a rearrangement is its inverse.
        for rearrangement in reversed(self.rearrangements):
            found = rearrangement.adjoint(found)
        return np.array(found)


def _column_sizes(linear_map: LinearMap) -> Float64:
    """||A_j|| of every column; of large matrices estimated from random sums of rows."""
    m, n = linear_map.shape
    if 8 * m * n <= tolerances.SMALL_WEIGHTS:
        return row_norms(linear_map.dense().T)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(PROBES, m))
    sums = linear_map.adjoint(signs)
    return row_norms(sums.T) / math.sqrt(PROBES)
