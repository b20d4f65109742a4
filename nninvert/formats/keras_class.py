"""What a class of Keras layers is built from, and what building needs to know of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nninvert.errors import FormatError, LimitError, UnsupportedLayerError
from nninvert.formats._arrays import StoredArray
from nninvert.formats._description import PartialShape
from nninvert.formats._json import Fields
from nninvert.formats._steps import UNKNOWN_SHAPE
from nninvert.formats.keras_nodes import Arguments
from nninvert.layers import Layer, Shape

MAX_UNITS = 1 << 27
"""Numbers of one sample at any layer: a gibibyte in float64. Nobody inverts more."""

MAX_COUNT = 1 << 24
"""Sizes, strides, widths and repetitions; what a file claims costs memory at once."""

CHANNELS_FIRST, CHANNELS_LAST = "channels_first", "channels_last"


@dataclass(frozen=True)
class Origin:
    """What wrote a file, as far as layers depend on it.

    Attributes
    ----------
    keras : int
        Major version.
    theano : bool
        Whether Theano computed it, which turns kernels of convolutions round and divides
        the padding of "same" in its own way.
    order : str
        What the model's layers say of the order of axes, where one of Keras 1 does not:
        "th", "tf", or "" where some say this and some that.
    """

    keras: int
    theano: bool = False
    order: str = "tf"


@dataclass(frozen=True)
class LayerData:
    """What a layer is built from.

    Attributes
    ----------
    config : Fields
    arrays : sequence of StoredArray
        As many as `KerasClass.variables` says.
    shapes : tuple of (tuple or None)
        Of the tensors that it is called on; None where nothing tells, entries may be None.
    origin : Origin
    arguments : Arguments
        What it is called on.
    output : int
        Which of its outputs is meant.
    """

    config: Fields
    arrays: Sequence[StoredArray]
    shapes: tuple[PartialShape | None, ...]
    origin: Origin
    arguments: Arguments
    output: int = 0

    @property
    def keras(self) -> int:
        """Major version of Keras."""
        return self.origin.keras

    @property
    def input_shape(self) -> PartialShape | None:
        """The shape of the first input."""
        return self.shapes[0] if self.shapes else None

    @property
    def shape(self) -> Shape:
        """The input shape; errors as of `fixed`."""
        return fixed(self.input_shape)

    @property
    def every_shape(self) -> tuple[Shape, ...]:
        """The shapes of all inputs; errors as of `fixed`."""
        return tuple(fixed(shape) for shape in self.shapes)

    @property
    def channels_first(self) -> bool:
        """Whether the channels stand before the other axes, as this layer says."""
        order = self.config.raw("data_format", "dim_ordering")
        return order in (CHANNELS_FIRST, "th")

    @property
    def data_format(self) -> str:
        """The same in today's words."""
        return CHANNELS_FIRST if self.channels_first else CHANNELS_LAST

    def data_format_of(self, rank: int) -> str:
        """The same where Keras 1 kept no order: as the model's other layers have it.

        Raises
        ------
        UnsupportedLayerError
            If they have both.
        """
        stated = self.config.raw("data_format", "dim_ordering")
        if rank == 1 or stated is not None or self.keras > 1:
            return self.data_format
        if not self.origin.order:
            raise UnsupportedLayerError(
                "dim_ordering", got="not in the file, and other layers have th and tf"
            )
        return CHANNELS_FIRST if self.origin.order == "th" else CHANNELS_LAST


@dataclass(frozen=True)
class KerasClass:
    """A layer class of Keras.

    Attributes
    ----------
    build : function
        From `LayerData` to layers; raises UnsupportedLayerError for a variant that
        nninvert does not know, FormatError for arrays that do not fit.
    variables : function
        How many trainable and non-trainable arrays a layer of this configuration has.
    joins : bool
        Whether it takes several inputs: its first layer is then a merge of all of them.
    repeats : bool
        Whether it takes one tensor several times, which counts as one.
    """

    build: Callable[[LayerData], tuple[Layer, ...]]
    variables: Callable[[Fields], tuple[int, int]] = lambda config: (0, 0)
    joins: bool = False
    repeats: bool = False


def fixed(shape: PartialShape | None) -> Shape:
    """A shape without open lengths.

    Raises
    ------
    UnsupportedLayerError
        If it is not known, or a length is open.
    LimitError
        If it has more than `MAX_UNITS` numbers.
    """
    if shape is None:
        raise UnsupportedLayerError("", got=UNKNOWN_SHAPE)
    if None in shape:
        raise UnsupportedLayerError("", got=f"input of open length {_shown(shape)}")
    found = tuple(n for n in shape if n is not None)
    if math.prod(found) > MAX_UNITS:
        raise LimitError(
            "shape", got=_shown(shape), expected=f"at most {MAX_UNITS:,} numbers"
        )
    return found


def counts(config: Fields, *names: str) -> tuple[int, ...]:
    """Whole numbers of a configuration, none beyond `MAX_COUNT`."""
    found = config.wholes(*names)
    if found and max(map(abs, found)) > MAX_COUNT:
        raise LimitError(
            names[0], got=str(list(found)), expected=f"numbers up to {MAX_COUNT:,}"
        )
    return found


def _shown(shape: PartialShape) -> str:
    return f"({', '.join('?' if n is None else str(n) for n in shape)})"


def wants(array: StoredArray, shape: tuple[int, ...], because: str) -> None:
    """Refuse an array of another shape."""
    if array.shape != shape:
        raise FormatError(
            f"'{array.where}'",
            got=f"shape {array.shape}",
            expected=f"{shape}",
            because=because,
        )


def refuse_quantised(array: StoredArray) -> None:
    """Refuse a kernel of integers, which needs scales that are not read."""
    if array.dtype.kind in "iu":
        raise UnsupportedLayerError("", got=f"quantised, kernel of {array.dtype}")


def theano_padding(length: int, before: int, span: int, stride: int) -> tuple[int, int]:
    """Widths so that ceil(length / stride) windows begin where Theano has them begin.

    Parameters
    ----------
    length : int
        Of the axis.
    before : int
        What Theano adds at its beginning.
    span : int
        Of a window.
    stride : int
    """
    windows = -(-length // stride)
    return before, max((windows - 1) * stride + span - length - before, 0)
