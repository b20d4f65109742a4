"""Keras's normalisations: with stored statistics, and of each sample by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats._arrays import StoredArray
from nninvert.formats._json import Fields, plain
from nninvert.formats.keras_activations import inner_axis
from nninvert.formats.keras_class import KerasClass, LayerData, fixed, wants
from nninvert.layers import (
    BatchNormalization,
    GroupNormalization,
    Layer,
    LayerNormalization,
    Normalization,
    Rescaling,
    RMSNormalization,
    Shape,
    UnitNormalization,
    per_axis_rescaling,
)

UNIT_FLOOR = 1e-12
"""keras.ops.normalize bounds the length, TensorFlow its square, by this."""


def _batch_norm_variables(config: Fields) -> tuple[int, int]:
    names = _batch_norm_names(config)
    return len(names) - 2, 2


def _batch_norm_names(config: Fields) -> list[str]:
    names = ["gamma"] if config.flag("scale", default=True) else []
    names += ["beta"] if config.flag("center", default=True) else []
    return [*names, "mean", "variance"]


def _batch_norm(data: LayerData) -> tuple[Layer, ...]:
    config = data.config
    mode = config.raw("mode")
    if mode == 1:
        raise UnsupportedLayerError("mode", got="1 (normalises each sample by itself)")
    if config.raw("renorm"):
        raise UnsupportedLayerError("", got="with renorm")
    shape = data.input_shape
    if shape is None or shape == (None,):
        shape = data.arrays[0].shape
    entering = fixed(shape)
    given, axes = _axes(config, entering)
    wanted = tuple(entering[axis] for axis in axes)
    for array in data.arrays:
        wants(array, wanted, f"the input is {entering} and axis {list(given)}")
    names = _batch_norm_names(config)
    arrays = {name: array.read() for name, array in zip(names, data.arrays, strict=True)}
    return (BatchNormalization(entering, arrays, config.number("epsilon"), axes),)


def _normalization_variables(config: Fields) -> tuple[int, int]:
    return 0, 3 if config.raw("mean") is None else 0


def _normalization(data: LayerData) -> tuple[Layer, ...]:
    config, shape = data.config, data.shape
    given, axes = _axes(config, shape, default=())
    wanted = tuple(shape[axis] for axis in axes)
    if data.arrays:
        for array in data.arrays[:2]:
            wants(array, wanted, f"the input is {shape} and axis {list(given)}")
        mean, variance = (array.read() for array in data.arrays[:2])
    else:
        mean, variance = (
            _spread(_numbers(config, name), wanted, name) for name in ("mean", "variance")
        )
    invert = config.flag("invert", default=False)
    return (Normalization(shape, mean, variance, axes, invert),)


def _spread(
    values: NDArray[np.float64], shape: tuple[int, ...], field: str
) -> NDArray[np.float64]:
    """One number for each unit, from one for all or from one for each."""
    if values.size == 1:
        return np.full(shape, values.ravel()[0])
    if values.size != int(np.prod(shape)):
        raise FormatError(
            field, got=f"{values.size} numbers", expected=f"{int(np.prod(shape))}"
        )
    return values.reshape(shape)


def _rescaling(data: LayerData) -> tuple[Layer, ...]:
    scale, offset = (_numbers(data.config, name) for name in ("scale", "offset"))
    return (Rescaling(data.shape, scale, offset),)


def _numbers(config: Fields, name: str) -> NDArray[np.float64]:
    """A number or nested lists of numbers."""
    value = plain(config.raw(name))
    if not _all_numbers(value):
        raise FormatError(name, got=repr(value), expected="a number, or a list of them")
    try:
        return np.asarray(value, dtype=np.float64)
    except (ValueError, OverflowError) as error:
        raise FormatError(
            name, got=repr(value), expected="lists of equal length"
        ) from error


def _all_numbers(value: Any) -> bool:
    if isinstance(value, list):
        return all(_all_numbers(item) for item in value)
    return isinstance(value, int | float) and not isinstance(value, bool)


def _axes(
    config: Fields, shape: Shape, default: tuple[int, ...] = (-1,)
) -> tuple[list[int], tuple[int, ...]]:
    """The axes as the file counts them, and without the batch from 0."""
    given = config.wholes("axis") if config.raw("axis") is not None else default
    return list(given), tuple(inner_axis(axis, len(shape)) for axis in given)


def _centre_and_scale(config: Fields) -> tuple[bool, bool]:
    return config.flag("scale", default=True), config.flag("center", default=True)


def _affine_variables(config: Fields) -> tuple[int, int]:
    return sum(_centre_and_scale(config)), 0


def _scaled(data: LayerData, layer: Layer, axes: tuple[int, ...]) -> tuple[Layer, ...]:
    """The layer, and gamma and beta of it as the configuration says."""
    wanted = tuple(layer.output_shape[axis] for axis in axes)
    found: list[NDArray[np.generic] | None] = []
    arrays = iter(data.arrays)
    for there in _centre_and_scale(data.config):
        array = next(arrays) if there else None
        found.append(None if array is None else _checked(array, wanted))
    return (layer, *per_axis_rescaling(layer.output_shape, found[0], found[1], axes))


def _checked(array: StoredArray, shape: tuple[int, ...]) -> NDArray[np.generic]:
    wants(array, shape, "one number for each unit of the axes that are normalised")
    return array.read()


def _layer_norm(data: LayerData) -> tuple[Layer, ...]:
    config, shape = data.config, data.shape
    if config.raw("rms_scaling"):
        raise UnsupportedLayerError("", got="with rms_scaling")
    given, axes = _axes(config, shape)
    if list(axes) != sorted(set(axes)):
        raise UnsupportedLayerError("axis", got=f"{given} (not ascending)")
    epsilon = config.number("epsilon", default=1e-3)
    return _scaled(data, LayerNormalization(shape, axes, epsilon), axes)


def _group_norm(data: LayerData) -> tuple[Layer, ...]:
    config, shape = data.config, data.shape
    _, (axis, *more) = _axes(config, shape)
    if more:
        raise UnsupportedLayerError("axis", got="several axes")
    groups = 32 if config.raw("groups") is None else config.whole("groups")
    epsilon = config.number("epsilon", default=1e-3)
    layer = GroupNormalization(
        shape, shape[axis] if groups == -1 else groups, axis, epsilon
    )
    return _scaled(data, layer, (axis,))


def _rms_norm(data: LayerData) -> tuple[Layer, ...]:
    shape = data.shape
    given, axes = _axes(data.config, shape)
    if list(axes) != sorted(set(axes)):
        raise UnsupportedLayerError("axis", got=f"{given} (not ascending)")
    scale = _checked(data.arrays[0], tuple(shape[axis] for axis in axes))
    layer = RMSNormalization(shape, axes, data.config.number("epsilon", default=1e-6))
    return (layer, *per_axis_rescaling(shape, scale, None, axes))


def _unit_norm(data: LayerData) -> tuple[Layer, ...]:
    _, axes = _axes(data.config, data.shape)
    floor = UNIT_FLOOR if data.keras >= 3 else UNIT_FLOOR**0.5
    return (UnitNormalization(data.shape, tuple(sorted(set(axes))), floor),)


NORMALIZATIONS: dict[str, KerasClass] = {
    "BatchNormalization": KerasClass(_batch_norm, _batch_norm_variables),
    "GroupNormalization": KerasClass(_group_norm, _affine_variables),
    "LayerNormalization": KerasClass(_layer_norm, _affine_variables),
    "Normalization": KerasClass(_normalization, _normalization_variables),
    "RMSNormalization": KerasClass(_rms_norm, lambda config: (1, 0)),
    "Rescaling": KerasClass(_rescaling),
    "UnitNormalization": KerasClass(_unit_norm),
}
"""By Keras's class name."""
