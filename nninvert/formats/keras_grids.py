"""Keras's layers on grids without weights: pooling, padding, cropping, repetition."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats._json import Fields
from nninvert.formats.keras_class import KerasClass, LayerData, counts, theano_padding
from nninvert.layers import (
    AdaptiveAveragePooling,
    AdaptiveMaxPooling,
    AveragePooling,
    Cropping,
    GlobalAveragePooling,
    GlobalMaxPooling,
    Layer,
    MaxPooling,
    Padding,
    RepeatVector,
    Shape,
    UpSampling,
)
from nninvert.layers.grid_edges import spatial_widths

Build = Callable[[LayerData, int], Layer]

_INTERPOLATIONS = {"nearest": "nearest", "bilinear": "linear"}


def _shape(data: LayerData, rank: int) -> Shape:
    if len(data.shape) != rank + 1:
        raise UnsupportedLayerError("", got=f"on an input of shape {data.shape}")
    return data.shape


def _sizes(config: Fields, *names: str) -> int | tuple[int, ...] | None:
    """One number for all axes, or one for each."""
    if config.raw(*names) is None:
        return None
    found = counts(config, *names)
    return found[0] if len(found) == 1 else found


def _pooling(
    make: type[AveragePooling] | type[MaxPooling], data: LayerData, rank: int
) -> Layer:
    size = _sizes(data.config, "pool_size", "pool_length")
    if size is None:
        raise FormatError("pool_size", got="nothing", expected="a size")
    strides = _sizes(data.config, "strides", "stride")
    padding: str | list[tuple[int, int]] = data.config.text(
        "padding", "border_mode", default="valid"
    )
    if padding == "same" and data.origin.theano:
        padding = _of_theano(data, rank, size, size if strides is None else strides)
    return make(
        _shape(data, rank),
        size,
        strides=strides,
        padding=padding,
        data_format=data.data_format,
    )


def _of_theano(
    data: LayerData, rank: int, size: int | tuple[int, ...], strides: int | tuple[int, ...]
) -> list[tuple[int, int]]:
    """What Keras on Theano adds for "same": one less than the window, two if it is odd."""
    first = data.channels_first
    lengths = _shape(data, rank)[1:] if first else _shape(data, rank)[:-1]
    sizes = size if isinstance(size, tuple) else (size,) * rank
    steps = strides if isinstance(strides, tuple) else (strides,) * rank
    if len(sizes) != rank or len(steps) != rank or min(*sizes, *steps) < 1:
        raise FormatError(
            "pool_size", got=f"{sizes} at strides of {steps}", expected=f"{rank} of each"
        )
    return [
        theano_padding(n, k - 2 if k > 2 and k % 2 else k - 1, k, step)
        for n, k, step in zip(lengths, sizes, steps, strict=True)
    ]


def _global(
    make: type[GlobalAveragePooling] | type[GlobalMaxPooling], data: LayerData, rank: int
) -> Layer:
    keep = data.config.flag("keepdims", default=False)
    return make(_shape(data, rank), keep, data.data_format)


def _adaptive(
    make: type[AdaptiveAveragePooling] | type[AdaptiveMaxPooling],
    data: LayerData,
    rank: int,
) -> Layer:
    size = _sizes(data.config, "output_size")
    if size is None:
        raise FormatError("output_size", got="nothing", expected="a size")
    return make(_shape(data, rank), size, data.data_format)


def _widths(value: Any, rank: int, field: str) -> list[tuple[int, int]]:
    """Pairs for each spatial axis, from what has stood for them.

    One number for all; for one axis a pair; else one number or a pair for each axis. Keras
    1 also had four numbers for two axes, and objects with a word for each side.
    """
    if isinstance(value, dict):
        value = [value.get(side, 0) for side in _SIDES[rank]]
    items = value if isinstance(value, list) else [value] * rank
    if rank == 1 and len(items) == 2:
        items = [items]
    if len(items) == 2 * rank and not any(isinstance(item, list) for item in items):
        items = [items[k : k + 2] for k in range(0, 2 * rank, 2)]
    pairs = [item if isinstance(item, list) else [item, item] for item in items]
    if len(pairs) != rank or any(len(pair) != 2 for pair in pairs):
        raise FormatError(field, got=repr(value), expected=f"widths of {rank} axes")
    flat = counts(Fields({field: [n for pair in pairs for n in pair]}), field)
    return list(zip(flat[::2], flat[1::2], strict=True))


_SIDES = {
    1: ("left_pad", "right_pad"),
    2: ("top_pad", "bottom_pad", "left_pad", "right_pad"),
    3: (),
}


def _padding(data: LayerData, rank: int) -> Layer:
    shape = _shape(data, rank)
    widths = _widths(data.config.raw("padding"), rank, "padding")
    order = data.data_format_of(rank)
    return Padding(shape, spatial_widths(widths, shape, order))


def _cropping(data: LayerData, rank: int) -> Layer:
    shape = _shape(data, rank)
    widths = _widths(data.config.raw("cropping"), rank, "cropping")
    order = data.data_format_of(rank)
    return Cropping(shape, spatial_widths(widths, shape, order))


def _up_sampling(data: LayerData, rank: int) -> Layer:
    size = _sizes(data.config, "size", "length")
    word = data.config.text("interpolation", default="nearest")
    if word not in _INTERPOLATIONS:
        raise UnsupportedLayerError("interpolation", got=repr(word))
    return UpSampling(
        _shape(data, rank),
        2 if size is None else size,
        interpolation=_INTERPOLATIONS[word],
        data_format=data.data_format_of(rank),
    )


def _repeat_vector(data: LayerData) -> tuple[Layer, ...]:
    (count,) = counts(Fields({"n": data.config.whole("n")}), "n")
    return (RepeatVector(data.shape, count),)


def _of_ranks(name: str, build: Build) -> dict[str, KerasClass]:
    """The classes for one, two and three axes."""

    def of_rank(rank: int) -> KerasClass:
        return KerasClass(lambda data: (build(data, rank),))

    return {f"{name}{rank}D": of_rank(rank) for rank in (1, 2, 3)}


GRIDS: dict[str, KerasClass] = {
    **_of_ranks("AdaptiveAveragePooling", partial(_adaptive, AdaptiveAveragePooling)),
    **_of_ranks("AdaptiveMaxPooling", partial(_adaptive, AdaptiveMaxPooling)),
    **_of_ranks("AveragePooling", partial(_pooling, AveragePooling)),
    **_of_ranks("Cropping", _cropping),
    **_of_ranks("GlobalAveragePooling", partial(_global, GlobalAveragePooling)),
    **_of_ranks("GlobalMaxPooling", partial(_global, GlobalMaxPooling)),
    **_of_ranks("MaxPooling", partial(_pooling, MaxPooling)),
    **_of_ranks("UpSampling", _up_sampling),
    **_of_ranks("ZeroPadding", _padding),
    "RepeatVector": KerasClass(_repeat_vector),
}
"""By Keras's class name, for one to three axes each."""
