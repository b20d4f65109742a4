"""ai.onnx.ml: what exporters of classical learners put around networks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats.onnx.call import Call
from nninvert.layers import Layer, Softmax
from nninvert.layers.activations.sigmoid import Sigmoid
from nninvert.linalg.stored import ArrayMatrix


def scaler(call: Call) -> list[Layer]:
    """``(x - offset) scale`` for each feature, or one pair for all."""
    width = call.signal.shape[-1] if call.signal.shape else 1
    offset, scale = (_features(call, name, width) for name in ("offset", "scale"))
    return call.chain.affine(scale, -offset * scale).layers


def _features(call: Call, name: str, width: int) -> NDArray[np.float64]:
    default = [0.0] if name == "offset" else [1.0]
    values = np.array(call.attributes.numbers(name) or default)
    if values.size not in (1, width):
        raise FormatError(
            f"attribute {name}", got=f"{values.size} numbers", expected=f"1 or {width}"
        )
    return values


def linear_regressor(call: Call) -> list[Layer]:
    """A matrix and a vector, stored as attributes."""
    return _linear(call, call.attributes.whole("targets", 1))


def linear_classifier(call: Call) -> list[Layer]:
    """The scores of all classes, without the class that wins."""
    coefficients = call.attributes.numbers("coefficients") or []
    width = max(1, call.signal.shape[-1] if call.signal.shape else 1)
    if len(coefficients) == width:
        raise UnsupportedLayerError("", got="one score for two classes")
    return _linear(call, len(coefficients) // width)


def _linear(call: Call, targets: int) -> list[Layer]:
    if len(call.signal.shape) != 1:
        raise FormatError("input", got=str(call.signal.shape), expected="one axis")
    width = call.signal.shape[0]
    weights = np.array(call.attributes.numbers("coefficients") or [], np.float32)
    if targets < 1 or weights.size != targets * width:
        raise FormatError(
            "attribute coefficients",
            got=f"{weights.size} numbers",
            expected=f"{width} for each of {targets} targets",
        )
    bias = np.array(call.attributes.numbers("intercepts") or [0.0] * targets, np.float32)
    chain = call.chain.dense(ArrayMatrix(weights.reshape(targets, width)), bias)
    kind = call.attributes.text("post_transform", "NONE")
    if kind == "NONE":
        return chain.layers
    if kind == "SOFTMAX":
        return chain.then(Softmax(chain.shape, 0)).layers
    if kind == "LOGISTIC":
        return chain.activation(Sigmoid()).layers
    raise UnsupportedLayerError(
        "post_transform", got=kind, expected="NONE, SOFTMAX or LOGISTIC"
    )
