"""Operators that work number by number, on NumPy arrays in float64.

They fold constants, and tell which function a group of operators computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from nninvert.formats.onnx.attributes import Attributes

Array = NDArray[np.generic]
Pointwise = Callable[[Attributes, Sequence[Array]], Array]


def _unary(function: Callable[[Array], Array]) -> Pointwise:
    return lambda attributes, given: function(given[0])


def _binary(function: Callable[[Array, Array], Array]) -> Pointwise:
    return lambda attributes, given: function(given[0], given[1])


def _joined(function: Callable[[Array, Array], Array]) -> Pointwise:
    return lambda attributes, given: reduce(function, given)


def _divide(left: Array, right: Array) -> Array:
    """Whole numbers are divided towards zero."""
    if left.dtype.kind in "iu":
        quotient = np.floor_divide(np.abs(left), np.abs(right))
        return np.asarray(quotient * np.sign(left) * np.sign(right), left.dtype)
    return np.divide(left, right)


def _clip(attributes: Attributes, given: Sequence[Array]) -> Array:
    low = attributes.number("min", -np.inf) if "min" in attributes else -np.inf
    high = attributes.number("max", np.inf) if "max" in attributes else np.inf
    bounds = [*given[1:], *(np.asarray(None),) * 2][:2]
    lower = low if bounds[0].dtype == object else bounds[0]
    upper = high if bounds[1].dtype == object else bounds[1]
    return np.asarray(np.minimum(np.maximum(given[0], lower), upper))


def _erf(values: Array) -> Array:
    from scipy.special import erf

    return np.asarray(erf(values))


def _sigmoid(values: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * np.asarray(values, np.float64))))


def _softplus(values: Array) -> Array:
    return np.asarray(np.logaddexp(0.0, values))


def _leaky(attributes: Attributes, given: Sequence[Array]) -> Array:
    slope = attributes.number("alpha", 0.01)
    return np.where(np.less(given[0], 0), np.multiply(slope, given[0]), given[0])


def _hard_sigmoid(attributes: Attributes, given: Sequence[Array]) -> Array:
    slope, offset = attributes.number("alpha", 0.2), attributes.number("beta", 0.5)
    return np.clip(np.multiply(slope, given[0]) + offset, 0.0, 1.0)


def _elu(attributes: Attributes, given: Sequence[Array]) -> Array:
    alpha = attributes.number("alpha", 1.0)
    return np.where(
        np.less(given[0], 0), alpha * np.expm1(np.minimum(given[0], 0.0)), given[0]
    )


POINTWISE: dict[str, Pointwise] = {
    "Abs": _unary(lambda values: np.absolute(values)),
    "Add": _binary(np.add),
    "And": _binary(np.logical_and),
    "Ceil": _unary(np.ceil),
    "Clip": _clip,
    "Cos": _unary(np.cos),
    "Div": _binary(_divide),
    "Elu": _elu,
    "Equal": _binary(np.equal),
    "Erf": _unary(_erf),
    "Exp": _unary(np.exp),
    "Floor": _unary(np.floor),
    "Greater": _binary(np.greater),
    "GreaterOrEqual": _binary(np.greater_equal),
    "HardSigmoid": _hard_sigmoid,
    "IsNaN": _unary(np.isnan),
    "LeakyRelu": _leaky,
    "Less": _binary(np.less),
    "LessOrEqual": _binary(np.less_equal),
    "Log": _unary(np.log),
    "Max": _joined(np.maximum),
    "Min": _joined(np.minimum),
    "Mod": _binary(np.mod),
    "Mul": _binary(np.multiply),
    "Neg": _unary(np.negative),
    "Not": _unary(np.logical_not),
    "Or": _binary(np.logical_or),
    "Pow": _binary(np.power),
    "Reciprocal": _unary(lambda values: np.divide(1.0, values)),
    "Relu": _unary(lambda values: np.maximum(values, 0)),
    "Round": _unary(lambda values: np.rint(values)),
    "Sigmoid": _unary(_sigmoid),
    "Sign": _unary(np.sign),
    "Sin": _unary(np.sin),
    "Softplus": _unary(_softplus),
    "Sqrt": _unary(np.sqrt),
    "Sub": _binary(np.subtract),
    "Sum": _joined(np.add),
    "Tanh": _unary(np.tanh),
    "Where": lambda attributes, given: np.where(given[0], given[1], given[2]),
}
"""By the operator's name."""

_BINARY = {
    "Add",
    "And",
    "Div",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "Less",
    "LessOrEqual",
    "Mod",
    "Mul",
    "Or",
    "Pow",
    "Sub",
}


def least_inputs(op_type: str) -> int:
    """How many inputs an operator of `POINTWISE` needs."""
    if op_type == "Where":
        return 3
    return 2 if op_type in _BINARY else 1
