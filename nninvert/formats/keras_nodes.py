"""How the layers of a functional model call each other: nodes, arguments, order.

A node is one call. Keras 1 and 2 write it as a list of tensors [layer, call, output], the
further arguments of the call behind the last one; Keras 3 as positional and named
arguments with tensors and constants at any depth.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nninvert.errors import FormatError
from nninvert.formats._json import as_whole

Reference = tuple[str, int, int]
"""A tensor: the layer that makes it, which call of that layer, which of its outputs."""

CONSTANT = "_CONSTANT_VALUE"
"""What tf.keras writes for the layer of a tensor that is a constant."""


@dataclass(frozen=True)
class Tensor:
    """Stands among the arguments of a call for the tensor `sources[number]`."""

    number: int


@dataclass(frozen=True)
class Arguments:
    """What a layer is called on.

    Attributes
    ----------
    sources : tuple of Reference
        In the order in which they occur.
    positional : tuple
        Numbers, texts, lists and `Tensor`; slice and Ellipsis as Python has them.
    named : mapping of str to such values
    """

    sources: tuple[Reference, ...]
    positional: tuple[Any, ...]
    named: Mapping[str, Any]


def arguments_of(node: Any, layers: Container[str]) -> Arguments:
    """The arguments of one entry of ``inbound_nodes``.

    Parameters
    ----------
    node : Any
        As parsed.
    layers : container of str
        The names of the model's layers: they tell tensors from other lists.
    """
    collected = _Collected(layers)
    if isinstance(node, dict):
        positional = collected.of_keras_3(node.get("args"))
        named = collected.of_keras_3(node.get("kwargs"))
    else:
        positional, named = collected.of_node(node)
    positional = positional if isinstance(positional, list) else []
    named = named if isinstance(named, dict) else {}
    return Arguments(tuple(collected.sources), tuple(positional), named)


class _Collected:
    """Puts `Tensor` in the place of every tensor and remembers which it was."""

    def __init__(self, layers: Container[str]) -> None:
        self._layers = layers
        self.sources: list[Reference] = []

    def _tensor(self, reference: Reference) -> Tensor:
        self.sources.append(reference)
        return Tensor(len(self.sources) - 1)

    def of_keras_3(self, value: Any) -> Any:
        """Arguments of a Keras 3 call."""
        if isinstance(value, list):
            return [self.of_keras_3(item) for item in value]
        if not isinstance(value, dict):
            return value
        inner = value.get("config")
        match value.get("class_name"):
            case "__keras_tensor__" if isinstance(inner, dict):
                found = references(inner.get("keras_history")) or [("", 0, 0)]
                return self._tensor(found[0])
            case "__slice__" if isinstance(inner, dict):
                return slice(inner.get("start"), inner.get("stop"), inner.get("step"))
            case "__ellipsis__":
                return Ellipsis
            case "__numpy__" | "__tensor__" if isinstance(inner, dict):
                return inner.get("value")
            case "__tuple__" if isinstance(value.get("items"), list):
                return [self.of_keras_3(item) for item in value["items"]]
        return {key: self.of_keras_3(item) for key, item in value.items()}

    def of_node(self, node: Any) -> tuple[list[Any], dict[str, Any]]:
        """Arguments of a call that Keras 1 or 2 wrote."""
        if not isinstance(node, list):
            return [], {}
        if _is_triple(node):
            return [self._first(node)], self._options(node)
        firsts = [self._first(item) for item in node if _is_triple(item)]
        options = [self._options(item) for item in node if _is_triple(item)]
        positional = firsts if len(firsts) == 1 else [firsts]
        return positional, {key: value for one in options for key, value in one.items()}

    def _first(self, triple: list[Any]) -> Any:
        if triple[0] == CONSTANT:
            return triple[2]
        return self._tensor(_reference(triple))

    def _options(self, triple: list[Any]) -> dict[str, Any]:
        options = triple[3] if len(triple) > 3 else None
        if not isinstance(options, dict):
            return {}
        return {key: self._option(value) for key, value in options.items()}

    def _option(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._option(item) for key, item in value.items()}
        if not isinstance(value, list):
            return value
        if _is_triple(value) and value[0] in self._layers:
            return self._tensor(_reference(value))
        if _is_triple(value) and value[0] == CONSTANT:
            return value[2]
        return [self._option(item) for item in value]


def _is_triple(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str)


def _reference(triple: list[Any]) -> Reference:
    return triple[0], as_whole(triple[1], "node"), as_whole(triple[2], "tensor")


def references(value: Any) -> list[Reference]:
    """Triples [layer, call, output], bare or in lists or objects of any depth.

    Keras 1 to 3.11 writes a list of triples for one tensor too, 3.12 the bare triple,
    models built from a dict of inputs a dict.
    """
    if isinstance(value, dict):
        return [found for item in value.values() for found in references(item)]
    if not isinstance(value, list):
        return []
    if _is_triple(value):
        return [_reference(value)]
    return [found for item in value for found in references(item)]


class CallNumbers:
    """Whose tensor a reference means.

    A nested model counts its own definition as call 0, so that its first use is 1; a
    Sequential of Keras 3 does not. As every call that is written is used by something,
    the lowest number that is used is the first call.

    Parameters
    ----------
    kinds : mapping of str to bool or None
        For each layer: None for an input, else whether it is a model.
    counts : Counter of str
        How often each layer is called.
    used : sequence of Reference
        Every tensor that anything takes.
    """

    def __init__(
        self,
        kinds: Mapping[str, bool | None],
        counts: Counter[str],
        used: Sequence[Reference],
    ) -> None:
        self._kinds, self._counts = kinds, counts
        self._lowest: dict[str, int] = {}
        for name, node, _ in used:
            self._lowest[name] = min(node, self._lowest.get(name, node))

    def resolve(self, reference: Reference) -> Reference:
        """The same reference, its call counted from 0."""
        name, node, tensor = reference
        if name not in self._kinds:
            raise no_layer(name)
        is_model, count = self._kinds[name], self._counts[name]
        if is_model is None or count == 1:
            return name, 0, tensor
        if is_model:
            node -= self._lowest[name]
        if not 0 <= node < count:
            raise FormatError(
                "inbound_nodes",
                got=f"call {node} of layer '{name}', which has {count}",
                expected="a call that exists",
            )
        return name, node, tensor


def topological(
    makes: Sequence[tuple[str, int]], takes: Sequence[Sequence[Reference]]
) -> list[int]:
    """The calls in topological order; among those that are ready, the file's.

    Parameters
    ----------
    makes : sequence of (str, int)
        The layer and the number of each call.
    takes : sequence of sequences of Reference
        The tensors that each call takes.

    Raises
    ------
    FormatError
        If calls wait for each other.
    """
    position = {one: k for k, one in enumerate(makes)}
    readers: list[list[int]] = [[] for _ in makes]
    waiting = [0] * len(makes)
    for k, sources in enumerate(takes):
        for name, node, _ in sources:
            if (name, node) in position:  # else it is an input
                readers[position[name, node]].append(k)
                waiting[k] += 1
    ready = [k for k, count in enumerate(waiting) if count == 0]
    order = []
    while ready:
        k = heapq.heappop(ready)
        order.append(k)
        for reader in readers[k]:
            waiting[reader] -= 1
            if waiting[reader] == 0:
                heapq.heappush(ready, reader)
    if len(order) < len(makes):
        raise FormatError(
            "inbound_nodes", got="layers in a circle", expected="a way from the input"
        )
    return order


def no_layer(name: str) -> FormatError:
    """A reference to what the model does not have."""
    return FormatError(
        "inbound_nodes", got=f"'{name}'", expected="the name of a layer of the model"
    )
