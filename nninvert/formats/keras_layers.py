"""Keras's layers, class by class: which arrays they store, and what they compute.

The spellings of Keras 1, 2 and 3 are all accepted in every file. What is not in
`KERAS_LAYERS` is not read; nothing is looked up by name anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats._arrays import StoredArray
from nninvert.formats._description import PartialShape
from nninvert.formats._json import Fields, plain
from nninvert.formats._steps import UNKNOWN_SHAPE
from nninvert.formats.keras_activations import (
    ADVANCED,
    activation_layers,
    inner_axis,
    softmax_layer,
)
from nninvert.layers import (
    BatchNormalization,
    Dense,
    Elementwise,
    Identity,
    Layer,
    Normalization,
    Permute,
    Rescaling,
    Reshape,
    Shape,
)
from nninvert.layers.prelu import PReLU


@dataclass(frozen=True)
class LayerData:
    """What a layer is built from.

    Attributes
    ----------
    config : Fields
    arrays : sequence of StoredArray
        As many as `KerasClass.variables` says.
    input_shape : tuple or None
        None where nothing tells; entries may be None.
    keras : int
        Major version.
    """

    config: Fields
    arrays: Sequence[StoredArray]
    input_shape: PartialShape | None
    keras: int

    @property
    def shape(self) -> Shape:
        """The input shape.

        Raises
        ------
        UnsupportedLayerError
            If it is not known, or a length is open.
        """
        if self.input_shape is None:
            raise UnsupportedLayerError("", got=UNKNOWN_SHAPE)
        if None in self.input_shape:
            raise UnsupportedLayerError(
                "", got=f"input of open length {_shown(self.input_shape)}"
            )
        return tuple(n for n in self.input_shape if n is not None)


@dataclass(frozen=True)
class KerasClass:
    """A layer class of Keras.

    Attributes
    ----------
    build : function
        From `LayerData` to layers; raises UnsupportedLayerError for a variant that
        nninvert does not know, FormatError for arrays that do not fit.
    variables : function
        How many trainable and non-trainable arrays a layer of this configuration has.
    """

    build: Callable[[LayerData], tuple[Layer, ...]]
    variables: Callable[[Fields], tuple[int, int]] = lambda config: (0, 0)


def _shown(shape: PartialShape) -> str:
    return f"({', '.join('?' if n is None else str(n) for n in shape)})"


def _wants(array: StoredArray, shape: tuple[int, ...], because: str) -> None:
    if array.shape != shape:
        raise FormatError(
            f"'{array.where}'",
            got=f"shape {array.shape}",
            expected=f"{shape}",
            because=because,
        )


def _dense_variables(config: Fields) -> tuple[int, int]:
    return 1 + config.flag("use_bias", "bias", default=True), 0


def _dense(data: LayerData) -> tuple[Layer, ...]:
    kernel, *rest = data.arrays
    if kernel.dtype.kind in "iu":
        raise UnsupportedLayerError("", got=f"quantised, kernel of {kernel.dtype}")
    units = data.config.whole("units", "output_dim")
    shape = data.input_shape
    if shape is None or shape[-1:] == (None,):
        shape = (*(shape or (None,))[:-1], *kernel.shape[:1])
    fixed = replace(data, input_shape=shape).shape
    wanted = (*fixed[-1:], units)
    _wants(kernel, wanted, f"{wanted[0]} numbers enter and 'units' is {units}")
    bias = None
    if rest:
        _wants(rest[0], (units,), f"'units' is {units}")
        bias = rest[0].read()
    dense = Dense(fixed, kernel.matrix().transposed, bias)
    activation = data.config.raw("activation")
    return dense, *activation_layers(activation, dense.output_shape, data.keras)


def _wrapped_dense(data: LayerData) -> tuple[Layer, ...]:
    inner = data.config.inner("layer")
    if inner.raw("class_name") != "Dense":
        raise UnsupportedLayerError("", got=f"around '{inner.raw('class_name')}'")
    return _dense(replace(data, config=inner.inner("config")))


def _wrapped_variables(config: Fields) -> tuple[int, int]:
    return _dense_variables(config.inner("layer").inner("config"))


def _identity(data: LayerData) -> tuple[Layer, ...]:
    return (Identity(data.shape),)


def _activation(data: LayerData) -> tuple[Layer, ...]:
    value = data.config.raw("activation")
    return activation_layers(value, data.shape, data.keras) or _identity(data)


def _softmax(data: LayerData) -> tuple[Layer, ...]:
    return softmax_layer(data.config, data.shape)


def _advanced(class_name: str) -> KerasClass:
    make = ADVANCED[class_name]
    return KerasClass(lambda data: (Elementwise(data.shape, make(data.config)),))


def _prelu(data: LayerData) -> tuple[Layer, ...]:
    shape = data.shape
    given = data.config.raw("shared_axes")
    axes = [] if given is None else data.config.wholes("shared_axes")
    shared = {inner_axis(axis, len(shape)) for axis in axes}
    wanted = tuple(1 if k in shared else n for k, n in enumerate(shape))
    _wants(data.arrays[0], wanted, f"the input is {shape} and shared_axes {axes}")
    return (PReLU(shape, data.arrays[0].read()),)


def _flatten(data: LayerData) -> tuple[Layer, ...]:
    shape = data.shape
    order = data.config.raw("data_format", "dim_ordering")
    layers: list[Layer] = []
    if order in ("channels_first", "th") and len(shape) > 1 and data.keras >= 2:
        layers.append(Permute(shape, (*range(1, len(shape)), 0)))
        shape = layers[0].output_shape
    return (*layers, Reshape(shape, (-1,)))


def _reshape(data: LayerData) -> tuple[Layer, ...]:
    return (Reshape(data.shape, data.config.wholes("target_shape", "dims")),)


def _permute(data: LayerData) -> tuple[Layer, ...]:
    dims = data.config.wholes("dims")
    return (Permute(data.shape, tuple(axis - 1 for axis in dims)),)


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
    fixed = replace(data, input_shape=shape).shape
    given = config.wholes("axis") if config.raw("axis") is not None else (-1,)
    axes = tuple(inner_axis(axis, len(fixed)) for axis in given)
    wanted = tuple(fixed[axis] for axis in axes)
    for array in data.arrays:
        _wants(array, wanted, f"the input is {fixed} and axis {list(given)}")
    names = _batch_norm_names(config)
    arrays = {name: array.read() for name, array in zip(names, data.arrays, strict=True)}
    return (BatchNormalization(fixed, arrays, config.number("epsilon"), axes),)


def _normalization_variables(config: Fields) -> tuple[int, int]:
    return 0, 3 if config.raw("mean") is None else 0


def _normalization(data: LayerData) -> tuple[Layer, ...]:
    config, shape = data.config, data.shape
    given = config.wholes("axis") if config.raw("axis") is not None else ()
    axes = tuple(inner_axis(axis, len(shape)) for axis in given)
    wanted = tuple(shape[axis] for axis in axes)
    if data.arrays:
        for array in data.arrays[:2]:
            _wants(array, wanted, f"the input is {shape} and axis {list(given)}")
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


_INFERENCE_NO_OPS = (
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
)

KERAS_LAYERS: dict[str, KerasClass] = {
    "Activation": KerasClass(_activation),
    "BatchNormalization": KerasClass(_batch_norm, _batch_norm_variables),
    "Dense": KerasClass(_dense, _dense_variables),
    "Flatten": KerasClass(_flatten),
    "Normalization": KerasClass(_normalization, _normalization_variables),
    "PReLU": KerasClass(_prelu, lambda config: (1, 0)),
    "Permute": KerasClass(_permute),
    "Rescaling": KerasClass(_rescaling),
    "Reshape": KerasClass(_reshape),
    "Softmax": KerasClass(_softmax),
    "TimeDistributed": KerasClass(_wrapped_dense, _wrapped_variables),
    "TimeDistributedDense": KerasClass(_dense, _dense_variables),
    **{name: _advanced(name) for name in ADVANCED},
    **{name: KerasClass(_identity) for name in _INFERENCE_NO_OPS},
}
"""What is read, by Keras's class name."""

SHAPE_KEEPING = frozenset(
    {"Activation", "Softmax", *ADVANCED, *_INFERENCE_NO_OPS},
)
"""Layers that pass any shape on, so that the next one may tell what it is."""
