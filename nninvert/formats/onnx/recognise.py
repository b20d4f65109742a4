"""Groups of operators that are one layer: a product and its bias, an activation in parts.

Exporters write gelu as Div, Erf, Add, Mul, Mul, and each in its own way. Whatever number by
number becomes of one value is evaluated, and compared with the activations that are known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nninvert.formats._arrays import StoredArray
from nninvert.formats._steps import Step
from nninvert.formats.onnx.attributes import Attributes
from nninvert.formats.onnx.call import MAX_PARAMETERS, Call
from nninvert.formats.onnx.operators import OPERATORS
from nninvert.formats.onnx.pointwise import POINTWISE, least_inputs
from nninvert.formats.onnx.records import NodeRecord
from nninvert.formats.onnx.tensors import small
from nninvert.formats.onnx.values import Signal
from nninvert.layers import Dense, Elementwise
from nninvert.layers.activations import Activation, activation_from_text
from nninvert.layers.activations.elu import ELU
from nninvert.layers.activations.leaky_relu import LeakyReLU
from nninvert.layers.activations.silu import SiLU
from nninvert.layers.activations.softplus import Softplus

Float64 = NDArray[np.float64]

_POINTS = np.linspace(-8.9, 9.1, 91)
_TOLERANCE = 1e-6
"""How far constants rounded to float32 may move a value, relative to 1 + |z|."""

_ALIKE = 1e-12

_MAX_PARTS = 64
_MAX_ANCESTORS = 16
_MAX_WORK = 200_000
"""Operators evaluated in all before no more groups are looked for."""

_NAMES = (
    "gelu",
    "gelu_tanh",
    "mish",
    "hard_silu",
    "softsign",
    "tanh_shrink",
    "log_sigmoid",
    "softplus",
    "sigmoid",
    "tanh",
    "relu",
    "relu6",
    "hard_tanh",
    "selu",
    "squareplus",
    "linear",
)


@dataclass(frozen=True)
class Part:
    """An operator that works number by number.

    `operands` are positions of steps, or numbers; `odd` says that only a group of such
    operators may be a layer; `ancestors` are the values it is a function of, the nearest
    first.
    """

    op_type: str
    attributes: Attributes
    operands: tuple[int | Float64, ...]
    odd: bool
    ancestors: tuple[int, ...]

    @property
    def joins(self) -> bool:
        """Whether it has several operands that are steps."""
        return sum(isinstance(one, int) for one in self.operands) > 1


class Recogniser:
    """Remembers operators that work number by number, and finds activations in them.

    Parameters
    ----------
    steps : list of Step
        Those made so far; it grows while a graph is read.

    Attributes
    ----------
    notes : list of str
        Which groups were read as something that they are only up to rounding.
    """

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps
        self._parts: dict[int, Part] = {}
        self._work = 0
        self.notes: list[str] = []

    def may_know(self, node: NodeRecord) -> bool:
        """Whether the node may be part of a group."""
        return not node.domain and node.op_type in POINTWISE

    def remember(self, position: int, call: Call) -> bool:
        """Keep the node whose step is at `position`, if it works number by number."""
        part = self._part(position, call)
        if part is not None:
            self._parts[position] = part
        return part is not None

    def known(self, call: Call, step: Step) -> Step | None:
        """The step of an activation that ends with this node; None if there is none."""
        position = len(self._steps)
        part = self._part(position, call)
        if part is None or not part.odd:
            return None
        for root in part.ancestors[1:]:
            order = self._between(part, root)
            if order is None or not (order or part.joins):
                continue
            values = self._values(part, root, order)
            if values is None:
                continue
            for activation in _candidates(values):
                error = _difference(activation, values)
                if error <= _TOLERANCE:
                    # A larger group may still begin inside this one.
                    self._parts[position] = replace(part, odd=False)
                    return self._joined(step, call, root, activation, error)
        return None

    def _joined(
        self, step: Step, call: Call, root: int, activation: Activation, error: float
    ) -> Step:
        shape = call.signals[0].shape
        place = step.places[-1]
        label = f"{activation.name} (… {place.label})"
        if error > _ALIKE:
            self.notes.append(
                f"'{place.name}': operators up to here are {activation.name} but for "
                f"{error:.0e}, as their constants are rounded; read as {activation.name}"
            )
        made = replace(step, places=(replace(place, label=label),), sources=(root,))
        return made.built([Elementwise(shape, activation)])

    def _part(self, position: int, call: Call) -> Part | None:
        if call.node.domain or call.node.op_type not in POINTWISE or not call.signals:
            return None
        if sum(one is not None for one in call.inputs) < least_inputs(call.node.op_type):
            return None
        shape = call.signals[0].shape
        operands: list[int | Float64] = []
        for value in call.inputs:
            if isinstance(value, Signal) and value.shape == shape:
                operands.append(value.source)
            elif isinstance(value, StoredArray) and value.size == 1:
                operands.append(value.read().astype(np.float64).reshape(()))
            elif value is not None:
                return None
        signals = [one for one in operands if isinstance(one, int)]
        odd = (
            len(signals) > 1
            or ("", call.node.op_type) not in OPERATORS
            or not isinstance(operands[0], int)
            or any(self._parts[one].odd for one in signals if one in self._parts)
        )
        shared = set.intersection(*(set(self._ancestors(one)) for one in signals))
        nearest = sorted(shared, reverse=True)[:_MAX_ANCESTORS]
        return Part(
            call.node.op_type, call.attributes, tuple(operands), odd, (position, *nearest)
        )

    def _ancestors(self, position: int) -> tuple[int, ...]:
        part = self._parts.get(position)
        return (position,) if part is None else part.ancestors

    def _values(self, part: Part, root: int, order: Sequence[int]) -> Float64 | None:
        """The part as a function of the root, at `_POINTS`; None if it is not finite."""
        known: dict[int, Float64] = {root: _POINTS}
        with np.errstate(all="ignore"):
            for position in order:
                known[position] = _evaluate(self._parts[position], known)
            found = _evaluate(part, known)
        return found if np.isfinite(found).all() else None

    def _between(self, part: Part, root: int) -> list[int] | None:
        """The parts to evaluate before this one, in order; None where they are too many."""
        found: set[int] = set()
        todo = [one for one in part.operands if isinstance(one, int)]
        while todo:
            position = todo.pop()
            if position == root or position in found:
                continue
            if position not in self._parts or len(found) == _MAX_PARTS:
                return None
            found.add(position)
            operands = self._parts[position].operands
            todo += [one for one in operands if isinstance(one, int)]
        self._work += 1 + len(found)
        return sorted(found) if self._work < _MAX_WORK else None


def _evaluate(part: Part, known: dict[int, Float64]) -> Float64:
    given = [known[one] if isinstance(one, int) else one for one in part.operands]
    made = POINTWISE[part.op_type](part.attributes, given)
    return np.broadcast_to(np.asarray(made, np.float64), _POINTS.shape)


def _candidates(values: Float64) -> Iterator[Activation]:
    """Activations that may have these values; parameters from a value of their own."""
    yield from (activation_from_text(name) for name in _NAMES)
    at_one = float(np.interp(1.1, _POINTS, values)) / 1.1
    if 0.0 < at_one < 1.0:
        yield SiLU(float(np.log(at_one / (1.0 - at_one))) / 1.1) if at_one > 0.5 else SiLU()
    k = int(np.argmin(np.abs(_POINTS + 1.0)))
    left, z = float(values[k]), float(_POINTS[k])
    yield LeakyReLU(left / z)
    yield ELU(left / float(np.expm1(z)))
    k = int(np.argmin(np.abs(_POINTS - 0.1)))
    yield Softplus(_beta(float(_POINTS[k]), float(values[k])))


def _beta(z: float, value: float) -> float:
    """With which ``log(1 + exp(beta z)) / beta`` is the value, to 6 digits, by halving.

    It falls with beta; a value that it does not take gives one of the ends.
    """
    low, high = 1e-3, 1e3
    for _ in range(60):
        middle = math.sqrt(low * high)
        above = float(np.logaddexp(0.0, middle * z)) / middle > value
        low, high = (middle, high) if above else (low, middle)
    return float(f"{low:.6g}")


def _difference(activation: Activation, values: Float64) -> float:
    """Largest difference, relative to 1 + |z|."""
    off = np.abs(activation.forward(_POINTS) - values) / (1.0 + np.abs(_POINTS))
    return float(off.max())


def with_bias(call: Call, step: Step, steps: Sequence[Step]) -> Step | None:
    """A product and the constant that is added to it as one step; else None."""
    if call.node.op_type != "Add" or call.node.domain or len(call.signals) != 1:
        return None
    source = call.signals[0].source
    constants = [one for one in call.inputs if isinstance(one, StoredArray)]
    if source < 0 or not constants or not steps[source].layers:
        return None
    before = steps[source]
    last = before.layers[-1]
    if not isinstance(last, Dense) or last.bias is not None:
        return None
    stored = constants[0]
    width = last.matrix.shape[0]
    if stored.size != width or stored.shape[-1:] != (width,):
        return None
    if call.batched and len(stored.shape) > len(last.output_shape) + 1:
        return None
    bias = small(stored, MAX_PARAMETERS, "bias").reshape(-1)
    layers = [*before.layers[:-1], Dense(last.input_shape, last.matrix, bias)]
    place = step.places[-1]
    label = f"{before.label} + {place.label}"
    made = replace(
        step,
        places=(replace(place, label=label),),
        sources=before.sources,
        arrays=(*before.arrays, stored),
    )
    return made.built(layers)
