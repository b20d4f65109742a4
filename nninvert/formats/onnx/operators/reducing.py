"""Operators that make one number of all along some axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from nninvert.errors import UnsupportedLayerError
from nninvert.formats.onnx.call import Call
from nninvert.formats.onnx.chain import Chain
from nninvert.formats.onnx.values import RowsMixed
from nninvert.layers import (
    GlobalMaxPooling,
    Graph,
    Layer,
    Multiply,
    Node,
    Slice,
    size_of,
)
from nninvert.layers.window_geometry import CHANNELS_FIRST

_MOST_FACTORS = 64

Operator = Callable[[Call], list[Layer]]


def added(mean: bool) -> Operator:
    """ReduceSum or ReduceMean."""

    def build(call: Call) -> list[Layer]:
        axes = _axes(call)
        if axes is None:
            return call.chain.layers
        return _kept(call, _summed(call.chain, axes, mean), axes).layers

    return build


def extreme(sign: float) -> Operator:
    """ReduceMax (1), or ReduceMin (-1), of which the maximum of -x is the negative."""

    def build(call: Call) -> list[Layer]:
        axes = _axes(call)
        chain = call.chain
        if axes is None:
            return chain.layers
        others = [k for k in range(len(chain.shape)) if k not in axes]
        count = size_of(tuple(chain.shape[k] for k in axes))
        chain.affine(sign, 0.0).permute([*others, *axes])
        chain.reshape((size_of(chain.shape) // count, count))
        chain.then(GlobalMaxPooling(chain.shape, data_format=CHANNELS_FIRST))
        return _kept(call, chain.affine(sign, 0.0), axes).layers

    return build


def sum_of_squares(call: Call) -> list[Layer]:
    """ReduceSumSquare."""
    axes = _axes(call)
    shape = call.signal.shape
    call.sources = (call.signal.source,) * 2
    squares = Multiply([shape, shape])
    if axes is None:
        return [squares]
    return [squares, *_kept(call, _summed(Chain(shape), axes, False), axes).layers]


def product(call: Call) -> list[Layer]:
    """ReduceProd of a few numbers, as of features that make polynomials."""
    axes = _axes(call)
    chain = call.chain
    if axes is None:
        return chain.layers
    others = [k for k in range(len(chain.shape)) if k not in axes]
    count = size_of(tuple(chain.shape[k] for k in axes))
    if count > _MOST_FACTORS:
        raise UnsupportedLayerError(
            "", got=f"a product of {count} numbers", expected=f"at most {_MOST_FACTORS}"
        )
    chain.permute([*others, *axes]).reshape((size_of(chain.shape) // count, count))
    if count > 1:
        whole: tuple[None, None, None] = (None, None, None)
        factors: list[Layer] = [
            Slice(chain.shape, [whole, (k, k + 1, None)]) for k in range(count)
        ]
        joined = Multiply([factors[0].output_shape] * count)
        nodes = [Node(one, str(k), "", "Slice", (-1,)) for k, one in enumerate(factors)]
        nodes.append(Node(joined, str(count), "", "Mul", tuple(range(count))))
        chain.then(Graph(chain.shape, nodes))
    return _kept(call, chain, axes).layers


def _axes(call: Call) -> list[int] | None:
    """Which axes go, without the batch; None where the node does nothing."""
    axes = call.wholes(1, "axes")
    if not axes:
        if call.attributes.whole("noop_with_empty_axes", 0):
            return None
        if call.batched:
            raise RowsMixed("joins all rows")
        return list(range(len(call.signal.shape)))
    return sorted({call.axis(axis) for axis in axes})


def _summed(chain: Chain, axes: Sequence[int], mean: bool) -> Chain:
    count = size_of(tuple(chain.shape[k] for k in axes))
    return chain.combine(axes, np.full((1, count), 1.0 / count if mean else 1.0))


def _kept(call: Call, chain: Chain, axes: Sequence[int]) -> Chain:
    """The axes that are left, those that went as 1 if the node says so."""
    shape = call.signal.shape
    if call.attributes.whole("keepdims", 1):
        return chain.reshape(tuple(1 if k in axes else n for k, n in enumerate(shape)))
    return chain.reshape(tuple(n for k, n in enumerate(shape) if k not in axes))
