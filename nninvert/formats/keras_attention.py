"""Keras's einsum layers and self-attention."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats._json import Fields
from nninvert.formats.keras_activations import activation_layers
from nninvert.formats.keras_class import KerasClass, LayerData, refuse_quantised, wants
from nninvert.formats.keras_nodes import Tensor
from nninvert.layers import EinsumDense, Layer, MultiHeadAttention

_PARTS = ("query", "key", "value", "output")
_INPUTS = 3
"""Query, value and key are the first arguments of a call, in this order."""


def _einsum_variables(config: Fields) -> tuple[int, int]:
    return 1 + bool(config.raw("bias_axes")), 0


def _einsum_dense(data: LayerData) -> tuple[Layer, ...]:
    for array in data.arrays[:1]:
        refuse_quantised(array)
    arrays = [array.read() for array in data.arrays]
    bias = arrays[1] if len(arrays) > 1 else None
    layer = EinsumDense(data.shape, data.config.text("equation"), arrays[0], bias)
    _check_output(data.config, layer)
    activation = data.config.raw("activation")
    return layer, *activation_layers(activation, layer.output_shape, data.keras)


def _check_output(config: Fields, layer: Layer) -> None:
    """Compare with what the file says of the output; null stands for any length."""
    said = config.raw("output_shape")
    said = said if isinstance(said, list) else [said]
    made = list(layer.output_shape)
    tail = made[len(made) - len(said) :]
    if len(said) > len(made) or any(
        n is not None and n != m for n, m in zip(said, tail, strict=True)
    ):
        raise FormatError("output_shape", got=str(said), expected=f"{made}")


def _attention_variables(config: Fields) -> tuple[int, int]:
    return len(_PARTS) * (1 + config.flag("use_bias", default=True)), 0


def _attention(data: LayerData) -> tuple[Layer, ...]:
    config, shape = data.config, data.shape
    if len(shape) != 2:
        raise UnsupportedLayerError("", got=f"on an input of shape {shape}")
    if config.raw("attention_axes") not in (None, [1], 1, [-2], -2):
        raise UnsupportedLayerError(
            "attention_axes", got=repr(config.raw("attention_axes"))
        )
    heads, size = config.whole("num_heads"), config.whole("key_dim")
    of_value = size if config.raw("value_dim") is None else config.whole("value_dim")
    inner = {"query": size, "key": size, "value": of_value}
    biased = config.flag("use_bias", default=True)
    found: dict[str, NDArray[np.generic]] = {}
    arrays = iter(data.arrays)
    for part in _PARTS:
        kernel = next(arrays)
        if part == "output":
            wanted: tuple[int, ...] = (heads, of_value, *kernel.shape[2:3])
        else:
            wanted = (shape[1], heads, inner[part])
        wants(kernel, wanted, f"{heads} heads attend to {shape[1]} features")
        found[part] = kernel.read()
        if biased:
            bias = next(arrays)
            wants(bias, wanted[2:] if part == "output" else wanted[1:], f"{heads} heads")
            found[f"{part}_bias"] = bias.read()
    return (MultiHeadAttention(shape, found, _causal(data)),)


def _causal(data: LayerData) -> bool:
    """Whether positions see no later ones; masks of other kinds are refused."""
    named: dict[str, Any] = dict(data.arguments.named)
    causal = named.pop("use_causal_mask", False) is True
    positional = data.arguments.positional[_INPUTS:]
    others = [value for value in positional if value not in (None, False)]
    for name, value in named.items():
        expected = isinstance(value, Tensor) and name in ("query", "key", "value")
        if not expected and value not in (None, False) and name != "name":
            others.append(name)
    if others:
        raise UnsupportedLayerError("", got=f"called with {', '.join(map(str, others))}")
    return causal


ATTENTION: dict[str, KerasClass] = {
    "EinsumDense": KerasClass(_einsum_dense, _einsum_variables),
    "MultiHeadAttention": KerasClass(_attention, _attention_variables, repeats=True),
}
"""By Keras's class name."""
