"""The functions of keras.ops and of TensorFlow by the names that files have for them.

Both become an `Operation`: a name, and arguments by the names that keras.ops has for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats._description import PartialShape
from nninvert.formats._json import Fields
from nninvert.formats.keras_config import TENSORFLOW_CLASSES, KerasLayer
from nninvert.formats.keras_functions import FUNCTIONS
from nninvert.formats.keras_nodes import Arguments
from nninvert.formats.keras_operations import Build, Operation

Signature = tuple[str, tuple[str, ...]]
"""The name of an operation, and those of its arguments in order."""

_PAIR, _X, _XS = ("x1", "x2"), ("x",), ("xs",)

KERAS_3: dict[str, Signature] = {
    "Add": ("add", _PAIR),
    "Celu": ("celu", _X),
    "Clip": ("clip", ("x", "x_min", "x_max")),
    "Concatenate": ("concatenate", _XS),
    "Divide": ("divide", _PAIR),
    "Elu": ("elu", _X),
    "Exp": ("exponential", _X),
    "ExpandDims": ("expand_dims", _X),
    "Flip": ("flip", _X),
    "Gelu": ("gelu", _X),
    "GetItem": ("get_item", ("x", "key")),
    "HardSigmoid": ("hard_sigmoid", _X),
    "HardSilu": ("hard_silu", _X),
    "HardTanh": ("hard_tanh", _X),
    "LeakyRelu": ("leaky_relu", _X),
    "LogSigmoid": ("log_sigmoid", _X),
    "LogSoftmax": ("log_softmax", _X),
    "Maximum": ("maximum", _PAIR),
    "Minimum": ("minimum", _PAIR),
    "Multiply": ("multiply", _PAIR),
    "Negative": ("negative", _X),
    "Pad": ("pad", _X),
    "Relu": ("relu", _X),
    "Relu6": ("relu6", _X),
    "Reshape": ("reshape", _X),
    "Selu": ("selu", _X),
    "Sigmoid": ("sigmoid", _X),
    "Silu": ("silu", _X),
    "Softmax": ("softmax", _X),
    "Softplus": ("softplus", _X),
    "Softsign": ("softsign", _X),
    "Split": ("split", _X),
    "Square": ("square", _X),
    "Squareplus": ("squareplus", _X),
    "Squeeze": ("squeeze", _X),
    "Stack": ("stack", _XS),
    "Subtract": ("subtract", _PAIR),
    "Swapaxes": ("swap_axes", _X),
    "Take": ("take", ("x", "indices")),
    "Tanh": ("tanh", _X),
    "TanhShrink": ("tanh_shrink", _X),
    "Transpose": ("transpose", _X),
    "TrueDivide": ("divide", _PAIR),
    "Unstack": ("unstack", _X),
}
"""Classes of keras.ops; what is not a tensor may be in their configuration."""

TENSORFLOW: dict[str, Signature] = {
    "__operators__.add": ("add", _PAIR),
    "__operators__.getitem": ("get_item", ("x", "key")),
    "clip_by_value": ("clip", ("x", "x_min", "x_max")),
    "compat.v1.squeeze": ("squeeze", ("x", "axis")),
    "compat.v1.transpose": ("transpose", ("x", "axes")),
    "concat": ("concatenate", ("xs", "axis")),
    "expand_dims": ("expand_dims", ("x", "axis")),
    "identity": ("identity", _X),
    "math.add": ("add", _PAIR),
    "math.divide": ("divide", _PAIR),
    "math.exp": ("exponential", _X),
    "math.maximum": ("maximum", _PAIR),
    "math.minimum": ("minimum", _PAIR),
    "math.multiply": ("multiply", _PAIR),
    "math.negative": ("negative", _X),
    "math.sigmoid": ("sigmoid", _X),
    "math.softplus": ("softplus", _X),
    "math.square": ("square", _X),
    "math.subtract": ("subtract", _PAIR),
    "math.tanh": ("tanh", _X),
    "math.truediv": ("divide", _PAIR),
    "nn.elu": ("elu", _X),
    "nn.log_softmax": ("log_softmax", ("x", "axis")),
    "nn.relu": ("relu", _X),
    "nn.relu6": ("relu6", _X),
    "nn.selu": ("selu", _X),
    "nn.sigmoid": ("sigmoid", _X),
    "nn.silu": ("silu", _X),
    "nn.softmax": ("softmax", ("x", "axis")),
    "nn.softsign": ("softsign", _X),
    "nn.space_to_depth": ("space_to_depth", ("x", "block_size")),
    "nn.depth_to_space": ("depth_to_space", ("x", "block_size")),
    "nn.tanh": ("tanh", _X),
    "pad": ("pad", ("x", "pad_width")),
    "reshape": ("reshape", ("x", "shape")),
    "reverse": ("flip", ("x", "axis")),
    "split": ("split_sizes", ("x", "indices_or_sections", "axis")),
    "squeeze": ("squeeze", ("x", "axis")),
    "stack": ("stack", ("xs", "axis")),
    "transpose": ("transpose", ("x", "axes")),
    "unstack": ("unstack", ("x", "num", "axis")),
}
"""Functions of TensorFlow by their names without "tf."."""

_OTHER_NAMES = {
    "a": "x",
    "clip_value_max": "x_max",
    "clip_value_min": "x_min",
    "features": "x",
    "input": "x",
    "input_tensor": "x",
    "logits": "x",
    "newshape": "shape",
    "num_or_size_splits": "indices_or_sections",
    "paddings": "pad_width",
    "params": "x",
    "perm": "axes",
    "slice_spec": "key",
    "t": "x",
    "tensor": "x",
    "value": "x",
    "values": "xs",
    "y": "x2",
}
"""TensorFlow's names for the arguments of functions, in those of keras.ops."""


def operation(
    layer: KerasLayer,
    arguments: Arguments,
    shapes: tuple[PartialShape | None, ...],
    output: int,
) -> tuple[Build, Operation]:
    """What a call does, and the function that builds it.

    Raises
    ------
    UnsupportedLayerError
        If the function is not known.
    """
    name = layer.class_name
    known: Mapping[str, Signature] = KERAS_3
    if name in TENSORFLOW_CLASSES:
        name, known = layer.config.text("function"), TENSORFLOW
    if name not in known:
        raise UnsupportedLayerError("", got=f"'{name}' is not supported")
    canonical, parameters = known[name]
    if len(arguments.positional) > len(parameters):
        raise FormatError(
            "inbound_nodes",
            got=f"{len(arguments.positional)} arguments of '{name}'",
            expected=f"at most {len(parameters)}",
        )
    values: dict[str, Any] = {} if known is TENSORFLOW else _configured(layer.config)
    values |= dict(zip(parameters, arguments.positional, strict=False))
    values |= {_OTHER_NAMES.get(key, key): v for key, v in arguments.named.items()}
    return FUNCTIONS[canonical], Operation(canonical, values, shapes, output)


def _configured(config: Fields) -> dict[str, Any]:
    """Keras 3 keeps arguments that are no tensors in the configuration."""
    return {_OTHER_NAMES.get(key, key): config.raw(key) for key in config}
