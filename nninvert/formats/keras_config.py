"""The architecture that Keras writes as JSON: its layers, and how they call each other.

Every dialect is taken from any version: Sequential as a list or an object, functional
models with the three spellings of ``inbound_nodes``, nested models. Nothing in it is
resolved to code: a class or function is a name, which is on a list or is not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from nninvert.errors import FormatError
from nninvert.formats._description import PartialShape
from nninvert.formats._json import Fields, as_whole
from nninvert.formats.keras_nodes import (
    Arguments,
    CallNumbers,
    Reference,
    Tensor,
    arguments_of,
    no_layer,
    references,
    topological,
)

FUNCTIONAL = ("Functional", "Model")
CONTAINERS = ("Sequential", *FUNCTIONAL)
SHAPE_FIELDS = ("batch_shape", "batch_input_shape")

_OWN_MODULES = ("keras", "tf_keras", "tensorflow.python.keras")

_OPERATIONS = ("keras.src.ops", "keras.ops")

TENSORFLOW_CLASSES = ("TFOpLambda", "SlicingOpLambda")
"""What tf.keras wraps a function of TensorFlow in, as a layer."""


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
    registered : str
        Its name with that of its package, as "Custom>Scale"; "" where the file has none.
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
    registered: str
    custom: bool
    is_operation: bool
    build_shape: PartialShape | None
    model: KerasModel | None

    @property
    def is_function(self) -> bool:
        """Whether it stands for a function of keras.ops or TensorFlow."""
        return self.is_operation or self.class_name in TENSORFLOW_CLASSES

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
        The tensors among its arguments; for the calls of a Sequential, the layer before.
    arguments : Arguments
        As the file has them.
    """

    layer: KerasLayer
    node: int
    sources: tuple[Reference, ...]
    arguments: Arguments


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
    input_keys, output_keys : tuple of str
        What inputs and outputs are called where the model was built from dicts; else ().
    trainable : bool
    """

    layers: tuple[KerasLayer, ...]
    calls: tuple[Call, ...]
    inputs: tuple[Reference, ...]
    outputs: tuple[Reference, ...]
    input_shapes: tuple[PartialShape | None, ...]
    input_keys: tuple[str, ...]
    output_keys: tuple[str, ...]
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
        registered=_registered(entry),
        custom=custom,
        is_operation=str(entry.raw("module")).startswith(_OPERATIONS),
        build_shape=_without_batch(build) if _is_one_shape(build) else None,
        model=model,
    )


def _registered(entry: Fields) -> str:
    """The full name of a class that somebody registered: where Keras 2 and 3 put it."""
    named = entry.raw("registered_name"), entry.raw("class_name")
    return next((name for name in named if isinstance(name, str) and ">" in name), "")


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
    if entries and entries[0].raw("class_name") == "Merge":
        return _merged(entries, key)
    layers = tuple(_layer(entry, (*key, k)) for k, entry in enumerate(entries))
    name = next((layer.name for layer in layers if layer.is_input), "input")
    calls, last = _chain([layer for layer in layers if not layer.is_input], (name, 0, 0))
    return KerasModel(
        layers=layers,
        calls=tuple(calls),
        inputs=((name, 0, 0),),
        outputs=(last,) if calls else (),
        input_shapes=(_sequential_input(fields, layers),),
        input_keys=(),
        output_keys=(),
        trainable=fields.flag("trainable", default=True),
    )


def _chain(layers: Sequence[KerasLayer], source: Reference) -> tuple[list[Call], Reference]:
    """Calls of layers one after another; what the last one makes."""
    calls = []
    for position, layer in enumerate(layers):
        calls.append(Call(layer, position, (source,), _on_tensors(1)))
        source = (layer.name, position, 0)
    return calls, source


def _on_tensors(count: int) -> Arguments:
    """Tensors and nothing else; several as a list, as merges take them."""
    tensors = [Tensor(k) for k in range(count)]
    return Arguments((), (tensors[0] if count == 1 else tensors,), {})


def _merged(entries: list[Fields], key: tuple[int, ...]) -> KerasModel:
    """A Sequential of Keras 1 that begins with several models and a Merge of them."""
    inside = entries[0].inner("config").objects("layers")
    branches = []
    for k, entry in enumerate(inside):
        branch = _layer(entry, (*key, 0, k))
        if branch.model is None or len(branch.model.inputs) != 1:
            raise FormatError(
                "layers",
                got=f"'{branch.class_name}' in a Merge",
                expected="models of one input",
            )
        branches.append(replace(branch, name=f"branch_{k}"))
    later = [_layer(entry, (*key, k)) for k, entry in enumerate(entries)]
    starts = tuple((f"input_{k}", 0, 0) for k, _ in enumerate(branches))
    calls = [
        Call(branch, 0, (start,), _on_tensors(1))
        for branch, start in zip(branches, starts, strict=True)
    ]
    merge, rest = later[0], later[1:]
    ends = tuple((branch.name, 0, 0) for branch in branches)
    calls.append(Call(merge, 0, ends, _on_tensors(len(ends))))
    chained, last = _chain(rest, (merge.name, 0, 0))
    shapes = [b.model.input_shapes[0] for b in branches if b.model is not None]
    return KerasModel(
        layers=(*branches, *later),
        calls=(*calls, *chained),
        inputs=starts,
        outputs=(last,),
        input_shapes=tuple(shapes),
        input_keys=(),
        output_keys=(),
        trainable=True,
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
    by_name = {layer.name: layer for layer in layers}
    if len(by_name) < len(layers):
        raise FormatError("layers", got="one name twice", expected="different names")
    outputs = references(config.raw("output_layers"))
    calls, numbers = _calls(entries, layers, outputs)
    inputs = tuple(references(config.raw("input_layers")))
    for name, _, _ in inputs:
        if name not in by_name:
            raise no_layer(name)
    return KerasModel(
        layers=layers,
        calls=calls,
        inputs=inputs,
        outputs=tuple(numbers.resolve(output) for output in outputs),
        input_shapes=tuple(_declared_shape(by_name[name].config) for name, _, _ in inputs),
        input_keys=_keys(config.raw("input_layers"), len(inputs)),
        output_keys=_keys(config.raw("output_layers"), len(outputs)),
        trainable=config.flag("trainable", default=True),
    )


def _calls(
    entries: Sequence[Fields], layers: Sequence[KerasLayer], outputs: Sequence[Reference]
) -> tuple[tuple[Call, ...], CallNumbers]:
    """All calls in topological order, and how the file counts them."""
    names = {layer.name for layer in layers}
    made: list[tuple[KerasLayer, int, Arguments]] = []
    for entry, layer in zip(entries, layers, strict=True):
        nodes = entry.raw("inbound_nodes")
        if not isinstance(nodes, list):
            raise FormatError("inbound_nodes", got=repr(nodes), expected="a list")
        if not layer.is_input:
            made += [(layer, k, arguments_of(node, names)) for k, node in enumerate(nodes)]
    numbers = CallNumbers(
        {x.name: None if x.is_input else x.model is not None for x in layers},
        Counter(layer.name for layer, _, _ in made),
        [*outputs, *(source for _, _, given in made for source in given.sources)],
    )
    calls = [
        Call(layer, node, tuple(numbers.resolve(s) for s in given.sources), given)
        for layer, node, given in made
    ]
    order = topological(
        [(call.layer.name, call.node) for call in calls], [call.sources for call in calls]
    )
    return tuple(calls[k] for k in order), numbers


def _keys(value: Any, count: int) -> tuple[str, ...]:
    """The keys of a dict of tensors, one each; () for any other structure."""
    if isinstance(value, dict) and len(value) == count:
        return tuple(value)
    return ()
