"""How much activations bend: what the tightness, not the truth, of relaxations needs.

An activation without an entry is enclosed by its monotone branches alone.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nninvert.layers.activations import (
    Activation,
    celu,
    elu,
    exponential,
    gelu,
    gelu_tanh,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    linear,
    log_sigmoid,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    squareplus,
    tanh,
    tanh_shrink,
    threshold,
    thresholded_relu,
)

Float64 = NDArray[np.float64]

_STRAIGHT = (
    hard_shrink.HardShrink,
    hard_sigmoid.HardSigmoid,
    hard_tanh.HardTanh,
    leaky_relu.LeakyReLU,
    linear.Linear,
    relu.ReLU,
    relu6.ReLU6,
    soft_shrink.SoftShrink,
    sparse_sigmoid.SparseSigmoid,
    threshold.Threshold,
    thresholded_relu.ThresholdedReLU,
)
"""Those made of straight pieces."""

_LARGEST: dict[type[Activation], float] = {
    **dict.fromkeys(_STRAIGHT, 0.0),
    gelu.GELU: 0.79789,  # sqrt(2 / pi), at 0
    gelu_tanh.GELUTanh: 0.79789,  # the same
    hard_silu.HardSiLU: 0.33334,
    log_sigmoid.LogSigmoid: 0.25,
    mish.Mish: 0.6443,  # 0.64420 at -0.088
    selu.SELU: 1.75810,
    sigmoid.Sigmoid: 0.09623,  # 1 / (6 sqrt(3))
    softsign.Softsign: 2.0,
    sparse_plus.SparsePlus: 0.5,
    tanh.Tanh: 0.76981,  # 4 / (3 sqrt(3))
    tanh_shrink.TanhShrink: 0.76981,
}
"""Largest |f''| between kinks of the activations without a parameter."""


def curvature(activation: Activation, lower: Float64, upper: Float64) -> Float64:
    """Largest |f''| over each interval, none of which holds a kink inside.

    Parameters
    ----------
    activation : Activation
    lower, upper : float64 arrays of one shape

    Returns
    -------
    float64 array of that shape, inf where it is not known.
    """
    if isinstance(activation, exponential.Exponential):
        with np.errstate(over="ignore"):
            # A little more than exp(upper), which is itself rounded.
            return np.asarray(np.exp(upper) * (1.0 + 1e-9))
    return np.full(lower.shape, _largest(activation) * (1.0 + 1e-9))


def _largest(activation: Activation) -> float:
    match activation:
        case celu.CELU():
            return 1.0 / activation.alpha
        case elu.ELU():
            return abs(activation.alpha)
        case silu.SiLU():
            return 0.5 * activation.beta
        case softplus.Softplus():
            return 0.25 * activation.beta
        case squareplus.Squareplus():
            return 0.5 / math.sqrt(activation.b)
    return _LARGEST.get(type(activation), math.inf)


def kinks(activation: Activation) -> tuple[float, ...]:
    """Where the slope, or the value, jumps: ascending, finite."""
    found = {0.0}
    for branch in activation.branches:
        found |= {branch.domain.lower, branch.domain.upper}
    if isinstance(activation, hard_silu.HardSiLU):
        found.add(3.0)
    if isinstance(activation, sparse_plus.SparsePlus):
        found.add(1.0)
    return tuple(sorted(place for place in found if math.isfinite(place)))


def scale(activation: Activation) -> float:
    """The length over which the activation bends; 1 where it does not depend."""
    match activation:
        case celu.CELU():
            return activation.alpha
        case silu.SiLU() | softplus.Softplus():
            return 1.0 / activation.beta
        case squareplus.Squareplus():
            return math.sqrt(activation.b)
    return 1.0
