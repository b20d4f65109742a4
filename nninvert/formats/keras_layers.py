"""Keras's layers, class by class: which arrays they store, and what they compute.

The spellings of Keras 1, 2 and 3 are all accepted in every file. What is not in
`KERAS_LAYERS` is not read; nothing is looked up by name anywhere else.
"""

from __future__ import annotations

from nninvert.formats._json import Fields
from nninvert.formats.keras_activations import (
    ADVANCED,
    activation_layers,
    inner_axis,
    softmax_layer,
)
from nninvert.formats.keras_attention import ATTENTION
from nninvert.formats.keras_class import (
    KerasClass,
    LayerData,
    fixed,
    refuse_quantised,
    wants,
)
from nninvert.formats.keras_convolutions import CONVOLUTIONS
from nninvert.formats.keras_grids import GRIDS
from nninvert.formats.keras_merges import MERGES
from nninvert.formats.keras_norms import NORMALIZATIONS
from nninvert.formats.keras_time import distributed
from nninvert.layers import (
    Dense,
    Elementwise,
    Identity,
    Layer,
    Permute,
    Reshape,
)
from nninvert.layers.prelu import PReLU


def _dense_variables(config: Fields) -> tuple[int, int]:
    return 1 + config.flag("use_bias", "bias", default=True), 0


def _dense(data: LayerData) -> tuple[Layer, ...]:
    kernel, *rest = data.arrays
    refuse_quantised(kernel)
    units = data.config.whole("units", "output_dim")
    shape = data.input_shape
    if shape is None or shape[-1:] == (None,):
        shape = (*(shape or (None,))[:-1], *kernel.shape[:1])
    entering = fixed(shape)
    wanted = (*entering[-1:], units)
    wants(kernel, wanted, f"{wanted[0]} numbers enter and 'units' is {units}")
    bias = None
    if rest:
        wants(rest[0], (units,), f"'units' is {units}")
        bias = rest[0].read()
    dense = Dense(entering, kernel.matrix().transposed, bias)
    activation = data.config.raw("activation")
    return dense, *activation_layers(activation, dense.output_shape, data.keras)


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
    wants(data.arrays[0], wanted, f"the input is {shape} and shared_axes {axes}")
    return (PReLU(shape, data.arrays[0].read()),)


def _flatten(data: LayerData) -> tuple[Layer, ...]:
    shape = data.shape
    layers: list[Layer] = []
    if data.channels_first and len(shape) > 1 and data.keras >= 2:
        layers.append(Permute(shape, (*range(1, len(shape)), 0)))
        shape = layers[0].output_shape
    return (*layers, Reshape(shape, (-1,)))


def _reshape(data: LayerData) -> tuple[Layer, ...]:
    return (Reshape(data.shape, data.config.wholes("target_shape", "dims")),)


def _permute(data: LayerData) -> tuple[Layer, ...]:
    dims = data.config.wholes("dims")
    return (Permute(data.shape, tuple(axis - 1 for axis in dims)),)


_INFERENCE_NO_OPS = (
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "RandomBrightness",
    "RandomContrast",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
)

KERAS_LAYERS: dict[str, KerasClass] = {
    "Activation": KerasClass(_activation),
    "Dense": KerasClass(_dense, _dense_variables),
    "Flatten": KerasClass(_flatten),
    "PReLU": KerasClass(_prelu, lambda config: (1, 0)),
    "Permute": KerasClass(_permute),
    "Reshape": KerasClass(_reshape),
    "Softmax": KerasClass(_softmax),
    "TimeDistributedDense": KerasClass(_dense, _dense_variables),
    **ATTENTION,
    **CONVOLUTIONS,
    **GRIDS,
    **MERGES,
    **NORMALIZATIONS,
    **{name: _advanced(name) for name in ADVANCED},
    **{name: KerasClass(_identity) for name in _INFERENCE_NO_OPS},
}
"""What is read, by Keras's class name."""

KERAS_LAYERS["TimeDistributed"] = distributed(KERAS_LAYERS)

SHAPE_KEEPING = frozenset(
    {"Activation", "Softmax", *ADVANCED, *_INFERENCE_NO_OPS},
)
"""Layers that pass any shape on, so that the next one may tell what it is."""
