"""The attributes of a node, by type."""

from __future__ import annotations

import math

from nninvert.errors import FormatError
from nninvert.formats.onnx.records import NodeRecord, TensorRecord


class Attributes:
    """What a node says beside its inputs.

    All methods take the name and what counts where the node does not say it, and raise
    FormatError where the value is of another type.
    """

    def __init__(self, node: NodeRecord) -> None:
        self._values, self._tensors = node.attributes, node.tensors

    def __contains__(self, name: str) -> bool:
        return name in self._values or name in self._tensors

    def number(self, name: str, default: float) -> float:
        """A finite number."""
        value = self._values.get(name, default)
        if isinstance(value, bool | int | float) and math.isfinite(value):
            return float(value)
        raise _wrong(name, value, "a finite number")

    def whole(self, name: str, default: int) -> int:
        """A whole number."""
        value = self._values.get(name, default)
        if isinstance(value, int):
            return value
        raise _wrong(name, value, "a whole number")

    def wholes(self, name: str) -> tuple[int, ...] | None:
        """A list of whole numbers; None where there is none."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, list) and all(isinstance(one, int) for one in value):
            return tuple(int(one) for one in value)
        raise _wrong(name, value, "whole numbers")

    def numbers(self, name: str) -> list[float] | None:
        """A list of numbers; None where there is none."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, list) and not any(isinstance(one, bytes) for one in value):
            return [float(one) for one in value]
        raise _wrong(name, value, "numbers")

    def text(self, name: str, default: str) -> str:
        """A word."""
        value = self._values.get(name, default.encode())
        if isinstance(value, bytes):
            return value.decode(errors="replace")
        raise _wrong(name, value, "a word")

    def tensor(self, name: str) -> TensorRecord | None:
        """A tensor; None where there is none."""
        return self._tensors.get(name)


def _wrong(name: str, value: object, expected: str) -> FormatError:
    return FormatError(f"attribute {name}", got=repr(value)[:80], expected=expected)
