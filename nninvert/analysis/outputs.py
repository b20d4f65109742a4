"""What is known about the outputs of a network: their range, their size."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nninvert.layers import LinearLayer
from nninvert.layers.activations import Interval
from nninvert.linalg.map import IdentityMap
from nninvert.linalg.norms import row_norms
from nninvert.network import Network

Float64 = NDArray[np.float64]


def output_image(network: Network) -> tuple[Interval, ...] | None:
    """The elementwise range of the last activation; None where it is not elementwise."""
    for segment in reversed(network.segments):
        layer = segment.layer
        if isinstance(layer, LinearLayer) and isinstance(layer.linear_part[0], IdentityMap):
            continue
        return layer.facts.image
    return None


def on_unattained_end(network: Network, values: Float64) -> NDArray[np.bool_]:
    """Which values lie on an end of the output range that no input attains.

    A tanh stored in float32 is exactly 1.0 from z = 9.01 on; what such a value tells is
    an inequality.
    """
    found = np.zeros(values.shape, dtype=np.bool_)
    for interval in output_image(network) or ():
        if interval.upper_open and math.isfinite(interval.upper):
            found |= values == interval.upper
        if interval.lower_open and math.isfinite(interval.lower):
            found |= values == interval.lower
    return found


def output_sizes(network: Network, values: Float64) -> Float64:
    """What a percentage of an output refers to, shape (rows, n_out).

    Half the width of the output's range where that is bounded (1 for tanh, 0.5 for
    sigmoid). Else the larger of |y_i| and the root mean square of that output over all
    rows: a value that happens to be small is not known better than its neighbours. An
    output that is zero in all rows takes the size of the largest one.
    """
    image = output_image(network)
    if image and math.isfinite(image[0].lower) and math.isfinite(image[-1].upper):
        return np.full(values.shape, 0.5 * (image[-1].upper - image[0].lower))
    typical = row_norms(values.T) / math.sqrt(values.shape[0])
    sizes = np.maximum(np.abs(values), typical)
    # An output that is zero in all rows has no size of its own.
    largest = float(np.abs(values).max())
    return np.where(sizes > 0.0, sizes, largest or 1.0)


def rounded_percent(share: float) -> str:
    """Round a share up to one leading digit and write it as a percentage."""
    percent = max(100.0 * share, 1e-4)
    unit = 10.0 ** math.floor(math.log10(percent))
    return f"{math.ceil(round(percent / unit, 6)) * unit:g}%"
