"""Convolution over one, two or three axes, in groups or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import ShapeError
from nninvert.layers._base import Facts, Float64, Shape, Weights, size_of
from nninvert.layers._linear import LinearLayer
from nninvert.layers.window_geometry import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    Padding,
    per_axis,
    split_shape,
    windows_over,
    with_channels,
)
from nninvert.linalg.convolution import ConvolutionMap
from nninvert.linalg.map import LinearMap

Array = NDArray[np.generic]

PADDING_MODES = ("zeros", "circular")


class Convolution(LinearLayer):
    """``y[p, o] = b[o] + sum over t, c of kernel[t, c, o] x[window p at tap t, c]``.

    Parameters
    ----------
    input_shape : tuple of int
        One to three spatial axes, and the channels before or after them.
    kernel : array, shape (*taps, channels_in / groups, channels_out)
        In its stored type. That is how Keras stores it, whatever the data format. ONNX
        and torch store (channels_out, channels_in / groups, *taps): pass
        ``numpy.moveaxis(weight, (1, 0), (-2, -1))``, which copies nothing. The kernel
        of a DepthwiseConv, (*taps, channels, multiplier), is ``kernel.reshape(*taps, 1,
        channels * multiplier)`` with as many groups as channels. A SeparableConv is two
        of these layers, one after the other.
    bias : array, shape (channels_out,), or None, default None
    strides, dilation : int or sequence of int, default 1
        For all axes, or one for each.
    groups : int, default 1
    padding : str, int or sequence, default "valid"
        "valid"; "same", by TensorFlow's rule: what is odd comes after; "causal": all of
        it before, one axis only; or widths: for each axis (before, after), or one number
        for both, or one number for all.
    padding_mode : str, default "zeros"
        What the padding holds: "zeros", or "circular" for the input from its other end.
    data_format : str, default "channels_last"
        Or "channels_first".

    Raises
    ------
    ShapeError
        If the shapes do not fit each other.
    """

    kind = "convolution"

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
        padding_mode: str = "zeros",
        data_format: str = CHANNELS_LAST,
    ) -> None:
        sizes, channels = split_shape(input_shape, data_format)
        rank = len(sizes)
        require_kernel(kernel, rank, groups, "(*taps, channels_in / groups, channels_out)")
        if kernel.shape[-2] * groups != channels:
            raise ShapeError(
                "kernel",
                got=f"shape {kernel.shape} in {groups} group(s)",
                expected=f"one for {channels} channels, as the input {input_shape} has",
            )
        if padding_mode not in PADDING_MODES:
            raise ShapeError(
                "padding_mode", got=repr(padding_mode), expected=" or ".join(PADDING_MODES)
            )
        require_bias(bias, kernel.shape[-1])
        self.input_shape = input_shape
        self.kernel, self.bias = kernel, bias
        self.groups, self.data_format = groups, data_format
        self.windows = windows_over(
            sizes,
            kernel.shape[:-2],
            per_axis(strides, rank, "strides"),
            per_axis(dilation, rank, "dilation"),
            padding,
            circular=padding_mode == "circular",
        )

    @property
    def output_shape(self) -> Shape:
        """One place for each window, channels where the input has them."""
        channels = self.kernel.shape[-1]
        return with_channels(self.windows.counts, channels, self.data_format)

    @cached_property
    def linear_part(self) -> tuple[LinearMap, Float64 | None]:
        """The convolution, and the bias at every place."""
        first = self.data_format == CHANNELS_FIRST
        made = ConvolutionMap(self.kernel, self.windows, self.groups, first)
        return made, bias_everywhere(self.bias, self.output_shape, self.data_format)

    @property
    def facts(self) -> Facts:
        """What strides, sizes and channels tell; numbers may lose more."""
        n, m = size_of(self.input_shape), size_of(self.output_shape)
        read = self.windows.seen() * self.kernel.shape[-2] * self.groups
        lost = n - min(read, m)
        reason = f"maps {n} numbers to {m}: at least {lost} directions of x are lost"
        if read < min(n, m + 1):
            reason = f"its windows never read {n - read} of its {n} inputs"
        return Facts(
            one_to_one=False if lost else None,
            onto=False if m > read else None,
            image=None,
            lost=lost,
            reason=reason if lost else "",
        )

    def config(self) -> dict[str, Any]:
        """Everything but kernel and bias; the padding as widths."""
        windows = self.windows
        return {
            "strides": list(windows.strides),
            "dilation": list(windows.dilation),
            "groups": self.groups,
            "padding": [list(p) for p in zip(windows.before, windows.after, strict=True)],
            "padding_mode": PADDING_MODES[windows.circular],
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


def require_kernel(kernel: Array, rank: int, groups: int, layout: str) -> None:
    """Refuse a kernel of another rank, or one that the groups do not divide."""
    if kernel.ndim != rank + 2 or min(kernel.shape) < 1:
        raise ShapeError(
            "kernel",
            got=f"shape {kernel.shape}",
            expected=f"{rank + 2} axes, {layout}, for {rank} spatial axes",
        )
    if groups < 1 or kernel.shape[-1] % groups:
        raise ShapeError(
            "groups",
            got=str(groups),
            expected=f"a number that divides {kernel.shape[-1]} channels",
        )


def require_bias(bias: Array | None, channels: int) -> None:
    """Refuse a bias that has not one number for each channel."""
    if bias is not None and bias.shape != (channels,):
        raise ShapeError("bias", got=f"shape {bias.shape}", expected=f"({channels},)")


def bias_everywhere(bias: Array | None, shape: Shape, data_format: str) -> Float64 | None:
    """The bias of each output, flattened; None for none."""
    if bias is None:
        return None
    along = bias.astype(np.float64)
    if data_format == CHANNELS_FIRST:
        along = along.reshape(-1, *(1,) * (len(shape) - 1))
    return np.broadcast_to(along, shape).ravel()


def named_weights(kernel: Array, bias: Array | None) -> Weights:
    """Kernel and bias by name."""
    return {"kernel": kernel} if bias is None else {"kernel": kernel, "bias": bias}


def kernel_and_bias(weights: Weights) -> tuple[Array, Array | None]:
    """Undo `named_weights`."""
    bias = weights.get("bias")
    return np.asarray(weights["kernel"]), None if bias is None else np.asarray(bias)
