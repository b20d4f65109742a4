"""The input that stands for "typical" when nobody says which."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.layers import LinearLayer
from nninvert.linalg.map import DiagonalMap, LinearMap
from nninvert.network import Network

Float64 = NDArray[np.float64]


def default_near(network: Network) -> Float64:
    """The input that the first scaler maps to zero, shape (n_in,); else zero.

    Networks that begin with Normalization or BatchNormalization carry the mean of their
    training inputs there.
    """
    before: list[LinearMap] = []
    for node in network.graph.leaves():
        if not isinstance(node.layer, LinearLayer):
            break
        linear_map, bias = node.layer.linear_part
        if isinstance(linear_map, DiagonalMap) and bias is not None:
            scale = linear_map.diagonal
            centre = np.zeros(network.n_in)
            np.divide(-bias, scale, out=centre, where=scale != 0.0)
            # What stands before only reorders: its transpose is its inverse.
            for rearrangement in reversed(before):
                centre = rearrangement.adjoint(centre)
            return centre
        if node.layer.weights():
            break
        before.append(linear_map)
    return np.zeros(network.n_in)
