"""What a reader is, how it is told to read, and what it says about a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nninvert.errors import UsageError

if TYPE_CHECKING:
    from nninvert.formats._steps import Parsed
    from nninvert.network import Network

OUT_IN = "out,in"
IN_OUT = "in,out"

ORIENTATIONS = {
    OUT_IN: "each row of a matrix makes one output: y = W x + b, as in textbooks, torch",
    IN_OUT: "each column makes one output: y = x W + b, as Keras stores kernels",
}
"""The values of ``--orientation``: what the first and the second axis of W count."""


@dataclass(frozen=True)
class ReadOptions:
    """How to read a model file.

    Attributes
    ----------
    activations : str or None
        For files of bare weights: one activation for each matrix, separated by commas
        ("tanh,linear"), or one for all of them. In the notation of
        `activation_from_text`, and "softmax" or "log_softmax".
    orientation : str or None
        For files of bare weights: a key of `ORIENTATIONS`; None: told from shapes and
        names.
    first, until : str or None
        Read only the part from layer `first` to layer `until`, both inclusive, each a
        name or an index; layers outside it need not be known. None: the network's ends.
    """

    activations: str | None = None
    orientation: str | None = None
    first: str | None = None
    until: str | None = None

    def __post_init__(self) -> None:
        if self.orientation is not None and self.orientation not in ORIENTATIONS:
            meanings = "; ".join(f"{k} ({v})" for k, v in ORIENTATIONS.items())
            raise UsageError("--orientation", got=repr(self.orientation), expected=meanings)


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
    """

    format: str
    layers: tuple[LayerDescription, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    notes: tuple[str, ...]


class Reader(ABC):
    """One model format.

    Attributes
    ----------
    name : str
        For people.
    suffixes : tuple of str
        Usual ends of file names; what is in a file decides, not its name.
    reads : str
        What is read of it, one line for the README's table.
    """

    name: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]]
    reads: ClassVar[str]

    @abstractmethod
    def sniff(self, head: bytes, path: str) -> bool:
        """Whether the file is of this format; `head` are its first bytes.

        Raises
        ------
        FormatError
            If it is of this format's container, but damaged.
        """

    @abstractmethod
    def parse(self, path: str, options: ReadOptions) -> Parsed:
        """Read the layers; those that are unknown carry their problem."""

    def describe(self, path: str, options: ReadOptions) -> Description:
        """Say what is in the file.

        Raises
        ------
        NninvertError
            If the file cannot be read at all.
        """
        return self.parse(path, options).describe()

    def read(self, path: str, options: ReadOptions) -> Network:
        """Build the network, or the part of it that `options` wants.

        Raises
        ------
        UnsupportedLayerError
            Naming every layer of that part that is not known.
        NninvertError
            If the file cannot be read, or its parts do not fit.
        """
        from nninvert.formats._building import build

        return build(self.parse(path, options), path, options)


def refuse_bare_options(path: str, options: ReadOptions) -> None:
    """Refuse `options` for bare weights where the file is a whole model.

    Raises
    ------
    UsageError
        If activations or an orientation are given: the file states them itself.
    """
    for option, value in (
        ("--activations", options.activations),
        ("--orientation", options.orientation),
    ):
        if value is not None:
            raise UsageError(
                option,
                got=repr(value),
                expected="nothing",
                because="this file says it itself; the option is for bare weights",
                file=path,
            )
