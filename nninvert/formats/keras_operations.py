"""A function that a functional model calls between layers, whatever dialect it is of.

Tensors enter as (batch, ...): axes count the batch, shapes begin with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nninvert.errors import UnsupportedLayerError
from nninvert.formats._description import PartialShape
from nninvert.formats._json import Fields
from nninvert.formats.keras_class import fixed
from nninvert.formats.keras_nodes import Tensor
from nninvert.layers import Layer, Shape


@dataclass(frozen=True)
class Made:
    """What an operation does.

    Attributes
    ----------
    layers : tuple of Layer
        Where it takes several tensors, the first one merges them.
    tensors : tuple of int
        Numbers of the tensors that it takes, in the order of the merge.
    """

    layers: tuple[Layer, ...]
    tensors: tuple[int, ...]


@dataclass(frozen=True)
class Operation:
    """A call of a function.

    Attributes
    ----------
    name : str
    values : mapping of str to value
        Its arguments, `Tensor` and constants.
    shapes : tuple of (tuple or None)
        Of the tensors, by number.
    output : int
        Which of its results is meant.
    """

    name: str
    values: Mapping[str, Any]
    shapes: tuple[PartialShape | None, ...]
    output: int

    def tensor(self, name: str = "x") -> Tensor:
        """An argument that has to be a tensor."""
        value = self.values.get(name)
        if not isinstance(value, Tensor):
            raise UnsupportedLayerError(name, got="a constant")
        return value

    def tensors(self, name: str) -> list[Tensor]:
        """An argument that has to be a list of tensors."""
        value = self.values.get(name)
        items = value if isinstance(value, list) else [value]
        found = [item for item in items if isinstance(item, Tensor)]
        if not found or len(found) < len(items):
            raise UnsupportedLayerError(name, got="constants among tensors")
        return found

    def shape(self, tensor: Tensor) -> Shape:
        """The shape of a tensor without the batch; errors as of `fixed`."""
        return fixed(self.shapes[tensor.number])

    def fields(self) -> Fields:
        """The constants among the arguments, to be read with their types."""
        kept = {k: v for k, v in self.values.items() if not isinstance(v, Tensor)}
        return Fields(kept)

    def on_one(self, make: Callable[[Shape], Sequence[Layer]]) -> Made:
        """What `make` makes of the shape of the only tensor, `x`."""
        tensor = self.tensor()
        return Made(tuple(make(self.shape(tensor))), (tensor.number,))


Build = Callable[[Operation], Made]
