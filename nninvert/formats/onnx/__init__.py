"""ONNX, read by its own bytes: a graph of operators with constants among them.

From the bottom: `wire` finds protobuf's fields, `model` makes `records` of them, then
`functions` puts those of the model in the places of calls, `tensors` says where numbers
lie, `fold` and `constants` compute what does not depend on x, `operators` turn nodes into
layers, `recognise` and `normal` find layers that exporters wrote in parts, `steps` walks
through the graph, `reader` is what the registry knows. Source: onnx/onnx, docs/IR.md,
docs/Operators.md, docs/Changelog.md.
"""

from nninvert.formats.onnx.reader import Onnx

__all__ = ["Onnx"]
