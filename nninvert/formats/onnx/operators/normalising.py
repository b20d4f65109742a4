"""Operators that normalise each row by its own mean and size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats.onnx.call import Call
from nninvert.formats.onnx.chain import Chain
from nninvert.formats.onnx.normal import LEAST_NORM
from nninvert.formats.onnx.operators.affine import EPSILON
from nninvert.formats.onnx.values import Shape
from nninvert.layers import (
    Dense,
    Divide,
    Elementwise,
    Graph,
    GroupNormalization,
    Layer,
    LayerNormalization,
    Node,
    RMSNormalization,
    UnitNormalization,
)
from nninvert.layers.activations.leaky_relu import LeakyReLU
from nninvert.linalg.stored import ArrayMatrix


def layer_normalization(call: Call) -> list[Layer]:
    """Mean 0 and mean square 1 along all axes from the given one on."""
    chain = call.chain
    axes = _from_axis_on(call)
    epsilon = call.attributes.number("epsilon", EPSILON)
    chain.then(LayerNormalization(chain.shape, axes, epsilon))
    return _scaled_back(call, chain)


def rms_normalization(call: Call) -> list[Layer]:
    """Mean square 1 along all axes from the given one on."""
    chain = call.chain
    axes = _from_axis_on(call)
    epsilon = call.attributes.number("epsilon", EPSILON)
    chain.then(RMSNormalization(chain.shape, axes, epsilon))
    return _scaled_back(call, chain)


def _from_axis_on(call: Call) -> tuple[int, ...]:
    axis = call.axis(call.attributes.whole("axis", -1))
    return tuple(range(axis, len(call.signal.shape)))


def _scaled_back(call: Call, chain: Chain) -> list[Layer]:
    """The scale and the shift behind, as they broadcast."""
    scale, shape = call.aligned(call.values(1, "scale"), chain.shape)
    shift: NDArray[np.generic] = np.zeros(())
    second = shape
    if call.has(2):
        shift, second = call.aligned(call.values(2, "bias"), chain.shape)
    if shape != chain.shape or second != chain.shape:
        raise FormatError("scale", got=str(shape), expected=str(chain.shape))
    return chain.affine(scale, shift).layers


def instance_normalization(call: Call) -> list[Layer]:
    """Each channel of each row by itself."""
    channels = call.signal.shape[0] if call.signal.shape else 1
    return _grouped(call, channels, by_group=False)


def group_normalization(call: Call) -> list[Layer]:
    """Groups of channels; scale and shift for each group up to opset 20, then channels."""
    if "num_groups" not in call.attributes:
        raise FormatError("num_groups", got="nothing", expected="a number")
    groups = call.attributes.whole("num_groups", 1)
    return _grouped(call, groups, by_group=call.opset < 21)


def _grouped(call: Call, groups: int, by_group: bool) -> list[Layer]:
    chain = call.chain
    if not call.batched or len(chain.shape) < 1:
        raise UnsupportedLayerError("", got="an input without a batch")
    channels = chain.shape[0]
    if groups < 1 or channels % groups:
        raise FormatError(
            "num_groups", got=str(groups), expected=f"a divisor of {channels} channels"
        )
    epsilon = call.attributes.number("epsilon", EPSILON)
    chain.then(GroupNormalization(chain.shape, groups, 0, epsilon))
    column = (channels, *(1,) * (len(chain.shape) - 1))
    factors, shifts = call.values(1, "scale"), call.values(2, "bias")
    if by_group and groups != channels:
        factors, shifts = (np.repeat(one, channels // groups) for one in (factors, shifts))
    if factors.size != channels or shifts.size != channels:
        raise FormatError("scale", got=str(factors.shape), expected=f"({channels},)")
    return chain.affine(factors.reshape(column), shifts.reshape(column)).layers


def lp_normalization(call: Call) -> list[Layer]:
    """The 2-norm of 1 along one axis."""
    if call.attributes.whole("p", 2) != 2:
        raise UnsupportedLayerError("p", got="1", expected="2")
    axis = call.axis(call.attributes.whole("axis", -1))
    shape = call.signal.shape
    return call.chain.then(UnitNormalization(shape, (axis,), LEAST_NORM)).layers


def normalizer(call: Call) -> list[Layer]:
    """ai.onnx.ml: the same along the last axis, or a sum of sizes of 1."""
    kind = call.attributes.text("norm", "MAX")
    if kind == "L1":
        return [_of_sum_one(call.signal.shape)]
    if kind != "L2":
        raise UnsupportedLayerError("norm", got=kind, expected="L1 or L2")
    last = len(call.signal.shape) - 1
    shape = call.signal.shape
    return call.chain.then(UnitNormalization(shape, (last,), LEAST_NORM)).layers


def _of_sum_one(shape: Shape) -> Layer:
    """Divide each number by the sum of the sizes along the last axis."""
    if not shape:
        raise FormatError("input", got="no axis", expected="one or more")
    sizes = Elementwise(shape, LeakyReLU(-1.0))
    total = Dense(shape, ArrayMatrix(np.ones((1, shape[-1]))), None)
    divided = Divide([shape, total.output_shape])
    nodes = [
        Node(sizes, "0", "sizes", "Abs", (-1,)),
        Node(total, "1", "total", "ReduceSum", (0,)),
        Node(divided, "2", "quotient", "Div", (-1, 1)),
    ]
    return Graph(shape, nodes)
