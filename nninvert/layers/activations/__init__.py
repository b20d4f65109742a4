"""The elementwise activations by name: registry, aliases, text and configuration."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

from nninvert.errors import FormatError, InputError, UsageError
from nninvert.layers.activations._base import (
    EVERYTHING,
    Activation,
    Branch,
    Interval,
    ScalarPreimage,
    Trend,
    merge_intervals,
)
from nninvert.layers.activations.celu import CELU
from nninvert.layers.activations.elu import ELU
from nninvert.layers.activations.exponential import Exponential
from nninvert.layers.activations.gelu import GELU
from nninvert.layers.activations.gelu_tanh import GELUTanh
from nninvert.layers.activations.hard_shrink import HardShrink
from nninvert.layers.activations.hard_sigmoid import HardSigmoid
from nninvert.layers.activations.hard_silu import HardSiLU
from nninvert.layers.activations.hard_tanh import HardTanh
from nninvert.layers.activations.leaky_relu import LeakyReLU
from nninvert.layers.activations.linear import Linear
from nninvert.layers.activations.log_sigmoid import LogSigmoid
from nninvert.layers.activations.mish import Mish
from nninvert.layers.activations.relu import ReLU
from nninvert.layers.activations.relu6 import ReLU6
from nninvert.layers.activations.selu import SELU
from nninvert.layers.activations.sigmoid import Sigmoid
from nninvert.layers.activations.silu import SiLU
from nninvert.layers.activations.soft_shrink import SoftShrink
from nninvert.layers.activations.softplus import Softplus
from nninvert.layers.activations.softsign import Softsign
from nninvert.layers.activations.sparse_plus import SparsePlus
from nninvert.layers.activations.sparse_sigmoid import SparseSigmoid
from nninvert.layers.activations.squareplus import Squareplus
from nninvert.layers.activations.tanh import Tanh
from nninvert.layers.activations.tanh_shrink import TanhShrink
from nninvert.layers.activations.threshold import Threshold
from nninvert.layers.activations.thresholded_relu import ThresholdedReLU

__all__ = [
    "ACTIVATIONS",
    "ALIASES",
    "EVERYTHING",
    "Activation",
    "Branch",
    "Interval",
    "ScalarPreimage",
    "Trend",
    "activation_from_config",
    "activation_from_text",
    "canonical_name",
    "known_activations",
    "merge_intervals",
]

ACTIVATIONS: dict[str, type[Activation]] = {
    "celu": CELU,
    "elu": ELU,
    "exponential": Exponential,
    "gelu": GELU,
    "gelu_tanh": GELUTanh,
    "hard_shrink": HardShrink,
    "hard_sigmoid": HardSigmoid,
    "hard_silu": HardSiLU,
    "hard_tanh": HardTanh,
    "leaky_relu": LeakyReLU,
    "linear": Linear,
    "log_sigmoid": LogSigmoid,
    "mish": Mish,
    "relu": ReLU,
    "relu6": ReLU6,
    "selu": SELU,
    "sigmoid": Sigmoid,
    "silu": SiLU,
    "soft_shrink": SoftShrink,
    "softplus": Softplus,
    "softsign": Softsign,
    "sparse_plus": SparsePlus,
    "sparse_sigmoid": SparseSigmoid,
    "squareplus": Squareplus,
    "tanh": Tanh,
    "tanh_shrink": TanhShrink,
    "threshold": Threshold,
    "thresholded_relu": ThresholdedReLU,
}
"""Every elementwise activation by its name, which is Keras's where Keras has it."""

ALIASES: dict[str, str] = {
    "exp": "exponential",
    "hardswish": "hard_silu",
    "identity": "linear",
    "logistic": "sigmoid",
    "lrelu": "leaky_relu",
    "swish": "silu",
}
"""Other names, lower case and without underscores. The spellings of the frameworks that
differ from a name in `ACTIVATIONS` only by capitals and underscores, as torch's Hardtanh
and Keras's LeakyReLU, need no entry: see `canonical_name`."""


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "").replace("-", "")


_BY_PLAIN_NAME = {_plain(name): name for name in ACTIVATIONS} | ALIASES


def known_activations() -> list[str]:
    """The names in `ACTIVATIONS`, sorted."""
    return sorted(ACTIVATIONS)


def canonical_name(name: str) -> str | None:
    """The key in `ACTIVATIONS` for any spelling of a name; None where it is unknown.

    Capitals, underscores and hyphens do not matter: "LeakyReLU" is "leaky_relu".
    """
    return _BY_PLAIN_NAME.get(_plain(name))


def activation_from_text(text: str) -> Activation:
    """Build an activation from a name and parameters, ``leaky_relu:0.1``.

    Parameters
    ----------
    text : str
        A name as `canonical_name` takes it, then the parameters in the order of the
        class, each after a colon; a fraction such as ``1/6`` is a number too.

    Raises
    ------
    UsageError
        For an unknown name, listing the known ones and the closest; for parameters that
        are no numbers, too many, missing, or out of range.
    """
    name, *values = text.split(":")
    key = canonical_name(name)
    if key is None:
        raise UsageError(
            "activation",
            got=repr(name),
            expected="one of " + ", ".join(known_activations()),
            next_step=_suggestion(name),
        )
    parameters = fields(ACTIVATIONS[key])  # type: ignore[arg-type]
    usage = _usage(key, parameters)
    required = [p.name for p in parameters if p.default is MISSING]
    if not len(required) <= len(values) <= len(parameters):
        raise UsageError("activation", got=repr(text), expected=usage)
    numbers = [_number(value, text, usage) for value in values]
    try:
        return ACTIVATIONS[key](*numbers)
    except InputError as error:
        raise UsageError(error.field, got=error.got, expected=error.expected) from error


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(_plain(name), _BY_PLAIN_NAME, n=1)
    return f"Did you mean {_BY_PLAIN_NAME[close[0]]}?" if close else ""


def _usage(key: str, parameters: tuple[Field[Any], ...]) -> str:
    """How the name is written with its parameters, ``hard_sigmoid:slope``."""
    written = key
    for parameter in parameters:
        if parameter.default is MISSING:
            written += f":{parameter.name}"
        else:
            written += f"[:{parameter.name}]"
    return written


def _number(value: str, text: str, usage: str) -> float:
    numerator, slash, denominator = value.partition("/")
    try:
        return float(numerator) / float(denominator) if slash else float(numerator)
    except (ValueError, ZeroDivisionError) as error:
        raise UsageError(
            "activation", got=repr(text), expected=f"{usage} with numbers"
        ) from error


def activation_from_config(config: Mapping[str, Any]) -> Activation:
    """Rebuild what `Activation.config` wrote.

    Parameters that are left out take their defaults.

    Raises
    ------
    FormatError
        For an unknown name, or parameters that its class does not have or lacks.
    InputError
        For a parameter out of range.
    """
    given = dict(config)
    name = given.pop("name", None)
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise FormatError(
            "activation name",
            got=repr(name),
            expected="one of " + ", ".join(known_activations()),
            next_step=_suggestion(name) if isinstance(name, str) else "",
        )
    parameters = fields(ACTIVATIONS[name])  # type: ignore[arg-type]
    required = {p.name for p in parameters if p.default is MISSING}
    if not required <= set(given) <= {p.name for p in parameters}:
        raise FormatError(
            f"activation {name}",
            got="parameters " + (", ".join(map(str, given)) or "none"),
            expected=_usage(name, parameters),
        )
    return ACTIVATIONS[name](**given)
