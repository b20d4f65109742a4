"""Operators that look through windows: convolutions and pooling."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats.onnx.call import Call
from nninvert.layers import Convolution, Layer, TransposedConvolution
from nninvert.layers.window_geometry import CHANNELS_FIRST

Pairs = tuple[tuple[int, int], ...]

_WIDEST = 1 << 20
"""Padding of windows; a wider one is a mistake."""


def convolution(call: Call) -> list[Layer]:
    """Channels first; the kernel is (out, in / groups, *taps)."""
    rank, weight = _kernel(call)
    taps = weight.shape[2:]
    strides, dilation = _per_axis(call, "strides", rank), _per_axis(call, "dilations", rank)
    chain = call.chain
    padding = padded(call, chain.shape[1:], taps, strides, dilation)
    layer = Convolution(
        chain.shape,
        np.moveaxis(weight, (1, 0), (-2, -1)),
        _bias(call),
        strides=strides,
        dilation=dilation,
        groups=call.attributes.whole("group", 1),
        padding=padding,
        data_format=CHANNELS_FIRST,
    )
    return chain.then(layer).layers


def transposed_convolution(call: Call) -> list[Layer]:
    """Channels first; the kernel is (in, out / groups, *taps)."""
    rank, weight = _kernel(call)
    taps = weight.shape[2:]
    strides, dilation = _per_axis(call, "strides", rank), _per_axis(call, "dilations", rank)
    extra = call.attributes.wholes("output_padding") or (0,) * rank
    chain = call.chain
    wanted = call.attributes.wholes("output_shape")
    kind = call.attributes.text("auto_pad", "NOTSET")
    if wanted is None and kind in ("SAME_UPPER", "SAME_LOWER"):
        wanted = tuple(n * s for n, s in zip(chain.shape[1:], strides, strict=True))
    if wanted is not None:
        padding = _cut_to(
            wanted[-rank:], chain.shape[1:], taps, strides, dilation, extra, kind
        )
    else:
        padding = _pads(call, rank)
    layer = TransposedConvolution(
        chain.shape,
        np.moveaxis(weight, (1, 0), (-2, -1)),
        _bias(call),
        strides=strides,
        dilation=dilation,
        groups=call.attributes.whole("group", 1),
        padding=padding,
        output_padding=extra,
        data_format=CHANNELS_FIRST,
    )
    return chain.then(layer).layers


def _kernel(call: Call) -> tuple[int, NDArray[np.generic]]:
    """How many spatial axes, and the kernel as stored."""
    if not call.batched:
        raise UnsupportedLayerError("", got="an input without a batch")
    weight = call.constant(1, "kernel").read()
    rank = len(call.signal.shape) - 1
    if not 1 <= rank <= 3 or weight.ndim != rank + 2 or not weight.size:
        raise FormatError(
            "kernel", got=f"shape {weight.shape}", expected=f"{rank + 2} axes"
        )
    shape = call.attributes.wholes("kernel_shape")
    if shape is not None and shape != weight.shape[2:]:
        raise FormatError("kernel_shape", got=str(shape), expected=str(weight.shape[2:]))
    return rank, weight


def _bias(call: Call) -> NDArray[np.generic] | None:
    return call.values(2, "bias") if call.has(2) else None


def _per_axis(call: Call, name: str, rank: int) -> tuple[int, ...]:
    found = call.attributes.wholes(name) or (1,) * rank
    if len(found) != rank or min(found) < 1:
        raise FormatError(name, got=str(found), expected=f"{rank} numbers above 0")
    return found


def _pads(call: Call, rank: int) -> Pairs:
    """ONNX names all befores, then all afters."""
    pads = call.attributes.wholes("pads") or (0,) * (2 * rank)
    if len(pads) != 2 * rank or min(pads) < 0 or max(pads) > _WIDEST:
        raise FormatError(
            "pads", got=str(pads), expected=f"{2 * rank} numbers from 0 to {_WIDEST}"
        )
    return tuple(zip(pads[:rank], pads[rank:], strict=True))


def padded(
    call: Call,
    sizes: tuple[int, ...],
    taps: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Pairs:
    """Widths of the padding, from numbers or from a word."""
    kind = call.attributes.text("auto_pad", "NOTSET")
    if kind == "NOTSET":
        return _pads(call, len(sizes))
    if kind == "VALID":
        return ((0, 0),) * len(sizes)
    if kind not in ("SAME_UPPER", "SAME_LOWER"):
        raise FormatError("auto_pad", got=repr(kind), expected="a word that ONNX knows")
    found = []
    for size, tap, stride, step in zip(sizes, taps, strides, dilation, strict=True):
        total = max((-(-size // stride) - 1) * stride + (tap - 1) * step + 1 - size, 0)
        less, more = total // 2, total - total // 2
        found.append((less, more) if kind == "SAME_UPPER" else (more, less))
    return tuple(found)


def _cut_to(
    wanted: tuple[int, ...],
    sizes: tuple[int, ...],
    taps: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    extra: tuple[int, ...],
    kind: str,
) -> Pairs:
    """What is cut off so that the output has the wanted sizes."""
    found = []
    for k, size in enumerate(sizes):
        full = (size - 1) * strides[k] + (taps[k] - 1) * dilation[k] + 1 + extra[k]
        total = full - wanted[k]
        if total < 0:
            raise UnsupportedLayerError(
                "output_shape", got=str(wanted), expected=f"at most {full} along axis {k}"
            )
        less, more = total // 2, total - total // 2
        found.append((less, more) if kind == "SAME_UPPER" else (more, less))
    return tuple(found)
