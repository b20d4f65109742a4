"""The architecture that Keras writes as JSON: its layers, and how they call each other.

Every dialect is taken from any version: Sequential as a list or an object, functional
models with the three spellings of ``inbound_nodes``, nested models. Nothing in it is
resolved to code: a class or function is a name, which is on a list or is not.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nninvert.errors import FormatError
from nninvert.formats._description import PartialShape
from nninvert.formats._json import Fields, as_whole

FUNCTIONAL = ("Functional", "Model")
CONTAINERS = ("Sequential", *FUNCTIONAL)
SHAPE_FIELDS = ("batch_shape", "batch_input_shape")

_OWN_MODULES = ("keras", "tf_keras", "tensorflow.python.keras")

_OPERATIONS = ("keras.src.ops", "keras.ops")

Reference = tuple[str, int, int]
"""A tensor: the layer that makes it, which call of that layer, which of its outputs."""


@dataclass(frozen=True)
class KerasLayer:
    """One entry of a model's list of layers.

    Attributes
    ----------
    key : tuple of int
        Its position, behind those of the models around it.
    name : str
    class_name : str
    config : Fields
    custom : bool
        Not Keras's own class, whatever its name is.
    is_operation : bool
        A function of ``keras.ops`` that a functional model calls: no layer of it.
    build_shape : tuple or None
        Input shape that Keras 3 wrote beside the layer, without the batch.
    model : KerasModel or None
        What is inside, if it is a model.
    """

    key: tuple[int, ...]
    name: str
    class_name: str
    config: Fields
    custom: bool
    is_operation: bool
    build_shape: PartialShape | None
    model: KerasModel | None

    @property
    def is_input(self) -> bool:
        """Whether it only stands for the model's input."""
        return self.class_name == "InputLayer"


