"""Operators that join several signals."""

from __future__ import annotations

from nninvert.errors import UnsupportedLayerError
from nninvert.formats.onnx.call import Call
from nninvert.layers import Layer


def merged(call: Call, kind: str) -> list[Layer]:
    """Refuse to join signals."""
    raise UnsupportedLayerError("", got=f"{kind} joins {len(call.signals)} branches")


def extremum(call: Call, kind: str) -> list[Layer]:
    """The same for the largest or least of them."""
    return merged(call, kind)
