"""Nested Keras models written out: one list of layer calls, each with its sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nninvert.errors import FormatError, LimitError
from nninvert.formats._steps import Place, Step
from nninvert.formats.keras_config import (
    TENSORFLOW_CLASSES,
    Call,
    KerasLayer,
    KerasModel,
)
from nninvert.formats.keras_nodes import Arguments, Reference, Tensor

MAX_STEPS = 100_000
"""A model that contains a model twice, that again, ... doubles at every level."""

Made = dict[tuple[str, int], dict[int, int]]
"""For each call, the steps that make its outputs."""


@dataclass(frozen=True)
class Use:
    """A call of a layer that is not a model, or one output of such a call.

    Attributes
    ----------
    layer : KerasLayer
    step : Step
        Its place and sources; not built yet. A call that nninvert cannot follow has its
        problem already.
    arguments : Arguments
        `Tensor` numbers in it count the step's sources.
    output : int
        Which output of the call.
    """

    layer: KerasLayer
    step: Step
    arguments: Arguments
    output: int


def flatten(model: KerasModel) -> tuple[list[Use], tuple[int, ...]]:
    """Write a model out.

    Returns
    -------
    uses : list of Use
        In topological order.
    outputs : tuple of int
        Positions of the calls whose results are the model's outputs; -1 - k where that is
        its input number k.

    Raises
    ------
    FormatError
        If calls and layers contradict each other.
    LimitError
        If nested models make more than `MAX_STEPS` calls.
    """
    uses: list[Use] = []
    inputs = [-1 - k for k in range(len(model.inputs))]
    return uses, tuple(_write_out(model, (), inputs, uses))


def _write_out(
    model: KerasModel,
    around: tuple[Place, ...],
    inputs: Sequence[int],
    uses: list[Use],
) -> list[int]:
    """Append the calls of a model to `uses`; positions of its outputs."""
    made: Made = {
        (name, 0): {0: position}
        for (name, _, _), position in zip(model.inputs, inputs, strict=True)
    }
    wanted = _wanted(model)
    for index, call in enumerate(model.calls):
        layer = call.layer
        place = Place(str(index), layer.name, _label(layer))
        sources = tuple(_position(made, source) for source in call.sources)
        inner = layer.model
        given = sources if inner is None else _by_key(inner, call, sources)
        if inner is not None and inner.calls and len(inner.inputs) == len(given):
            results = _write_out(inner, (*around, place), given, uses)
            made[layer.name, call.node] = dict(enumerate(results))
        else:
            problem = _problem(call)
            if inner is not None:
                problem = f"a model of {len(inner.inputs)} inputs"
            made[layer.name, call.node] = {}
            for output in wanted.get((layer.name, call.node), [0]):
                made[layer.name, call.node][output] = len(uses)
                step = Step((*around, _place(place, output)), sources, problem=problem)
                uses.append(Use(layer, step, call.arguments, output))
        if len(uses) > MAX_STEPS:
            raise LimitError(
                "layers", got="models inside models", expected=f"at most {MAX_STEPS:,}"
            )
    return [_position(made, output) for output in model.outputs]


def _wanted(model: KerasModel) -> Mapping[tuple[str, int], list[int]]:
    """Which outputs of each call anything takes, in their order."""
    found: dict[tuple[str, int], set[int]] = {}
    taken = [source for call in model.calls for source in call.sources]
    for name, node, tensor in (*taken, *model.outputs):
        found.setdefault((name, node), set()).add(tensor)
    return {one: sorted(outputs) for one, outputs in found.items()}


def _label(layer: KerasLayer) -> str:
    """Its class; for a function of TensorFlow, the function."""
    function = layer.config.raw("function")
    if layer.class_name in TENSORFLOW_CLASSES and isinstance(function, str):
        return f"tf.{function}"
    return layer.class_name


def _place(place: Place, output: int) -> Place:
    """The place of one output of a call; the first is the call itself."""
    if output == 0:
        return place
    return Place(f"{place.index}[{output}]", f"{place.name}[{output}]", place.label)


def _position(made: Made, source: Reference) -> int:
    """The step that makes a tensor."""
    name, node, tensor = source
    results = made.get((name, node))
    if results is None:
        raise FormatError(
            "inbound_nodes",
            got=f"the output of '{name}'",
            expected="a layer that was applied before, or an input of the model",
        )
    if tensor not in results:
        raise FormatError(
            "inbound_nodes",
            got=f"output {tensor} of '{name}'",
            expected=f"one of its {len(results)} outputs, counted from 0",
        )
    return results[tensor]


def _by_key(model: KerasModel, call: Call, sources: tuple[int, ...]) -> tuple[int, ...]:
    """Sources in the order of the inner model's inputs, where both have names."""
    given = call.arguments.positional[0] if call.arguments.positional else None
    if not isinstance(given, dict) or set(given) != set(model.input_keys):
        return sources
    tensors = [given[key] for key in model.input_keys]
    if not all(isinstance(tensor, Tensor) for tensor in tensors):
        return sources
    return tuple(sources[tensor.number] for tensor in tensors)


def _problem(call: Call) -> str:
    """What nninvert cannot follow about a call, whatever the layer is."""
    if not call.sources:
        return "takes no input"
    if call.arguments.named.get("training") is True:
        return "called with training=True, so that it is random or sees the batch"
    return ""
