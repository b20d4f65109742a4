"""TimeDistributed: a layer applied to each step of an axis before those that it knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from nninvert.errors import UnsupportedLayerError
from nninvert.formats._json import Fields
from nninvert.formats.keras_class import CHANNELS_FIRST, KerasClass, LayerData
from nninvert.layers import Layer, layer_class

Config = dict[str, Any]
Weights = dict[str, Any]
Lift = Callable[[Config, Weights, int], tuple[Config, Weights]]
"""From the configuration and weights of a layer and the number of its spatial axes."""

MAX_SPATIAL = 3
"""Axes that windows can lie on; the steps take one of them."""


def _same(config: Config, weights: Weights, rank: int) -> tuple[Config, Weights]:
    return config, weights


def _axes(config: Config, weights: Weights, rank: int) -> tuple[Config, Weights]:
    """Axes count one more in front."""
    return {**config, "axes": [_shifted(axis) for axis in config["axes"]]}, weights


def _axis(config: Config, weights: Weights, rank: int) -> tuple[Config, Weights]:
    return {**config, "axis": _shifted(config["axis"])}, weights


def _shifted(axis: int) -> int:
    return axis + 1 if axis >= 0 else axis


def _widths(config: Config, weights: Weights, rank: int) -> tuple[Config, Weights]:
    return {**config, "widths": [[0, 0], *config["widths"]]}, weights


def _permutation(config: Config, weights: Weights, rank: int) -> tuple[Config, Weights]:
    return {**config, "axes": [0, *(axis + 1 for axis in config["axes"])]}, weights


def _windows(config: Config, weights: Weights, rank: int) -> tuple[Config, Weights]:
    """Windows of one step."""
    if config["data_format"] == CHANNELS_FIRST:
        raise UnsupportedLayerError("data_format", got=repr(CHANNELS_FIRST))
    if rank == MAX_SPATIAL:
        raise UnsupportedLayerError("", got=f"around windows on {rank} axes")
    longer = dict(config)
    for name in ("strides", "dilation", "pool_size", "factors"):
        if config.get(name) is not None:
            longer[name] = [1, *_listed(config[name], rank)]
    if not isinstance(config.get("padding", ""), str):
        longer["padding"] = [[0, 0], *config["padding"]]
    if "output_padding" in config:
        longer["output_padding"] = [0, *config["output_padding"]]
    if "kernel" in weights:
        weights = {**weights, "kernel": np.asarray(weights["kernel"])[np.newaxis]}
    return longer, weights


def _listed(value: Any, rank: int) -> list[int]:
    return list(value) if isinstance(value, list) else [value] * rank


_LIFTS: Mapping[str, Lift] = {
    "average_pooling": _windows,
    "batch_normalization": _axes,
    "convolution": _windows,
    "cropping": _widths,
    "dense": _same,
    "elementwise": _same,
    "identity": _same,
    "layer_normalization": _axes,
    "log_softmax": _axis,
    "max_pooling": _windows,
    "normalization": _axes,
    "padding": _widths,
    "permute": _permutation,
    "rescaling": _same,
    "rms_normalization": _axes,
    "softmax": _axis,
    "transposed_convolution": _windows,
    "unit_normalization": _axes,
    "upsampling": _windows,
}
"""How what a layer is made of changes with one axis more in front, by its kind."""


def _lifted(layer: Layer, steps: int) -> Layer:
    shape = (steps, *layer.input_shape)
    if layer.kind == "reshape":
        return type(layer).from_config(
            {"target_shape": [steps, *layer.output_shape]}, {}, shape
        )
    if layer.kind not in _LIFTS:
        raise UnsupportedLayerError("", got=f"around {layer.kind}")
    lift, rank = _LIFTS[layer.kind], len(layer.input_shape) - 1
    config, weights = lift(dict(layer.config()), dict(layer.weights()), rank)
    return layer_class(layer.kind, ("", "")).from_config(config, weights, shape)


def distributed(classes: Mapping[str, KerasClass]) -> KerasClass:
    """TimeDistributed around the classes that are read."""

    def inner(config: Fields) -> tuple[KerasClass, Fields]:
        layer = config.inner("layer")
        name = layer.raw("class_name")
        known = classes.get(str(name))
        if known is None or known.joins:
            raise UnsupportedLayerError("", got=f"around '{name}'")
        return known, layer.inner("config")

    def build(data: LayerData) -> tuple[Layer, ...]:
        known, config = inner(data.config)
        if not data.shape:
            raise UnsupportedLayerError("", got="on an input of shape ()")
        steps, *shape = data.shape
        made = known.build(replace(data, config=config, shapes=(tuple(shape),)))
        return tuple(_lifted(layer, steps) for layer in made)

    def variables(config: Fields) -> tuple[int, int]:
        known, around = inner(config)
        return known.variables(around)

    return KerasClass(build, variables)
