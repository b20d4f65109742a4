"""What a reader hands over: the layers of a file, how they are joined, what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nninvert.errors import NninvertError
from nninvert.formats._arrays import StoredArray
from nninvert.formats._description import Description, LayerDescription, PartialShape
from nninvert.layers import Elementwise, Layer, Shape
from nninvert.layout import Layout

UNKNOWN_SHAPE = "its input shape is not known"
"""The problem of a layer behind one that cannot be built; not one of its own."""


@dataclass(frozen=True)
class Place:
    """Where a layer, or a model inside the model, stands in the file."""

    index: str
    name: str
    label: str


@dataclass(frozen=True)
class Step:
    """One call of a layer of the file.

    Attributes
    ----------
    places : tuple of Place
        The nested models around it, outermost first, then the layer itself.
    sources : tuple of int
        Positions of the steps that feed it; -1 - k is the network's input number k.
    layers : tuple of Layer
        What it does, in order; () where there is a problem.
    arrays : tuple of StoredArray
    input_shape, output_shape : tuple of (int or None) or None
    activation : str
        For people.
    problem : str
        Why it cannot be built; "" if it was.
    """

    places: tuple[Place, ...]
    sources: tuple[int, ...]
    layers: tuple[Layer, ...] = ()
    arrays: tuple[StoredArray, ...] = ()
    input_shape: PartialShape | None = None
    output_shape: PartialShape | None = None
    activation: str = ""
    problem: str = ""

    @property
    def index(self) -> str:
        """Joined by dots, as in `Graph.leaves`."""
        return ".".join(place.index for place in self.places)

    @property
    def name(self) -> str:
        """Joined by slashes, as in `Graph.leaves`."""
        return "/".join(place.name for place in self.places)

    @property
    def label(self) -> str:
        """The class that the file names."""
        return self.places[-1].label

    def built(self, layers: Sequence[Layer]) -> Step:
        """The same step with its layers."""
        shapes = [layer.output_shape for layer in layers[-1:]]
        return replace(
            self,
            layers=tuple(layers),
            input_shape=layers[0].input_shape if layers else self.input_shape,
            output_shape=shapes[0] if shapes else self.input_shape,
            activation=activation_of(layers),
        )

    def failed(self, problem: str) -> Step:
        """The same step with the reason why it cannot be built."""
        return replace(self, problem=problem)


def activation_of(layers: Sequence[Layer]) -> str:
    """The name of the activation among a step's layers, "" if there is none."""
    for layer in layers:
        if isinstance(layer, Elementwise):
            return layer.activation.name
        if layer.kind in ("softmax", "log_softmax", "prelu"):
            return layer.kind
    return ""


def problem_of(error: NninvertError) -> str:
    """An error as a short phrase behind a layer's class."""
    parts = [part for part in (error.field, error.got) if part]
    text = " ".join(parts)
    return f"{text}; expected {error.expected}" if error.expected else text


@dataclass(frozen=True)
class Parsed:
    """A model file, read.

    Attributes
    ----------
    format : str
        For people.
    steps : tuple of Step
        In topological order.
    outputs : tuple of int
        Positions of the steps whose output is the network's.
    input_names : tuple of str
        Of the inputs, all different.
    output_names : tuple of str
        What the file calls its outputs; () where they have the names of their steps.
    names : tuple of str
        What to call the network's input and output.
    notes : tuple of str
    input_shapes : tuple of Shape or None
        Of the input layers; None: as the layers that read them say.
    layouts : (Layout, Layout) or None
        How the file splits the one input and the one output into named parts.
    """

    format: str
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    input_names: tuple[str, ...] = ("x",)
    names: tuple[str, str] = ("x", "y")
    notes: tuple[str, ...] = ()
    input_shapes: tuple[Shape, ...] | None = None
    layouts: tuple[Layout, Layout] | None = None
    output_names: tuple[str, ...] = ()

    def describe(self) -> Description:
        """For people and JSON."""
        return Description(
            format=self.format,
            layers=tuple(self._describe(step) for step in self.steps),
            inputs=self.input_names,
            outputs=tuple(self._name(k) for k in self.outputs),
            notes=self.notes,
        )

    def _describe(self, step: Step) -> LayerDescription:
        largest = max(step.arrays, key=lambda array: array.size, default=None)
        return LayerDescription(
            index=step.index,
            name=step.name,
            label=step.label,
            input_shape=step.input_shape,
            output_shape=step.output_shape,
            activation=step.activation,
            parameters=sum(array.size for array in step.arrays),
            dtype=_type_name(largest.dtype) if largest is not None else "",
            where=step.arrays[0].where if step.arrays else "",
            inputs=tuple(self._name(k) for k in step.sources),
            problem=step.problem,
        )

    def _name(self, k: int) -> str:
        """Of a step, or of an input where that is negative."""
        return self.steps[k].name if k >= 0 else self.input_names[-1 - k]


def _type_name(dtype: np.dtype[np.generic]) -> str:
    # h5py hands bfloat16 over as two opaque bytes.
    return "bfloat16" if dtype.kind == "V" else dtype.newbyteorder("=").name


def chain(places: Sequence[Place]) -> list[Step]:
    """Steps without layers yet, each fed by the one before."""
    return [Step((place,), (k - 1,)) for k, place in enumerate(places)]
