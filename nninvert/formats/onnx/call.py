"""One node as its operator sees it: inputs, attributes, opset, where the batch is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nninvert.errors import FormatError, UnsupportedLayerError
from nninvert.formats._arrays import StoredArray
from nninvert.formats.onnx.attributes import Attributes
from nninvert.formats.onnx.chain import Chain, require_room
from nninvert.formats.onnx.records import NodeRecord
from nninvert.formats.onnx.tensors import MadeArray, small
from nninvert.formats.onnx.values import Lengths, RowsMixed, Shape, Signal, Value

UNSEEN = np.float32(-3.4028234663852886e38)
"""What stands for minus infinity in masks: the least number of float32."""

MAX_PARAMETERS = 1 << 24
"""Numbers of a constant that an operator works with unit by unit."""


class Call:
    """A node with its inputs.

    Parameters
    ----------
    node : NodeRecord
    opset : int
        Of the node's domain.
    inputs : sequence of Value or None
        None where an optional one is left out.
    count : int or None, default None
        How many rows the file says there are.
    into_softmax : bool, default False
        Whether nothing but softmax reads the node's outputs.

    Attributes
    ----------
    batched : bool
        Whether the first axis of all signals is the batch.
    arrays : list of StoredArray
        The constants that were asked for: the node's weights.
    sources : tuple of int or None
        What feeds the node's layers, where an operator says it; None: all its signals.
    """

    def __init__(
        self,
        node: NodeRecord,
        opset: int,
        inputs: Sequence[Value | None],
        count: int | None = None,
        into_softmax: bool = False,
    ) -> None:
        self.node, self.opset, self.count = node, opset, count
        self._into_softmax = into_softmax
        self.inputs = tuple(inputs)
        self.batched = all(signal.rows for signal in self.signals)
        self.attributes = Attributes(node)
        self.arrays: list[StoredArray] = []
        self.sources: tuple[int, ...] | None = None

    def with_inputs(self, places: Sequence[int]) -> Call:
        """The same node with some of its inputs, in another order."""
        return self._with([self.inputs[place] for place in places])

    def of_one_row(self) -> Call:
        """The same with all axes of the file in the signals' shapes: a batch of one row."""
        return self._with([_of_one_row(one) for one in self.inputs])

    def _with(self, inputs: Sequence[Value | None]) -> Call:
        made = Call(self.node, self.opset, inputs, self.count, self._into_softmax)
        made.arrays = self.arrays
        return made

    @property
    def outputs(self) -> int:
        """How many outputs the node names."""
        return len(self.node.outputs)

    @property
    def signals(self) -> tuple[Signal, ...]:
        """All inputs that depend on the network's input, in order."""
        return tuple(one for one in self.inputs if isinstance(one, Signal))

    @property
    def signal(self) -> Signal:
        """The first input, which is to be the only signal.

        Raises
        ------
        UnsupportedLayerError
            If there are others, or another one.
        """
        if len(self.signals) != 1 or not isinstance(self.inputs[0], Signal):
            raise UnsupportedLayerError("", got="computes with weights that depend on x")
        return self.inputs[0]

    @property
    def last_signal(self) -> Signal:
        """The second input, which is to be the only signal.

        Raises
        ------
        UnsupportedLayerError
            If there are others, or another one.
        """
        if len(self.signals) != 1 or self.inputs[1] is not self.signals[0]:
            raise UnsupportedLayerError("", got="computes with weights that depend on x")
        return self.signals[0]

    @property
    def chain(self) -> Chain:
        """No layers yet, for the only signal."""
        return Chain(self.signal.shape)

    def has(self, place: int) -> bool:
        """Whether an optional input is given."""
        return place < len(self.inputs) and self.inputs[place] is not None

    def constant(self, place: int, what: str) -> StoredArray:
        """An input that is a constant, as stored; it counts as the node's weights.

        Raises
        ------
        FormatError
            If it is left out.
        UnsupportedLayerError
            If it depends on x.
        """
        if not self.has(place):
            raise FormatError(what, got="nothing", expected=f"input {place}")
        found = self.inputs[place]
        if not isinstance(found, StoredArray):
            raise UnsupportedLayerError("", got=f"its {what} depends on x")
        if all(found is not one for one in self.arrays):
            self.arrays.append(found)
        return found

    def values(self, place: int, what: str) -> NDArray[np.generic]:
        """The same, read; of an operator that works unit by unit."""
        return small(self.constant(place, what), MAX_PARAMETERS, what)

    def numbers(self, place: int, what: str) -> NDArray[np.float64]:
        """The same in float64."""
        return self.values(place, what).astype(np.float64)

    def shift(
        self, place: int, taken: NDArray[np.bool_] | None = None
    ) -> NDArray[np.generic]:
        """A constant that is added, or put in the place of numbers.

        Where `taken` is false, its numbers do not count, and are 0.

        Minus infinity, with which masks keep softmax from seeing a number, becomes
        `UNSEEN`, of which softmax makes zero all the same.

        Raises
        ------
        UnsupportedLayerError
            If it is infinite otherwise.
        """
        values = np.atleast_1d(self.values(place, "constant"))
        if taken is not None:
            require_room(np.broadcast_shapes(taken.shape, values.shape))
            values = np.where(taken, values, np.zeros((), values.dtype))
        hidden = values == -np.inf
        if self._into_softmax and not hidden.all(axis=-1).any():
            values = np.where(hidden, UNSEEN.astype(values.dtype), values)
        if not np.isfinite(values).all():
            raise UnsupportedLayerError("", got="an infinite constant, or none at all")
        return values

    def scalar(self, place: int, what: str, default: float) -> float:
        """An optional constant of one number."""
        if not self.has(place):
            return default
        values = self.numbers(place, what)
        if values.size != 1:
            raise FormatError(what, got=f"shape {values.shape}", expected="one number")
        return float(values.item())

    def wholes(self, place: int, name: str) -> tuple[int, ...] | None:
        """Whole numbers from an input, or in older opsets an attribute of this name.

        Raises
        ------
        RowsMixed
            If the length of the batch is among them.
        """
        if not self.has(place):
            return self.attributes.wholes(name)
        found = self.inputs[place]
        if isinstance(found, Lengths):
            raise RowsMixed(f"its {name} depends on how many rows there are")
        if not isinstance(found, StoredArray):
            raise UnsupportedLayerError("", got=f"its {name} depends on x")
        values = small(found, 1 << 16, name)
        if values.dtype.kind not in "iub":
            raise FormatError(name, got=str(values.dtype), expected="whole numbers")
        return tuple(int(n) for n in values.ravel())

    def target_shape(self, place: int) -> tuple[int, ...]:
        """A wanted shape from an input; -2 stands for the length of the batch."""
        given = self.inputs[place] if self.has(place) else None
        if isinstance(given, Lengths):
            pairs = zip(given.values.ravel(), given.rows.ravel(), strict=True)
            return tuple(-2 if row else int(n) for n, row in pairs)
        found = self.wholes(place, "shape")
        if found is None:
            raise FormatError("shape", got="nothing", expected="a constant")
        return found

    @property
    def rows(self) -> int:
        """1 if the first axis is the batch, else 0."""
        return int(self.batched)

    def rank(self, signal: Signal | None = None) -> int:
        """How many axes the file counts."""
        return len((signal or self.signal).shape) + self.rows

    def axis(self, axis: int, rank: int | None = None) -> int:
        """An axis of the file as one of the signal, without the batch.

        Raises
        ------
        FormatError
            If there is no such axis.
        RowsMixed
            If it is the batch.
        """
        rank = self.rank() if rank is None else rank
        if not -rank <= axis < rank:
            raise FormatError("axis", got=str(axis), expected=f"one of {rank} axes")
        found = axis % rank - self.rows
        if found < 0:
            raise RowsMixed("works along the batch")
        return found

    def aligned(
        self, values: NDArray[np.generic], shape: Shape
    ) -> tuple[NDArray[np.generic], Shape]:
        """A constant as it broadcasts against a signal, and the shape of both together.

        Raises
        ------
        RowsMixed
            If it has numbers of its own for each row.
        FormatError
            If the two do not fit.
        """
        if self.batched and values.ndim > len(shape):
            lead = values.shape[: values.ndim - len(shape)]
            if values.size == 1:
                return values.reshape(()), shape
            if len(lead) > 1 or lead != (1,):
                raise RowsMixed(f"a constant of shape {values.shape}, different in rows")
            values = values.reshape(values.shape[1:])
        try:
            return values, np.broadcast_shapes(values.shape, shape)
        except ValueError as error:
            raise FormatError(
                "constant",
                got=f"shape {values.shape}",
                expected=f"one that broadcasts with {shape}",
            ) from error


def _of_one_row(value: Value | None) -> Value | None:
    """A signal with its batch of 1, the length of that batch as the number 1."""
    if isinstance(value, Signal) and value.rows:
        return replace(value, shape=(1, *value.shape), rows=False)
    if isinstance(value, Lengths):
        return MadeArray(value.values, "shape")
    return value
