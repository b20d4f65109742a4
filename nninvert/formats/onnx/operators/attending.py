"""Attention as one operator (opset 23): a graph of products, a softmax, and a mask."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats.onnx.call import UNSEEN, Call
from nninvert.formats.onnx.chain import require_room
from nninvert.formats.onnx.values import RowsMixed, Shape, Signal
from nninvert.layers import (
    Contraction,
    Graph,
    Layer,
    Node,
    Permute,
    Rescaling,
    Reshape,
    Slice,
    Softmax,
    Take,
    size_of,
)

_NAMES = ("q", "k", "v")

_ATTRIBUTES = {
    "is_causal",
    "kv_num_heads",
    "q_num_heads",
    "qk_matmul_output_mode",
    "scale",
    "softcap",
    "softmax_precision",
}
"""Of opset 23; what a later one adds is not known, and may change the result."""


def attention(call: Call) -> list[Layer]:
    """``softmax(scale Q K^T + mask) V``, by heads; all three depend on x."""
    shapes = [_given(call, place) for place in range(3)]
    if any(call.has(place) for place in range(4, len(call.inputs))):
        raise UnsupportedLayerError("", got="keys and values of earlier calls")
    unknown = sorted(set(call.node.attributes) - _ATTRIBUTES)
    if unknown:
        raise UnsupportedLayerError(unknown[0], got="a value", expected="no such attribute")
    if call.attributes.number("softcap", 0.0):
        raise UnsupportedLayerError("softcap", got="a number", expected="0")
    nodes: list[Node] = []
    ends, heads = [], []
    start, size = 0, sum(map(size_of, shapes))
    for name, shape in zip(_NAMES, shapes, strict=True):
        layers = _by_heads(call, shape, start, size, name)
        start += size_of(shape)
        _append(nodes, layers, name, (-1,))
        ends.append(len(nodes) - 1)
        heads.append(layers[-1].output_shape)
    q, k, v = _repeated(nodes, ends, heads)
    scores = Contraction([q, k], "htd,hsd->hts")
    require_room(scores.output_shape)
    bent = Rescaling(scores.output_shape, *_scale_and_mask(call, q, k))
    weights = Softmax(scores.output_shape, 2)
    _append(nodes, [scores, bent, weights], "weights", (ends[0], ends[1]))
    mixed = Contraction([weights.output_shape, v], "hts,hse->hte")
    layers = [mixed]
    h, t, e = mixed.output_shape
    if len(shapes[0]) == 2:
        layers += [Permute((h, t, e), (1, 0, 2)), Reshape((t, h, e), (t, h * e))]
    _append(nodes, layers, "mixture", (len(nodes) - 1, ends[2]))
    return [Graph((size,), nodes)]


def _given(call: Call, place: int) -> Shape:
    """(heads, positions, size), or (positions, heads times size)."""
    value = call.inputs[place] if call.has(place) else None
    if not isinstance(value, Signal):
        raise UnsupportedLayerError("", got=f"{_NAMES[place].upper()} is a constant")
    if not value.rows:
        raise RowsMixed("attends along the batch")
    if len(value.shape) not in (2, 3):
        raise FormatError(_NAMES[place], got=str(value.shape), expected="3 or 4 axes")
    return value.shape


def _append(
    nodes: list[Node], layers: list[Layer], name: str, sources: tuple[int, ...]
) -> None:
    for layer in layers:
        nodes.append(Node(layer, str(len(nodes)), name, type(layer).__name__, sources))
        sources = (len(nodes) - 1,)


def _by_heads(call: Call, shape: Shape, start: int, size: int, name: str) -> list[Layer]:
    """One of the three arrays out of all, as (heads, positions, size)."""
    cut = Slice((size,), [(start, start + size_of(shape), None)])
    layers: list[Layer] = [cut]
    if len(shape) == 3:
        return [cut, Reshape(cut.output_shape, shape)]
    kind = "q_num_heads" if name == "q" else "kv_num_heads"
    heads = call.attributes.whole(kind, 0)
    if heads < 1 or shape[1] % heads:
        raise FormatError(kind, got=str(heads), expected=f"a divisor of {shape[1]}")
    apart = (shape[0], heads, shape[1] // heads)
    layers += [Reshape(cut.output_shape, apart), Permute(apart, (1, 0, 2))]
    return layers


def _repeated(
    nodes: list[Node], ends: list[int], shapes: list[Shape]
) -> tuple[Shape, Shape, Shape]:
    """Keys and values once for each head of the queries that share them."""
    for place in (1, 2):
        have, want = shapes[place][0], shapes[0][0]
        if have == want:
            continue
        if want % have:
            raise FormatError("heads", got=f"{have}", expected=f"a divisor of {want}")
        indices = np.repeat(np.arange(have), want // have).tolist()
        _append(nodes, [Take(shapes[place], indices, 0)], _NAMES[place], (ends[place],))
        ends[place], shapes[place] = len(nodes) - 1, nodes[-1].layer.output_shape
    return shapes[0], shapes[1], shapes[2]


def _scale_and_mask(
    call: Call, q: Shape, k: Shape
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What scores are multiplied by, and what is added to them."""
    scale = call.attributes.number("scale", 1.0 / math.sqrt(q[2]))
    shape = (q[0], q[1], k[1])
    mask = np.zeros(shape[1:])
    if call.has(3):
        given = call.values(3, "mask")
        if given.dtype.kind == "b":
            given = np.where(given, 0.0, -np.inf)
        aligned, full = call.aligned(given.astype(np.float64), shape)
        if full != shape:
            raise FormatError("mask", got=str(given.shape), expected=str(shape))
        mask = mask + aligned
    if call.attributes.whole("is_causal", 0):
        mask = mask + np.triu(np.full(shape[1:], -np.inf), 1)
    hidden = mask == -np.inf
    if hidden.all(axis=-1).any():
        raise UnsupportedLayerError("mask", got="a position that sees no other")
    return np.array(scale), np.where(hidden, UNSEEN.astype(np.float64), mask)
