"""Keras's convolutions: kernels of every vintage as `nninvert.layers` takes them.

Since Keras 2, kernels are (*taps, channels_in / groups, channels_out), whatever the data
format; transposed ones (*taps, channels_out, channels_in). Keras 1 stored
(channels_out, channels_in, *taps) for ``dim_ordering`` th, and (*taps, in, out) for tf,
transposed ones too; Convolution1D had an axis of length 1 more. Theano convolves with the
kernel turned round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats._arrays import StoredArray
from nninvert.formats._json import Fields
from nninvert.formats.keras_activations import activation_layers
from nninvert.formats.keras_class import (
    KerasClass,
    LayerData,
    counts,
    refuse_quantised,
    theano_padding,
)
from nninvert.layers import Convolution, Layer, Shape, TransposedConvolution

Array = NDArray[np.generic]
Pairs = list[tuple[int, int]]

_SIZES = ("kernel_size",)
_STRIDES = ("strides", "subsample", "subsample_length")
_DILATION = ("dilation_rate", "atrous_rate")
_OLD_SIZES = (
    ("filter_length",),
    ("nb_row", "nb_col"),
    ("kernel_dim1", "kernel_dim2", "kernel_dim3"),
)
"""What Keras 1 called the size of a kernel, by the number of axes."""


def _per_axis(config: Fields, names: tuple[str, ...], rank: int) -> tuple[int, ...]:
    """One number for each axis; 1 where the file says nothing.

    Raises
    ------
    FormatError
        If they are not as many, or not positive.
    """
    if config.raw(*names) is None:
        return (1,) * rank
    found = counts(config, *names)
    found = found * rank if len(found) == 1 else found
    if len(found) != rank or min(found) < 1:
        raise FormatError(
            names[0], got=str(list(found)), expected=f"{rank} numbers of 1 or more"
        )
    return found


def _size(config: Fields, rank: int) -> tuple[int, ...]:
    if "kernel_size" in config:
        return _per_axis(config, _SIZES, rank)
    return tuple(config.whole(name) for name in _OLD_SIZES[rank - 1])


def _padding(data: LayerData, size: tuple[int, ...]) -> str | Pairs:
    """As words, or as widths where Theano has words or places of its own."""
    word = data.config.text("padding", "border_mode", default="valid")
    rank = len(size)
    steps, spread = (_per_axis(data.config, names, rank) for names in (_STRIDES, _DILATION))
    spans = [(k - 1) * d + 1 for k, d in zip(size, spread, strict=True)]
    if word == "half":
        return [(k // 2, k // 2) for k in spans]
    if word == "full":
        return [(k - 1, k - 1) for k in spans]
    if word == "same" and data.origin.theano:
        axes = zip(_lengths(data), spans, steps, strict=True)
        return [theano_padding(n, k // 2, k, step) for n, k, step in axes]
    return word


def _lengths(data: LayerData) -> Shape:
    return data.shape[1:] if data.channels_first else data.shape[:-1]


def _channels(data: LayerData, rank: int) -> int:
    shape = data.shape
    if len(shape) != rank + 1:
        raise UnsupportedLayerError("", got=f"on an input of shape {shape}")
    return shape[0] if data.channels_first else shape[-1]


def _kernel(
    array: StoredArray, data: LayerData, shape: tuple[int, ...], because: str
) -> Array:
    """A kernel as Keras 2 and 3 store it, of this shape."""
    refuse_quantised(array)
    stored = array.read()
    rank = len(shape) - 2
    if data.keras == 1:
        stored = _of_keras_1(stored, data, shape)
    if stored.shape != shape:
        raise FormatError(
            f"'{array.where}'",
            got=f"shape {array.shape}",
            expected=f"{shape}",
            because=because,
        )
    if data.origin.theano:
        stored = stored[(slice(None, None, -1),) * rank]
    return stored


def _of_keras_1(stored: Array, data: LayerData, shape: tuple[int, ...]) -> Array:
    """(*taps, in, out) from what Keras 1 stored."""
    rank = len(shape) - 2
    if rank == 1 and stored.ndim == 4:
        # From 1.2 on (length, 1, in, out), before that (out, in, length, 1).
        if stored.shape[:2] == (shape[0], 1) and stored.shape[3] == shape[-1]:
            return stored[:, 0]
        return np.moveaxis(stored, (1, 0), (-2, -1))[:, 0]
    if data.channels_first and stored.ndim == len(shape):
        return np.moveaxis(stored, (1, 0), (-2, -1))
    return stored


def _biases(data: LayerData, count: int) -> Array | None:
    """The last array, if there is a bias."""
    if not _has_bias(data.config):
        return None
    array = data.arrays[-1]
    if array.shape != (count,):
        raise FormatError(
            f"'{array.where}'", got=f"shape {array.shape}", expected=f"({count},)"
        )
    return array.read()


def _has_bias(config: Fields) -> bool:
    return config.flag("use_bias", "bias", default=True)


def _activated(data: LayerData, *layers: Layer) -> tuple[Layer, ...]:
    activation = data.config.raw("activation")
    shape = layers[-1].output_shape
    return (*layers, *activation_layers(activation, shape, data.keras))


def _plain(data: LayerData, rank: int) -> tuple[Layer, ...]:
    config, channels = data.config, _channels(data, rank)
    size = _size(config, rank)
    filters = config.whole("filters", "nb_filter")
    groups = 1 if config.raw("groups") is None else config.whole("groups")
    if groups < 1 or channels % groups:
        raise FormatError(
            "groups", got=str(groups), expected=f"a number that divides {channels} channels"
        )
    because = f"{channels} channels enter and 'filters' is {filters}"
    shape = (*size, channels // groups, filters)
    layer = Convolution(
        data.shape,
        _kernel(data.arrays[0], data, shape, because),
        _biases(data, filters),
        strides=_per_axis(config, _STRIDES, rank),
        dilation=_per_axis(config, _DILATION, rank),
        groups=groups,
        padding=_padding(data, size),
        data_format=data.data_format,
    )
    return _activated(data, layer)


def _channelwise(
    data: LayerData, rank: int, kernel: StoredArray, bias: Array | None
) -> Convolution:
    """Each channel by itself, `depth_multiplier` times."""
    config, channels = data.config, _channels(data, rank)
    size = _size(config, rank)
    many = _multiplier(data)
    because = f"{channels} channels enter and 'depth_multiplier' is {many}"
    # Keras on Theano turns these kernels round once more.
    taps = _kernel(kernel, _straight(data), (*size, channels, many), because)
    return Convolution(
        data.shape,
        taps.reshape(*size, 1, channels * many),
        bias,
        strides=_per_axis(config, _STRIDES, rank),
        dilation=_per_axis(config, _DILATION, rank),
        groups=channels,
        padding=_padding(data, size),
        data_format=data.data_format,
    )


def _multiplier(data: LayerData) -> int:
    if data.config.raw("depth_multiplier") is None:
        return 1
    return data.config.whole("depth_multiplier")


def _straight(data: LayerData) -> LayerData:
    return replace(data, origin=replace(data.origin, theano=False))


def _depthwise(data: LayerData, rank: int) -> tuple[Layer, ...]:
    count = _channels(data, rank) * _multiplier(data)
    return _activated(data, _channelwise(data, rank, data.arrays[0], _biases(data, count)))


def _separable(data: LayerData, rank: int) -> tuple[Layer, ...]:
    first = _channelwise(data, rank, data.arrays[0], None)
    filters = data.config.whole("filters", "nb_filter")
    channels = first.kernel.shape[-1]
    because = f"{channels} channels enter and 'filters' is {filters}"
    shape = ((1,) * rank) + (channels, filters)
    second = Convolution(
        first.output_shape,
        _kernel(data.arrays[1], data, shape, because),
        _biases(data, filters),
        data_format=data.data_format,
    )
    return _activated(data, first, second)


def _transposed(data: LayerData, rank: int) -> tuple[Layer, ...]:
    config, channels = data.config, _channels(data, rank)
    size, strides = _size(config, rank), _per_axis(config, _STRIDES, rank)
    filters = config.whole("filters", "nb_filter")
    because = f"{channels} channels enter and 'filters' is {filters}"
    padding: str | Pairs = config.text("padding", "border_mode", default="valid")
    extra = None
    if config.raw("output_padding") is not None:
        found = counts(config, "output_padding")
        extra = found * rank if len(found) == 1 else found
    if data.keras == 1:
        kernel = _kernel(data.arrays[0], data, (*size, channels, filters), because)
        kernel = np.swapaxes(kernel, -1, -2)
        padding, extra = _cut(data, _stated_sizes(data, rank), size, strides)
    else:
        kernel = _kernel(data.arrays[0], data, (*size, filters, channels), because)
        if padding == "same" and data.origin.theano:
            sizes = [n * step for n, step in zip(_lengths(data), strides, strict=True)]
            padding, extra = _cut(data, sizes, size, strides)
    layer = TransposedConvolution(
        data.shape,
        kernel,
        _biases(data, filters),
        strides=strides,
        dilation=_per_axis(config, _DILATION, rank),
        padding=padding,
        output_padding=extra,
        data_format=data.data_format,
    )
    return _activated(data, layer)


def _stated_sizes(data: LayerData, rank: int) -> list[int]:
    """The lengths of the output that Deconvolution2D of Keras 1 states."""
    stated = data.config.raw("output_shape")
    if not isinstance(stated, list) or len(stated) != rank + 2:
        raise FormatError("output_shape", got=repr(stated), expected=f"{rank + 2} lengths")
    lengths = stated[2:] if data.channels_first else stated[1:-1]
    if None in lengths:
        raise UnsupportedLayerError("output_shape", got="open lengths")
    return list(counts(Fields({"output_shape": lengths}), "output_shape"))


def _cut(
    data: LayerData,
    wanted: Sequence[int],
    size: tuple[int, ...],
    strides: tuple[int, ...],
) -> tuple[Pairs, tuple[int, ...]]:
    """Padding and output padding of a transposed convolution with outputs of given size."""
    same = data.config.text("padding", "border_mode", default="valid") == "same"
    pairs, extra = [], []
    axes = zip(wanted, _lengths(data), size, strides, strict=True)
    for length, n, k, step in axes:
        reach = (n - 1) * step + k
        spare = max(reach - length, 0)
        before = 0
        if same:
            before = k // 2 if data.origin.theano else spare // 2
        after = max(spare - before, 0)
        pairs.append((before, after))
        extra.append(length - reach + before + after)
    return pairs, tuple(extra)


def _variables(config: Fields) -> tuple[int, int]:
    return 1 + _has_bias(config), 0


def _separable_variables(config: Fields) -> tuple[int, int]:
    return 2 + _has_bias(config), 0


def _of_rank(
    build: Callable[[LayerData, int], tuple[Layer, ...]],
    rank: int,
    variables: Callable[[Fields], tuple[int, int]] = _variables,
) -> KerasClass:
    return KerasClass(lambda data: build(data, rank), variables)


CONVOLUTIONS: dict[str, KerasClass] = {
    **{f"Conv{d}D": _of_rank(_plain, d) for d in (1, 2, 3)},
    **{f"Convolution{d}D": _of_rank(_plain, d) for d in (1, 2, 3)},
    **{f"AtrousConvolution{d}D": _of_rank(_plain, d) for d in (1, 2)},
    **{f"Conv{d}DTranspose": _of_rank(_transposed, d) for d in (1, 2, 3)},
    "Deconvolution2D": _of_rank(_transposed, 2),
    **{f"DepthwiseConv{d}D": _of_rank(_depthwise, d) for d in (1, 2)},
    **{f"SeparableConv{d}D": _of_rank(_separable, d, _separable_variables) for d in (1, 2)},
    "SeparableConvolution2D": _of_rank(_separable, 2, _separable_variables),
}
"""By Keras's class name, those of Keras 1 included."""
