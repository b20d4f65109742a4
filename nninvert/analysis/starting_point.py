"""The input that stands for "typical" when nobody says which."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.layers import DiagonalLayer, LinearLayer
from nninvert.linalg.map import LinearMap
from nninvert.network import Network

Float64 = NDArray[np.float64]


def default_near(network: Network) -> Float64:
    """The centre of the network's first scaler, shape (n_in,); else zero.

    Networks that begin with Normalization or BatchNormalization carry the mean of their
    training inputs there; of a Rescaling it is what is mapped to zero.
    """
    before: list[LinearMap] = []
    for node in network.graph.leaves():
        if isinstance(node.layer, DiagonalLayer):
            centre = node.layer.centre.reshape(-1)
            # What stands before only reorders: its transpose is its inverse.
            for rearrangement in reversed(before):
                centre = rearrangement.adjoint(centre)
            return np.array(centre)
        if not isinstance(node.layer, LinearLayer) or node.layer.weights():
            break
        before.append(node.layer.linear_part[0])
    return np.zeros(network.n_in)
