"""What is in a model file, whether it can be inverted or not."""

from __future__ import annotations

import math
from dataclasses import dataclass

PartialShape = tuple[int | None, ...]
"""A shape without the batch axis; None where the file leaves a length open."""


@dataclass(frozen=True)
class LayerDescription:
    """One layer as the file has it, known to nninvert or not.

    Attributes
    ----------
    index : str
        0-based, input layers not counted; "2.0" is the first layer of the model at 2.
    name : str
        In a nested model "model/layer".
    label : str
        The class that the file names: "Dense", "LSTM".
    input_shape, output_shape : tuple of (int or None) or None
        None where neither the file nor the layers before tell.
    activation : str
        "" where the layer has none, "?" where neither file nor user tells.
    parameters : int
        How many numbers its arrays hold.
    dtype : str
        Stored type of the largest array; "" without arrays.
    where : str
        Place of its first array in the file; "" without arrays.
    inputs : tuple of str
        Names of the layers, or input layers, that it takes its input from: more than one
        where branches meet. A name that several layers take is where they part.
    problem : str
        Why nninvert cannot invert through it; "" if it can.
    """

    index: str
    name: str
    label: str
    input_shape: PartialShape | None
    output_shape: PartialShape | None
    activation: str
    parameters: int
    dtype: str
    where: str
    inputs: tuple[str, ...]
    problem: str


@dataclass(frozen=True)
class PartDescription:
    """One of a file's inputs or outputs: a part of x, or of y.

    Attributes
    ----------
    name : str
        As an .npz calls it.
    shape : tuple of (int or None) or None
        Of one row; None where it is not known.
    start : int or None
        Where it begins in a row; None where a part before it is of unknown size.
    """

    name: str
    shape: PartialShape | None
    start: int | None

    @property
    def size(self) -> int | None:
        """How many numbers of a row it is; None where that is not known."""
        if self.shape is None:
            return None
        known = [n for n in self.shape if n is not None]
        return math.prod(known) if len(known) == len(self.shape) else None


@dataclass(frozen=True)
class Description:
    """What is in a model file, whether it can be inverted or not.

    Attributes
    ----------
    format : str
        For people: "Keras 3 HDF5", "NPZ weights".
    layers : tuple of LayerDescription
        In topological order.
    inputs, outputs : tuple of str
        Names of the input layers, and of the layers whose output is the network's.
    notes : tuple of str
        Decisions made while reading that the user should know.
    input_parts, output_parts : tuple of PartDescription
        What x and y are made of; one part each as a rule.
    """

    format: str
    layers: tuple[LayerDescription, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    notes: tuple[str, ...]
    input_parts: tuple[PartDescription, ...] = ()
    output_parts: tuple[PartDescription, ...] = ()
