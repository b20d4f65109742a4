"""Operators that are activations, number by number or along one axis."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nninvert.errors import UnsupportedLayerError
from nninvert.formats.onnx.call import Call
from nninvert.formats.onnx.chain import Chain
from nninvert.layers import Layer, LogSoftmax, PReLU, Softmax, size_of
from nninvert.layers.activations import Activation, activation_from_text
from nninvert.layers.activations.celu import CELU
from nninvert.layers.activations.elu import ELU
from nninvert.layers.activations.hard_sigmoid import HardSigmoid
from nninvert.layers.activations.hard_tanh import HardTanh
from nninvert.layers.activations.leaky_relu import LeakyReLU
from nninvert.layers.activations.relu import ReLU
from nninvert.layers.activations.silu import SiLU
from nninvert.layers.activations.threshold import Threshold
from nninvert.layers.activations.thresholded_relu import ThresholdedReLU

Operator = Callable[[Call], list[Layer]]

_FLATTENING = 13
"""Before this opset softmax took all axes from the given one on as one."""


def named(name: str) -> Operator:
    """An activation without parameters."""

    def build(call: Call) -> list[Layer]:
        return call.chain.activation(activation_from_text(name)).layers

    return build


def with_alpha(make: Callable[[float], Activation], default: float) -> Operator:
    """An activation whose one parameter is the attribute alpha."""

    def build(call: Call) -> list[Layer]:
        return call.chain.activation(make(call.attributes.number("alpha", default))).layers

    return build


leaky_relu = with_alpha(LeakyReLU, 0.01)
elu = with_alpha(ELU, 1.0)
celu = with_alpha(CELU, 1.0)
thresholded_relu = with_alpha(ThresholdedReLU, 1.0)
swish = with_alpha(SiLU, 1.0)


def absolute(call: Call) -> list[Layer]:
    """|x| is a leaky ReLU of slope -1."""
    return call.chain.activation(LeakyReLU(-1.0)).layers


def selu(call: Call) -> list[Layer]:
    """Both constants are float32 in the file, and taken as they are there."""
    alpha = call.attributes.number("alpha", 1.67326319217681884765625)
    gamma = call.attributes.number("gamma", 1.05070102214813232421875)
    return call.chain.activation(ELU(alpha)).affine(gamma, 0.0).layers


def hard_sigmoid(call: Call) -> list[Layer]:
    """``min(max(alpha x + beta, 0), 1)``."""
    slope = call.attributes.number("alpha", float(np.float32(0.2)))
    offset = call.attributes.number("beta", 0.5)
    if offset == 0.5 and slope > 0.0:
        return call.chain.activation(HardSigmoid(slope)).layers
    return call.chain.affine(slope, offset).activation(HardTanh(0.0, 1.0)).layers


def gelu(call: Call) -> list[Layer]:
    """By the normal distribution, or the formula with tanh."""
    kind = call.attributes.text("approximate", "none")
    if kind not in ("none", "tanh"):
        raise UnsupportedLayerError("approximate", got=repr(kind), expected="none or tanh")
    return named("gelu" if kind == "none" else "gelu_tanh")(call)


def shrink(call: Call) -> list[Layer]:
    """Zero between -lambd and lambd, moved by the bias outside."""
    edge = call.attributes.number("lambd", 0.5)
    bias = call.attributes.number("bias", 0.0)
    if bias == edge:
        return call.chain.activation(activation_from_text(f"soft_shrink:{edge!r}")).layers
    if bias == 0.0:
        return call.chain.activation(activation_from_text(f"hard_shrink:{edge!r}")).layers
    raise UnsupportedLayerError("bias", got=f"{bias:g}", expected=f"0 or {edge:g} (lambd)")


def clip(call: Call) -> list[Layer]:
    """Bounds are attributes up to opset 10, inputs later."""
    if call.opset < 11:
        low = call.attributes.number("min", -3.4028234663852886e38)
        high = call.attributes.number("max", 3.4028234663852886e38)
    else:
        low = call.scalar(1, "min", -np.inf)
        high = call.scalar(2, "max", np.inf)
    return cut(call.chain, low, high)


_HUGE = 3.4e38
"""A bound of float32's size is none."""


def cut(chain: Chain, low: float, high: float) -> list[Layer]:
    """min(max(x, low), high), as the activation that people know it by."""
    least, most = low > -_HUGE, high < _HUGE
    if least and most:
        if not low < high:
            raise UnsupportedLayerError("", got=f"bounds {low:g} and {high:g}")
        if low == 0.0:
            return chain.activation(ReLU(max_value=high)).layers
        return chain.activation(HardTanh(low, high)).layers
    if least:
        kept = ReLU() if low == 0.0 else Threshold(low, low)
        return chain.activation(kept).layers
    if most:
        chain.affine(-1.0, 0.0).activation(Threshold(-high, -high)).affine(-1.0, 0.0)
    return chain.layers


def prelu(call: Call) -> list[Layer]:
    """A slope that broadcasts from the right."""
    chain = call.chain
    slope = call.values(1, "slope")
    aligned, shape = call.aligned(slope.astype(np.float64), chain.shape)
    if shape != chain.shape:
        raise UnsupportedLayerError("slope", got=f"repeats x to shape {shape}")
    stored = slope.reshape(aligned.shape)
    return chain.then(PReLU(chain.shape, stored)).layers


def softmax(call: Call) -> list[Layer]:
    """Along one axis; before opset 13 along all from the given one on."""
    return _along(call, Softmax)


def log_softmax(call: Call) -> list[Layer]:
    """The logarithm of the same."""
    return _along(call, LogSoftmax)


def _along(call: Call, make: type[Softmax] | type[LogSoftmax]) -> list[Layer]:
    chain = call.chain
    if call.opset >= _FLATTENING:
        axis = call.axis(call.attributes.whole("axis", -1))
        return chain.then(make(chain.shape, axis)).layers
    axis = call.axis(call.attributes.whole("axis", 1))
    shape = chain.shape
    together = (*shape[:axis], size_of(shape[axis:]))
    chain.reshape(together)
    return chain.then(make(together, len(together) - 1)).reshape(shape).layers
