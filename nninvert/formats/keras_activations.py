"""Activations as Keras writes them: a name, a layer object, or somebody's function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nninvert.errors import UnsupportedLayerError
from nninvert.formats._json import Fields
from nninvert.formats.keras_config import is_custom
from nninvert.layers import Elementwise, Gated, Layer, Shape
from nninvert.layers.activations import Activation, activation_from_config
from nninvert.layers.softmax import LogSoftmax, Softmax

# Keras's functions by name, with the parameters that they have when called by name
# (keras/src/activations/activations.py). Their defaults are not those of other frameworks.
_NAMED: dict[str, dict[str, Any]] = {
    "celu": {"name": "celu", "alpha": 1.0},
    "elu": {"name": "elu", "alpha": 1.0},
    "exponential": {"name": "exponential"},
    "gelu": {"name": "gelu"},
    "hard_shrink": {"name": "hard_shrink", "threshold": 0.5},
    "hard_silu": {"name": "hard_silu"},
    "hard_swish": {"name": "hard_silu"},
    "hard_tanh": {"name": "hard_tanh"},
    "leaky_relu": {"name": "leaky_relu", "negative_slope": 0.2},
    "linear": {"name": "linear"},
    "log_sigmoid": {"name": "log_sigmoid"},
    "mish": {"name": "mish"},
    "relu": {"name": "relu"},
    "relu6": {"name": "relu6"},
    "selu": {"name": "selu"},
    "sigmoid": {"name": "sigmoid"},
    "silu": {"name": "silu"},
    "soft_shrink": {"name": "soft_shrink", "threshold": 0.5},
    "softplus": {"name": "softplus"},
    "softsign": {"name": "softsign"},
    "sparse_plus": {"name": "sparse_plus"},
    "sparse_sigmoid": {"name": "sparse_sigmoid"},
    "squareplus": {"name": "squareplus", "b": 4.0},
    "swish": {"name": "silu"},
    "tanh": {"name": "tanh"},
    "tanh_shrink": {"name": "tanh_shrink"},
}

_HARD_SIGMOID_KERAS_3 = 1.0 / 6.0
_HARD_SIGMOID_BEFORE = 0.2


def activation_layers(value: Any, shape: Shape, keras: int) -> tuple[Layer, ...]:
    """The layers that the field ``activation`` adds; none for a linear one.

    Parameters
    ----------
    value : Any
        As parsed: a name, null, or a serialised object.
    shape : tuple of int
    keras : int
        Major version of Keras: the slope of hard_sigmoid depends on it.

    Raises
    ------
    UnsupportedLayerError
        For a function that is not Keras's own, or that nninvert does not know.
    """
    if value is None or value == "linear":
        return ()
    if isinstance(value, dict):
        return _object(Fields(value), shape, keras)
    if value == "softmax":
        return (Softmax(shape, -1),)
    if value == "log_softmax":
        return (LogSoftmax(shape, -1),)
    if value == "hard_sigmoid":
        slope = _HARD_SIGMOID_KERAS_3 if keras >= 3 else _HARD_SIGMOID_BEFORE
        return _elementwise({"name": "hard_sigmoid", "slope": slope}, shape)
    if value == "glu":
        return (Gated(shape, activation_from_config({"name": "sigmoid"})),)
    if isinstance(value, str) and value in _NAMED:
        return _elementwise(_NAMED[value], shape)
    raise UnsupportedLayerError("activation", got=repr(value))


def _elementwise(config: dict[str, Any], shape: Shape) -> tuple[Layer, ...]:
    return (Elementwise(shape, activation_from_config(config)),)


def _object(value: Fields, shape: Shape, keras: int) -> tuple[Layer, ...]:
    """A layer used as an activation, or a function with its module."""
    class_name = value.text("class_name")
    if is_custom(value) and not _own_function(value):
        raise UnsupportedLayerError("activation", got=f"'{class_name}' (custom)")
    inner = value.raw("config")
    if class_name == "function" and isinstance(inner, str):
        return activation_layers(inner, shape, keras)
    if class_name == "Activation" and isinstance(inner, dict):
        return activation_layers(inner.get("activation"), shape, keras)
    if class_name in ADVANCED and isinstance(inner, dict):
        return (Elementwise(shape, ADVANCED[class_name](Fields(inner))),)
    if class_name == "Softmax" and isinstance(inner, dict):
        return softmax_layer(Fields(inner), shape)
    raise UnsupportedLayerError("activation", got=f"'{class_name}'")


def _own_function(value: Fields) -> bool:
    """A function of Keras: Keras 3 gives it a registered name, "function" or its own."""
    module = str(value.raw("module"))
    return value.raw("class_name") == "function" and module.startswith("keras")


def softmax_layer(config: Fields, shape: Shape) -> tuple[Layer, ...]:
    """The layer Softmax along one axis."""
    axes = config.wholes("axis") if config.raw("axis") is not None else (-1,)
    if len(axes) != 1:
        raise UnsupportedLayerError("axis", got=f"{list(axes)} (several axes)")
    return (Softmax(shape, inner_axis(axes[0], len(shape))),)


def inner_axis(axis: int, rank: int) -> int:
    """An axis that counts the batch as one that does not, from 0.

    Raises
    ------
    UnsupportedLayerError
        If it is the batch itself, or beyond the shape.
    """
    if axis < 0:
        axis += rank + 1
    if not 1 <= axis <= rank:
        raise UnsupportedLayerError("axis", got=f"{axis} of an input with {rank} axes")
    return axis - 1


def _relu(config: Fields) -> Activation:
    given: dict[str, Any] = {
        "name": "relu",
        "negative_slope": config.number("negative_slope", default=0.0),
        "threshold": config.number("threshold", default=0.0),
    }
    if config.raw("max_value") is not None:
        given["max_value"] = config.number("max_value")
    return activation_from_config(given)


def _leaky(config: Fields) -> Activation:
    slope = config.number("negative_slope", "alpha", default=0.3)
    return activation_from_config({"name": "leaky_relu", "negative_slope": slope})


def _elu(config: Fields) -> Activation:
    alpha = config.number("alpha", default=1.0)
    return activation_from_config({"name": "elu", "alpha": alpha})


def _thresholded(config: Fields) -> Activation:
    theta = config.number("theta", default=1.0)
    return activation_from_config({"name": "thresholded_relu", "theta": theta})


ADVANCED: dict[str, Callable[[Fields], Activation]] = {
    "ELU": _elu,
    "LeakyReLU": _leaky,
    "ReLU": _relu,
    "ThresholdedReLU": _thresholded,
}
"""Keras's layers that apply one activation with parameters in their configuration."""
