"""Nested Keras models written out: one list of layer calls, each with its sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nninvert.errors import FormatError, LimitError
from nninvert.formats._steps import Place, Step
from nninvert.formats.keras_config import Call, KerasLayer, KerasModel

MAX_STEPS = 100_000
"""A model that contains a model twice, that again, ... doubles at every level."""


@dataclass(frozen=True)
class Use:
    """A call of a layer that is not a model.

    Attributes
    ----------
    layer : KerasLayer
    step : Step
        Its place and sources; not built yet. A call that nninvert cannot follow has its
        problem already.
    """

    layer: KerasLayer
    step: Step


def flatten(model: KerasModel) -> tuple[list[Use], tuple[int, ...]]:
    """Write a model out.

    Returns
    -------
    uses : list of Use
        In topological order.
    outputs : tuple of int
        Positions of the calls whose results are the model's outputs.

    Raises
    ------
    FormatError
        If calls and layers contradict each other.
    LimitError
        If nested models make more than `MAX_STEPS` calls.
    """
    uses: list[Use] = []
    inputs = [-1 - k for k in range(len(model.inputs))]
    outputs = _write_out(model, (), inputs, uses)
    return uses, tuple(k for k in outputs if k >= 0)


def _write_out(
    model: KerasModel,
    around: tuple[Place, ...],
    inputs: Sequence[int],
    uses: list[Use],
) -> list[int]:
    """Append the calls of a model to `uses`; positions of its outputs."""
    made: dict[tuple[str, int], list[int]] = {
        (name, 0): [position]
        for (name, _, _), position in zip(model.inputs, inputs, strict=True)
    }
    for index, call in enumerate(model.calls):
        layer = call.layer
        place = Place(str(index), layer.name, layer.class_name)
        problem = _problem(call)
        sources = []
        for name, node, tensor in call.sources:
            results = _results(made, name, node)
            if tensor >= len(results):
                problem = problem or f"takes output {tensor} of '{name}'"
                tensor = 0
            sources.append(results[tensor])
        inner = layer.model
        if inner is None or len(inner.inputs) != len(sources) or not inner.calls:
            if inner is not None:
                problem = f"a model of {len(inner.inputs)} inputs"
            made[layer.name, call.node] = [len(uses)]
            step = Step((*around, place), tuple(sources), problem=problem)
            uses.append(Use(layer, step))
        else:
            results = _write_out(inner, (*around, place), sources, uses)
            made[layer.name, call.node] = results
        if len(uses) > MAX_STEPS:
            raise LimitError(
                "layers", got="models inside models", expected=f"at most {MAX_STEPS:,}"
            )
    return [
        _results(made, name, node)[min(tensor, len(_results(made, name, node)) - 1)]
        for name, node, tensor in model.outputs
    ]


def _results(made: dict[tuple[str, int], list[int]], name: str, node: int) -> list[int]:
    if not made.get((name, node)):
        raise FormatError(
            "inbound_nodes",
            got=f"the output of '{name}'",
            expected="a layer that was applied before, or an input of the model",
        )
    return made[name, node]


def _problem(call: Call) -> str:
    """What nninvert cannot follow about a call, whatever the layer is."""
    if len(call.sources) > 1:
        return f"joins {len(call.sources)} branches"
    if not call.sources:
        return "takes no input"
    if call.options.get("training"):
        return "called with training=True, so that it is random or sees the batch"
    return ""
