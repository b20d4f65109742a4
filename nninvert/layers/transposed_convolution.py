"""Transposed convolution: each input is spread over a window of outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import ShapeError
from nninvert.layers._base import Float64, Shape, Weights
from nninvert.layers._linear import LinearLayer
from nninvert.layers.convolution import (
    bias_everywhere,
    kernel_and_bias,
    named_weights,
    require_bias,
    require_kernel,
)
from nninvert.layers.window_geometry import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    Axes,
    Padding,
    padding_pairs,
    per_axis,
    same_padding,
    spans,
    split_shape,
    with_channels,
)
from nninvert.linalg.convolution import ConvolutionMap, TransposedConvolutionMap
from nninvert.linalg.map import LinearMap
from nninvert.linalg.windows import Windows

Array = NDArray[np.generic]


class TransposedConvolution(LinearLayer):
    """``y[window p at tap t, o] += sum over c of kernel[t, o, c] x[p, c]``, and the bias.

    The transpose of the `Convolution` with the same options that maps its output shape to
    its input shape; also called deconvolution.

    Parameters
    ----------
    input_shape : tuple of int
        One to three spatial axes, and the channels before or after them.
    kernel : array, shape (*taps, channels_out / groups, channels_in)
        In its stored type. That is how Keras stores it. ONNX and torch store (channels_in,
        channels_out / groups, *taps): pass ``numpy.moveaxis(weight, (1, 0), (-2, -1))``,
        which copies nothing.
    bias : array, shape (channels_out,), or None, default None
    strides, dilation : int or sequence of int, default 1
    groups : int, default 1
    padding : str, int or sequence, default "valid"
        What is cut off the ends of y. "valid": nothing; "same": so that y has stride times
        the size of x; or widths: for each axis (before, after), or one number for both, or
        one number for all.
    output_padding : int or sequence of int or None, default None
        Added to the size of y, at the end: (size - 1) * stride + span - padding +
        output_padding. None: 0 with widths; with words Keras' rule, max(size * stride,
        (size - 1) * stride + span) for "valid" and size * stride for "same". A number with
        "same" counts from (size - 1) * stride + span - 2 * (span // 2), as in Keras.
    data_format : str, default "channels_last"
        Or "channels_first".

    Raises
    ------
    ShapeError
        If the shapes do not fit each other.
    """

    kind = "transposed_convolution"

    def __init__(
        self,
        input_shape: Shape,
        kernel: Array,
        bias: Array | None = None,
        *,
        strides: int | Sequence[int] = 1,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        padding: Padding | int = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str = CHANNELS_LAST,
    ) -> None:
        sizes, channels = split_shape(input_shape, data_format)
        rank = len(sizes)
        require_kernel(kernel, rank, groups, "(*taps, channels_out / groups, channels_in)")
        if kernel.shape[-1] != channels:
            raise ShapeError(
                "kernel",
                got=f"shape {kernel.shape}",
                expected=f"one for {channels} channels, as the input {input_shape} has",
            )
        require_bias(bias, kernel.shape[-2] * groups)
        self.input_shape = input_shape
        self.kernel, self.bias = kernel, bias
        self.groups, self.data_format = groups, data_format
        if output_padding is not None:
            output_padding = per_axis(output_padding, rank, "output_padding", least=0)
        self.windows = _windows_behind(
            sizes,
            kernel.shape[:-2],
            per_axis(strides, rank, "strides"),
            per_axis(dilation, rank, "dilation"),
            padding,
            output_padding,
        )

    @property
    def output_shape(self) -> Shape:
        """What all windows reach, less the padding."""
        channels = self.kernel.shape[-2] * self.groups
        return with_channels(self.windows.sizes, channels, self.data_format)

    @cached_property
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """The transpose of a convolution, and the bias at every place."""
        first = self.data_format == CHANNELS_FIRST
        base = ConvolutionMap(self.kernel, self.windows, self.groups, first)
        bias = bias_everywhere(self.bias, self.output_shape, self.data_format)
        return TransposedConvolutionMap(base), bias

    def config(self) -> dict[str, Any]:
        """Everything but kernel and bias; padding and output padding as widths."""
        windows = self.windows
        reach = _full_size(
            windows.counts, windows.strides, spans(windows.kernel, windows.dilation)
        )
        cut = zip(reach, windows.before, windows.after, windows.sizes, strict=True)
        return {
            "strides": list(windows.strides),
            "dilation": list(windows.dilation),
            "groups": self.groups,
            "padding": [list(p) for p in zip(windows.before, windows.after, strict=True)],
            "output_padding": [size - full + b + a for full, b, a, size in cut],
            "data_format": self.data_format,
        }

    def weights(self) -> Weights:
        """``kernel`` and ``bias``, in their stored types."""
        return named_weights(self.kernel, self.bias)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], weights: Weights, input_shape: Shape
    ) -> Self:
        """Take kernel and bias from `weights`."""
        return cls(input_shape, *kernel_and_bias(weights), **config)


def _full_size(counts: Axes, strides: Axes, span: Axes) -> Axes:
    """What windows reach altogether."""
    return tuple(
        (count - 1) * stride + k
        for count, stride, k in zip(counts, strides, span, strict=True)
    )


def _windows_behind(
    counts: Axes,
    kernel: Axes,
    strides: Axes,
    dilation: Axes,
    padding: Padding | int,
    extra: Axes | None,
) -> Windows:
    """Windows over the outputs, one for each place of the input."""
    span, rank = spans(kernel, dilation), len(counts)
    full = _full_size(counts, strides, span)
    more = extra or (0,) * rank
    if not isinstance(padding, str):
        before, after = padding_pairs(padding, rank)
        sizes = [
            f - b - a + e for f, b, a, e in zip(full, before, after, more, strict=True)
        ]
    elif padding == "valid":
        before = after = (0,) * rank
        sizes = [f + e for f, e in zip(full, more, strict=True)]
        if extra is None:
            whole = [c * s for c, s in zip(counts, strides, strict=True)]
            sizes = [max(pair) for pair in zip(sizes, whole, strict=True)]
    elif padding == "same":
        sizes = [c * s for c, s in zip(counts, strides, strict=True)]
        if extra is not None:
            cut = [k // 2 for k in span]
            sizes = [f - 2 * c + e for f, c, e in zip(full, cut, extra, strict=True)]
        before, after = same_padding(tuple(sizes), span, strides)
    else:
        raise ShapeError("padding", got=repr(padding), expected="'valid', 'same' or widths")
    if min(sizes) < 1:
        raise ShapeError(
            "padding", got=str(padding), expected=f"less than {full}, what windows reach"
        )
    reach = zip(before, sizes, after, strict=True)
    if any(sum(side) < f for side, f in zip(reach, full, strict=True)):
        raise ShapeError(
            "output_padding",
            got=str(extra),
            expected=f"room for {counts} windows of {span} at strides of {strides}",
        )
    return Windows(
        tuple(sizes), counts, kernel, strides, dilation, before, after, circular=False
    )
