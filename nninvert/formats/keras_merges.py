"""Keras's layers that join several tensors, of every vintage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nninvert.errors import UnsupportedLayerError
from nninvert.formats.keras_activations import inner_axis
from nninvert.formats.keras_class import KerasClass, LayerData
from nninvert.layers import (
    Add,
    Average,
    Concatenate,
    Divide,
    Layer,
    Maximum,
    Minimum,
    Multiply,
    Shape,
    Subtract,
)

_MERGES: dict[str, Callable[[Sequence[Shape]], Layer]] = {
    "Add": Add,
    "Average": Average,
    "Divide": Divide,
    "Maximum": Maximum,
    "Minimum": Minimum,
    "Multiply": Multiply,
    "Subtract": Subtract,
}

_OLD_MODES = {
    "ave": "Average",
    "concat": "Concatenate",
    "max": "Maximum",
    "mul": "Multiply",
    "sum": "Add",
}
"""What Keras 1 called them, in Merge(mode)."""


def joined(kind: str, shapes: Sequence[Shape], axis: int = -1) -> tuple[Layer, ...]:
    """The layer that joins tensors (batch, *shape), packed into one.

    Parameters
    ----------
    kind : str
        Keras's class.
    shapes : sequence of tuples of int
    axis : int
        For Concatenate; counts the batch.
    """
    parts = tuple(shapes)
    if kind == "Concatenate":
        return (Concatenate(parts, inner_axis(axis, len(parts[0]))),)
    return (_MERGES[kind](parts),)


def _merge(kind: str) -> KerasClass:
    def build(data: LayerData) -> tuple[Layer, ...]:
        axis = -1
        if data.config.raw("axis") is not None:
            axis = data.config.whole("axis")
        return joined(kind, data.every_shape, axis)

    return KerasClass(build, joins=True)


def _of_keras_1(data: LayerData) -> tuple[Layer, ...]:
    """Merge(mode), which is a name, or somebody's code."""
    mode = data.config.raw("mode")
    if not isinstance(mode, str) or data.config.raw("mode_type") not in (None, "raw"):
        raise UnsupportedLayerError("mode", got="somebody's code")
    if mode not in _OLD_MODES:
        raise UnsupportedLayerError("mode", got=repr(mode))
    axis = -1
    if data.config.raw("concat_axis") is not None:
        axis = data.config.whole("concat_axis")
    return joined(_OLD_MODES[mode], data.every_shape, axis)


MERGES: dict[str, KerasClass] = {
    **{kind: _merge(kind) for kind in (*_MERGES, "Concatenate") if kind != "Divide"},
    "Merge": KerasClass(_of_keras_1, joins=True),
}
"""By Keras's class name."""