@dataclass(frozen=True)
class Call:
    """One application of a layer.

    Attributes
    ----------
    layer : KerasLayer
    node : int
        Which call of that layer it is.
    sources : tuple of Reference
        For the calls of a Sequential, the layer before.
    options : Mapping
        Further arguments of the call.
    """

    layer: KerasLayer
    node: int
    sources: tuple[Reference, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class KerasModel:
    """A Sequential or functional model.

    Attributes
    ----------
    layers : tuple of KerasLayer
        In the file's order, which is that of the weights; with input layers.
    calls : tuple of Call
        In topological order, without input layers.
    inputs, outputs : tuple of Reference
        Calls of a layer are counted from 0 here, whatever the file does.
    input_shapes : tuple of (tuple or None)
        One for each input, without the batch; None where the file does not tell.
    trainable : bool
    """

    layers: tuple[KerasLayer, ...]
    calls: tuple[Call, ...]
    inputs: tuple[Reference, ...]
    outputs: tuple[Reference, ...]
    input_shapes: tuple[PartialShape | None, ...]
    trainable: bool


def major(version: str) -> int:
    """The major version of Keras: "3.8.0" as 3."""
    digits = re.match(r"\d{1,3}", version)
    if digits is None:
        raise FormatError(
            "keras_version", got=repr(version), expected="a version such as 3.8.0"
        )
    return int(digits[0])


def model_from_json(top: Fields, key: tuple[int, ...] = ()) -> KerasModel:
    """Read ``{"class_name": ..., "config": ...}``.

    Raises
    ------
    FormatError
        If it is not a Sequential or functional model, or is damaged.
    """
    class_name = top.text("class_name")
    config = top.raw("config")
    if class_name == "Sequential":
        return _sequential(config, key)
    if class_name in FUNCTIONAL and isinstance(config, dict) and "layers" in config:
        return _functional(Fields(config), key)
    raise FormatError(
        "class_name",
        got=repr(class_name),
        expected="Sequential or Functional",
        because="a model of its own class is Python code, which is not in the file",
        next_step="Rebuild it in Keras from Sequential or Model(inputs, outputs), copy "
        "the weights and save that.",
    )


def _layer(entry: Fields, key: tuple[int, ...]) -> KerasLayer:
    class_name = entry.text("class_name")
    own = entry.raw("config")
    config = Fields(own) if isinstance(own, dict) else Fields({})
    name = entry.raw("name")
    if not isinstance(name, str):
        name = config.text("name", default="")
    custom = is_custom(entry)
    model = None
    if class_name in CONTAINERS and not custom:
        model = model_from_json(entry, key)
    build = entry.inner("build_config").raw("input_shape")
    return KerasLayer(
        key=key,
        name=name or class_name.lower(),
        class_name=class_name,
        config=config,
        custom=custom,
        is_operation=str(entry.raw("module")).startswith(_OPERATIONS),
        build_shape=_without_batch(build) if _is_one_shape(build) else None,
        model=model,
    )


def is_custom(entry: Fields) -> bool:
    """Whether an object with module and registered name is not Keras's own."""
    module, registered = entry.raw("module"), entry.raw("registered_name")
    if ">" in str(entry.raw("class_name")):
        return True
    if isinstance(module, str):
        return not any(module == m or module.startswith(f"{m}.") for m in _OWN_MODULES)
    return isinstance(registered, str)


def _without_batch(shape: list[Any]) -> PartialShape:
    """A shape as Keras writes it, (batch, ...), without its first entry."""
    lengths = [None if n is None else as_whole(n, "shape") for n in shape]
    if any(n is not None and n < 1 for n in lengths[1:]):
        raise FormatError("shape", got=str(shape), expected="lengths of 1 or more")
    return tuple(lengths[1:])


def _is_one_shape(value: Any) -> bool:
    """A list of lengths; a layer with several inputs has a list of lists."""
    return isinstance(value, list) and not any(isinstance(n, list) for n in value)


def _declared_shape(config: Fields) -> PartialShape | None:
    """What an input layer, or the first layer of an older Sequential, states."""
    shape = config.raw(*SHAPE_FIELDS)
    if isinstance(shape, list):
        return _without_batch(shape)
    if isinstance(config.raw("input_dim"), int):
        return (config.whole("input_dim"),)
    return None


def _sequential(config: Any, key: tuple[int, ...]) -> KerasModel:
    """A chain: the config is a list up to Keras 2.2.2, an object since."""
    if isinstance(config, list):
        config = {"layers": config}
    if not isinstance(config, dict):
        raise FormatError("config", got=repr(config), expected="layers")
    fields = Fields(config)
    entries = fields.objects("layers")
    layers = tuple(_layer(entry, (*key, k)) for k, entry in enumerate(entries))
    name = next((layer.name for layer in layers if layer.is_input), "input")
    source: Reference = (name, 0, 0)
    shape = _sequential_input(fields, layers)
    calls = []
    for position, layer in enumerate(layer for layer in layers if not layer.is_input):
        calls.append(Call(layer, position, (source,), {}))
        source = (layer.name, position, 0)
    return KerasModel(
        layers=layers,
        calls=tuple(calls),
        inputs=((name, 0, 0),),
        outputs=(source,) if calls else (),
        input_shapes=(shape,),
        trainable=fields.flag("trainable", default=True),
    )


def _sequential_input(
    config: Fields, layers: tuple[KerasLayer, ...]
) -> PartialShape | None:
    """The input's shape, from wherever this version put it."""
    if not layers:
        return None
    first = layers[0]
    if first.model is not None and len(first.model.input_shapes) == 1:
        return first.model.input_shapes[0]
    declared = _declared_shape(first.config)
    if declared is not None:
        return declared
    built = config.raw("build_input_shape")
    if isinstance(built, list):
        return _without_batch(built)
    return first.build_shape


def _functional(config: Fields, key: tuple[int, ...]) -> KerasModel:
    entries = config.objects("layers")
    layers = tuple(_layer(entry, (*key, k)) for k, entry in enumerate(entries))
    calls: list[Call] = []
    for entry, layer in zip(entries, layers, strict=True):
        nodes = entry.raw("inbound_nodes")
        if not isinstance(nodes, list):
            raise FormatError("inbound_nodes", got=repr(nodes), expected="a list")
        for number, node in enumerate(nodes):
            sources, options = _call(node)
            if not layer.is_input:
                calls.append(Call(layer, number, sources, options))
    by_name = {layer.name: layer for layer in layers}
    if len(by_name) < len(layers):
        raise FormatError("layers", got="one name twice", expected="different names")
    outputs = _references(config.raw("output_layers"))
    tensors = _Calls(by_name, calls, outputs)
    calls = [
        replace(call, sources=tuple(tensors.resolve(source) for source in call.sources))
        for call in calls
    ]
    inputs = tuple(_references(config.raw("input_layers")))
    shapes = []
    for name, _, _ in inputs:
        if name not in by_name:
            raise _no_layer(name)
        shapes.append(_declared_shape(by_name[name].config))
    return KerasModel(
        layers=layers,
        calls=_ordered(calls),
        inputs=inputs,
        outputs=tuple(tensors.resolve(output) for output in outputs),
        input_shapes=tuple(shapes),
        trainable=config.flag("trainable", default=True),
    )


def _call(node: Any) -> tuple[tuple[Reference, ...], Mapping[str, Any]]:
    """The tensors that one call takes, and its other arguments."""
    if isinstance(node, dict):
        options = node.get("kwargs")
        options = options if isinstance(options, dict) else {}
        return tuple(_keras_tensors([node.get("args"), options])), options
    references = _references(node)
    options = {}
    for item in node if isinstance(node, list) else ():
        if isinstance(item, list) and len(item) > 3 and isinstance(item[3], dict):
            options.update(item[3])
    return tuple(references), options


def _keras_tensors(value: Any) -> list[Reference]:
    """The tensors in the arguments of a Keras 3 call, at any depth."""
    if isinstance(value, list):
        return [found for item in value for found in _keras_tensors(item)]
    if not isinstance(value, dict):
        return []
    if value.get("class_name") == "__keras_tensor__":
        return _references(Fields(value).inner("config").raw("keras_history"))
    return [found for item in value.values() for found in _keras_tensors(item)]


def _references(value: Any) -> list[Reference]:
    """Triples [layer, call, output], bare or in lists or objects of any depth.

    Keras 1 to 3.11 writes a list of triples for one tensor too, 3.12 the bare triple,
    models built from a dict of inputs a dict; Keras 2 adds arguments as a fourth.
    """
    if isinstance(value, dict):
        return [found for item in value.values() for found in _references(item)]
    if not isinstance(value, list):
        return []
    if len(value) >= 3 and isinstance(value[0], str):
        return [(value[0], as_whole(value[1], "node"), as_whole(value[2], "tensor"))]
    return [found for item in value for found in _references(item)]


class _Calls:
    """Whose tensor a reference means.

    A nested model counts its own definition as call 0, so that its first use is 1; a
    Sequential of Keras 3 does not. As every call that is written is used by something,
    the lowest number that is used is the first call.
    """

    def __init__(
        self,
        layers: Mapping[str, KerasLayer],
        calls: list[Call],
        outputs: list[Reference],
    ) -> None:
        self._layers = layers
        self._counts = Counter(call.layer.name for call in calls)
        self._lowest: dict[str, int] = {}
        for name, node, _ in [*outputs, *(s for c in calls for s in c.sources)]:
            self._lowest[name] = min(node, self._lowest.get(name, node))

    def resolve(self, reference: Reference) -> Reference:
        """The same reference, its call counted from 0."""
        name, node, tensor = reference
        if name not in self._layers:
            raise _no_layer(name)
        layer, count = self._layers[name], self._counts[name]
        if layer.is_input or count == 1:
            return name, 0, tensor
        if layer.model is not None:
            node -= self._lowest[name]
        if not 0 <= node < count:
            raise FormatError(
                "inbound_nodes",
                got=f"call {node} of layer '{name}', which has {count}",
                expected="a call that exists",
            )
        return name, node, tensor


def _ordered(calls: list[Call]) -> tuple[Call, ...]:
    """Topological order; among calls that are ready, the file's."""
    position = {(call.layer.name, call.node): k for k, call in enumerate(calls)}
    readers: list[list[int]] = [[] for _ in calls]
    waiting = [0] * len(calls)
    for k, call in enumerate(calls):
        for name, node, _ in call.sources:
            if (name, node) in position:  # else it is an input
                readers[position[name, node]].append(k)
                waiting[k] += 1
    ready = [k for k, count in enumerate(waiting) if count == 0]
    order = []
    while ready:
        k = heapq.heappop(ready)
        order.append(calls[k])
        for reader in readers[k]:
            waiting[reader] -= 1
            if waiting[reader] == 0:
                heapq.heappush(ready, reader)
    if len(order) < len(calls):
        raise FormatError(
            "inbound_nodes", got="layers in a circle", expected="a way from the input"
        )
    return tuple(order)


def _no_layer(name: str) -> FormatError:
    return FormatError(
        "inbound_nodes", got=f"'{name}'", expected="the name of a layer of the model"
    )
