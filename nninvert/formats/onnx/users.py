"""Operators that the user's own functions build."""

from __future__ import annotations

from typing import Any

from nninvert.errors import UnsupportedLayerError
from nninvert.formats._arrays import StoredArray
from nninvert.formats.file_layer import (
    FileLayer,
    LayerMakers,
    MakeLayer,
    chosen,
    made_by,
)
from nninvert.formats.onnx.call import Call
from nninvert.formats.onnx.records import ModelRecord, NodeRecord
from nninvert.layers import Layer


def full_name(domain: str, op_type: str) -> str:
    """Put "domain::OpType" together; the standard domain has its long name."""
    return f"{domain or 'ai.onnx'}::{op_type}"


def maker(makers: LayerMakers, node: NodeRecord, known: bool) -> MakeLayer | None:
    """The user's function for a node; errors as of `chosen`."""
    return chosen(makers, full_name(node.domain, node.op_type), node.op_type, known)


def keep_calls(model: ModelRecord, makers: LayerMakers) -> None:
    """Leave calls of the model's functions as they are where the user builds them.

    Raises
    ------
    UsageError
        If only the short name of such a function is given.
    """
    for domain, name in list(model.functions):
        if chosen(makers, full_name(domain, name), name, known=True) is not None:
            del model.functions[domain, name]


def by_user(make: MakeLayer, call: Call, name: str) -> list[Layer]:
    """What the function makes of a node with one signal and constants.

    Raises
    ------
    UnsupportedLayerError
        If several inputs depend on x, or an attribute is a tensor.
    UsageError
        As of `made_by`.
    """
    node = call.node
    if len(call.signals) != 1:
        raise UnsupportedLayerError("", got=f"called on {len(call.signals)} tensors")
    if node.tensors:
        raise UnsupportedLayerError(
            "", got=f"attribute {next(iter(node.tensors))}, a tensor"
        )
    for place, given in enumerate(call.inputs):
        if isinstance(given, StoredArray):
            call.constant(place, f"input {place}")
    config = {key: _plain(value) for key, value in node.attributes.items()}
    class_name = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    shape = call.signals[0].shape
    return [made_by(make, FileLayer(class_name, name, config, tuple(call.arrays), shape))]


def _plain(value: Any) -> Any:
    """An attribute as JSON would have it."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.decode(errors="replace") if isinstance(value, bytes) else value
