"""Layers of a file that the user's own functions build.

Nothing of it comes from the file but names and numbers: the functions are the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import UsageError
from nninvert.formats._arrays import StoredArray
from nninvert.layers import Layer, Shape
from nninvert.linalg.stored import StoredMatrix

_ROWS = 2
"""Of the x on which a layer is tried: one would hide that it mixes axes with the batch."""


@dataclass(frozen=True)
class FileLayer:
    """A layer as its file has it, for a function of the user's that builds it.

    Attributes
    ----------
    class_name : str
        As the file names it: "Scale", or "domain::Scale" in ONNX with a domain.
    name : str
        Of the layer; in nested models that of all levels, with slashes.
    config : dict
        Keras: its configuration. ONNX: its attributes, numbers, texts or lists of them.
    stored : tuple of StoredArray
        In the file's order; ONNX: the constants among its inputs. Not read yet.
    input_shape : tuple of int
        Without the batch axis.
    """

    class_name: str
    name: str
    config: Mapping[str, Any]
    stored: tuple[StoredArray, ...]
    input_shape: Shape

    @property
    def arrays(self) -> tuple[NDArray[np.generic], ...]:
        """All arrays, read while the file is open; bfloat16 as float32."""
        return tuple(array.read() for array in self.stored)

    def matrix(self, place: int) -> StoredMatrix:
        """An array of two axes as a matrix; a large one stays in the file."""
        return self.stored[place].matrix()


MakeLayer = Callable[[FileLayer], Layer]
LayerMakers = Mapping[str, MakeLayer]


def chosen(makers: LayerMakers, full: str, short: str, known: bool) -> MakeLayer | None:
    """The function for a class; None if none was given.

    Parameters
    ----------
    makers : mapping
        As the user gave it.
    full, short : str
        The class with its package or domain, and without.
    known : bool
        Whether nninvert reads the class itself.

    Raises
    ------
    UsageError
        If only the short name of a class is given that nninvert reads itself: what it does
        is replaced on purpose, or not at all.
    """
    if full in makers:
        return makers[full]
    if short not in makers:
        return None
    if known:
        raise UsageError(
            f"layers[{short!r}]",
            got="a class that nninvert reads itself",
            expected=f"the name {full!r} to replace it on purpose",
        )
    return makers[short]


def made_by(make: MakeLayer, data: FileLayer) -> Layer:
    """Build a layer and try it once.

    Raises
    ------
    UsageError
        If the function gives no layer, or one of other shapes than it says.
    """
    field = f"layers[{data.class_name!r}]"
    layer = make(data)
    if not isinstance(layer, Layer):
        raise UsageError(
            field, got=f"a function that returns {layer!r}", expected="a nninvert Layer"
        )
    _require(f"{field}.input_shape", layer.input_shape, data.input_shape)
    x = np.full((_ROWS, *layer.input_shape), 0.5)
    with np.errstate(all="ignore"):
        y = layer.forward(x)
        _require(f"{field}.forward", np.shape(y), (_ROWS, *layer.output_shape))
        near = layer.linearize(x)
        _require(f"{field}.linearize.y", np.shape(near.y), y.shape)
        _require(f"{field}.linearize.jvp", np.shape(near.jvp(x)), y.shape)
        _require(f"{field}.linearize.vjp", np.shape(near.vjp(y)), x.shape)
    return layer


def _require(field: str, got: Sequence[int], wanted: Sequence[int]) -> None:
    if tuple(got) != tuple(wanted):
        raise UsageError(field, got=f"shape {tuple(got)}", expected=f"{tuple(wanted)}")
